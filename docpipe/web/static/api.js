/** The way to the service: requests, and the events it sends. */

import { forReader } from "./dom.js";

/** A request that was refused; `message` is a sentence for people. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** What is said where no answer came. */
export const UNREACHABLE = "The service cannot be reached";

/** The answer that `first.js` has asked for, once, if it is of this address. */
function early(path) {
  const first = globalThis.docpipeFirst;
  globalThis.docpipeFirst = null;
  return first?.path === path ? first.answer : null;
}

async function ask(method, path, body, headers) {
  let response;
  try {
    response = await ((method === "GET" && early(path)) ||
      fetch(path, {
        method,
        body,
        headers: { Accept: "application/json", "X-Docpipe-CSRF": "1", ...headers },
        credentials: "same-origin",
      }));
  } catch {
    throw new Refused(0, `${UNREACHABLE}. It may be restarting; this page tries again by itself.`);
  }
  if (response.status === 401) location.assign("/login");
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok)
    throw new Refused(response.status, readable(answer.detail ?? answer.title ?? `Status ${response.status}.`));
  return answer;
}

/** A sentence without what is to be typed in a terminal: readers of the page have none. */
const readable = (detail) => (/`docpipe /.test(detail) ? forReader(detail) : detail);

/** What stands at an address, as JSON. */
export const get = (path) => ask("GET", path);

/**
 * Save what is made on demand, such as a chart: first it is asked whether it can be made, so that a refusal
 * is a sentence here and no broken file.
 */
export async function save(path) {
  const { status, headers } = await fetch(path, { method: "HEAD", credentials: "same-origin" }).catch(() => {
    throw new Refused(0, `${UNREACHABLE}. Try again when it is back.`);
  });
  if (status === 401) location.assign("/login");
  if (status >= 400) {
    const again = headers.get("Retry-After") ? "Too much is being made for others now: try again in a minute." : null;
    throw new Refused(status, NOT_SAVED[status] ?? again ?? `This cannot be saved (status ${status}).`);
  }
  const link = Object.assign(document.createElement("a"), { href: path, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}

const NOT_SAVED = {
  400: "Choose at most 100 retrievals.",
  404: "There are no documents yet: a retrieval has to end first.",
};

/** Ask for a change. */
export const post = (path, value) =>
  ask(
    "POST",
    path,
    value === undefined ? undefined : JSON.stringify(value),
    value === undefined ? {} : { "Content-Type": "application/json" },
  );

/** Submit a list of ids. Repeating it with the same key has no second effect. */
export function submit(patients, priority, key) {
  const headers = { "Idempotency-Key": key, "Content-Type": "application/json" };
  return ask("POST", "/api/runs", JSON.stringify({ patients, priority }), headers);
}

/** Check a list of ids, or the text of a file, without beginning anything. */
export function check(patients) {
  if (typeof patients === "string")
    return ask("POST", "/api/submissions/check", patients, { "Content-Type": "text/csv" });
  return post("/api/submissions/check", { patients });
}

/** The text of a document, its first `most` characters. */
export async function text(path, most) {
  const response = await fetch(path, { credentials: "same-origin" });
  if (!response.ok) throw new Refused(response.status, "The text cannot be loaded.");
  const whole = await response.text();
  return { text: whole.slice(0, most), cut: whole.length > most };
}

/** A key that no other submission has. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/**
 * Listen to events for as long as the page is open.
 * @param handlers by the event's name, called with its data; `open` and `lost` tell of the connection.
 */
export function listen(handlers) {
  let pause = 1000;
  const connect = () => {
    const source = new EventSource("/api/events");
    source.onopen = () => {
      pause = 1000;
      handlers.open();
    };
    source.onerror = () => {
      handlers.lost();
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, pause); // it gives up by itself after an answer such as 503
      pause = Math.min(pause * 2, 30000);
      get("/api/summary").catch(() => {}); // which leads to the sign-in when the session has ended
    };
    for (const name of ["reset", "run", "service", "summary"]) {
      source.addEventListener(name, (event) => handlers[name]?.(JSON.parse(event.data)));
    }
  };
  connect();
}
