/** Small things that every view needs: elements, times, numbers, words. */

const SVG = "http://www.w3.org/2000/svg";

/** Fill an element: attributes (functions become listeners), then children; texts are never read as HTML. */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  } // one by one: a call takes some 100,000 arguments, and documents have more
  return element;
}

/** Replace the children of an element; null and false are no children. */
export function refill(element, ...children) {
  element.replaceChildren();
  return fill(element, {}, children);
}

/** An HTML element. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/** Hide the parts of a view below its head, which are empty where there is nothing to show, or show them again. */
export function onlyHead(head, alone) {
  for (const part of head.parentElement?.querySelectorAll(":scope > section") ?? []) part.hidden = alone;
}

/** Name the window after a view, unless its reader has left it: answers may come late. */
export function entitle(element, title) {
  if (element.isConnected) document.title = `${title} – docpipe`;
}

/** Resolves once what was changed is on the screen, or after a moment in a window that is not visible. */
export const painted = () =>
  new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
    setTimeout(resolve, 500);
  });

let clock, day;

/** Make what formats times: some 20 ms, best spent while an answer is awaited. */
export function prepareTimes() {
  clock ??= new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  day ??= new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
}

/** A time in the reader's own way, the day too unless it is today; UTC in its title. */
export function time(iso) {
  if (!iso) return h("span", { class: "faint" }, "–");
  prepareTimes();
  const when = new Date(iso);
  const today = when.toDateString() === new Date().toDateString();
  const words = today ? clock.format(when) : `${day.format(when)} ${clock.format(when)}`;
  return h("time", { datetime: iso, title: `${iso.slice(0, 19).replace("T", " ")} UTC` }, words);
}

/** A span of seconds in words. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  if (whole < 172800)
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.round(whole / 86400)} days`;
}

/** How long until then, counted down every second; nothing once it is past. */
export function countdown(iso, before) {
  const element = h("span", { class: "countdown", "data-until": iso, "data-before": before });
  tick(element);
  return element;
}

function tick(element) {
  const left = (new Date(element.dataset.until) - Date.now()) / 1000;
  element.textContent = left > 0 ? `${element.dataset.before} ${span(left)}` : "";
}

setInterval(() => document.querySelectorAll(".countdown").forEach(tick), 1000);

/** Bytes in words. */
export function bytes(size) {
  if (size === null || size === undefined) return "–";
  for (const [unit, worth] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ]) {
    if (size >= worth) return `${(size / worth).toFixed(size >= 10 * worth ? 0 : 1)} ${unit}`;
  }
  return `${size} bytes`;
}

/** A count with its word. */
export const many = (count, one, more = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : more}`;

const STATES = {
  queued: ["○", "queued"],
  running: ["◐", "running"],
  completed: ["✓", "completed"],
  completed_with_errors: ["⚠", "with errors"],
  failed: ["✕", "failed"],
  cancelling: ["…", "cancelling"],
  cancelled: ["⊘", "cancelled"],
  up: ["✓", "up"],
  down: ["✕", "down"],
  paused: ["‖", "paused"],
  planned: ["◷", "planned"],
  new: ["✦", "new"],
  gone: ["↩", "no longer at the exchange"],
};

/** Outcomes of documents in words, those of the report. */
export const OUTCOMES = {
  converted: "readable",
  stored: "kept as it is",
  failed: "could not be read",
  refused: "refused as unsafe",
  duplicate: "the same as another",
  ignored: "left out",
};
const SIGNS = { converted: "✓", stored: "▫", failed: "✕", refused: "⚠", duplicate: "=", ignored: "–" };
const READING = { not_read: "not read", partly_read: "partly read" };

const mark = (state, sign, word) =>
  h("span", { class: `badge is-${state ?? "none"}` }, h("span", { "aria-hidden": "true" }, sign), ` ${word}`);

/** The state of a run or a service as a badge: sign, word and colour say the same. */
export function badge(state) {
  const [sign, word] = STATES[state] ?? ["·", String(state).replaceAll("_", " ")];
  return mark(state, sign, word);
}

/** The outcome of a document as a badge; null while it is still to come. */
export const documentBadge = (state) =>
  mark(state, SIGNS[state] ?? (READING[state] ? "⚠" : "·"), outcomeWord(state));

/** What an outcome is called. */
export const outcomeWord = (state) => OUTCOMES[state] ?? READING[state] ?? String(state ?? "to come");

/** Controls that reorder a text become signs, so that a name cannot pretend to be another. */
export const tame = (name) =>
  name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

/** A text short enough for a line. */
export const shorten = (name, most = 200) => (name.length > most ? `${name.slice(0, most)}…` : name);

/** The title of a document, or its name in the archive. */
export const titleOf = (one) => shorten(tame(one.title || one.path));

/** The day of a document as the source says, empty where it does not. */
export const dateOf = (one) => (/^\d{4}/.test(one.date ?? "") ? one.date.slice(0, 10) : "");

/** A name with its value in a list of facts. */
export const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** Who a patient is, on one line. */
export const personLine = (person, number) =>
  person ? `${person.given} ${person.family}, born ${person.birth_date}, number ${number}` : `Patient ${number}`;

/** An error without the sentences for administrators, who read commands in backticks in a terminal. */
export function forReader(error) {
  const parts = (error ?? "").split(/(?<=[.:;])\s+/);
  const kept = parts.filter((part) => !part.includes("`"));
  if (kept.length === parts.length) return error ?? "";
  const cure = error.startsWith("There is no patient")
    ? "Compare the number with the patient's papers, and submit the right one."
    : "Those who run docpipe can mend it.";
  return `${kept.join(" ").replace(/[:;,]$/, ".")} ${cure}`;
}

