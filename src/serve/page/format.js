// How values are written: thousands apart, digits of one width, instants in UTC.
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const digits = [0, 1, 2, 3, 4].map(
  (n) => new Intl.NumberFormat("en-US", { minimumFractionDigits: n, maximumFractionDigits: n }),
);
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const NONE = "–";

const two = (n) => String(n).padStart(2, "0");
export const absent = (value) => value === null || value === undefined;

/// A count. One beyond 2^53 comes as text and stays exact.
export function count(value) {
  if (absent(value)) return NONE;
  return whole.format(typeof value === "string" ? BigInt(value) : value);
}
export const decimal = (value, places) => (absent(value) ? NONE : digits[places].format(value));
export const money = (value) => decimal(value, 2);
export const percent = (share, places = 1) => (absent(share) ? NONE : `${digits[places].format(share * 100)} %`);

/// For an axis, where there is little room: 12k, 3.4M.
export function short(value) {
  const size = Math.abs(value);
  const [by, unit] = size >= 1e9 ? [1e9, "G"] : size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
  const scaled = value / by;
  return (Number.isInteger(scaled) || Math.abs(scaled) >= 1000 ? whole.format(scaled) : `${+scaled.toFixed(2)}`) + unit;
}

export const ms = (instant) => (absent(instant) ? null : typeof instant === "number" ? instant : Date.parse(instant));
export const iso = (at) => new Date(at).toISOString();
export const startOf = (at, step) => Math.floor(at / step) * step;
/// Monday, the first day of a week, at midnight. The first of January 1970 was a Thursday.
export const monday = (at) => Math.floor((at + 3 * DAY) / (7 * DAY)) * 7 * DAY - 3 * DAY;

export function date(instant) {
  const d = new Date(ms(instant));
  return `${DAYS[d.getUTCDay()]} ${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`;
}
export function time(instant) {
  const d = new Date(ms(instant));
  return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
}
export const clock = (instant) => `${time(instant)}:${two(new Date(ms(instant)).getUTCSeconds())}`;
export const month = (at) => MONTHS[new Date(at).getUTCMonth()];
export const year = (at) => String(new Date(at).getUTCFullYear());

/// The whole instant, as short as it can be: seconds and milliseconds only if there are any, and of midnight only the day, unless
/// it stands among others that have a time.
export function instant(value, is_timed = false) {
  if (absent(value)) return NONE;
  const at = ms(value);
  if (Number.isNaN(at)) return String(value);
  const day = iso(at).slice(0, 10);
  if (at % DAY === 0 && !is_timed) return day;
  const tail = at % 1000 ? iso(at).slice(16, 23) : at % MINUTE ? iso(at).slice(16, 19) : "";
  return `${day} ${time(at)}${tail}`;
}

/// How long, with at most two units: "412 ms", "3.2 s", "63 min", "3 h 5 min", "2 d 4 h".
export function duration(value) {
  if (absent(value)) return NONE;
  const d = Math.max(0, value);
  if (d < 1000) return `${Math.round(d)} ms`;
  if (d < 10_000) return `${(d / 1000).toFixed(1)} s`;
  if (d < 2 * MINUTE) return `${Math.round(d / 1000)} s`;
  if (d < 2 * HOUR) return `${Math.floor(d / MINUTE)} min`;
  if (d < 2 * DAY) return pair(Math.floor(d / HOUR), "h", Math.floor((d % HOUR) / MINUTE), "min");
  return pair(Math.floor(d / DAY), "d", Math.floor((d % DAY) / HOUR), "h");
}
/// An age, in whole seconds: "9 s", "1 min 34 s".
export function seconds(value) {
  const d = Math.floor(Math.max(0, value) / 1000);
  if (d < 60) return `${d} s`;
  if (d < 3600) return pair(Math.floor(d / 60), "min", d % 60, "s");
  return duration(value);
}
/// When something began, by the clock, and how long ago that is: "10:04:20, 15 s ago".
export function began(since, now) {
  const day = iso(ms(since)).slice(0, 10) === iso(now).slice(0, 10) ? "" : `${date(since)} `;
  return `${day}${clock(since)}, ${seconds(now - ms(since))} ago`;
}
/// A text of a catalog as it is read: catalogs hold `&#39;` and `&amp;`. It is decoded where it is shown, and nowhere else.
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };
export const decoded = (said) =>
  String(said).replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|amp|lt|gt|quot|apos|nbsp);/gi, (whole, name) => {
    if (name[0] !== "#") return ENTITIES[name.toLowerCase()];
    const code = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
const pair = (a, of_a, b, of_b) => (b ? `${a} ${of_a} ${b} ${of_b}` : `${a} ${of_a}`);

export function bytes(value) {
  if (absent(value)) return NONE;
  const at = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : value >= 1e3 ? [1e3, "kB"] : [1, "B"];
  return `${at[0] === 1 ? value : digits[1].format(value / at[0])} ${at[1]}`;
}
/// A limit that somebody set: whole mebibytes are said as such.
export const limit = (value) => (value && value % (1 << 20) === 0 ? `${count(value / (1 << 20))} MiB` : bytes(value));
export const rate = (value) => (absent(value) ? NONE : value >= 100 || value === 0 ? count(value) : decimal(value, 1));

/// A value of a column, by the column's type.
export function value(cell, type) {
  if (absent(cell)) return NONE;
  switch (type) {
    case "integer":
      return count(cell);
    case "boolean":
      return cell ? "yes" : "no";
    case "instant":
      return instant(cell);
    case "money":
      return money(cell);
    case "milli":
      return decimal(cell, 3);
    case "share":
      return decimal(cell, 4);
    default:
      return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  }
}
export const isNumber = (type) => ["integer", "money", "milli", "share"].includes(type);
/// An id is a number that nobody adds up: it has no thousands.
export const isId = (name) => /(^|_)(id|offset|partition)$/.test(name);
export const cell = (of, column) => (isId(column.name) && !absent(of) ? String(of) : value(of, column.type));
export const words = (name) => name.replaceAll("_", " ").replaceAll("`", "").trim();
/// What a column of counts counts: "registrations" of registration_count.
export const counted = (name) =>
  /_count$/.test(name)
    ? words(name)
        .replace(/ count$/, "")
        .replace(/([^s])$/, "$1s")
    : words(name);
/// The same as the beginning of a line.
export const title = (name) => words(name).replace(/^./, (first) => first.toUpperCase());
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
