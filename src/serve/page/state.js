// What the page says about the pipeline as a whole: its state, and what needs attention. Nothing is hidden.
import { h, marked, refill, text } from "./dom.js";
import { help } from "./help.js";
import { absent, began, clock, count, date, ms, plural, seconds, time, words, year } from "./format.js";
import { ofSink, waiting } from "./trouble.js";

const STATES = { starting: "starting", running: "running", ending: "ending", ended: "ended", reading: "reading only" };

const plainly = (name) => name.replaceAll("`", "");

/// Whether nobody answers because the run that did has ended.
const isOver = (live) => live.link === "lost" && ["ending", "ended"].includes(live.status?.state);

const seen = (status) => (status ? `What you see is of ${clock(status.now)} UTC` : "There is nothing to see yet");

/// What needs attention, the worst first: `{ key, bad, age, said }`; the key is what a voice says once, and the age stands behind it.
function notices(live, status) {
  const all = [];
  if (live.link === "lost") {
    if (isOver(live))
      all.push({
        key: "The pipeline has ended",
        said: "Its page ended with it: `deltamart serve` shows the tables without a run.",
      });
    else
      all.push({
        key: "Connection lost",
        bad: true,
        said: `The server does not answer. ${seen(status)}; the page tries again by itself.`,
        age: `, for ${seconds(Date.now() - live.since)}`,
      });
  }
  if (live.trouble) all.push({ key: "The warehouse cannot be read", bad: true, said: live.trouble });
  if (!status) return all;
  const now = ms(status.now);
  if (status.mode === "serve" && live.link !== "lost")
    all.push({
      key: "This server only reads",
      calm: true,
      age: absent(status.committed_at) ? ": no commit yet" : `: last commit ${began(status.committed_at, now)}`,
      said: "Whether a run works is not known here.",
    });
  if (status.state === "ended" && live.link !== "lost") {
    all.push({
      key: "The pipeline has ended",
      said: status.epoch
        ? `Everything that was read is committed, up to epoch ${count(status.epoch)}.`
        : "It committed nothing.",
    });
  }
  for (const one of waiting(status)) {
    const { what, effect, act } = ofSink(one, status);
    all.push({ key: what, bad: true, said: effect, more: act, to: "#/pipeline", age: `, since ${began(one.waits_since, now)}` });
  }
  for (const one of status.troubles) {
    // A sink that is away is said already.
    if (!status.sinks.some((sink) => sink.waits_for && (sink.name === one.of || sink.waits_for === one.said)))
      all.push({
        key: `Trouble with ${plainly(one.of)}`,
        bad: true,
        said: one.said,
        age: absent(one.since) ? null : `, since ${began(one.since, now)}`,
      });
  }
  for (const said of status.unread)
    all.push(
      waits(status) && /is empty$/.test(said)
        ? { key: "Waiting for the first event", calm: true, said: `${said}: an event is read once it is appended.` }
        : { key: "Not read", said },
    );
  // What is worse goes first, and alone: that nothing new comes is no trouble by itself.
  if (!all.some((one) => one.bad)) all.push(...quiet(status, now));
  return all;
}

/// Whether a run has read nothing yet.
const waits = (status) => status.mode !== "serve" && status.state === "running" && !status.records && !status.epoch;

/// Families from which nothing new comes. That is no fault: a shop may be closed, and a file be read to its end.
function quiet(status, now) {
  if (status.state !== "running") return [];
  return status.families
    .filter((one) => one.stands)
    .map((one) => {
      const at = absent(one.watermark) ? null : ms(one.watermark);
      const stand = at === null ? "" : `By the time of the events the figures stand at ${date(at)} ${year(at)} ${time(at)}. `;
      return {
        key: `No new ${words(one.name).replace(/ events$/, "")} events`,
        calm: true,
        said: `${stand}If events should come, check that they are sent.`,
        age: `, since ${began(one.stands.since, now)}`,
      };
    });
}

export function stateShown(live, say) {
  const banner = document.getElementById("banner");
  const pill = document.getElementById("state");
  const epoch = document.getElementById("epoch");
  epoch.after("\u00a0", ...help("epoch"));
  const generation = h("span", { hidden: true }, "\u00a0", help("generation"));
  document.getElementById("about").after(generation);
  let known = [];
  return () => {
    const status = live.status;
    const all = notices(live, status);
    const state = isOver(live)
      ? "ended"
      : live.link === "lost"
        ? "lost"
        : live.link === "connecting"
          ? "starting"
          : all.some((one) => one.bad)
            ? "failing"
            : status.state;
    pill.dataset.state = state;
    text(
      pill,
      state === "lost"
        ? "connection lost"
        : live.link === "connecting"
          ? "connecting"
          : state === "failing"
            ? "needs attention"
            : state === "running" && waits(status)
            ? "waiting for data"
            : state === "running" && all.some((one) => one.calm)
              ? "running, no new events"
              : STATES[state],
    );
    banner.hidden = !all.length;
    // Its words are made anew only if they differ; how long it is so counts on.
    refill(
      banner,
      all.map((one) => [one.key, one.said, one.more, one.bad]),
      () =>
        all.map((one) =>
          h(
            one.bad ? "p.notice.bad" : one.calm ? "p.notice.calm" : "p.notice",
            null,
            h("b", null, marked(one.key), h("span.age")),
            h("span", null, marked(one.said)),
            one.more && h("span", null, marked(one.more)),
            one.to && h("a", { href: one.to }, "See the sinks"),
          ),
        ),
    );
    all.forEach((one, at) =>
      text(banner.children[at].querySelector(".age"), absent(one.age) ? "" : `${one.age}.`),
    );
    const keys = all.map((one) => one.key);
    const news = keys
      .filter((key) => !known.includes(key))
      .concat(
        known
          .filter((key) => !keys.includes(key))
          .map((key) => (key === "Connection lost" ? "Connected again" : `Over: ${key}`)),
      );
    if (news.length) say(news.join(". ").replaceAll("`", ""));
    known = keys;
    if (!status) return;
    text(epoch, lastCommit(status));
    text(document.getElementById("of"), status.warehouse ?? "");
    document.getElementById("of").title = status.warehouse ?? "";
    text(document.getElementById("about"), about(status));
    text(document.getElementById("uptime"), uptime(status));
    generation.hidden = status.mode === "serve";
  };
}

function lastCommit(status) {
  if (!status.epoch) return "no commit yet";
  const said = `epoch ${count(status.epoch)}`;
  if (!["running", "reading"].includes(status.state) || absent(status.committed_at)) return said;
  const age = ms(status.now) - ms(status.committed_at);
  // Whole seconds: what is younger changes faster than it can be read.
  return `${said}, ${age < 1000 ? "just now" : `${seconds(age)} ago`}`;
}

function about(status) {
  if (status.mode === "serve") return `deltamart ${status.version}, without a run`;
  return `deltamart ${status.version}, generation ${status.generation}`;
}

function uptime(status) {
  if (status.mode === "serve") return "";
  const age = Math.max(1000, ms(status.now) - ms(status.started_at));
  const workers = plural(status.workers.length, "worker");
  const all = status.processes.length ? `${plural(status.processes.length, "process", "processes")} of ${workers} each` : workers;
  return ` · up for ${seconds(age)} · ${all}`;
}
