// A sink that cannot be written: what is the matter, what it means, and what to do.
import { bytes, clock, count, ms } from "./format.js";

/// Kinds of trouble, by the words of whoever said no: the first that fits.
const KINDS = [
  {
    fits: /locked|lock timeout|deadlock|busy/i,
    what: "another program holds a lock on it",
    act: "End the transaction of the other program, or that program: it is tried again until then.",
  },
  {
    fits: /disk.{0,20}full|is full|no space|quota/i,
    what: "its disk is full",
    act: "Make room on its disk. It goes on by itself.",
  },
  {
    fits: /read-?only|permission|denied|not authorized|privilege|forbidden|unauthorized/i,
    what: "there is no right to write it",
    act: "Give the user of this run the right to write it.",
  },
  {
    fits: /refused|unreachable|timed? ?out|no route|resolve|connect|network|unavailable|reset/i,
    what: "it cannot be reached",
    act: "Check that it runs, and that its address can be reached from this machine.",
  },
];
const OTHER = { what: null, act: "See what it says, and the log of the run." };

/// What it waits for stands behind the last colon of what was said: "could not commit to warehouse `a.db`: database is locked".
const said_last = (said) => said.split(": ").slice(1).join(": ") || said;

/// A sink that waits, in three parts: `what`, `effect`, `act`.
export function ofSink(sink, status) {
  const kind = KINDS.find((one) => one.fits.test(said_last(sink.waits_for))) ?? OTHER;
  const called = /^warehouse/.test(sink.name) ? `The ${sink.name}` : `Sink ${sink.name}`;
  const at = status.committed_at ? `epoch ${count(status.epoch)}, ${clock(status.committed_at)}` : "before its first commit";
  return {
    what: `${called} cannot be written: ${kind.what ?? said_last(sink.waits_for)}.`,
    effect: `Its figures stop at ${sink.epoch === status.epoch ? at : `epoch ${count(sink.epoch)}`}. Nothing is lost: ${bytes(sink.pending_bytes)} wait, and it is tried again. If more than \`pending_bytes\` wait, reading stops until it takes rows.`,
    act: kind.act,
  };
}

/// The sinks that wait, and for how long each does.
export const waiting = (status) =>
  (status?.sinks ?? [])
    .filter((one) => one.waits_for)
    .map((one) => ({ ...one, age: ms(status.now) - ms(one.waits_since) }));
