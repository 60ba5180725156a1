// Words that are not everybody's: a button beside one says what it means.
import { fresh, h, marked } from "./dom.js";

const MEANINGS = {
  epoch:
    "A short period of reading, a quarter of a second by default. What was read up to an epoch is committed together: all tables of the warehouse are of the same one.",
  generation:
    "The number of this start. Each start of a run on the same state has the next number, and an older one that still runs ends at its next commit.",
  late: "Older than the watermark minus the lateness of its family: too late to change a metric. It is kept in `late_events`.",
  masked:
    "An e-mail address came in clear. The name in front of its @ was replaced by `****` before anything was stored.",
  watermark:
    "The time up to which events are expected to have come, by the events' own time: the newest event of each source, of these the oldest, minus what may come out of order (`out_of_orderness`). Each family has its own.",
};
const GAP = 6;

/// A button "?" that shows what a word means. Escape, a click elsewhere and the button itself hide it.
export function help(word) {
  const id = fresh("help");
  const said = h("span.meaning", { id, popover: "auto" }, h("b", null, word), " ", marked(MEANINGS[word]));
  const button = h(
    "button.help",
    { type: "button", popovertarget: id, "aria-label": `What ${word} means`, "aria-describedby": id },
    "?",
  );
  said.addEventListener("toggle", () => {
    const [at, own] = [button.getBoundingClientRect(), said.getBoundingClientRect()];
    const left = Math.max(GAP, Math.min(at.left, document.documentElement.clientWidth - own.width - GAP));
    const below = at.bottom + GAP + own.height < innerHeight;
    said.style.left = `${left + scrollX}px`;
    said.style.top = `${(below ? at.bottom + GAP : at.top - GAP - own.height) + scrollY}px`;
  });
  return [button, said];
}
