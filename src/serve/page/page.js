// The page: which view is shown, and when it asks again.
import { get } from "./api.js";
import { correctionsView } from "./corrections.js";
import { declared } from "./declared.js";
import { deltasView } from "./deltas.js";
import { h, refill, text } from "./dom.js";
import { words } from "./format.js";
import { Live } from "./live.js";
import { isMovieShop, movieShop } from "./movie.js";
import { pipelineView } from "./pipeline.js";
import { stateShown } from "./state.js";
import { isStore, store } from "./store.js";
import { tableView } from "./table.js";

/// A view asks again at most this often, and takes at most a tenth of the time.
const ASK_EVERY_MS = 500;
const SAY_AFTER_MS = 250;

const live = new Live();
const main = document.getElementById("main");
const nav = document.getElementById("nav");
const voice = document.getElementById("said");
let tables = new Map();
let view = null;
let shown = null;
let asked = null;
let asking = false;
let again = false;
let next = 0;
let spoken = null;

/// Says something to a screen reader, when others do not say something else at the same time.
function say(what) {
  clearTimeout(spoken);
  spoken = setTimeout(() => text(voice, what), SAY_AFTER_MS);
}

const ctx = {
  say,
  status: () => live.status,
  tables: () => tables,
  async askTables() {
    const found = await get("tables");
    tables = new Map(found.tables.map((table) => [table.name, { ...table, counted_at: found.epoch }]));
    return found.tables;
  },
  refresh: () => refresh(true),
  /// The view that lists a table: `{ to, title }`.
  home(table) {
    const family = table.family ?? (table.kind === "view" ? order.find((name) => pageOf(name).views) : null);
    return family
      ? { to: `shop/${encodeURIComponent(family)}`, title: pageOf(family).title }
      : { to: "pipeline", title: "Pipeline" };
  },
};

const families = () => {
  const named = (live.status?.families ?? []).map((one) => one.name);
  const others = [...tables.values()].map((table) => table.family).filter((name) => name && !named.includes(name));
  const all = [...new Set([...named, ...others])];
  const filled = (name) =>
    [...tables.values()].some((table) => table.family === name && table.kind === "upsert" && table.rows > 0);
  // Whose tables have rows come first, and of those the shops.
  return all.toSorted((a, b) => filled(b) - filled(a) || isShop(b) - isShop(a));
};
const tables_of = (family) => [...tables.values()].filter((table) => table.family === family);
/// A family that has these tables has a page of its own; every other one has the page of whatever was declared.
const PAGES = [
  { fits: isMovieShop, make: movieShop, title: "Movie shop" },
  { fits: isStore, make: store, title: "Store", views: true },
];
const isShop = (family) => PAGES.some((page) => page.fits(tables_of(family)));
const pageOf = (family) =>
  PAGES.find((page) => page.fits(tables_of(family))) ?? { make: declared, title: words(family), views: true };
let order = [];

function make(route) {
  const [kind, name] = route.split("/");
  if (kind === "corrections") return correctionsView(ctx);
  if (kind === "deltas") return deltasView(ctx);
  if (kind === "pipeline") return pipelineView(ctx);
  if (kind === "table" && name) return tableView(ctx, decodeURIComponent(name));
  const family =
    kind === "shop" && order.includes(decodeURIComponent(name ?? "")) ? decodeURIComponent(name) : order[0];
  return family ? pageOf(family).make(ctx, family) : pipelineView(ctx);
}

function showNav(route) {
  const links = [
    ...order.map((family) => [`shop/${encodeURIComponent(family)}`, pageOf(family).title]),
    ["corrections", "Corrections"],
    ["deltas", "Deltas"],
    ["pipeline", "Pipeline"],
  ];
  refill(nav, links, () =>
    h(
      "ul",
      null,
      links.map(([to, said]) => h("li", null, h("a", { href: `#/${to}` }, said))),
    ),
  );
  const [kind, name] = route.split("/");
  const table = kind === "table" && tables.get(decodeURIComponent(name ?? ""));
  // A table belongs to the view that lists it.
  const here = table ? ctx.home(table).to : route || links[0][0];
  for (const link of nav.querySelectorAll("a")) {
    const is = link.getAttribute("href") === `#/${here}`;
    if (is) link.setAttribute("aria-current", table ? "true" : "page");
    else link.removeAttribute("aria-current");
    if (is && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = link.offsetLeft - 40;
  }
}

function show(by_hand) {
  if (!tables.size) return;
  const route = location.hash.replace(/^#\//, "");
  if (location.hash === "#main") return; // The link that skips the navigation.
  showNav(route);
  if (route === shown) return;
  view?.leave?.();
  shown = route;
  view = make(route);
  document.title = `${view.title} – deltamart`;
  main.replaceChildren(view.element);
  scrollTo(0, 0);
  if (by_hand) main.focus({ preventScroll: true });
  asked = null;
  refresh(true);
  if (live.status) view.status?.(live.status, live.past, live.advanced);
}

/// Asks again if there is a commit that the view has not seen.
async function refresh(now) {
  if (!view || document.hidden) return;
  if (asking) {
    again ||= now;
    return;
  }
  const epoch = live.status?.epoch ?? null;
  if (!now && (epoch === asked || performance.now() < next)) return;
  asking = true;
  const of = view;
  const began = performance.now();
  asked = epoch;
  try {
    await of.refresh();
    of.element.dataset.epoch = epoch ?? "";
  } catch {
    asked = null; // The banner says that nobody answers; it is tried again.
  }
  const took = performance.now() - began;
  next = performance.now() + Math.max(ASK_EVERY_MS, 9 * took);
  asking = false;
  if (again || view !== of) {
    again = false;
    refresh(true);
  }
}

/// Asks which tables there are; others than before mean another run, and the page begins again.
async function begin() {
  const before = [...tables.keys()].join();
  try {
    await ctx.askTables();
  } catch (error) {
    // The banner says if nobody answers; a server that has no tables yet says why.
    if (!view && error.status) main.replaceChildren(h("p.none", null, error.message));
    return;
  }
  if (before === [...tables.keys()].join()) return;
  order = families();
  shown = null;
  show(false);
}

const showState = stateShown(live, say);
live.addEventListener("status", () => {
  showState();
  if (!tables.size) return void begin();
  view?.status?.(live.status, live.past, live.advanced);
  refresh(false);
});
live.addEventListener("link", () => {
  showState();
  // Another run may answer now: with other tables, and from another epoch.
  if (live.link === "live" && tables.size) begin().then(() => refresh(true));
});
addEventListener("hashchange", () => show(true));
document.addEventListener("visibilitychange", () => document.hidden || refresh(true));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
live.start();
begin();
