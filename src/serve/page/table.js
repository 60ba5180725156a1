// One table: its rows, page by page, a plot where it has a time, and what its columns mean.
import { rows } from "./api.js";
import { fillRows, grid, newest, plotted } from "./declared.js";
import { choice, h, marked, refill, text } from "./dom.js";
import { count, title, words } from "./format.js";
import { KIND, usual } from "./kinds.js";
import { panel, stack } from "./panel.js";

const PAGE = 50;
const ALL = "all";
/// With so few columns there is room beside the rows.
const NARROW = 6;
/// Windows that have no place on a time axis.
const TIMELESS = "cumulative";

export function tableView(ctx, name) {
  const table = ctx.tables().get(name);
  if (!table) {
    return {
      title: name,
      element: h("div.view", null, h("h1", null, name), h("p.none", null, `There is no table ${name}.`)),
      refresh: async () => {},
    };
  }
  const plot = plotted(ctx, table);
  const home = ctx.home(table);
  const is_narrow = plot !== null && table.columns.length <= NARROW;
  return {
    title: words(name),
    ...rowsOf(ctx, table, { plot, size: is_narrow ? "w6.x4" : "w12" }, (one) =>
      h(
        "div.view",
        null,
        h(
          "div.named",
          null,
          h("nav.crumbs", { "aria-label": "Breadcrumb" }, h("a", { href: `#/${home.to}` }, home.title)),
          h("h1", null, words(name)),
          h("p.lead", null, marked(table.doc)),
        ),
        h(
          "div.grid",
          null,
          is_narrow
            ? [one.element, stack("w6.x8", plot, columnsOf(table, "part"))]
            : [one, plot, columnsOf(table, plot ? "w6" : "w12")].filter(Boolean).map((part) => part.element),
        ),
      ),
    ),
  };
}

/// Its rows, a page at a time; of windows of several kinds those of one, or all.
function rowsOf(ctx, table, { plot, size }, view) {
  const has_kinds = table.key.includes(KIND);
  let kind = null;
  /// How many rows are walked through, and at which epoch they were so many; null if that is not counted.
  let total = null;
  let after = [];
  let next = null;
  const kinds = h("div");
  const one = panel("Rows", { size, actions: has_kinds && kinds });
  const body = h("tbody");
  const box = grid(table, body, "fills");
  const where = h("span.fact", { role: "status" });
  const [back, on] = [
    [table.time_column ? "Newer" : "Previous", () => after.pop()],
    [table.time_column ? "Older" : "Next", () => after.push(next)],
  ].map(([said, act]) =>
    h("button", { type: "button", disabled: true, onclick: () => (act(), load(), (box.scrollTop = 0)) }, said),
  );
  one.body.append(box, h("p.pages", null, back, on, where));

  async function countRows() {
    if (!has_kinds) {
      await ctx.askTables();
      const { rows: n, counted_at } = ctx.tables().get(table.name) ?? {};
      total = n === null || n === undefined ? null : { n, epoch: counted_at };
      return;
    }
    const found = await rows(table.name, { group: KIND });
    const names = found.rows.map((row) => row[KIND]);
    kind ??= usual(names);
    const mine = found.rows.filter((row) => kind === ALL || row[KIND] === kind);
    total = { n: mine.reduce((sum, row) => sum + row.rows, 0), epoch: found.epoch };
    refill(kinds, [names, kind], () =>
      names.length > 1 &&
      choice("Kind of window", [...names.toSorted((a, b) => (b === usual(names)) - (a === usual(names))), ALL].map((of) => [of, title(of)]), kind, (to) => {
        kind = to;
        after = [];
        if (to !== ALL && to !== TIMELESS) plot?.show(to);
        ctx.refresh();
      }),
    );
  }
  const load = () =>
    one.fill(async () => {
      try {
        await countRows();
        const asked = { ...newest(table), [KIND]: kind === ALL ? null : kind, limit: PAGE, after: after.at(-1) };
        const found = await rows(table.name, asked);
        next = found.next;
        show(found);
      } catch (error) {
        if (error.status !== 409) throw error;
        // Each page of a walk is of one commit; there has been a new one.
        after = [];
        await load();
        text(where, "The table changed: this is the first page again.");
      }
    });
  function show(found) {
    if (!found.rows.length && !after.length) return one.none("No row yet.");
    one.ok(found.epoch);
    fillRows(body, table, found.rows);
    // Rows that are all of one kind need not say so where there is little room.
    box.classList.toggle("alike", has_kinds && kind !== ALL);
    const first = after.length * PAGE + 1;
    const last = first + found.rows.length - 1;
    const of =
      next === null ? count(last) : total && total.n >= last ? `${total.epoch === found.epoch ? "" : "about "}${count(total.n)}` : null;
    text(where, `${count(first)}–${count(last)}${of === null ? "" : ` of ${of}`}, at epoch ${count(found.epoch)}`);
    one.note(table.time_column ? "newest first" : null);
    const had_focus = [back, on].find((button) => button === document.activeElement);
    back.disabled = !after.length;
    on.disabled = next === null;
    // Who turned to the end goes on at the other button.
    if (had_focus?.disabled) (had_focus === on ? back : on).focus();
  }
  return {
    element: view(one),
    // A page that somebody turned to stays what it was.
    refresh: () => Promise.all([after.length ? null : load(), plot?.refresh()]),
  };
}

function columnsOf(table, size) {
  const one = panel("Columns", { size });
  one.ok();
  const facts = (column) => [
    column.type,
    table.key.includes(column.name) ? ", key" : "",
    column.nullable ? ", may be null" : "",
  ];
  one.body.append(
    h(
      "dl.columns",
      null,
      table.columns.map((column) =>
        h(
          "div",
          null,
          h("dt", null, column.name, h("span.more", null, facts(column).join(""))),
          h("dd", null, marked(column.doc)),
        ),
      ),
    ),
  );
  return one;
}
