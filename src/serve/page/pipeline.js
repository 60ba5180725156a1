// The pipeline: how fast, how fresh, what waits and why.
import { h, marked, refill } from "./dom.js";
import {
  absent,
  began,
  bytes,
  clock,
  count,
  date,
  duration,
  instant,
  limit,
  ms,
  percent,
  plural,
  rate,
  seconds,
  title,
  words,
} from "./format.js";
import { graph } from "./graph.js";
import { waiting } from "./trouble.js";
import { listOf } from "./shared.js";
import { panel, ranking, scrolled, stack, tile, tiles } from "./panel.js";

/// A worker that is busy all the time cannot keep up.
const FULL = 0.97;
/// So many operators are shown, those with most records.
const OPERATORS = 12;
const ago = (at, now) => (absent(at) ? "never" : `${duration(now - ms(at))} ago`);

export function pipelineView(ctx) {
  const rate_in = tile("In");
  const rate_out = tile("Out");
  const fresh = tile("Freshness");
  const lag = tile("Lag");
  const records = tile("Records");
  const refused = tile("Late and rejected", "masked");

  const lists = {
    marks: table(
      "Watermarks",
      "part",
      ["family", "watermark", "#behind the newest", "lateness", "state"],
      "the time up to which events are expected to have come",
      "watermark",
    ),
    sources: table(
      "Sources",
      "part",
      ["source", "#a second", "#read", "#not read", "#behind", "state"],
      "how fast each is read, and what was not read yet",
    ),
    sinks: table(
      "Sinks",
      "part",
      ["sink", "#epoch", "behind", "#waits", "cannot be written"],
      "each is written at its own pace",
    ),
    refused: table("Rejected", "w6.x5", ["reason", "#records", "an example"], "by reason", null, "fold.named"),
    late: table("Late", "part", ["of", "event", "late by"], "too late to change a metric", "late"),
  };
  const workers = panel("Workers", { size: "part", note: "share of the time that each is busy" });
  const worker_list = h("ol.meters");
  workers.body.append(worker_list);
  const snapshot = panel("Snapshot", { size: "part", note: "a restart begins with it" });
  const snapshot_facts = h("dl.facts");
  snapshot.body.append(snapshot_facts);
  const live = panel("Live records", { size: "w6.x4", note: "held in memory, by operator" });
  const live_list = h("ol.ranking");
  live.body.append(live_list);
  const flow = panel("Dataflow", {
    size: "w12.x7",
    note: "from the sources to the sinks, with rates, and live records where they are counted",
  });
  const kept = listOf(ctx, "Tables of every family", (table) => !table.family && table.kind !== "view");
  const picture = graph();
  flow.body.append(picture.element);

  function figures(status, past) {
    const of = (name) => (status.records ? past.slice(-120) : []).map((one) => one[name]);
    rate_in.set(
      `${rate(status.rate_in)}/s`,
      absent(status.read_share) ? "events" : `events; ${percent(status.read_share, 0)} read`,
      of("in"),
    );
    rate_out.set(`${rate(status.rate_out)}/s`, "rows", of("out"));
    freshness(status, of("fresh"));
    const events = status.lag.reduce((sum, one) => sum + one.events, 0);
    const longest = status.lag.map((one) => one.ms).filter((one) => one !== null);
    const grows = status.lag.filter((one) => one.trend === "growing").length;
    lag.set(
      longest.length ? duration(Math.max(...longest)) : status.lag.length ? count(events) : "–",
      status.lag.length
        ? `${plural(events, "event")}${grows ? `, growing in ${plural(grows, "topic")}` : ""}`
        : "no topic is read; files have no lag",
      of("lag"),
      grows ? "bad" : null,
    );
    records.set(
      count(status.records),
      `read${waiting(status).length && status.unwritten_records ? `, ${count(status.unwritten_records)} not yet written` : ""}; rows written to all tables: ${count(status.upserted)} upserted, ${count(status.appended)} added, ${count(status.deleted)} deleted`,
    );
    const rejected = Object.values(status.rejected).reduce((sum, one) => sum + one, 0);
    refused.set(
      count(status.late + rejected),
      `${count(status.late)} late, ${count(rejected)} rejected; ${plural(status.masked, "e-mail")} masked`,
    );
  }

  /// From reading an event to its rows being committed: of the last commits, or of what waits.
  function freshness(status, points) {
    const [sink] = waiting(status);
    const last = absent(status.fresh_p50_ms)
      ? "no commit in the last 5 min"
      : `p50 ${duration(status.fresh_p50_ms)}, p99 ${duration(status.fresh_p99_ms)} of the commits of 5 min`;
    if (sink && !absent(status.unwritten_ms))
      return fresh.set(seconds(status.unwritten_ms), `oldest unwritten record, read ${clock(ms(status.now) - status.unwritten_ms)}; ${last}`, points, "bad");
    if (!status.commits) return fresh.set("–", "no commit yet", null, "none");
    const idle = status.families.length > 0 && status.families.every((one) => one.stands || absent(one.watermark));
    fresh.set(idle ? "idle" : duration(status.fresh_ms), `${idle ? `last ${duration(status.fresh_ms)}; ` : ""}${last}`, points);
  }

  function marks(status, now, advanced) {
    const newest = Math.max(...status.families.map((one) => ms(one.watermark) ?? 0));
    lists.marks.fill(
      status.families.map((one) => [
        title(one.name),
        absent(one.watermark) ? "–" : `${date(one.watermark)} ${clock(one.watermark)}`,
        absent(one.watermark) ? "–" : duration(newest - ms(one.watermark)),
        absent(one.lateness_ms) ? "unlimited" : duration(one.lateness_ms),
        state(one, status, now, advanced?.get(one.name)?.at ?? null),
      ]),
      "No family.",
    );
    lists.sources.fill(
      status.sources.length ? status.sources.map((one) => read(one, status)) : awaited(status),
      "Nothing is read.",
    );
    lists.sinks.fill(
      status.sinks.map((one) => [
        h("span", null, marked(one.name), h("span.more", null, one.kind)),
        count(one.epoch),
        behind(one, status),
        `${bytes(one.pending_bytes)} of ${limit(one.pending_bytes_max)}`,
        one.waits_for ? bad([`since ${began(one.waits_since, now)}: `, marked(one.waits_for)]) : "–",
      ]),
      "No sink.",
    );
    lists.refused.fill(
      Object.entries(status.rejected)
        .sort((a, b) => b[1] - a[1])
        .map(([reason, n]) => {
          const example = status.examples.rejected.find((one) => one.reason === reason);
          return [
            title(reason),
            count(n),
            example
              ? h(
                  "details",
                  null,
                  h("summary", null, marked(example.detail)),
                  h("span.more", null, [example.topic, `read ${instant(example.at)}`].filter(Boolean).join(", ")),
                  h("code", null, example.payload),
                )
              : "–",
          ];
        }),
      status.records ? "None: each record was accepted." : "No record was read yet.",
    );
    const reasons = Object.values(status.rejected);
    if (reasons.length)
      lists.refused.one.note(
        `${plural(reasons.reduce((sum, n) => sum + n, 0), "record")} for ${plural(reasons.length, "reason")}; the newest example of each`,
      );
    if (status.late) lists.late.one.note(`${count(status.late)} in all, too late to change a metric; the newest of each source`);
    lists.late.fill(
      status.examples.late.map((one) => [
        one.topic,
        [
          words(eventOf(one)),
          h("span.more", null, instant(one.timestamp)),
          one.payload && h("code", null, one.payload),
        ],
        duration(one.late_ms),
      ]),
      status.records ? "None: no event came too late." : "No record was read yet.",
    );
  }

  const strip = tiles(rate_in, rate_out, fresh, lag, records, refused);
  const away = stack("w6.x4", lists.sinks.one, workers, snapshot);
  const no_run = panel("No run is computing here", { size: "w6.x8" });
  no_run.none(
    "A server without a run knows what the warehouse holds: the watermarks, and the tables below. Rates, freshness, lag, sources, sinks, workers, snapshots and memory are known to a run alone.",
  );
  const of_run = [lists.sources.one, lists.late.one, live, lists.refused.one, flow].map((one) => one.element);
  return {
    title: "Pipeline",
    element: h(
      "div.view",
      null,
      h("h1.sr", null, "Pipeline"),
      strip,
      h(
        "div.grid",
        null,
        stack("w6.x4", lists.marks.one, lists.sources.one, lists.late.one),
        [away, no_run.element],
        [live, lists.refused.one, flow, kept].map((one) => one.element),
      ),
    ),
    refresh: () => kept.refresh(),
    status(status, past, advanced) {
      const now = ms(status.now);
      const is_served = status.mode === "serve";
      for (const element of [strip, away, ...of_run]) element.hidden = is_served;
      no_run.element.hidden = !is_served;
      marks(status, now, advanced);
      if (is_served) return;
      figures(status, past);
      lists.sinks.one.element.classList.toggle("first", waiting(status).length > 0);
      workers.ok();
      refill(worker_list, [status.workers, status.processes], () => [
        ...status.workers.map((one) => meter(one)),
        ...status.processes.map((one) => peer(one)),
      ]);
      if (!status.snapshot) snapshot.none(
          "None yet. A restart would read everything again from the first record, and count nothing twice: it only takes longer.",
        );
      else {
        snapshot.ok();
        const s = status.snapshot;
        refill(snapshot_facts, [s, Math.floor(now / 1000)], () =>
          facts([
            ["taken", ago(s.at, now)],
            ["at", `${date(s.at)} ${clock(s.at)}`],
            ["epoch", count(s.epoch)],
            ["records", count(s.records)],
            ["size", bytes(s.bytes)],
          ]),
        );
      }
      if (!status.live.some((one) => one.records)) live.none("Nothing is in memory.");
      else {
        live.ok();
        live.note(
          `held in memory, by operator: ${count(status.live.reduce((sum, one) => sum + one.records, 0))} in all`,
        );
        const most = status.live.toSorted((a, b) => b.records - a.records);
        const rest = most.slice(OPERATORS).reduce((sum, one) => sum + one.records, 0);
        ranking(
          live_list,
          most
            .slice(0, OPERATORS)
            .map((one) => ({
              label: words(one.operator).replaceAll("/", " / "),
              value: one.records,
              said: count(one.records),
            }))
            .concat(rest ? { label: `${most.length - OPERATORS} others`, value: rest, said: count(rest) } : []),
        );
      }
      flow.ok();
      picture.set(status.graph, new Map(waiting(status).map((one) => [`sink:${one.name}`, one.waits_for])));
    },
  };
}

