// A plot over time, drawn as SVG: bars (final, over, or still running), lines and steps.
import { h, svg, fresh, refill, text } from "./dom.js";
import { days, numbers, times } from "./axis.js";
import { cursor } from "./cursor.js";
import { FINAL, KEYS, OPEN, RUNNING, SAID } from "./finality.js";
import { DAY, HOUR, MINUTE, date, short, time } from "./format.js";
import { at_of, pattern, shape } from "./shapes.js";

const LEFT = 46;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 24;
/// Two labels are not nearer to one another, in pixels.
const NEAR = 84;
/// A date with an hour is not nearer to another label.
const WIDE = 140;
/// So near to an edge a date does not fit below its line.
const EDGE = 30;
/// So many of the newest points stand in the table behind a plot.
const TOLD = 60;

/// What a point covers: "Wed 7 Jan 14:00–15:00", "Wed 7 Jan", "Wed 7 Jan 14:07".
export function span({ from, to, at }) {
  if (to === undefined) return at % DAY === 0 ? date(at) : `${date(at)} ${time(at)}`;
  if (to - from === DAY && from % DAY === 0) return date(from);
  if (to - from > DAY) return `${date(from)} – ${date(to - 1)}`;
  return `${date(from)} ${time(from)}–${time(to)}`;
}

