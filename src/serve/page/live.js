// The one stream that every view lives on: the pipeline's status, once a second and after each commit.
import { stream } from "./api.js";

/// Without a word for this long the connection counts as lost; the server speaks every second.
const SILENT_MS = 3_500;
const KEPT = 300;
/// What a server without a run does not count.
const WITHOUT_A_RUN = {
  workers: [],
  processes: [],
  rejected: {},
  families: [],
  lag: [],
  sinks: [],
  troubles: [],
  unread: [],
  live: [],
  examples: { rejected: [], late: [] },
  graph: { nodes: [], edges: [] },
  snapshot: null,
};

export class Live extends EventTarget {
  status = null;
  /// Why the server has no status, if it has none.
  trouble = null;
  /// "connecting", "live" or "lost", and since when.
  link = "connecting";
  since = Date.now();
  /// The last minutes of a few figures, for small plots.
  past = [];
  /// When the watermark of a family was last seen to advance, by its name: { value, at }.
  advanced = new Map();
  #source = null;
  #heard = 0;
  #wait = 500;
  #timer = null;

  start() {
    setInterval(() => this.#watch(), 500);
    // A page that nobody sees holds no connection: browsers allow six per server.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
    addEventListener("online", () => this.#open());
    this.#open();
  }

  #open() {
    this.#close();
    this.#heard = Date.now();
    this.#source = stream("live", null, { status: (status) => this.#hear(status) }, () => this.#lose());
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #hear(said) {
    this.#heard = Date.now();
    this.#wait = 500;
    // A server that cannot read its warehouse says why; what was known stays.
    this.trouble = said.error ?? null;
    if (this.trouble && !this.status) return this.#become("live");
    const status = this.trouble ? this.status : { ...WITHOUT_A_RUN, ...said };
    this.status = status;
    for (const one of status.families) {
      const known = this.advanced.get(one.name);
      if (known?.value !== one.watermark)
        this.advanced.set(one.name, { value: one.watermark, at: known ? Date.parse(status.now) : null });
    }
    this.past.push({
      at: Date.parse(status.now),
      in: status.rate_in,
      out: status.rate_out,
      fresh: status.fresh_ms,
      lag: status.lag.reduce((most, one) => (one.ms === null ? most : Math.max(most ?? 0, one.ms)), null),
    });
    if (this.past.length > KEPT) this.past.shift();
    this.#become("live");
    this.dispatchEvent(new Event("status"));
  }

  #lose() {
    this.#close();
    this.#become("lost");
    this.#timer = setTimeout(() => this.#open(), this.#wait);
    this.#wait = Math.min(2_000, this.#wait * 2);
  }

  #watch() {
    if (this.#source && Date.now() - this.#heard > SILENT_MS) this.#lose();
    if (this.link === "lost") this.dispatchEvent(new Event("link")); // Its age is shown.
  }

  #become(link) {
    if (this.link === link) return;
    this.link = link;
    this.since = Date.now();
    this.dispatchEvent(new Event("link"));
  }
}
