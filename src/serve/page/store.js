// The web store: what was just sold, what rises, how far visits go, what earns.
import { rows } from "./api.js";
import { asOf, ofDay } from "./asof.js";
import { chart } from "./chart.js";
import { buckets, days, present, since } from "./data.js";
import { choice, h, refill } from "./dom.js";
import { RUNNING, SAID, finality, rule } from "./finality.js";
import { DAY, HOUR, MINUTE, count, date, iso, money, ms, percent, plural, startOf, time } from "./format.js";
import { panel, ranking, scrolled, stack, tile, tiles } from "./panel.js";
import { allTables, corrected, grid } from "./shared.js";

const WINDOW = 5 * MINUTE;
/// So many of the newest windows are read: two days have 576, so that a part of a day is compared with the same part of the one before.
const WINDOWS = 600;
const TOP = 15;
/// So many lines of what was just sold are shown: whole windows, as far as they fit.
const [LINES, LINES_WIDE] = [12, 18];
const LIMIT = 40;
/// From this width on, in pixels, there is more room.
const WALL = 1900;
const PERIODS = [
  ["1", "The day"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["0", "Ever"],
];

export const isStore = (tables) =>
  ["product_sales", "daily_funnel"].every((name) => tables.some((table) => table.name === name));

export function store(ctx, family) {
  const revenue = tile("Revenue");
  const units = tile("Units sold");
  const buying = tile("Purchases, newest hour");
  const visitors = tile("Customers, newest hour");
  const as_of = asOf(ctx);
  const whole = tile("Visits that buy");

  const sales = panel("Just sold", { size: "w6.x4", note: "by product and five minutes, newest first" });
  const sales_rows = h("tbody");
  sales.body.append(
    scrolled("Sales of the last windows", ["product", "#units", "#revenue"], sales_rows, "whole"),
    h("p", null, h("a", { href: "#/table/product_sales" }, "All product sales")),
  );

  const rising = panel("Trending products", {
    size: "part",
    note: "the hour to the watermark against the same hour a day before",
    word: "watermark",
  });
  const rising_rows = h("tbody");
  rising.body.append(
    scrolled("Products that rise", ["product", "#units", "#before", "#change", "#revenue"], rising_rows),
  );

  let day = null;
  const day_choice = h("div");
  const funnel = panel("Funnel", { size: "part", note: "visits that began on the day", actions: day_choice });
  const funnel_list = h("ol.funnel");
  funnel.body.append(funnel_list);

  const earned = panel("Revenue by day", { size: "w8.x4" });
  const earned_chart = chart("Revenue by day", { say: ctx.say });
  earned.body.append(earned_chart.element);

  const hourly = panel("Purchases per hour", { size: "w12.x8" });
  const hourly_chart = chart("Purchases per hour", { say: ctx.say });
  hourly.body.append(hourly_chart.element);

  const categories = top(ctx, { title: "Top 15 categories", table: "revenue_by_category", column: "category_code" });
  const brands = top(ctx, { title: "Top 15 brands", table: "revenue_by_brand", column: "brand" });
  const corrections = corrected(ctx, family, "w4");
  const all = allTables(ctx, family, true);

  /// What the newest windows sold, each as a whole.
  const windowsOf = () =>
    rows("product_sales", {
      by: "window_start",
      order: "desc",
      limit: WINDOWS,
      group: "window_start",
      sum: ["units", "revenue"],
    });

  async function showSales(now, sold) {
    const by = rule(ctx.status(), family, now);
    const is_running = (at, row) => finality(by, ms(at) + WINDOW, row.is_final) === RUNNING;
    // A window may have more products than are shown: what it sold is asked for by itself.
    const [found, sums] = await Promise.all([
      rows("product_sales", { by: "window_start", order: "desc", limit: LIMIT }),
      sold,
    ]);
    const totals = new Map(sums.rows.map((row) => [row.window_start, row]));
    if (!found.rows.length) return sales.none("Nothing was sold yet.");
    sales.ok(found.epoch);
    const windows = new Map();
    for (const row of found.rows) windows.set(row.window_start, [...(windows.get(row.window_start) ?? []), row]);
    const shown = fitting([...windows].filter(([at]) => totals.has(at)), innerWidth >= WALL ? LINES_WIDE : LINES);
    const said = (at, row) => [
      `${date(at)} ${time(at)}–${time(ms(at) + WINDOW)}`,
      is_running(at, row) && h("span.beside", null, "so far"),
    ];
    const line = (row, of) =>
      h(
        of ? "tr" : "tr.member",
        { "data-product": row.product_id },
        h("th", { scope: "row" }, String(row.product_id), of && h("span.beside", null, of)),
        h("td.num", null, count(row.units)),
        h("td.num", null, money(row.revenue)),
      );
    refill(sales_rows, shown.map(([at, of]) => [at, of, totals.get(at), is_running(at, of[0])]), () =>
      shown.map(([at, of]) => {
        const total = totals.get(at);
        // A window with one product has one line.
        if (total.rows === 1) return line(of[0], said(at, of[0]));
        return [
          h(
            "tr.group",
            null,
            h("th", { scope: "col" }, said(at, of[0])),
            h("td.num", null, count(total.units)),
            h("td.num", null, money(total.revenue)),
          ),
          of.map((row) => line(row)),
          total.rows > of.length &&
            h("tr.member", null, h("th.beside", { scope: "row", colspan: "3" }, `and ${count(total.rows - of.length)} more`)),
        ];
      }),
    );
  }
  async function showRising() {
    const found = await rows("trending_products", { limit: 15 });
    if (!found.rows.length) return rising.none("No product was sold in the hour to the watermark.");
    rising.ok(found.epoch);
    refill(rising_rows, found.rows, () =>
      found.rows.map((row) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, String(row.product_id)),
          h("td.num", null, count(row.units)),
          h("td.num", null, count(row.units_before)),
          h("td.num", null, `${row.units_change > 0 ? "+" : ""}${count(row.units_change)}`),
          h("td.num", null, money(row.revenue)),
        ),
      ),
    );
  }
  async function showFunnel(now) {
    const found = await rows("daily_funnel", { order: "desc", limit: 4 });
    if (!found.rows.length) {
      whole.set("–", "no visit yet");
      return funnel.none("No visit yet.");
    }
    const [newest] = found.rows;
    const so_far = now !== null && ms(newest.day) + DAY > now ? " so far" : "";
    whole.set(percent(newest.whole_rate), `${count(newest.purchased)} of ${count(newest.viewed)} that viewed, ${date(newest.day)}${so_far}`);
    const chosen = found.rows.find((row) => row.day === day) ?? newest;
    refill(day_choice, [found.rows.map((row) => row.day), chosen.day], () =>
      choice("Day", found.rows.map((row) => [row.day, date(row.day).slice(4)]).reverse(), chosen.day, (to) => {
        day = to;
        ctx.refresh();
      }),
    );
    funnel.ok(found.epoch);
    funnel.note(`${plural(chosen.visits, "visit")} that began on ${date(chosen.day)}`);
    const steps = [
      ["viewed", "viewed"],
      ["then carted", "carted"],
      ["then bought", "purchased"],
    ];
    refill(funnel_list, chosen, () => [
      ...steps.map(([name, column], place) => {
        const bar = h("span.bar", { "aria-hidden": "true" });
        bar.style.setProperty("--share", chosen.viewed ? chosen[column] / chosen.viewed : 0);
        const of = place ? chosen[steps[place - 1][1]] : null;
        return h(
          "li",
          null,
          h("span.label", null, name),
          h("span.said", null, count(chosen[column])),
          h("span.more", null, of === null ? "" : of ? `${percent((of - chosen[column]) / of)} leave` : ""),
          bar,
        );
      }),
      h(
        "li.beside",
        null,
        h("span.label", null, "bought without a cart"),
        h("span.said", null, count(chosen.purchased_without_cart)),
        h("span.more", null, ""),
      ),
    ]);
  }
  async function showEarned(now, sold) {
    const [found, sums] = await Promise.all([rows("daily_revenue", { order: "desc", limit: 31 }), sold]);
    const here = found.rows.find((row) => row.day === iso(startOf(now, DAY)));
    const by_then = before(sums.rows, now, DAY);
    const whole_days = found.rows.filter((row) => ms(row.day) < startOf(now, DAY)).reverse();
    const tell = (one, column, said) =>
      one.set(
        said(here?.[column] ?? 0),
        `${ofDay(now)}${by_then ? `; ${both(by_then, said, column, "day")}` : ""}`,
        whole_days.map((row) => row[column]),
      );
    tell(revenue, "revenue", money);
    tell(units, "units", count);
    const by = rule(ctx.status(), family, now);
    const points = days(found.rows, {
      column: "day",
      now,
      y: (row) => row.revenue,
      state: (end) => finality(by, end),
    });
    if (!points.length) return earned.none("Nothing was sold yet.");
    earned.ok(found.epoch);
    earned_chart.set({
      from: points[0].from,
      to: points.at(-1).to,
      series: [{ name: "revenue", kind: "bars", tone: 1, said: money, points }],
    });
  }
  async function showHours(now, sold) {
    const asked = rows("hourly_activity", { from: since(now, 2 * DAY), order: "desc", limit: 60 });
    const [found, sums] = await Promise.all([asked, sold]);
    if (!found.rows.length) return hourly.none("No event in the last two days.");
    const [newest] = found.rows;
    const at = ms(newest.hour);
    const by = rule(ctx.status(), family, now);
    const state = finality(by, at + HOUR);
    const hour = `${time(at)}–${time(at + HOUR)}${SAID[state]}`;
    const previous = found.rows.find((row) => ms(row.hour) === at - HOUR);
    const by_then = at === startOf(now, HOUR) ? before(sums.rows, now, HOUR) : null;
    // A part of an hour is compared with the same part of the one before, or with none.
    const was = (column) => (state === RUNNING ? "" : `; ${count(previous?.[column] ?? 0)} the hour before`);
    const past = (column) =>
      found.rows
        .slice(state === RUNNING ? 1 : 0, 25)
        .map((row) => row[column])
        .reverse();
    buying.set(
      count(newest.purchases),
      `${hour}${by_then ? `; ${both(by_then, count, "units", "hour")}` : was("purchases")}`,
      past("purchases"),
    );
    visitors.set(count(newest.customers), `${hour}${was("customers")}`, past("customers"));
    hourly.ok(found.epoch);
    const [from, to] = [ms(found.rows.at(-1).hour), ms(newest.hour) + HOUR];
    hourly_chart.set({
      from,
      to,
      mark: now,
      series: [
        {
          name: "purchases",
          kind: "bars",
          tone: 1,
          said: count,
          points: buckets(found.rows, {
            from,
            to,
            length: HOUR,
            column: "hour",
            y: (row) => row.purchases,
            state: (end) => finality(by, end),
          }),
        },
      ],
    });
  }

  const panels = grid(
    [
      sales.element,
      stack("w6.x4", rising, funnel),
      [earned, corrections, hourly, categories, brands].map((one) => one.element),
    ],
    all,
  );
  return {
    title: "Store",
    element: h(
      "div.view",
      null,
      h("h1.sr", null, "Store"),
      as_of.element,
      tiles(revenue, units, buying, visitors, whole),
      panels.element,
    ),
    status: (status) => as_of.status(status, family),
    async refresh() {
      const now = await present(ctx.status(), family, "hourly_activity", "hour");
      panels.bare(now === null);
      if (now === null) return all.refresh();
      const sold = windowsOf();
      // Each panel says what is wrong with it.
      sold.catch(() => {});
      await Promise.all([
        sales.fill(() => showSales(now, sold)),
        rising.fill(showRising),
        funnel.fill(() => showFunnel(now)),
        corrections.refresh(),
        all.refresh(),
        earned.fill(() => showEarned(now, sold)),
        hourly.fill(() => showHours(now, sold)),
        categories.refresh(now),
        brands.refresh(now),
      ]);
    },
  };
}