/// A figure. `set({ series, from, to, mark })` draws: a series is { name, kind: "bars" | "line" | "steps", tone, said, points },
/// a point { from, to, at, y, state } whose state is one of finality.js. The first series has the places of the cursor. `say` is the polite voice.
export function chart(title, { say }) {
  const hatch = fresh("hatch");
  const table_id = fresh("data");
  const readout = h("p.readout", { "aria-hidden": "true" });
  const keys = h("ul.keys", { "aria-hidden": "true" });
  const plot = svg("svg.plot", { "aria-hidden": "true" });
  const over = svg("g");
  const table = h("table", { id: table_id }, h("caption", null, title));
  const told = h("div.told.sr", { role: "group", "aria-label": `Numbers of ${title}` }, table);
  let data = null;
  let width = 0;
  let height = 0;
  let scale = null;

  const pointer = cursor({
    label: `${title}: the arrow keys move along the time`,
    details: table_id,
    say,
    value: (index) =>
      described(index)
        .map((one) => (one.name ? `${one.name} ${one.said}` : one))
        .join(", "),
    nearest: (x) => nearest(scale.back(x)),
    on_move: (index) => point(index),
  });
  const open = h(
    "button",
    {
      type: "button",
      "aria-expanded": "false",
      onclick: () => {
        const is_hidden = told.classList.toggle("sr");
        open.setAttribute("aria-expanded", String(!is_hidden));
        // What scrolls must be reached by the keyboard; what is only read aloud need not.
        if (is_hidden) told.removeAttribute("tabindex");
        else told.setAttribute("tabindex", "0");
      },
    },
    "Table",
  );
  open.setAttribute("aria-label", `Table of ${title}`);
  const box = h("div.canvas", null, plot, pointer.surface);
  const element = h(
    "figure.chart",
    { "aria-label": title },
    h("div.chart-top", null, h("div.said-of", null, keys, readout), open),
    box,
    told,
  );

  function nearest(at) {
    const points = data.series[0].points;
    let low = 0;
    let high = points.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at_of(points[middle]) < at) low = middle + 1;
      else high = middle;
    }
    return low > 0 && at - at_of(points[low - 1]) < at_of(points[low]) - at ? low - 1 : low;
  }
  /// What a series says at a time: a bar and a step hold until the next one, a line is asked for its own points.
  function value_at(series, p) {
    const at = at_of(p);
    if (series.kind === "line") return series.points.find((one) => at_of(one) === at);
    return series.points.findLast((one) => (one.from ?? one.at) <= at && (one.to === undefined || one.to > at));
  }
  /// When, and what each series says then.
  function described(index) {
    const p = data.series[0].points[index];
    if (!p) return [];
    return [span(p)].concat(
      data.series.flatMap((series) => {
        const one = series === data.series[0] ? p : value_at(series, p);
        if ((!one || one.y === null) && series !== data.series[0]) return [];
        const said = one.y === null ? "none" : series.said(one.y) + SAID[one.state ?? FINAL];
        return [{ name: series.name, tone: series.tone, said }];
      }),
    );
  }
  function point(index) {
    if (!data) return;
    const points = data.series[0].points;
    const [when, ...what] = described(index ?? points.length - 1);
    refill(readout, [when, what], () => [
      h("span.when", null, when ?? ""),
      // The first one is what the plot is about.
      what.map((one, at) => h(`b.tone${one.tone}`, null, at ? `${one.name}: ${one.said}` : one.said)),
    ]);
    over.replaceChildren();
    if (index === null || !points[index] || !scale) return;
    const x = scale.x(at_of(points[index]));
    over.append(svg("line.cursor", { x1: x, x2: x, y1: TOP, y2: height - BOTTOM }));
    for (const series of data.series) {
      const one = series === data.series[0] ? points[index] : value_at(series, points[index]);
      if (one && one.y !== null)
        over.append(svg(`circle.dot.tone${series.tone}`, { cx: x, cy: scale.y(one.y), r: 3.5 }));
    }
  }

  function draw() {
    if (!data || width < 80) return;
    const all = data.series
      .flatMap((series) => series.points)
      .map((p) => p.y)
      .filter((y) => y !== null);
    // Some values have a unit of their own, such as minutes of seconds: round numbers are round in it.
    const unit = data.unit ?? 1;
    const ticks = numbers(Math.min(...all, 0) / unit, Math.max(...all.map((y) => y / unit), 1)).map((y) => y * unit);
    const [low, high] = [ticks[0], ticks.at(-1)];
    const inner = width - LEFT - RIGHT;
    scale = {
      x: (at) => LEFT + ((at - data.from) / (data.to - data.from)) * inner,
      y: (value) => TOP + (1 - (value - low) / (high - low)) * (height - TOP - BOTTOM),
      back: (x) => data.from + ((x - LEFT) / inner) * (data.to - data.from),
    };
    const grid = ticks.map((y) => [
      svg("line.grid", { x1: LEFT, x2: width - RIGHT, y1: scale.y(y), y2: scale.y(y) }),
      svg(
        "text.tick",
        { x: LEFT - 8, y: scale.y(y) + 4, "text-anchor": "end" },
        data.axis && y ? data.axis(y) : short(y),
      ),
    ]);
    const bottom = height - BOTTOM;
    // A bar of a whole day has its date below its middle, and no line beside it.
    const first = data.series[0].points[0];
    const shift =
      data.series[0].kind === "bars" && first && first.to - first.from >= DAY ? (first.to - first.from) / 2 : 0;
    const few = first && first.to - first.from === DAY ? days(data.from, data.to, inner) : null;
    const ticked = (shift && few) || times(data.from, data.to - shift, Math.max(2, Math.floor(inner / 92)), shift ? DAY : 0);
    const when = ticked.map((tick) => {
      const x = scale.x(tick.at + shift);
      if (shift) return svg("text.tick", { x, y: bottom + 18, "text-anchor": "middle" }, tick.said);
      // A date is always said, beside its line where there is no room below it.
      const beside = x < LEFT + EDGE ? "start" : x > width - RIGHT - EDGE ? "end" : "middle";
      const anchor = tick.strong ? beside : "middle";
      return [
        svg(tick.strong ? "line.grid.day" : "line.notch", {
          x1: x,
          x2: x,
          y1: tick.strong ? TOP : bottom,
          y2: bottom + 4,
        }),
        (tick.strong || (x > LEFT + 12 && x < width - 30)) &&
          svg(tick.strong ? "text.tick.day" : "text.tick", { x, y: bottom + 18, "text-anchor": anchor }, tick.said),
      ];
    });
    if (!shift) when.push(ends(when));
    const marked =
      data.mark && data.mark > data.from && data.mark < data.to
        ? svg("line.watermark", { x1: scale.x(data.mark), x2: scale.x(data.mark), y1: TOP, y2: bottom })
        : null;
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.setAttribute("width", width);
    plot.setAttribute("height", height);
    const shapes = data.series.map((series) => shape(series, scale, data, hatch));
    plot.replaceChildren(pattern(hatch), ...[grid, when, shapes, marked].flat(9).filter(Boolean), over);
  }
  /// What the time begins and ends with, where no other label is near.
  function ends(labels) {
    const texts = labels.flat(9).filter((one) => one?.matches?.("text"));
    const places = texts.map((one) => Number(one.getAttribute("x")));
    // A label has its hour, and its date if that is not written already and there is room.
    const said = (at, room) =>
      at % DAY === 0
        ? date(at)
        : !texts.some((one) => one.textContent === date(at)) && room > WIDE
          ? `${date(at)} ${time(at)}`
          : time(at);
    return [
      [LEFT, "start", data.from],
      [width - RIGHT, "end", data.to],
    ].map(([x, anchor, at]) => {
      const room = Math.min(width, ...places.map((place) => Math.abs(place - x)));
      return room >= NEAR && svg("text.tick", { x, y: height - BOTTOM + 18, "text-anchor": anchor }, said(at, room));
    });
  }
  new ResizeObserver(([entry]) => {
    width = Math.floor(entry.contentRect.width);
    height = Math.floor(entry.contentRect.height);
    draw();
    pointer.resize(data ? data.series[0].points.length : 0);
  }).observe(box);
  return {
    element,
    set(next) {
      // One point alone has no width.
      data = { ...next, to: Math.max(next.to, next.from + MINUTE) };
      draw();
      const is_marked = Boolean(next.mark && next.mark > next.from && next.mark < next.to);
      refill(keys, [is_marked, next.series.map((one) => [one.name, one.tone, one.kind, statesOf(one)])], () => [
        next.series.map((one) => keyOf(one)),
        is_marked && h("li.mark", null, "watermark"),
      ]);
      pointer.resize(next.series[0].points.length);
      const newest = next.series[0].points
        .map((_, index) => index)
        .slice(-TOLD)
        .reverse();
      const names = next.series.map((one) => one.name);
      refill(table, newest.map(described), () => [
        h("caption", null, newest.length < next.series[0].points.length ? `${title}, the newest ${TOLD}` : title),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["time (UTC)", ...names].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          null,
          newest.map((index) => row(next, index)),
        ),
      ]);
    },
  };
  function row(next, index) {
    const p = next.series[0].points[index];
    return h(
      "tr",
      null,
      h("th", { scope: "row" }, span(p)),
      next.series.map((series) => {
        const one = series === next.series[0] ? p : value_at(series, p);
        return h("td", null, one && one.y !== null ? series.said(one.y) + SAID[one.state ?? FINAL] : "none");
      }),
    );
  }
}

/// Which states of finality.js occur among bars.
const statesOf = (series) =>
  series.kind === "bars"
    ? [FINAL, OPEN, RUNNING].filter((state) => series.points.some((p) => p.y && (p.state ?? FINAL) === state))
    : [FINAL];
/// The legend shows only what occurs: the first swatch has the name of the series.
function keyOf(series) {
  const [first = FINAL, ...others] = statesOf(series);
  const said = first === FINAL ? series.name : `${series.name}: ${KEYS[first]}`;
  return [
    h(`li.${series.kind}.${first}.tone${series.tone}`, null, said),
    others.map((state) => h(`li.bars.${state}.tone${series.tone}`, null, KEYS[state])),
  ];
}

/// Hours of a plot, as it is chosen above it.
export const RANGES = [
  [String(6 * HOUR), "6 h"],
  [String(24 * HOUR), "24 h"],
  [String(3 * DAY), "3 d"],
  [String(7 * DAY), "7 d"],
];
