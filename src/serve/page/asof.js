// What holds for all figures of a shop: up to when they are, how old they are, and what was left out of them.
import { h, refill } from "./dom.js";
import { HOUR, absent, count, date, duration, ms, plural, seconds, time, year } from "./format.js";
import { waiting } from "./trouble.js";

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

export function asOf() {
  const element = h("div.asof", { hidden: true });
  return {
    element,
    status(status, family) {
      const lines = [old(status, family), behind(status), refused(status)].filter(Boolean);
      element.hidden = !lines.length;
      refill(
        element,
        lines.map((one) => [one.said, one.mood]),
        () =>
          lines.map((one) =>
            h(
              one.mood ? `p.${one.mood}` : "p",
              null,
              one.said,
              one.to && [" ", h("a", { href: "#/pipeline" }, one.to)],
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

function behind(status) {
  if (!waiting(status).length || absent(status.committed_at)) return null;
  const age = ms(status.now) - ms(status.committed_at);
  return {
    said: `All figures are as of epoch ${count(status.epoch)}, ${seconds(age)} ago: a sink waits.`,
    mood: "bad",
    to: "See the sinks",
  };
}

/// Records of all families are counted together, since the run began.
function refused(status) {
  if (status.mode === "serve" || !status.records) return null;
  const rejected = Object.values(status.rejected).reduce((sum, one) => sum + one, 0);
  if (!rejected && !status.late) return null;
  const share = rejected / status.records;
  return {
    said: `${count(rejected)} of ${plural(status.records, "record")} were rejected (${(100 * share).toFixed(2)} %), ${count(status.late)} came too late:`,
    mood: share > MANY ? "warn" : null,
    to: "see why",
  };
}
