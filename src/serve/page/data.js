// What several views read: series of a table, made into points.
import { rows } from "./api.js";
import { FINAL } from "./finality.js";
import { DAY, HOUR, iso, monday, ms, startOf } from "./format.js";

/// The family's watermark, or the newest time of a table if nothing runs; null if there is nothing at all.
export async function present(status, family, table, column) {
  const known = ms(status?.families.find((one) => one.name === family)?.watermark ?? null);
  if (known !== null) return known;
  const {
    rows: [newest],
  } = await rows(table, { by: column, order: "desc", limit: 1 });
  return newest ? ms(newest[column]) : null;
}

/// From when on, the hour that runs included: whole hours, so that all pages ask the same and one answer serves them all.
export const since = (now, range) => iso(startOf(now, HOUR) + HOUR - range);
export const today = (now) => iso(startOf(now, DAY));
export const thisWeek = (now) => iso(monday(now));

/// Buckets of one length: those without a row are 0, if the table has a row for each that is not 0.
export function buckets(found, { from, to, length, column, y, state = () => FINAL, step = length }) {
  const by_time = new Map(found.map((row) => [ms(row[column]), row]));
  const points = [];
  for (let at = startOf(from, step); at < to; at += step) {
    const row = by_time.get(at);
    points.push({ from: at, to: at + length, y: row ? y(row) : 0, state: state(at + length, row) });
  }
  return points;
}

/// Days to the newest one that is known, at most `most`.
export function days(found, { column, now, most = 31, y, state }) {
  if (!found.length) return [];
  const known = found.map((row) => ms(row[column]));
  const last = Math.max(startOf(now, DAY), ...known);
  const from = Math.max(Math.min(...known), last - (most - 1) * DAY);
  return buckets(found, { from, to: last + DAY, length: DAY, column, y, state });
}
