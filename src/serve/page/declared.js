// A family that somebody declared: each metric as a table, and where its key has a time as a plot. Nobody writes a page for it.
import { rows } from "./api.js";
import { chart } from "./chart.js";
import { present } from "./data.js";
import { h, refill } from "./dom.js";
import { asOf } from "./asof.js";
import { finality, rule } from "./finality.js";
import { DAY, HOUR, MINUTE, cell, instant, isId, isNumber, monday, ms, startOf, value, words } from "./format.js";
import { KIND, usual } from "./kinds.js";
import { panel, scrolled } from "./panel.js";
import { allTables, corrected } from "./shared.js";

const PLOTTED = 500;
const ROWS = 10;
const FINAL_COLUMN = "is_final";

export function declared(ctx, family) {
  const mine = [...ctx.tables().values()].filter(
    (table) => table.family === family && ["upsert", "view"].includes(table.kind),
  );
  const panels = mine.flatMap((table) => [plotted(ctx, table), listed(table)].filter(Boolean));
  const as_of = asOf(ctx);
  const corrections = corrected(ctx, family, "w12");
  const all = allTables(ctx, family, true);
  return {
    title: words(family),
    element: h(
      "div.view",
      null,
      h("h1", null, words(family)),
      as_of.element,
      !mine.length && h("p.none", null, "No metric is declared over these events."),
      h(
        "div.grid",
        null,
        [...panels, corrections, all].map((one) => one.element),
      ),
    ),
    status: (status) => as_of.status(status, family),
    refresh: () => Promise.all([...panels, corrections, all].map((one) => one.refresh())),
  };
}

/// What can be drawn over the time: sums of several rows only of what may be added up.
const measures = (table) =>
  table.columns
    .filter((column) => isNumber(column.type) && !table.key.includes(column.name) && !isId(column.name))
    .filter((column) => isAlone(table) || ["integer", "money"].includes(column.type));
const isAlone = (table) => table.key.every((name) => name === table.time_column || name === KIND);

/// A plot of a table over its time; null if it has no time, or is one of events.
export function plotted(ctx, table) {
  const options = table.time_column && table.kind !== "raw" ? measures(table) : [];
  if (!options.length) return null;
  let measure = options[0];
  // Windows of several kinds overlap: one kind is drawn.
  let kind = null;
  const others = table.key.filter((name) => name !== table.time_column && name !== KIND);
  const over = others.length ? `the sum over all ${others.map(words).join(" and ")}` : table.doc;
  const one = panel(words(table.name), {
    size: "w6",
    note: over,
    actions:
      options.length > 1 &&
      picker(
        `Measure of ${words(table.name)}`,
        options.map((column) => column.name),
        (name) => {
          measure = options.find((column) => column.name === name);
          ctx.refresh();
        },
      ),
  });
  const plot = chart(`${words(table.name)} over time`, { say: ctx.say });
  one.element.classList.add("plotted");
  one.body.append(plot.element);
  /// Another kind of window.
  one.show = (to) => {
    kind = to;
  };
  one.refresh = () =>
    one.fill(async () => {
      const column = table.time_column;
      if (kind === null && table.key.includes(KIND))
        kind = usual((await rows(table.name, { group: KIND })).rows.map((row) => row[KIND]));
      if (kind) one.note(`${kind} windows${others.length ? `, ${over}` : ""}`);
      const says = !others.length && table.columns.some((one_of) => one_of.name === FINAL_COLUMN);
      const now = table.family ? await present(ctx.status(), table.family, table.name, column) : null;
      const found = await rows(
        table.name,
        others.length
          ? { [KIND]: kind, group: column, sum: measure.name, by: column, order: "desc", limit: PLOTTED }
          : { [KIND]: kind, columns: [column, measure.name, says && FINAL_COLUMN].filter(Boolean).join(), by: column, order: "desc", limit: PLOTTED },
      );
      if (!found.rows.length) return one.none("No row yet.");
      one.ok(found.epoch);
      const by = rule(ctx.status(), table.family, now);
      const points = bars(found.rows.reverse(), column, measure.name, (end, row) =>
        finality(by, end, says ? row[FINAL_COLUMN] : null),
      );
      one.element.hidden = !points;
      if (!points) return;
      plot.set({
        from: points[0].from,
        to: points.at(-1).to,
        series: [{ name: words(measure.name), kind: "bars", tone: 1, said: (y) => value(y, measure.type), points }],
      });
    });
  return one;
}