/// Whether a watermark moves is told by its value, of which the page has seen some.
function state(one, status, now, advanced_at) {
  if (absent(one.watermark)) return "nothing read yet";
  const last = absent(advanced_at) ? `as of the last commit, ${absent(status.committed_at) ? "never" : `${seconds(now - ms(status.committed_at))} ago`}` : `advanced ${seconds(now - advanced_at)} ago`;
  return one.stands ? [`nothing new since ${clock(one.stands.since)}`, h("span.more", null, last)] : [last];
}

/// How far a sink is behind: epochs that others have, or the commit that it does not take.
function behind(one, status) {
  const epochs = absent(one.epoch) ? 0 : status.epoch - one.epoch;
  if (one.waits_for) return bad(epochs > 0 ? plural(epochs, "epoch") : "1 commit");
  return absent(one.epoch) ? "–" : epochs > 0 ? plural(epochs, "epoch") : "nothing";
}

/// A source that is read: a topic has a lag, and of a file it is said that it is read to its end, or since when it has nothing new.
function read(one, status) {
  const lag = status.lag.find((of) => of.topic === one.topic);
  const is_over = !lag && status.read_share === 1;
  const since = status.families.find((of) => of.name === one.family)?.stands?.since;
  return [
    one.topic,
    rate(one.rate),
    count(one.records),
    lag ? count(lag.events) : is_over ? "0" : "–",
    lag ? duration(lag.ms) : "–",
    is_over ? "read to its end" : (trend(lag?.trend) ?? (since ? `nothing new since ${clock(since)}` : one.rate > 0 ? "is read" : "–")),
  ];
}
const trend = (of) => (of === "growing" ? bad("growing ↗") : of === "shrinking" ? "shrinking ↘" : of);
/// What was named and has nothing yet: the dataflow has it as a source.
const awaited = ({ graph: { nodes } }) =>
  nodes.filter((one) => one.kind === "source").map((one) => [one.name, "–", "0", "–", "–", "nothing read yet"]);

