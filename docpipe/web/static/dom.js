/** Small things that every view needs: elements, times, numbers, words. */

const SVG = "http://www.w3.org/2000/svg";

/** Fill an element: attributes (functions become listeners), then children; texts are never read as HTML. */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** An HTML element. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** A time in the reader's own way, the day too unless it is today; UTC in its title. */
export function time(iso) {
  if (!iso) return h("span", { class: "faint" }, "–");
  const when = new Date(iso);
  const today = DAY.format(when) === DAY.format(new Date());
  const told = today ? CLOCK.format(when) : `${DAY.format(when)} ${CLOCK.format(when)}`;
  return h("time", { datetime: iso, title: `${iso.slice(0, 19).replace("T", " ")} UTC` }, told);
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
export const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

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
  converted: ["✓", "converted"],
  stored: ["▫", "stored as it is"],
  duplicate: ["=", "duplicate"],
  ignored: ["–", "ignored"],
  refused: ["⚠", "refused"],
};

/** A state as a badge: sign, word and colour say the same. */
export function badge(state) {
  const [sign, word] = STATES[state] ?? ["·", String(state ?? "to come").replaceAll("_", " ")];
  return h(
    "span",
    { class: `badge is-${state ?? "none"}` },
    h("span", { "aria-hidden": "true" }, `${sign} `),
    word,
  );
}

/** What a state is called. */
export const stateWord = (state) => (STATES[state] ?? ["", state.replaceAll("_", " ")])[1];

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
  if (!run.doing) return h("span", { class: "faint" }, run.error ?? "");
  const { activity, wait, progress } = run.doing;
  return h(
    "span",
    {},
    h("span", { title: activity }, ACTIVITIES[activity] ?? activity),
    wait &&
      h(
        "span",
        { class: "wait" },
        wait.kind === "poll" ? "" : ` · ${wait.told}`,
        wait.until && countdown(wait.until, ", next in"),
      ),
    progress !== null && h("progress", { max: 1, value: progress, "aria-label": "Progress of the search" }),
  );
}

const ORDER = ["converted", "stored", "failed", "refused", "duplicate", "ignored"];

/** Documents of a run by outcome. */
export function counted(run) {
  const told = ORDER.filter((name) => run.documents[name]).map((name) =>
    h(
      "span",
      { class: `count is-${name}`, title: stateWord(name) },
      `${run.documents[name]} ${stateWord(name)}`,
    ),
  );
  const done = ORDER.reduce((sum, name) => sum + run.documents[name], 0);
  if (run.files && done < run.files) told.push(h("span", { class: "count faint" }, `of ${run.files}`));
  return told.length ? told : [h("span", { class: "faint" }, "–")];
}
