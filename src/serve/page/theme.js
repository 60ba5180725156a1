// Which look: the system's, light or dark. It runs before the page is drawn, so that no wrong look flashes up.
(() => {
  const names = ["auto", "light", "dark"];
  const stored = () => {
    try {
      return localStorage.getItem("deltamart-theme") ?? "auto";
    } catch {
      return "auto"; // Storage may be forbidden.
    }
  };
  let theme = names.includes(stored()) ? stored() : "auto";
  const show = () => {
    document.documentElement.dataset.theme = theme;
    const name = document.getElementById("theme-name");
    if (name) name.textContent = theme;
  };
  show();
  document.addEventListener("DOMContentLoaded", () => {
    show();
    document.getElementById("theme").addEventListener("click", () => {
      theme = names[(names.indexOf(theme) + 1) % names.length];
      try {
        localStorage.setItem("deltamart-theme", theme);
      } catch {
        // The choice then lasts as long as the page.
      }
      show();
    });
  });
})();
