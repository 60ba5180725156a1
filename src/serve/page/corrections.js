// Corrections: what a late event restated, as sentences.
import { get } from "./api.js";
import { h, refill } from "./dom.js";
import { clock, date, plural, words } from "./format.js";
import { panel } from "./panel.js";
import { item, sentences } from "./sentence.js";
import { withoutCorrections } from "./shared.js";

export function correctionsView(ctx) {
  const one = panel("Rows that late events restated", {
    size: "w12",
    note: "newest first; a row that ends where it was says nothing",
  });
  const list = h("div.commits");
  one.body.append(list);
  return {
    title: "Corrections",
    element: h(
      "div.view",
      null,
      h("h1", null, "Corrections"),
      h(
        "p.lead",
        null,
        "An event that comes late, but within the lateness, changes rows that were already shown. Each change is here with both numbers.",
      ),
      h("div.grid", null, one.element),
    ),
    refresh: () =>
      one.fill(async () => {
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
                `${date(of[0].at)} ${clock(of[0].at)}`,
                h("span.more", null, `epoch ${epoch} · ${plural(of.length, "correction")}`),
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