/** What a state is called. */
export const stateWord = (state) => (STATES[state] ?? ["", state.replaceAll("_", " ")])[1];

const SERVICES = {
  docex: "the document exchange",
  tasktracker: "the task tracker",
  patients: "the patients database",
  storage: "the storage of documents",
  notify: "the receiver of notifications",
};

/** What a service is called. */
export function serviceName(name) {
  if (SERVICES[name]) return SERVICES[name];
  const [, kind, of] = /^(archives|tokens) of (.*)$/.exec(name) ?? [];
  if (kind === "archives") return `the server of the archives (${of})`;
  return kind ? `the sign-in server of ${SERVICES[of] ?? of}` : name;
}

const ENDPOINTS = { search: "new searches", status: "states of searches", tracker: "tasks" };

/** What a service or one of its endpoints is called, such as `docex.search`. */
export function placeName(what) {
  const dot = what.indexOf(".");
  const [service, endpoint] = dot < 0 ? [what, ""] : [what.slice(0, dot), what.slice(dot + 1)];
  if (!SERVICES[service]) return serviceName(what);
  return endpoint ? `${SERVICES[service]} (${ENDPOINTS[endpoint] ?? endpoint})` : SERVICES[service];
}

/** What a run waits for, with names that readers know. */
function waitWords({ kind, told, what }) {
  if (kind === "outage") return `${serviceName(what)} is down`; // since when and until when stands above all rows
  return what ? told.replace(what, () => placeName(what)) : told;
}

/** A text that begins a sentence. */
export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** Activities in words. */
export const ACTIVITIES = {
  GetPatientFromDB: "Looks the patient up",
  TaskTracker_Create: "Makes the task",
  DocEx_Search: "Starts the search",
  DocEx_CheckStatus: "Waits for the search",
  DocEx_DownloadAndExtract: "Fetches the archive",
  ConvertFile: "Converts documents",
  PutToStorage: "Stores documents",
  TaskTracker_UpdateStatus: "Updates the task",
  GenerateReport: "Writes the report",
  TaskTracker_AppendReport: "Reports on the task",
};

/** What a run does now, and waits for. */
export function doing(run) {
  if (!run.doing) return h("span", { class: "faint" }, forReader(run.error));
  const { activity, wait, progress, transfer } = run.doing;
  return h(
    "span",
    {},
    h("span", { title: activity }, ACTIVITIES[activity] ?? activity),
    wait &&
      h(
        "span",
        { class: "wait" },
        wait.kind === "poll" ? "" : ` · ${waitWords(wait)}`,
        wait.until && wait.kind !== "outage" && countdown(wait.until, ", next in"),
      ),
    transfer && h("span", { class: "wait" }, ` · ${transfer.sentence}`),
    progress !== null && h("progress", { max: 1, value: progress, "aria-label": "Progress of the search" }),
  );
}

const ORDER = ["converted", "stored", "failed", "refused", "duplicate", "ignored"];

/** Documents of a run by outcome. */
export function counted(run) {
  const parts = ORDER.filter((name) => run.documents[name]).map((name) =>
    h("span", { class: `count is-${name}` }, `${run.documents[name].toLocaleString()} ${outcomeWord(name)}`),
  );
  const done = ORDER.reduce((sum, name) => sum + run.documents[name], 0);
  if (run.files && done < run.files) parts.push(h("span", { class: "count faint" }, `of ${run.files.toLocaleString()}`));
  if (!parts.length) return [h("span", { class: "faint" }, "–")];
  return parts.flatMap((part) => [part, " "]); // where a line may end
}
