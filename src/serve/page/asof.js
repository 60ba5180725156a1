// What holds for all figures of a shop: up to when they are, how old they are, and what was left out of them.
import { h, refill } from "./dom.js";
import { HOUR, count, date, duration, ms, percent, plural, time, year } from "./format.js";

/// Figures of older events say how old they are.
const OLD_MS = HOUR;
/// More rejected records than this share are a warning.
const MANY = 0.01;

/// "Wed 7 Jan 2026".
export const day = (at) => `${date(at)} ${year(at)}`;
/// Whether an instant is today, by the browser's clock.
export const isToday = (at) => new Date(at).toISOString().slice(0, 10) === new Date().toISOString().slice(0, 10);
/// Of which day a figure is, as far as it has come: "today, to 22:46", or "Wed 7 Jan 2026, to 22:46".
export const ofDay = (at) => `${isToday(at) ? "today" : day(at)}, to ${time(at)}`;

/// `ctx` knows what a server without a run counts: the rows of tables.
export function asOf(ctx) {
  const element = h("div.asof", { hidden: true });
  return {
    element,
    status(status, family) {
      const left_out = status.mode === "serve" ? kept(ctx.tables()) : refused(status);
      const lines = [old(status, family), behind(status), left_out].filter(Boolean);
      element.hidden = !lines.length;
      refill(
        element,
        lines.map((one) => [one.said, one.mood, one.links]),
        () =>
          lines.map((one) =>
            h(
              one.mood ? `p.${one.mood}` : "p",
              null,
              one.said,
              one.links?.map(([to, said]) => [" ", h("a", { href: `#/${to}` }, said)]),
            ),
          ),
      );
    },
  };
}

function old(status, family) {
  const at = ms(status.families.find((one) => one.name === family)?.watermark ?? null);
  if (at === null) return null;
  const age = ms(status.now) - at;
  return age < OLD_MS ? null : { said: `Figures up to ${day(at)} ${time(at)}, by the time of the events (${duration(age)} ago).` };
}

/// The figures are those of the warehouse, the first sink: others that wait take nothing from them.
function behind(status) {
  if (!status.sinks[0]?.waits_for || !status.unwritten_records) return null;
  return { said: `The figures lack ${unwritten(status)}.`, mood: "bad" };
}
/// "1 record that was read and is not yet written".
const unwritten = ({ unwritten_records: n }) =>
  `${plural(n, "record")} that ${n === 1 ? "was" : "were"} read and ${n === 1 ? "is" : "are"} not yet written`;

/// Records of all families are counted together, since the run began.
function refused(status) {
  if (!status.records) return null;
  const rejected = Object.values(status.rejected).reduce((sum, one) => sum + one, 0);
  if (!rejected && !status.late) return null;
  const share = rejected / status.records;
  return {
    said: `Of ${plural(status.records, "record")} that ${status.records === 1 ? "was" : "were"} read ${count(rejected)} ${rejected === 1 ? "was" : "were"} rejected (${percent(share, 2)}), and ${count(status.late)} came too late:`,
    mood: share > MANY ? "warn" : null,
    links: [["pipeline", "see why"]],
  };
}

/// What was left out, as far as the warehouse tells it: it keeps each such record, and not of how many.
function kept(tables) {
  const [rejected, late] = ["rejected_events", "late_events"].map((name) => tables.get(name)?.rows ?? 0);
  if (!rejected && !late) return null;
  return {
    said: `The warehouse keeps ${plural(rejected, "rejected record")}, and ${plural(late, "event")} that came too late:`,
    links: [
      ["table/rejected_events", "rejected events"],
      ["table/late_events", "late events"],
    ],
  };
}
