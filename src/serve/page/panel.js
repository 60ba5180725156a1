// A panel: a title, what it shows, and its state. A panel without data says so instead of being empty.
import { h, svg, fresh, text, refill } from "./dom.js";
import { help } from "./help.js";

/// `size` is its width in twelfths ("w6"), also on a very wide screen ("w6.x4"); `actions` stand beside the title; `word` is one of
/// its note that is explained.
export function panel(title, { note = null, size = "w6", actions = null, word = null, id = fresh("panel") } = {}) {
  const state = h("p.none", null, "Loading…");
  const body = h("div.body", { hidden: true });
  const noted = h("span", null, note);
  const line = h("p.note", { hidden: note === null }, noted, word && ["\u00a0", help(word)]);
  const element = h(
    `section.panel.${size}`,
    { "aria-labelledby": id },
    h("header", null, h("div", null, h("h2", { id }, title), line), actions && h("div.actions", null, actions)),
    state,
    body,
  );
  const show = (said, bad) => {
    state.hidden = said === null;
    body.hidden = said !== null;
    state.className = bad ? "none bad" : "none";
    if (said !== null) text(state, said);
  };
  return {
    element,
    body,
    id,
    note(said) {
      line.hidden = !said;
      text(noted, said);
    },
    ok(epoch) {
      show(null);
      if (epoch !== undefined) element.dataset.epoch = epoch;
    },
    none: (said) => show(said, false),
    /// Runs what fills the panel; a refusal is said in the panel, and the others go on.
    async fill(work) {
      try {
        await work();
      } catch (error) {
        // What was shown before stays while the connection is lost: the banner says of when it is.
        if (error.name === "TypeError" || error.name === "TimeoutError") return;
        // A server that has too much to do is asked again soon.
        if (error.status === 503 && !body.hidden) return;
        show(error.message, true);
      }
    },
  };
}

/// A figure of the strip on top: a number, what it is, and what it was before; `word` is one that is explained.
export function tile(label, word = null) {
  const value = h("dd.value", { "data-mood": "none" }, "–");
  const named = h("dt", null, label);
  const note = h("span", null, "nothing yet");
  const warned = h("dd.sub.warn", { hidden: true });
  const spark = h("div.spark", { "aria-hidden": "true" });
  return {
    element: h("div.tile", null, named, value, h("dd.sub", null, note, word && ["\u00a0", help(word)]), warned, spark),
    /// What must be known of the figure, with the view that has more; null if nothing must.
    warn: (said, to) => warning(warned, said, to),
    name: (said) => text(named, said),
    set(said, sub = "", points = null, mood = null) {
      text(value, said);
      text(note, sub);
      if (mood) value.dataset.mood = mood;
      else delete value.dataset.mood;
      if (points) refill(spark, points, () => sparkline(points));
    },
  };
}
/// A line that warns, and leads to a view.
export function warning(element, said, to) {
  element.hidden = !said;
  refill(element, [said, to], () => said && h("a", { href: `#/${to}` }, said));
}
export const tiles = (...all) =>
  h(
    "dl.tiles",
    null,
    all.map((one) => one.element),
  );

/// Fewer points say nothing of a course.
const LEAST = 4;

/// A small line without axes: it says only whether something rises or falls.
export function sparkline(points, width = 96, height = 24) {
  const known = points.filter((y) => y !== null && y !== undefined);
  if (known.length < LEAST) return null;
  // What differs by less than a twentieth is flat.
  const top = Math.max(...known);
  const bottom = Math.min(Math.min(...known), top - Math.abs(top) / 20 - 1e-9);
  const place = (y, at) =>
    `${((at / (points.length - 1)) * width).toFixed(1)},${(height - 2 - ((y - bottom) / (top - bottom)) * (height - 4)).toFixed(1)}`;
  const line = points
    .map((y, at) => (y === null || y === undefined ? null : place(y, at)))
    .filter(Boolean)
    .join(" ");
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" },
    svg("polyline.spark-line", { points: line, "vector-effect": "non-scaling-stroke" }),
  );
}

/// Who leads: each row with a bar as long as its share of the first, or of `all`. `rows`: { label, value, said, note, title }.
export function ranking(list, rows, all = null) {
  const most = all ?? Math.max(...rows.map((row) => Math.abs(row.value)), 1e-9);
  refill(list, rows, () =>
    rows.map((row) => {
      const bar = h("span.bar", { "aria-hidden": "true" });
      bar.style.setProperty("--share", Math.abs(row.value) / most);
      return h(
        "li",
        row.title ? { title: row.title } : null,
        h("span.label", null, row.label),
        h("span.said", null, row.said),
        row.note && h("span.more", null, row.note),
        bar,
      );
    }),
  );
}

/// A table that scrolls in itself, or whose rows fold where there is no room; a name that begins with # is a column of numbers.
export function scrolled(label, columns, body, how = "tall") {
  return h(
    `div.scroll.${how.startsWith("tall") ? "tall" : "whole"}`,
    { tabindex: "0", role: "group", "aria-label": label },
    h(
      `table.list.${how}`,
      null,
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          columns.map((name) =>
            name.startsWith("#") ? h("th.num", { scope: "col" }, name.slice(1)) : h("th", { scope: "col" }, name),
          ),
        ),
      ),
      body,
    ),
  );
}

/// Panels below one another in one place of the grid.
export const stack = (size, ...panels) =>
  h(
    `div.stack.${size}`,
    null,
    panels.map((one) => one.element),
  );
