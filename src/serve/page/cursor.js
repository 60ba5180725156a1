// The cursor of a chart: the mouse, a finger and the arrow keys move it, and what it stands on is said.
import { h } from "./dom.js";

const SAY_AFTER_MS = 350;

/// A surface over a plot. `on_move(index | null)` draws; `value(index)` says what stands there.
export function cursor({ label, details, on_move, value, nearest, say }) {
  let size = 0;
  let at = null;
  let timer = null;
  const surface = h("div.surface", {
    tabindex: "0",
    role: "slider",
    "aria-label": label,
    "aria-details": details,
    "aria-orientation": "horizontal",
    "aria-valuemin": "0",
    "aria-valuemax": "0",
    "aria-valuenow": "0",
    "aria-valuetext": "no data",
  });
  const move = (to, by_key) => {
    at = to;
    if (to !== null) {
      surface.setAttribute("aria-valuenow", to);
      surface.setAttribute("aria-valuetext", value(to));
    }
    on_move(at);
    if (!by_key) return;
    // Not each step of a held key: where it rests.
    clearTimeout(timer);
    timer = setTimeout(() => say(value(at)), SAY_AFTER_MS);
  };
  const last = () => Math.max(0, size - 1);
  surface.addEventListener("keydown", (event) => {
    const from = at ?? last();
    const big = Math.max(1, Math.round(size / 10));
    const to = {
      ArrowLeft: from - 1,
      ArrowDown: from - 1,
      ArrowRight: from + 1,
      ArrowUp: from + 1,
      PageDown: from - big,
      PageUp: from + big,
      Home: 0,
      End: last(),
    }[event.key];
    if (event.key === "Escape") return move(null, false);
    if (to === undefined || size === 0) return;
    event.preventDefault();
    move(Math.min(last(), Math.max(0, to)), true);
  });
  surface.addEventListener("focus", () => size && at === null && move(last(), false));
  surface.addEventListener("blur", () => move(null, false));
  surface.addEventListener("pointermove", (event) => size && move(nearest(event.offsetX), false));
  surface.addEventListener("pointerdown", (event) => size && move(nearest(event.offsetX), false));
  surface.addEventListener("pointerleave", () => document.activeElement !== surface && move(null, false));
  return {
    surface,
    /// How many places there are now; the cursor stays where it was, as long as that is one.
    resize(n) {
      size = n;
      surface.setAttribute("aria-valuemax", last());
      if (at !== null && at > last()) at = n ? last() : null;
      if (n && at === null) {
        surface.setAttribute("aria-valuenow", last());
        surface.setAttribute("aria-valuetext", value(last()));
      }
      on_move(at);
    },
  };
}
