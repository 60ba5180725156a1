// What the movie shop sells: its top movies, and its revenue by day.
import { rows } from "./api.js";
import { chart } from "./chart.js";
import { ofDay } from "./asof.js";
import { days, thisWeek, today } from "./data.js";
import { choice, h } from "./dom.js";
import { FINAL, OPEN, finality, rule } from "./finality.js";
import { DAY, count, decoded, iso, money, ms, percent, plural, startOf } from "./format.js";
import { panel, ranking, tile, warning } from "./panel.js";

/// Its rows say how many units had no price.
const TABLE = "table/movie_sales_metrics";

/// By how much revenue is understated: "23 % of units have no price". Null if all have one.
function unpriced(rows) {
  const sum = (column) => rows.reduce((all, row) => all + row[column], 0);
  const without = sum("unpriced_units");
  return without ? `${percent(without / sum("units_sold"), 0)} of units (${count(without)}) have no price, and count as nothing` : null;
}

export function soldMovies(ctx, family) {
  let period = "daily";
  const titles = new Map();
  const revenue = tile("Revenue, $");
  const units = tile("Units sold");

  const movies = panel("Top movies", {
    size: "w6.x3",
    note: "by units sold; units, and revenue in dollars",
    actions: [
      choice(
        "Period",
        [
          ["daily", "The day"],
          ["weekly", "That week"],
          ["cumulative", "Ever"],
        ],
        period,
        (to) => {
          period = to;
          ctx.refresh();
        },
      ),
    ],
  });
  const movie_list = h("ol.ranking.numbered");
  movies.body.append(movie_list);

  const earned = panel("Revenue by day", { size: "w6.x4", note: "in dollars" });
  const earned_chart = chart("Revenue by day", { say: ctx.say });
  const understated = h("p.warn", { hidden: true });
  earned.body.append(understated, earned_chart.element);

  async function showRevenue(now) {
    const found = await rows("movie_sales_metrics", {
      window_type: "daily",
      group: "timestamp",
      sum: ["total_sales", "units_sold", "unpriced_units"],
      by: "timestamp",
      order: "desc",
      limit: 60,
    });
    const at = (day) => found.rows.find((row) => row.timestamp === today(day));
    const now_row = at(now);
    // No table says what had been sold by this time of the day before, and all of that day is no measure of a part of this one.
    const whole_days = found.rows.filter((row) => ms(row.timestamp) < startOf(now, DAY)).reverse();
    revenue.set(
      money(now_row?.total_sales ?? 0),
      ofDay(now),
      whole_days.map((row) => row.total_sales),
    );
    revenue.warn(unpriced([now_row].filter(Boolean)), TABLE);
    units.set(
      count(now_row?.units_sold ?? 0),
      ofDay(now),
      whole_days.map((row) => row.units_sold),
    );
    const by = rule(ctx.status(), family, now);
    const points = days(found.rows, {
      column: "timestamp",
      now,
      y: (row) => row.total_sales,
      // What was sold without a price may still get one.
      state: (end, row) => {
        const state = finality(by, end);
        return state === FINAL && row?.unpriced_units ? OPEN : state;
      },
    });
    if (!points.length) return earned.none("Nothing was sold yet.");
    warning(understated, unpriced(found.rows.filter((row) => ms(row.timestamp) >= points[0].from)), TABLE);
    earned.ok(found.epoch);
    earned_chart.set({
      from: points[0].from,
      to: points.at(-1).to,
      series: [{ name: "revenue", kind: "bars", tone: 1, said: money, points }],
    });
  }

  async function showMovies(now) {
    const timestamp = { daily: today(now), weekly: thisWeek(now), cumulative: iso(0) }[period];
    const found = await rows("movie_sales_metrics", {
      window_type: period,
      timestamp,
      by: "units_sold",
      order: "desc",
      limit: 10,
    });
    if (!found.rows.length) return movies.none("Nothing was sold in this time.");
    const unknown = found.rows.map((row) => row.movie_id).filter((id) => !titles.has(id));
    if (unknown.length) {
      const named = await rows("movies_catalog", { item_id: unknown, columns: "item_id,title", limit: 10 });
      named.rows.forEach((row) => titles.set(row.item_id, row.title));
    }
    movies.ok(found.epoch);
    ranking(
      movie_list,
      found.rows.map((row) => ({
        label: decoded(titles.get(row.movie_id) || `movie ${row.movie_id}`),
        value: row.units_sold,
        said: count(row.units_sold),
        note: earnings(row),
        title: `movie ${row.movie_id}${row.unpriced_units ? `: ${plural(row.unpriced_units, "unit")} had no price` : ""}`,
      })),
    );
  }

  /// Units without a price earned nothing that is known: that is not 0.
  const earnings = (row) =>
    !row.unpriced_units
      ? money(row.total_sales)
      : row.unpriced_units === row.units_sold
        ? "no price"
        : `${money(row.total_sales)} (${count(row.unpriced_units)} of ${count(row.units_sold)} without price)`;

  return {
    movies,
    earned,
    tiles: [revenue, units],
    refresh: (now) => Promise.all([movies.fill(() => showMovies(now)), earned.fill(() => showRevenue(now))]),
  };
}
