// A correction as a sentence: "14:00–15:00: 412 → 413, late by 63 min".
import { h } from "./dom.js";
import { DAY, HOUR, MINUTE, absent, cell, counted, date, duration, ms, plural, time, value, words } from "./format.js";

/// One late event restates several rows of a table: the first of these kinds is the sentence, the others are its rest.
const KINDS = ["tumbling", "daily", "weekly", "sliding", "cumulative"];
const KIND = "window_type";
/// So many other columns are told beside the first one.
const OTHERS = 1;
const LENGTHS = { tumbling: HOUR, sliding: HOUR, daily: DAY, weekly: 7 * DAY };

/// What time a row is about: "14:00–15:00" of "Wed 7 Jan".
export function period(table, key) {
  const name = table?.time_column ?? Object.keys(key).find((one) => /T.*Z$/.test(String(key[one])));
  if (!name || absent(key[name])) return null;
  const at = ms(key[name]);
  const kind = key[KIND];
  if (kind === "cumulative") return { at, day: "", said: "ever" };
  const length = LENGTHS[kind] ?? (/(^|_)day$|(^|_)date$/.test(name) ? DAY : name === "hour" ? HOUR : 0);
  if (length === 7 * DAY) return { at, day: "", said: `week of ${date(at)}` };
  if (length === DAY) return { at, day: "", said: date(at) };
  return { at, day: date(at), said: length ? `${time(at)}–${time(at + length)}` : time(at), length };
}

/// The other parts of a key: "movie 42".
function about(table, key) {
  const period_of = table?.time_column;
  return Object.entries(key)
    .filter(([name]) => name !== KIND && name !== period_of && !/T.*Z$/.test(String(key[name])))
    .map(([name, of]) => `${words(name).replace(/ id$/, "")} ${cell(of, { name, type: "text" })}`)
    .join(", ");
}

const columnOf = (table, name) => table?.columns.find((one) => one.name === name) ?? { name, type: "text", doc: "" };
/// A value as a person says it: seconds are a duration.
const saidOf = (of, column) =>
  /, in seconds\b/.test(column.doc) && !absent(of) ? duration(1000 * of) : value(of, column.type);
/// In the order of the table: its first column is what it is about.
const place = (table, name) => table?.columns.findIndex((one) => one.name === name) ?? 0;
function changes(table, row) {
  return Object.entries(row.columns)
    .map(([name, one]) => ({ column: columnOf(table, name), name, ...one }))
    .filter((one) => one.before !== one.after)
    .sort((a, b) => place(table, a.name) - place(table, b.name));
}

/// Rows that one commit restated in one table, as sentences, newest first. `tables`: a map by name.
export function sentences(corrections, tables) {
  const groups = new Map();
  for (const row of corrections) {
    const place = `${row.epoch} ${row.table} ${about(tables.get(row.table), row.key)}`;
    if (!groups.has(place)) groups.set(place, []);
    groups.get(place).push(row);
  }
  return [...groups.values()].flatMap((rows) => {
    const kind = KINDS.find((one) => rows.some((row) => row.key[KIND] === one));
    const [main, rest] = [rows.filter((row) => row.key[KIND] === kind), rows.filter((row) => row.key[KIND] !== kind)];
    const table = tables.get(rows[0].table);
    return joined(main, table).map((together, at) => told(together, at === 0 ? rest : [], table));
  });
}

/// Minutes in a row are one sentence about all of them.
function joined(rows, table) {
  const timed = rows.map((row) => ({ row, period: period(table, row.key) }));
  if (timed.some((one) => one.period === null || one.period.length)) return rows.map((row) => [row]);
  timed.sort((a, b) => a.period.at - b.period.at);
  const runs = [];
  for (const one of timed) {
    const run = runs.at(-1);
    if (run && one.period.at - run.at(-1).period.at <= MINUTE) run.push(one);
    else runs.push([one]);
  }
  return runs.map((run) => run.map((one) => one.row)).reverse();
}

function told(rows, rest, table) {
  const first = rows[0];
  const of = period(table, first.key);
  const until = rows.length > 1 ? period(table, rows.at(-1).key) : null;
  const [main, ...others] = changes(table, first);
  const was = (one) => `${saidOf(one.before, one.column)} → ${saidOf(one.after, one.column)}`;
  const when = until ? `${of.said}–${until.said}` : (of?.said ?? "");
  const whose = about(table, first.key);
  const notes = [
    ...others.slice(0, OTHERS).map((one) => `${counted(one.name)} ${was(one)}`),
    others.length > OTHERS && `and ${plural(others.length - OTHERS, "column")}`,
    rows.length > 1 && !rest.length && plural(rows.length, "row"),
    rest.length > 0 && `${plural(rows.length + rest.length, "row")} in all: also ${tally(rest)}`,
  ].filter(Boolean);
  return {
    id: `${first.epoch} ${first.table} ${JSON.stringify(first.key)}`,
    table: first.table,
    epoch: first.epoch,
    at: first.committed_at,
    day: of?.day ?? "",
    what: main ? counted(main.name) : words(first.table),
    said: `${[whose, when].filter(Boolean).join(", ")}: ${main ? was(main) : "restated"}, late by ${lateness(first.late_ms)}`,
    notes,
    rows: [...rows, ...rest].map((row) => line(table, row)),
  };
}

/// One row of those that are told together: "sliding 19:15–20:15: 15 → 16".
function line(table, row) {
  const [main] = changes(table, row);
  const of = period(table, row.key);
  const said = main ? `${saidOf(main.before, main.column)} → ${saidOf(main.after, main.column)}` : "restated";
  return `${[row.key[KIND], of?.said].filter(Boolean).join(" ")}: ${said}`;
}

const lateness = (late) => (absent(late) ? "an unknown time" : duration(late));
function tally(rows) {
  const counts = new Map();
  for (const row of rows) counts.set(row.key[KIND], (counts.get(row.key[KIND]) ?? 0) + 1);
  return [...counts].map(([kind, n]) => (kind ? plural(n, `${kind} window`) : plural(n, "row"))).join(", ");
}

export const item = (one) =>
  h(
    "li",
    { "data-epoch": one.epoch },
    h("span.what", null, one.what, one.day && h("span.day", null, one.day)),
    h(
      "span",
      null,
      h("span.sentence", null, one.said),
      one.notes.length > 0 && h("span.more", null, one.notes.join(" · ")),
      one.rows.length > 1 &&
        h(
          "details.rows",
          null,
          h("summary", null, `All ${one.rows.length} rows`),
          h(
            "ul",
            null,
            one.rows.map((said) => h("li", null, said)),
          ),
        ),
    ),
  );
