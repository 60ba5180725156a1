// Where the lines of a scale are: at round numbers and at round times of UTC.
import { DAY, HOUR, MINUTE, date, month, startOf, time, year } from "./format.js";

/// Round numbers from 0 (or below) to at least `most`, about `n` of them.
export function numbers(least, most, n = 4) {
  const from = Math.min(0, least);
  const span = Math.max(most - from, 1e-9);
  const rough = span / n;
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((by) => by * ten).find((by) => by >= rough * 0.999);
  const ticks = [];
  for (let at = Math.floor(from / step) * step; ; at += step) {
    ticks.push(+at.toPrecision(12));
    if (at >= most - step * 1e-6) return ticks;
  }
}

const STEPS = [1, 2, 5, 10, 15, 30]
  .map((n) => n * MINUTE)
  .concat(
    [1, 2, 3, 6, 12].map((n) => n * HOUR),
    [1, 2, 7, 14].map((n) => n * DAY),
  );

/// Times between two instants, at most `n` of them and at least `least` apart: `{ at, said, strong }`. A day's first line
/// carries its date.
export function times(from, to, n, least = 0) {
  const step = STEPS.find((one) => one >= least && (to - from) / one <= n) ?? null;
  if (step === null) return months(from, to, n);
  const ticks = [];
  // Weeks begin on Mondays; the fifth of January 1970 was the first one.
  const offset = step % (7 * DAY) === 0 ? 4 * DAY : 0;
  for (let at = startOf(from - offset, step) + offset; at <= to; at += step) {
    if (at < from) continue;
    const strong = at % DAY === 0;
    ticks.push({ at, strong, said: strong ? date(at) : time(at) });
  }
  return ticks;
}

/// The days of bars, each with its name, if there are few; null if there are many. `room`: pixels for all of them.
export function days(from, to, room) {
  const n = (to - from) / DAY;
  if (n > 7) return null;
  // "Tue 6 Jan", "Tue 6" or "Tue".
  const words_of = room / n >= 64 ? 3 : room / n >= 42 ? 2 : 1;
  return Array.from({ length: Math.round(n) }, (_, place) => {
    const at = from + place * DAY;
    return { at, strong: true, said: date(at).split(" ").slice(0, words_of).join(" ") };
  });
}

function months(from, to, n) {
  const every = [1, 3, 6, 12, 24, 60, 120].find((one) => (to - from) / (30.4 * DAY * one) <= n) ?? 240;
  const ticks = [];
  const first = new Date(from);
  for (
    let number = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / every) * every;
    ;
    number += every
  ) {
    const at = Date.UTC(Math.floor(number / 12), number % 12, 1);
    if (at > to) return ticks;
    if (at < from) continue;
    const strong = number % 12 === 0;
    ticks.push({ at, strong, said: strong ? year(at) : month(at) });
  }
}
