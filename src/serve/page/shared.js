// Panels that every family has: its newest corrections, and the list of its tables.
import { get } from "./api.js";
import { h, marked, refill, text } from "./dom.js";
import { count, title } from "./format.js";
import { panel, scrolled } from "./panel.js";
import { item, sentences } from "./sentence.js";

const SHOWN = { part: 3, w4: 3, w12: 6 };

/// Only the run that writes the tables sees what it corrects.
export const CORRECTIONS_OF_RUN = "Only the run that writes the tables sees what late events restate: its own page shows it.";

/// Why there are none.
export const withoutCorrections = (ctx) =>
  ctx.status()?.mode === "serve"
    ? CORRECTIONS_OF_RUN
    : "None: no late event has changed a row since the run began.";

/// A view of what only a run sees: a server without one says so, and shows none of its panels. The status may come after the view.
export function ofRun(title, panels, { served, run, more = null }) {
  const lead = h("p.lead");
  const grid = h("div.grid", null, ...panels);
  return {
    element: h("div.view", null, h("h1", null, title), lead, grid, more),
    status(status) {
      grid.hidden = status.mode === "serve";
      text(lead, grid.hidden ? served : run(status));
    },
  };
}

/// The newest corrections of a family's tables.
export function corrected(ctx, family, size) {
  const one = panel("Corrections", {
    size,
    note: "what late events restated",
    actions: h("a.button", { href: "#/corrections" }, "All corrections"),
  });
  const list = h("ul.sentences");
  let known = null;
  one.body.append(list);
  one.refresh = () =>
    one.fill(async () => {
      one.element.querySelector(".actions").hidden = ctx.status()?.mode === "serve";
      const mine = (await get("corrections")).filter((row) => ctx.tables().get(row.table)?.family === family);
      const newest = mine[0]?.epoch ?? 0;
      if (known !== null && newest > known)
        ctx.say(
          `Corrected: ${
            sentences(
              mine.filter((row) => row.epoch > known),
              ctx.tables(),
            )[0].said
          }`,
        );
      known = newest;
      if (!mine.length) return one.none(withoutCorrections(ctx));
      one.ok();
      const told = mixed(sentences(mine, ctx.tables()), SHOWN[size]);
      refill(list, told, () => told.map(item));
    });
  return one;
}

/// The newest of each table, then the newest of all: one table with many corrections does not hide the others.
function mixed(told, most) {
  const firsts = told.filter((one, at) => told.findIndex((other) => other.table === one.table) === at);
  const rest = told.filter((one) => !firsts.includes(one));
  const shown = [...firsts, ...rest].slice(0, most);
  return told.filter((one) => shown.includes(one));
}

/// The tables that `belongs` picks, with what a row is and how many there are.
export function listOf(ctx, name, belongs) {
  const one = panel(name, { size: "w12" });
  const body = h("tbody");
  one.body.append(scrolled(name, ["table", "#rows", "what a row is"], body, "fold.named"));
  one.refresh = () =>
    one.fill(async () => {
      const mine = (await ctx.askTables()).filter(belongs);
      if (!mine.length) return one.none("There is none.");
      one.ok();
      refill(
        body,
        mine.map((table) => [table.name, table.doc]),
        () =>
          mine.map((table) =>
            h(
              "tr",
              null,
              h("th", { scope: "row" }, h("a", { href: `#/table/${table.name}` }, title(table.name))),
              h("td.num", { "data-label": "rows" }, ""),
              h("td.doc.wide", null, marked(table.doc)),
            ),
          ),
      );
      mine.forEach((table, at) => text(body.children[at].querySelector(".num"), count(table.rows)));
    });
  return one;
}

/// A grid of panels, in whose place one sentence stands as long as there is nothing: `{ element, bare(is) }`. `always` stands in any case.
export function grid(parts, always) {
  const waits = panel("Nothing to see yet", { size: "w12" });
  waits.none("No event of this shop has been read yet. Its figures appear with the first one.");
  for (const one of [waits, always]) one.element.classList.add("always");
  const element = h("div.grid", null, waits.element, parts, always.element);
  const bare = (is) => {
    waits.element.hidden = !is;
    element.classList.toggle("bare", is);
  };
  bare(false);
  return { element, bare };
}

/// All tables of a family. Views of a model belong to no family: they stand with those of the model.
export const allTables = (ctx, family, with_views = false) =>
  listOf(ctx, "Tables", (table) => table.family === family || (with_views && !table.family && table.kind === "view"));
