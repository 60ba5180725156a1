// The shapes of a plot, as SVG paths.
import { svg } from "./dom.js";
import { FINAL, OPEN, RUNNING } from "./finality.js";

/// The widest bar, in pixels.
const WIDEST = 88;
/// One that is narrower has no outline, in pixels.
const THIN = 6;

/// Where a point is: a bar is at its middle.
export const at_of = (p) => p.at ?? (p.from + p.to) / 2;

/// What draws a series; `scale` has the places of times and values, `hatch` is the id of the pattern of what still runs.
export function shape(series, scale, data, hatch) {
  if (series.kind === "bars") {
    return [FINAL, OPEN, RUNNING].map((state) => {
      const shown = series.points.filter((p) => (p.state ?? FINAL) === state && p.y);
      const d = shown.map((p) => bar(p, scale, data)).join("");
      // An outline would be all that is seen of a thin bar.
      const thin = shown.some((p) => scale.x(p.to) - scale.x(p.from) < THIN) ? ".thin" : "";
      return svg(`path.bar.${state}${thin}.tone${series.tone}`, state === RUNNING ? { d, fill: `url(#${hatch})` } : { d });
    });
  }
  const d = series.kind === "steps" ? steps(series.points, scale, data) : line(series.points, scale);
  return svg(`path.${series.kind}.tone${series.tone}`, { d });
}

const at = (n) => n.toFixed(1);

function bar(p, scale, data) {
  const [left, right] = [scale.x(Math.max(p.from, data.from)), scale.x(Math.min(p.to, data.to))];
  const gap = Math.max(Math.min(3, (right - left) * 0.15) / 2, (right - left - WIDEST) / 2);
  const [top, zero] = [scale.y(Math.max(p.y, 0)), scale.y(Math.min(p.y, 0))];
  return `M${at(left + gap)} ${at(zero)}V${at(top)}H${at(right - gap)}V${at(zero)}Z`;
}

function line(points, scale) {
  let [d, pen] = ["", "M"];
  for (const p of points) {
    if (p.y !== null) d += `${pen}${at(scale.x(at_of(p)))} ${at(scale.y(p.y))}`;
    pen = p.y === null ? "M" : "L";
  }
  return d;
}

/// A step holds until the next row; the last one until the end.
function steps(points, scale, data) {
  let [d, is_down] = ["", false];
  for (const p of points) {
    const x = at(scale.x(Math.max(p.at, data.from)));
    if (p.y === null) {
      if (is_down) d += `H${x}`;
    } else d += is_down ? `H${x}V${at(scale.y(p.y))}` : `M${x} ${at(scale.y(p.y))}`;
    is_down = p.y !== null;
  }
  return is_down ? `${d}H${at(scale.x(data.to))}` : d;
}

/// The hatching of bars whose window still runs.
export const pattern = (id) =>
  svg(
    "defs",
    null,
    svg(
      "pattern",
      { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect.hatch-ground", { width: 6, height: 6 }),
      svg("line.hatch-line", { x1: 1, x2: 1, y1: 0, y2: 6 }),
    ),
  );
