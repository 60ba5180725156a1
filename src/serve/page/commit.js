// The last commit, as a summary: how many rows of which tables it wrote.
import { h } from "./dom.js";
import { clock, count, date, plural, words } from "./format.js";
import { panel, ranking } from "./panel.js";

/// "3 new, 2 changed, 1 deleted"; nothing if nobody looked up which were there before.
function kinds(deltas) {
  const of = (fits) => deltas.filter(fits).length;
  const parts = [
    [of((one) => one.op === "upsert" && one.before === null), "new"],
    [of((one) => one.op === "upsert" && one.before), "changed"],
    [of((one) => one.op === "delete"), "deleted"],
  ];
  return parts.filter(([n]) => n).map(([n, said]) => `${count(n)} ${said}`).join(", ");
}

export function lastCommit() {
  const one = panel("Last commit", { size: "w4.x3", word: "epoch" });
  const list = h("ol.ranking");
  one.body.append(list);
  one.element.classList.add("short");
  one.note("what it wrote, by table");
  return {
    element: one.element,
    none: (said) => one.none(said),
    /// `of`: the table whose rows alone are told, if one was chosen.
    show({ epoch, committed_at, deltas }, of) {
      one.note(
        `epoch ${count(epoch)}, ${date(committed_at)} ${clock(committed_at)}: ${plural(deltas.length, "row")}${of ? ` of ${words(of)}` : ""}`,
      );
      if (!deltas.length) return one.none("It wrote no such row.");
      one.ok();
      const tables = new Map();
      for (const delta of deltas) tables.set(delta.table, [...(tables.get(delta.table) ?? []), delta]);
      ranking(
        list,
        [...tables]
          .map(([name, rows]) => ({ label: words(name), value: rows.length, said: count(rows.length), note: kinds(rows) }))
          .sort((a, b) => b.value - a.value),
      );
    },
    /// Its rows are not kept: it was too large, or the run that wrote it has ended.
    gone: (epoch) => one.none(`The rows of epoch ${count(epoch)} are not kept: there were too many, or an earlier run wrote them. The next commit is shown here.`),
  };
}
