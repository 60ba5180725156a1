// What the page asks of the server. Everything is read-only.
const BASE = "/api/v1/";

/// The server said no; `message` is its sentence.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/// Parameters of an address; a list is one parameter given several times.
export function query(params) {
  const all = Object.entries(params ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((one) => one !== null && one !== undefined)
      .map((one) => [name, one]),
  );
  return all.length ? `?${new URLSearchParams(all)}` : "";
}

export async function get(path, params) {
  const answer = await fetch(BASE + path + query(params), { signal: AbortSignal.timeout(15_000) });
  if (!answer.ok) {
    const said = await answer.json().then(
      (body) => body.error,
      () => null,
    );
    throw new Refused(answer.status, said ?? `the server answers ${answer.status}`);
  }
  return answer.json();
}

/// Rows of a table at one commit, each as an object: `{ epoch, rows, next }`.
export async function rows(table, params) {
  const answer = await get(`tables/${encodeURIComponent(table)}`, params);
  const named = answer.rows.map((row) => Object.fromEntries(answer.columns.map((name, at) => [name, row[at]])));
  return { epoch: answer.epoch, columns: answer.columns, rows: named, next: answer.next ?? null };
}

/// The same of several pages, one behind the other, all of one commit.
export async function pages(table, params, most) {
  let found = await rows(table, params);
  for (let page = 1; found.next && page < most; page++) {
    const more = await rows(table, { ...params, after: found.next });
    found = { ...more, rows: [...found.rows, ...more.rows] };
  }
  return found;
}

/// An event stream. It is closed at the first error: whoever opened it decides when to try again.
export function stream(path, params, events, on_error) {
  const source = new EventSource(BASE + path + query(params));
  for (const [name, act] of Object.entries(events)) {
    source.addEventListener(name, (event) => act(JSON.parse(event.data), event.lastEventId));
  }
  source.addEventListener("error", () => {
    source.close();
    on_error();
  });
  return source;
}