/// What was sold in this period (a day, an hour) and in the one before, both up to the end of the newest whole window:
/// `{ until, here, then }`, the latter with units and revenue. Null if the windows do not reach so far back, or this period has just begun.
function before(windows, now, period) {
  const [from, until] = [startOf(now, period), startOf(now, WINDOW)];
  const reaches = windows.length < WINDOWS || ms(windows.at(-1).window_start) <= from - period;
  if (until <= from || !reaches) return null;
  const sold = (earlier) => {
    const of = windows.filter((row) => ms(row.window_start) >= from - earlier && ms(row.window_start) < until - earlier);
    const sum = (column) => of.reduce((all, row) => all + row[column], 0);
    return { units: sum("units"), revenue: sum("revenue") };
  };
  return { until, here: sold(0), then: sold(period) };
}
/// The same cut on both sides: "to 01:40 it was 1,650.00, the day before 2,952.76".
const both = ({ until, here, then }, said, column, of) =>
  `to ${time(until)} it was ${said(here[column])}, the ${of} before ${said(then[column])}`;

/// The first windows, whole, that fit into so many lines; of one that alone does not fit the products with most revenue.
function fitting(windows, lines) {
  const shown = [];
  let left = lines;
  for (const [at, of] of windows) {
    const best = of.toSorted((a, b) => b.revenue - a.revenue);
    const needs = of.length === 1 ? 1 : of.length + 1;
    if (!shown.length) shown.push([at, needs > left ? best.slice(0, left - 2) : best]);
    else if (needs <= left) shown.push([at, best]);
    else break;
    left -= needs;
  }
  return shown;
}

/// What earned most in a period that is chosen.
function top(ctx, { title, table, column }) {
  let period = "1";
  const one = panel(title, {
    size: "w6",
    note: "by revenue",
    actions: choice("Period", PERIODS, period, (to) => {
      period = to;
      ctx.refresh();
    }),
  });
  const list = h("ol.ranking.numbered");
  one.body.append(list);
  one.refresh = (now) =>
    one.fill(async () => {
      const from = period === "0" ? null : iso(startOf(now, DAY) - (Number(period) - 1) * DAY);
      const found = await rows(table, {
        from,
        group: column,
        sum: ["revenue", "units"],
        by: "revenue",
        order: "desc",
        limit: TOP,
      });
      if (!found.rows.length) return one.none("Nothing was sold in this time.");
      one.ok(found.epoch);
      ranking(
        list,
        found.rows.map((row) => ({
          label: row[column],
          value: row.revenue,
          said: money(row.revenue),
          note: plural(row.units, "unit"),
        })),
      );
    });
  return one;
}
