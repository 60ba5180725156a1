// Deltas: the tail of what goes out. Pausing keeps what is shown; nothing is skipped unseen.
import { stream } from "./api.js";
import { lastCommit } from "./commit.js";
import { h, marked, refill, text } from "./dom.js";
import { absent, began, cell, clock, count, ms, plural, seconds, value, words } from "./format.js";
import { panel } from "./panel.js";
import { ofRun } from "./shared.js";
import { ofSink, waiting } from "./trouble.js";

/// So many deltas are kept, and so many of them are shown.
const KEPT = 5_000;
const SHOWN = 200;
const DRAW_EVERY_MS = 250;
/// A commit that is younger needs no reason why there is no other one.
const IDLE_MS = 5_000;

export function deltasView(ctx) {
  let kept = [];
  let dropped = 0;
  let paused = false;
  let held = 0;
  let source = null;
  let last = null;
  let first = null;
  let wait = 500;
  let timer = null;
  let drawn = 0;
  let table = "";
  let needle = "";
  let whole = false;

  const names = [...ctx.tables().values()]
    // Rows of the others are only added, and the stream has none of them.
    .filter((one) => one.kind === "upsert" || one.name === "quality")
    .map((one) => one.name);
  const select = h(
    "select",
    {
      onchange: () => {
        table = select.value;
        // A stream of other tables is another stream: it begins now.
        kept = [];
        dropped = held = 0;
        begin();
      },
    },
    h("option", { value: "" }, "All tables"),
    names.map((name) => h("option", { value: name }, words(name))),
  );
  const search = h("input", {
    type: "search",
    placeholder: "any key or value",
    oninput: () => {
      needle = search.value.toLowerCase();
      draw();
    },
  });
  const all_columns = h("input", {
    type: "checkbox",
    onchange: () => {
      whole = all_columns.checked;
      draw();
    },
  });
  const pause = h(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      onclick: () => {
        paused = !paused;
        held = 0;
        pause.setAttribute("aria-pressed", String(paused));
        text(pause, paused ? "Resume" : "Pause");
        draw();
      },
    },
    "Pause",
  );
  const save = (kind, write) =>
    h(
      "button",
      { type: "button", disabled: true, onclick: () => download(`deltas.${kind}`, write(found())) },
      `Save ${kind.toUpperCase()}`,
    );
  const saves = [save("json", (rows) => JSON.stringify(rows, null, 1)), save("csv", csv)];
  const how = h("p.note", { hidden: true });
  const reason = h("p.reason", { hidden: true });
  const list = h("ol.deltas", { "aria-label": "Deltas, newest first" });
  const one = panel("What goes out", {
    size: "w8.x9",
    note: "newest first, from the last commit on",
    actions: [...saves, pause],
  });
  one.ok();
  one.body.append(
    h(
      "div.filters",
      null,
      h("label", null, "Table ", select),
      h("label", null, "Contains ", search),
      h("label.check", null, all_columns, " all columns"),
    ),
    reason,
    how,
    h("div.scroll.taller", { tabindex: "0", role: "group", "aria-label": "The tail of deltas" }, list),
  );

  const summary = lastCommit();
  /// Begins with the commit before this moment, so that there is something to see.
  function begin() {
    const epoch = ctx.status()?.epoch ?? 0;
    last = Math.max(0, epoch - 1);
    first = epoch;
    summary.none(epoch ? "Loading…" : "Nothing was committed yet.");
    open();
  }
  function open() {
    close();
    source = stream(
      "deltas",
      { table: table || null, from: last },
      {
        commit: (commit) => {
          wait = 500;
          last = commit.epoch;
          summary.show(commit, table);
          const at = commit.deltas.map((delta) => ({
            epoch: commit.epoch,
            committed_at: commit.committed_at,
            ...delta,
          }));
          take(at.reverse());
        },
        gap: (gap) => {
          last = gap.to;
          // Of what was before this page was opened nothing was missed.
          if (gap.to === first) return summary.gone(gap.to);
          take([{ gap: gap.to - gap.from, from: gap.from, to: gap.to, epoch: gap.to }]);
          ctx.say(`gap: ${plural(gap.to - gap.from, "epoch")} skipped`);
        },
      },
      () => {
        close();
        timer = setTimeout(open, wait);
        wait = Math.min(2_000, wait * 2);
      },
    );
  }
  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }
  function take(more) {
    if (paused) held += more.length;
    kept = more.concat(kept);
    if (kept.length > KEPT + held) {
      dropped += kept.length - KEPT - held;
      kept.length = KEPT + held;
    }
    // Drawing waits a moment, so that many commits are one drawing.
    if (!drawn) drawn = setTimeout(draw, DRAW_EVERY_MS);
  }

  const fits = (delta) =>
    !needle ||
    delta.gap !== undefined ||
    JSON.stringify([delta.table, delta.op, delta.key, delta.before, delta.after]).toLowerCase().includes(needle);
  const found = () => (paused ? kept.slice(held) : kept).filter(fits);
  function draw() {
    clearTimeout(drawn);
    drawn = 0;
    const here = found();
    for (const one_of of saves) one_of.disabled = !here.length;
    const gone = dropped ? `, ${count(dropped)} older ones no longer kept` : "";
    const waits = paused && held ? `; paused, ${count(held)} more wait` : paused ? "; paused" : "";
    const newest = here.length > SHOWN ? `, the newest ${SHOWN} are shown` : "";
    text(how, kept.length ? `${plural(here.length, "delta")}${newest}${gone}${waits}` : paused ? "Paused." : "");
    how.hidden = !how.textContent;
    const focused = list.contains(document.activeElement);
    if (!focused) list.replaceChildren(...here.slice(0, SHOWN).map((delta) => line(delta)));
  }
  function line(delta) {
    if (delta.gap !== undefined) {
      return h(
        "li.gap",
        null,
        h("b", null, `gap: ${count(delta.gap)}`),
        ` epochs ${delta.from} to ${delta.to} were skipped; the tables have what they did`,
      );
    }
    const table_of = ctx.tables().get(delta.table);
    const column = (name) => table_of?.columns.find((one_of) => one_of.name === name) ?? { name, type: "text" };
    const key = Object.entries(delta.key).map(([name, of]) =>
      h("span.part", null, h("i", null, words(name)), ` ${cell(of, column(name))}`),
    );
    const op = delta.op === "delete" ? "delete" : delta.before ? "update" : delta.before === null ? "insert" : "upsert";
    return h(
      "li",
      { "data-op": op, "data-epoch": delta.epoch },
      h("span.op", null, op),
      h("span.of", null, h("b", null, words(delta.table)), h("span.key", null, key)),
      h("span.values", null, values(delta, column)),
      h("span.when", null, clock(delta.committed_at), h("span.more", null, `epoch ${count(delta.epoch)}`)),
    );
  }
  function values(delta, column) {
    const rest = Object.keys(delta.after ?? delta.before ?? {}).filter(
      (name) => !(name in delta.key) && !name.startsWith("_"),
    );
    const said = (of, name) => value(of?.[name], column(name).type);
    return rest
      .map((name) => {
        if (delta.op === "delete" || !delta.before)
          return [h("i", null, words(name)), ` ${said(delta.after ?? delta.before, name)}`];
        if (said(delta.before, name) !== said(delta.after, name))
          return [h("i", null, words(name)), ` ${said(delta.before, name)} → ${said(delta.after, name)}`];
        return whole ? [h("i", null, words(name)), ` ${said(delta.after, name)}`] : null;
      })
      .filter(Boolean)
      .map((parts) => h("span.value", null, parts));
  }
  /// What the next commit waits for, as far as that is known.
  function why() {
    const status = ctx.status();
    if (!status) return "";
    const now = ms(status.now);
    const [sink] = waiting(status);
    if (sink) return `${ofSink(sink, status).what}. The next commit has waited since ${began(sink.waits_since, now)}.`;
    if (status.state === "ended") return "The pipeline has ended: no more come.";
    const since = status.families.map((one) => one.stands?.since).filter(Boolean).sort().at(-1);
    if (status.families.every((one) => one.stands || absent(one.watermark)) && since)
      return `Waiting for the next commit: nothing new has been read since ${began(since, now)}.`;
    if (absent(status.committed_at)) return "Waiting for the first commit.";
    const age = now - ms(status.committed_at);
    return age < IDLE_MS ? "" : `Waiting for the next commit: the last one was ${seconds(age)} ago.`;
  }
  const visible = () => {
    if (document.hidden) close();
    else if (ctx.status()?.mode !== "serve") last === null ? begin() : open();
  };
  document.addEventListener("visibilitychange", visible);
  const view = ofRun("Deltas", [summary.element, one.element], {
    served: "Only the run that writes the tables sees its deltas: its own page shows them.",
    run: () =>
      "Each commit writes only the rows that changed. This is their stream, from the last commit before this page was opened.",
  });
  return {
    title: "Deltas",
    element: view.element,
    status(status) {
      view.status(status);
      const said = why();
      refill(reason, said, () => marked(said));
      reason.hidden = !said;
    },
    refresh: async () => {
      const status = ctx.status();
      if (status && status.mode !== "serve" && !source && !timer) begin();
    },
    leave() {
      document.removeEventListener("visibilitychange", visible);
      close();
    },
  };
}

/// A table of all columns that occur; texts in quotes.
function csv(rows) {
  const deltas = rows.filter((row) => row.gap === undefined);
  const parts = ["key", "before", "after"];
  const columns = parts.flatMap((part) =>
    [...new Set(deltas.flatMap((row) => Object.keys(row[part] ?? {})))].map((name) => [part, name]),
  );
  const quoted = (of) =>
    absent(of)
      ? ""
      : /[",\n]/.test((of = typeof of === "object" ? JSON.stringify(of) : String(of)))
        ? `"${of.replaceAll('"', '""')}"`
        : of;
  const lines = [["epoch", "committed_at", "table", "op", ...columns.map((pair) => pair.join("_"))]].concat(
    deltas.map((row) => [
      row.epoch,
      row.committed_at,
      row.table,
      row.op,
      ...columns.map(([part, name]) => row[part]?.[name]),
    ]),
  );
  return lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

function download(name, content) {
  const url = URL.createObjectURL(new Blob([content], { type: "text/plain" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
