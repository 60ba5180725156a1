// A sink that cannot be written: what is the matter, what it means, and what to do.
import { bytes, clock, count, limit } from "./format.js";

/// Kinds of trouble, by the words of whoever said no: the first that fits.
const KINDS = [
  {
    fits: /locked|lock timeout|deadlock|busy/i,
    what: "another program holds a lock on it",
    act: "End the transaction of the other program, or that program.",
    // Of a file it can be asked who has it open.
    of_file: (path) =>
      `Find the other program that has it open (on Linux \`fuser -v ${path}\` lists them, this run among them), and end its transaction or that program.`,
  },
  {
    fits: /disk.{0,20}full|is full|no space|quota/i,
    what: "its disk is full",
    act: "Make room on its disk.",
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

/// A path as a shell takes it.
const quoted = (path) => (/^[\w./@%+,:-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

/// A sink that waits, in three parts: `what`, `effect`, `act`.
export function ofSink(sink, status) {
  const kind = KINDS.find((one) => one.fits.test(said_last(sink.waits_for))) ?? OTHER;
  const is_file = /^warehouse/.test(sink.name);
  const called = is_file ? `The ${sink.name}` : `Sink ${sink.name}`;
  const at = status.committed_at ? `epoch ${count(status.epoch)}, ${clock(status.committed_at)}` : "before its first commit";
  return {
    what: `${called} cannot be written: ${kind.what ?? said_last(sink.waits_for)}`,
    effect: `Its figures stop at ${sink.epoch === status.epoch ? at : `epoch ${count(sink.epoch)}`}. Nothing is lost: ${bytes(sink.pending_bytes)} of ${limit(sink.pending_bytes_max)} wait. If that fills up, reading stops until it takes rows.`,
    act: `${is_file && kind.of_file ? kind.of_file(quoted(status.warehouse)) : kind.act} deltamart tries again by itself.`,
  };
}

/// The sinks that wait.
export const waiting = (status) => (status?.sinks ?? []).filter((one) => one.waits_for);
