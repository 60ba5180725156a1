// The movie shop: who registers, who is here, and (sold.js) what is sold.
import { pages, rows } from "./api.js";
import { chart, RANGES } from "./chart.js";
import { asOf } from "./asof.js";
import { buckets, present, since } from "./data.js";
import { RUNNING, SAID, finality, rule } from "./finality.js";
import { choice, h } from "./dom.js";
import { HOUR, MINUTE, absent, count, duration, ms, percent, plural, startOf, time, title } from "./format.js";
import { panel, ranking, stack, tile, tiles } from "./panel.js";
import { allTables, corrected, grid } from "./shared.js";
import { soldMovies } from "./sold.js";

const WINDOWS = {
  user_registration_metrics: { column: "registration_count", name: "registrations", title: "Registrations per hour" },
  checkout_metrics: {
    column: "checkout_user_count",
    name: "users who check out",
    title: "Users who check out, per hour",
  },
};

export const isMovieShop = (tables) => tables.some((table) => table.name === "user_registration_metrics");

export function movieShop(ctx, family) {
  let range = 24 * HOUR;
  let metric = "user_registration_metrics";
  const again = () => ctx.refresh();

  const registered = tile("Registered, newest hour");
  const active = tile("Active sessions");
  const mean = tile("Mean session");

  const windows = panel(WINDOWS[metric].title, {
    size: "w8.x6",
    actions: [
      choice(
        "Metric",
        [
          ["user_registration_metrics", "Registrations"],
          ["checkout_metrics", "Checkouts"],
        ],
        metric,
        (to) => {
          metric = to;
          again();
        },
      ),
      choice("Time shown", RANGES, String(range), (to) => {
        range = Number(to);
        again();
      }),
    ],
  });
  const window_chart = chart("Distinct users per hour", { say: ctx.say });
  windows.body.append(window_chart.element);

  const segments = panel("Segments", { size: "part", note: "users, at the watermark", word: "watermark" });
  const segment_list = h("ol.ranking");
  segments.body.append(segment_list);

  const sessions = panel("Active sessions", {
    size: "w6.x4",
    note: "by minute; a minute without a row is like the one before",
  });
  const session_chart = chart("Active sessions by minute", { say: ctx.say });
  sessions.body.append(session_chart.element);

  const lengths = panel("Mean session duration", { size: "w6.x4", note: "of all completed sessions, by minute" });
  const length_chart = chart("Mean session duration by minute", { say: ctx.say });
  lengths.body.append(length_chart.element);

  const as_of = asOf(ctx);
  const sales = soldMovies(ctx, family);
  const corrections = corrected(ctx, family, "part");
  const all = allTables(ctx, family);

  async function showWindows(now) {
    const { column, name } = WINDOWS[metric];
    const by = rule(ctx.status(), family, now);
    document.getElementById(windows.id).textContent = WINDOWS[metric].title;
    const ask = (kind) =>
      rows(metric, {
        window_type: kind,
        from: since(now, range),
        order: "desc",
        limit: 10_000,
        columns: `timestamp,${column},is_final`,
      });
    const [tumbling, sliding] = await Promise.all([ask("tumbling"), ask("sliding")]);
    if (metric === "user_registration_metrics") tellRegistered(tumbling.rows, by);
    if (!tumbling.rows.length) return windows.none(`No ${name} in this time.`);
    windows.ok(tumbling.epoch);
    const from = Math.max(ms(since(now, range)), ms(tumbling.rows.at(-1).timestamp));
    const to = Math.max(startOf(now, HOUR), ms(tumbling.rows[0].timestamp)) + HOUR;
    const y = (row) => row[column];
    const slid = buckets(sliding.rows, {
      from,
      to: to - HOUR + 1,
      length: HOUR,
      step: 15 * MINUTE,
      column: "timestamp",
      y,
    }).map((p) => ({ ...p, at: p.from + HOUR / 2 }));
    window_chart.set({
      from,
      to,
      mark: now,
      series: [
        {
          name,
          kind: "bars",
          tone: 1,
          said: count,
          points: buckets(tumbling.rows, {
            from,
            to,
            length: HOUR,
            column: "timestamp",
            y,
            state: (end, row) => finality(by, end, row?.is_final ?? null),
          }),
        },
        { name: "sliding, every 15 min", kind: "line", tone: 2, said: count, points: slid },
      ],
    });
  }
  function tellRegistered(found, by) {
    const [newest, previous] = found;
    if (!newest) return registered.set("0", "nobody yet");
    const at = ms(newest.timestamp);
    const state = finality(by, at + HOUR, newest.is_final);
    const is_next = previous && ms(previous.timestamp) === at - HOUR;
    // A part of an hour is not compared with a whole one.
    const before = state === RUNNING ? "" : `; ${is_next ? count(previous.registration_count) : 0} the hour before`;
    registered.set(
      count(newest.registration_count),
      `${time(at)}–${time(at + HOUR)}${SAID[state]}${before}`,
      found
        .slice(state === RUNNING ? 1 : 0, 25)
        .map((row) => row.registration_count)
        .reverse(),
    );
  }

  async function showSessions(now) {
    const asked = {
      from: since(now, range),
      order: "desc",
      limit: 10_000,
      columns: "timestamp,active_sessions_count,average_session_duration,completed_sessions_count",
    };
    // Seven days have 10,080 minutes.
    const found = await pages("session_metrics", asked, 2);
    if (!found.rows.length) {
      [sessions, lengths].forEach((one) => one.none("No session in this time."));
      active.set("0", "no session yet");
      return mean.set("–", "no session yet");
    }
    const [newest] = found.rows;
    const steps = found.rows.reverse();
    const points = (column) => steps.map((row) => ({ at: ms(row.timestamp), y: row[column] }));
    const [from, to] = [ms(steps[0].timestamp), Math.max(now, ms(newest.timestamp))];
    const last = steps.slice(-60);
    active.set(
      count(newest.active_sessions_count),
      `at ${time(newest.timestamp)}`,
      last.map((row) => row.active_sessions_count),
    );
    mean.set(
      absent(newest.average_session_duration) ? "–" : duration(newest.average_session_duration * 1000),
      `of all ${plural(newest.completed_sessions_count, "session")} that ended`,
      last.map((row) => row.average_session_duration),
    );
    sessions.ok(found.epoch);
    lengths.ok(found.epoch);
    session_chart.set({
      from,
      to,
      series: [
        { name: "active sessions", kind: "steps", tone: 1, said: count, points: points("active_sessions_count") },
      ],
    });
    length_chart.set({
      from,
      to,
      axis: (s) => duration(s * 1000),
      unit: MINUTE / 1000,
      series: [
        {
          name: "mean duration",
          kind: "steps",
          tone: 3,
          said: (s) => duration(s * 1000),
          points: points("average_session_duration"),
        },
      ],
    });
  }

  async function showSegments() {
    const found = await rows("user_segments", { group: "segment", by: "rows", order: "desc" });
    const sum = found.rows.reduce((all_users, row) => all_users + row.rows, 0);
    if (!sum) return segments.none("No user yet.");
    segments.ok(found.epoch);
    segments.note(`${plural(sum, "user")}, at the watermark`);
    ranking(
      segment_list,
      found.rows.map((row) => ({
        label: title(row.segment),
        value: row.rows,
        said: count(row.rows),
        note: percent(row.rows / sum),
      })),
      sum,
    );
  }

  const panels = grid(
    [
      windows.element,
      stack("w4.x3", segments, corrections),
      [sales.movies, sessions, lengths, sales.earned].map((one) => one.element),
    ],
    all,
  );
  return {
    title: "Movie shop",
    element: h(
      "div.view",
      null,
      h("h1.sr", null, "Movie shop"),
      as_of.element,
      tiles(registered, active, mean, ...sales.tiles),
      panels.element,
    ),
    status: (status) => as_of.status(status, family),
    async refresh() {
      const now = await present(ctx.status(), family, "user_registration_metrics", "timestamp");
      panels.bare(now === null);
      if (now !== null) {
        const minutes = showSessions(now);
        await Promise.all([
          windows.fill(() => showWindows(now)),
          sessions.fill(() => minutes),
          lengths.fill(() => minutes),
          sales.refresh(now),
          segments.fill(showSegments),
        ]);
      }
      await Promise.all([corrections.refresh(), all.refresh()]);
    },
  };
}
