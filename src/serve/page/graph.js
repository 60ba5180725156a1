// The dataflow as a graph: from the sources by stages to tables and sinks, with rates and live records.
import { h, svg, refill, text } from "./dom.js";
import { absent, plural, rate, short, words } from "./format.js";

const TITLES = { source: "Sources", stage: "Stages", table: "Tables", sink: "Sinks" };
const COMMIT = "commit";
const HEIGHT = 26;
const GAP = 7;
const BETWEEN = 42;
const HEAD = 26;
/// It is shown smaller or larger than it is, as the screen has room; beyond that it scrolls.
const [NARROWEST, WIDEST] = [0.85, 1.5];
/// About what a letter takes.
const LETTER = 6.6;

const id = (node) => node.id ?? node.name;

/// Each node one column further than the furthest of those before it. (There are no circles: a commit is the end.)
function columnsOf({ nodes, edges }) {
  const before = new Map(nodes.map((node) => [id(node), []]));
  edges.forEach(([a, b]) => before.get(b)?.push(a));
  const depths = new Map();
  const depth = (of) => {
    if (!depths.has(of)) {
      depths.set(of, 0);
      depths.set(
        of,
        Math.max(0, ...(before.get(of) ?? []).filter((one) => before.has(one)).map((one) => depth(one) + 1)),
      );
    }
    return depths.get(of);
  };
  const columns = [];
  nodes.forEach((node) => (columns[depth(id(node))] ??= []).push(node));
  return columns.filter(Boolean);
}

/// A box is narrower where there are many columns.
const widthOf = (columns) => (columns.length > 4 ? 204 : 246);

/// Places; within a column the order that lets edges cross least: each node beside the mean of those before it.
function layout(of) {
  const columns = columnsOf(of);
  const wide = widthOf(columns);
  const place = new Map();
  const tallest = Math.max(...columns.map((column) => column.length));
  const put = (column, at) =>
    column.forEach((node, row) => {
      place.set(id(node), {
        x: at * (wide + BETWEEN),
        y: HEAD + (row + (tallest - column.length) / 2) * (HEIGHT + GAP),
      });
    });
  columns.forEach(put);
  const beside = (name, from) => {
    const near = of.edges
      .filter(([a, b]) => (from ? b : a) === name)
      .map(([a, b]) => place.get(from ? a : b)?.y)
      .filter((y) => y !== undefined);
    return near.length ? near.reduce((a, b) => a + b) / near.length : place.get(name).y;
  };
  for (let pass = 0; pass < 4; pass++) {
    const forth = pass % 2 === 0;
    for (const at of forth ? columns.keys() : [...columns.keys()].reverse()) {
      const weights = new Map(columns[at].map((node) => [id(node), beside(id(node), forth)]));
      columns[at].sort((a, b) => weights.get(id(a)) - weights.get(id(b)));
      put(columns[at], at);
    }
  }
  return {
    columns,
    place,
    wide,
    width: columns.length * (wide + BETWEEN) - BETWEEN,
    height: HEAD + tallest * (HEIGHT + GAP),
  };
}

const facts = (node) =>
  // What stands still says so by having none.
  [node.rate > 0 ? `${rate(node.rate)}/s` : null, absent(node.live) ? null : `${short(node.live)} live`]
    .filter(Boolean)
    .join(" · ");

/// A name, cut off where its facts begin.
function named(node, wide) {
  const [name, room] = [words(node.name), Math.floor((wide - 26) / LETTER - facts(node).length * 0.9)];
  return name.length > room ? `${name.slice(0, room - 1)}…` : name;
}

/// Where there is no room for a picture: sources, stages, tables (folded) and sinks below one another.
function list({ nodes }, away) {
  const of = (kind) => nodes.filter((node) => node.kind === kind);
  const names = (all) =>
    h(
      "ul",
      null,
      all.map((node) =>
        h(
          away.has(id(node)) ? "li.bad" : "li",
          null,
          words(node.name),
          node.kind === "sink" && (away.has(id(node)) ? ": waits" : ": takes rows"),
        ),
      ),
    );
  const tables = of("table");
  // The commit comes after all others.
  const stages = of("stage").toSorted((a, b) => (a.name === COMMIT) - (b.name === COMMIT));
  return h(
    "div.flow-list",
    null,
    [
      ["source", of("source")],
      ["stage", stages],
    ].map(([kind, all]) => all.length > 0 && [h("h3", null, TITLES[kind]), names(all)]),
    h("details", null, h("summary", null, plural(tables.length, "table")), names(tables)),
    h("h3", null, TITLES.sink),
    names(of("sink")),
  );
}

export function graph() {
  const picture = h("div.scroll.graph", { tabindex: "0", role: "group", "aria-label": "The dataflow as a graph" });
  const told = h("table");
  const texts = new Map();
  return {
    element: h("div", null, picture, h("div.sr", null, told)),
    /// `away`: why nodes are in trouble, by their ids.
    set(of, away = new Map()) {
      refill(picture, [of.nodes.map((node) => [id(node), node.kind]), of.edges, [...away]], () => {
        const { columns, place, wide, width, height } = layout(of);
        texts.clear();
        const edges = of.edges
          .filter(([a, b]) => place.has(a) && place.has(b))
          .map(([a, b]) => {
            const [from, to] = [place.get(a), place.get(b)];
            const [x1, y1, x2, y2] = [from.x + wide, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
            const bend = (x2 - x1) / 2;
            return svg(away.has(b) ? "path.edge.bad" : "path.edge", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` });
          });
        const boxes = columns.flat().map((node) => {
          const { x, y } = place.get(id(node));
          const number = svg("text.node-fact", { x: x + wide - 10, y: y + 17, "text-anchor": "end" });
          const name = svg("text.node-name", { x: x + 10, y: y + 17 });
          texts.set(id(node), [name, number, wide]);
          return svg(
            away.has(id(node)) ? `g.node.${node.kind}.away` : `g.node.${node.kind}`,
            null,
            svg("title", null, [node.name, away.get(id(node))].filter(Boolean).join(": ").replaceAll("`", "")),
            svg("rect", { x, y, width: wide, height: HEIGHT, rx: 5 }),
            name,
            number,
          );
        });
        const kinds = columns.map((column) => column[0].kind);
        const heads = kinds.map(
          (kind, at) =>
            kinds.indexOf(kind) === at && svg("text.node-head", { x: at * (wide + BETWEEN), y: 14 }, TITLES[kind]),
        );
        const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, edges, boxes, heads);
        drawn.style.minWidth = `${NARROWEST * width}px`;
        drawn.style.maxWidth = `${WIDEST * width}px`;
        // Why a sink waits stands on top of the page, and in the table of sinks.
        return [drawn, list(of, away)];
      });
      for (const node of of.nodes) {
        const [name, number, wide] = texts.get(id(node)) ?? [];
        if (!name) continue;
        text(name, named(node, wide));
        text(number, facts(node));
      }
      const names = new Map(of.nodes.map((node) => [id(node), words(node.name)]));
      refill(told, [[...names], of.edges, [...away]], () => [
        h("caption", null, "The dataflow"),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["part", "kind", "goes to"].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          null,
          of.nodes.map((node) =>
            h(
              "tr",
              null,
              h("th", { scope: "row" }, words(node.name)),
              h("td", null, away.has(id(node)) ? `${node.kind}, waits: ${words(away.get(id(node)))}` : node.kind),
              h(
                "td",
                null,
                of.edges
                  .filter(([a]) => a === id(node))
                  .map(([, b]) => names.get(b))
                  .join(", ") || "nothing",
              ),
            ),
          ),
        ),
      ]);
    },
  };
}