/// What an event is called, where its record says so.
function eventOf({ payload }) {
  try {
    const event = JSON.parse(payload);
    return event.event_name ?? event.event_type ?? "event";
  } catch {
    return "event";
  }
}
const bad = (said) => h("span.bad", null, said);
const facts = (pairs) => pairs.map(([name, said]) => h("div", null, h("dt", null, name), h("dd", null, said)));
function meter(one) {
  const bar = h("span.bar", { "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.min(1, one.busy_share ?? 0));
  const share = one.busy_share >= FULL ? `${percent(one.busy_share, 0)}, at its limit` : percent(one.busy_share, 0);
  return h(
    one.busy_share >= FULL ? "li.full" : "li",
    null,
    h("span.label", null, `worker ${one.number}`),
    h("span.said", null, one.stuck_ms ? bad(`stuck for ${duration(one.stuck_ms)}`) : share),
    bar,
  );
}

/// A process of a run of several: how busy it is, or why the others wait for it.
function peer(one) {
  const bar = h("span.bar", { "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.min(1, one.busy_share ?? 0));
  const held = `${percent(one.busy_share, 0)}, ${bytes(one.resident_bytes)}, ${count(one.live_records)} records`;
  const said = one.slow ? bad(`the others wait for it: ${one.slow}, for ${duration(one.slow_ms)}`) : held;
  return h("li", null, h("span.label", null, `process ${one.process} (${one.host})`), h("span.said", null, said), bar);
}

/// A cell: where rows fold, it says what it is.
const td = (column, cell) =>
  column.startsWith("#")
    ? h("td.num", { "data-label": column.slice(1) }, cell)
    : h(Array.isArray(cell) || cell instanceof Node ? "td.wide" : "td", { "data-label": column }, cell);

/// A panel with a table whose rows are filled in: a cell is text, an element, or several of them.
function table(name, size, columns, note, word = null, how = "fold") {
  const one = panel(name, { size, note, word });
  const body = h("tbody");
  one.body.append(scrolled(name, columns, body, how));
  return {
    one,
    fill(rows, none) {
      if (!rows.length) return one.none(none);
      one.ok();
      const plain = (cell) => (cell instanceof Node ? cell.textContent : Array.isArray(cell) ? cell.map(plain) : cell);
      refill(
        body,
        rows.map((row) => row.map(plain)),
        () =>
          rows.map((row) =>
            h(
              "tr",
              null,
              row.map((cell, at) => (at === 0 ? h("th", { scope: "row" }, cell) : td(columns[at], cell))),
            ),
          ),
      );
    },
  };
}