const LENGTHS = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY, 7 * DAY];

/// A bar is as wide as the longest usual window that could begin where the rows do, and no two of which would overlap. Null if
/// there is none: then the times are those of events, whose sums at an instant say nothing.
function bars(found, column, measure, state) {
  const at = found.map((row) => ms(row[column]));
  const gaps = at.slice(1).map((one, place) => one - at[place]);
  const least = Math.min(...gaps.filter((gap) => gap > 0), Infinity);
  const begins = (one, length) => (length === 7 * DAY ? monday(one) : startOf(one, length)) === one;
  const length = LENGTHS.findLast((one) => one <= least && at.every((begin) => begins(begin, one)));
  if (!length) return null;
  return found.map((row, place) => {
    const to = at[place] + length;
    return { from: at[place], to, y: row[measure], state: state(to, row) };
  });
}

/// Too many names for buttons.
function picker(label, names, on_choice) {
  return h(
    "label.picker",
    null,
    h("span.sr", null, label),
    h(
      "select",
      { onchange: (event) => on_choice(event.target.value) },
      names.map((name) => h("option", { value: name }, words(name))),
    ),
  );
}

/// The order in which rows are shown: the newest first, if they have a time.
export const newest = (table) => (table.time_column ? { by: table.time_column, order: "desc" } : {});

function listed(table) {
  const one = panel(`${words(table.name)}: rows`, {
    note: table.time_column ? "newest first" : null,
    actions: h("a.button", { href: `#/table/${table.name}`, "aria-label": `All rows of ${words(table.name)}` }, "All rows"),
  });
  const body = h("tbody");
  one.body.append(grid(table, body));
  one.refresh = () =>
    one.fill(async () => {
      const found = await rows(table.name, { ...newest(table), limit: ROWS });
      if (!found.rows.length) return one.none("No row yet.");
      one.ok(found.epoch);
      fillRows(body, table, found.rows);
    });
  return one;
}
/// An id is a name that is written with digits.
const isRight = (column) => isNumber(column.type) && !isId(column.name);
/// A long text is cut off in its cell; the whole of it is its title.
const long = (said) => (said.length > 30 ? { title: said } : null);
/// So many columns fit beside one another on a phone.
const FEW = 5;
export function grid(table, body, how = "short") {
  const box = scrolled(
    `Rows of ${words(table.name)}`,
    table.columns.map((column) => (isRight(column) ? `#${words(column.name)}` : words(column.name))),
    body,
    `tall.upright.${table.columns.length > FEW ? "folds" : "few"}.${how}`,
  );
  const kind = table.columns.findIndex((column) => column.name === KIND);
  box.querySelectorAll("thead th")[kind]?.classList.add("kind");
  return box;
}
export const fillRows = (body, table, found) =>
  refill(body, found, () => {
    const timed = new Set(
      table.columns
        .filter(({ name, type }) => type === "instant" && found.some((row) => ms(row[name]) % DAY !== 0))
        .map(({ name }) => name),
    );
    const said = (row, column) =>
      timed.has(column.name) ? instant(row[column.name], true) : cell(row[column.name], column);
    return found.map((row) =>
      h(
        "tr",
        null,
        table.columns.map((column) =>
          h(
            isRight(column) ? "td.num" : column.name === KIND ? "td.kind" : "td",
            { "data-label": words(column.name), ...long(said(row, column)) },
            said(row, column),
          ),
        ),
      ),
    );
  });
