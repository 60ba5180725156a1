// Corrections: what a late event restated, as sentences.
import { get } from "./api.js";
import { h, refill } from "./dom.js";
import { absent, clock, date, duration, plural, words, year } from "./format.js";
import { panel } from "./panel.js";
import { item, sentences } from "./sentence.js";
import { CORRECTIONS_OF_RUN, ofRun, withoutCorrections } from "./shared.js";

/// So many corrections of a table does the run keep.
const KEPT = 200;

/// " (2 d)": the lateness, where all families have the same.
function allowed(status) {
  const all = [...new Set(status.families.map((one) => one.lateness_ms))];
  return all.length !== 1 ? "" : absent(all[0]) ? " (unlimited)" : ` (${duration(all[0])})`;
}

/// Of which tables it is not known when a row has ended: nothing of these is here.
function untold(ctx) {
  const all = [...ctx.tables().values()].filter((one) => one.kind === "upsert" && !one.has_corrections);
  return all.map((one) => one.name).sort();
}

export function correctionsView(ctx) {
  const one = panel("Rows that late events restated", {
    size: "w12",
    note: "newest first",
  });
  const list = h("div.commits");
  one.body.append(list);
  const without = h("p.lead", { hidden: true });
  const view = ofRun("Corrections", [one.element], {
    served: CORRECTIONS_OF_RUN,
    run: (status) =>
      `An event that comes late, but within the lateness${allowed(status)}, changes rows that were already shown. Each change is here with both numbers. “Late by” is how far the watermark was past the end of the row's window: the event was at least so late.`,
    more: without,
  });
  return {
    title: "Corrections",
    element: view.element,
    status(status) {
      view.status(status);
      one.note(
        `newest first: of each table the newest ${KEPT} since the run began, ${date(status.started_at)} ${clock(status.started_at)}; rows that came out the same are left out`,
      );
    },
    refresh: () =>
      one.fill(async () => {
        const names = ctx.status()?.mode === "serve" ? [] : untold(ctx);
        without.hidden = !names.length;
        refill(without, names, () => [
          "What changes in these tables is not listed here. They have no periods that end, or do not say when they end: ",
          ...names.map((name, at) => [at ? ", " : "", h("a", { href: `#/table/${name}` }, words(name))]),
          ".",
        ]);
        const found = await get("corrections");
        if (!found.length) return one.none(withoutCorrections(ctx));
        one.ok();
        const told = sentences(found, ctx.tables());
        const commits = new Map();
        for (const said of told) commits.set(said.epoch, [...(commits.get(said.epoch) ?? []), said]);
        refill(list, told, () =>
          [...commits].map(([epoch, of]) =>
            h(
              "section.commit",
              { "aria-label": `Epoch ${epoch}` },
              h(
                "h3",
                null,
                `Written ${date(of[0].at)} ${year(of[0].at)} ${clock(of[0].at)}`,
                h("span.more", null, `epoch ${epoch} · ${plural(of.reduce((sum, said) => sum + said.rows.length, 0), "row")}`),
              ),
              [...new Set(of.map((said) => said.table))].map((table) => [
                h("h4", null, h("a", { href: `#/table/${table}` }, words(table))),
                h("ul.sentences", null, of.filter((said) => said.table === table).map(item)),
              ]),
            ),
          ),
        );
      }),
  };
}
