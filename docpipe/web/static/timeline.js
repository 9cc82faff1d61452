/** The timeline of a run: activities as bars, questions as ticks, waits shaded by what was waited for. */
import { ACTIVITIES, h, many, s, span } from "./dom.js";

const WIDTH = 1000;
const LEFT = 190;
const ROW = 24;

/** The drawing with its legend; `run` has activities and waits. */
export function timeline(run) {
  const steps = run.activities.filter((step) => step.started_at);
  if (!steps.length) return h("p", { class: "faint" }, "Nothing has begun yet.");
  const begin = Math.min(...steps.map((step) => Date.parse(step.started_at)));
  const end = Math.max(begin + 1000, run.finished_at ? Date.parse(run.finished_at) : Date.now());
  const x = (when) =>
    LEFT + ((Math.min(end, Math.max(begin, when)) - begin) / (end - begin)) * (WIDTH - LEFT - 8);
  const names = Object.keys(ACTIVITIES).filter((name) => steps.some((step) => step.activity === name));
  const height = names.length * ROW + 26;
  const rows = names.map((name, number) => row(name, number * ROW, { run, steps, x, end }));
  const summary = `From ${new Date(begin).toLocaleTimeString()} on, ${span((end - begin) / 1000)} in all. The table below says the same.`;
  const drawing = s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, class: "timeline", role: "img", "aria-label": summary },
    axis(begin, end, x, height),
    rows,
  );
  const kinds = new Map(run.waits.map((wait) => [wait.kind, wait.noun]));
  const legend = [...kinds].map(([kind, noun]) =>
    h(
      "li",
      {},
      s(
        "svg",
        { viewBox: "0 0 12 12", class: "swatch", "aria-hidden": "true" },
        s("rect", { width: 12, height: 12, class: `wait-${kind}` }),
      ),
      ` waited for ${noun}`,
    ),
  );
  return h(
    "figure",
    {},
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Timeline" }, drawing),
    legend.length ? h("ul", { class: "legend" }, legend) : null,
  );
}

function axis(begin, end, x, height) {
  const wanted = (end - begin) / 6000;
  const step =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400].find(
      (size) => size >= wanted,
    ) ?? 604800;
  const marks = [];
  for (let after = 0; begin + after * 1000 <= end; after += step) {
    const at = x(begin + after * 1000);
    marks.push(
      s("line", { x1: at, x2: at, y1: 0, y2: height - 18, class: "grid" }),
      s(
        "text",
        { x: at, y: height - 4, class: "mark", "text-anchor": after ? "middle" : "start" },
        after ? span(after) : "0",
      ),
    );
  }
  return marks;
}

function row(name, top, { run, steps, x, end }) {
  const mine = steps.filter((step) => step.activity === name);
  const bars = mine.map((step) => {
    const from = x(Date.parse(step.started_at));
    const to = x(ended(step, run) ?? end);
    const kind = step.outcome === "failed" ? "failed" : step.finished_at ? "ok" : "open";
    return s(
      "rect",
      {
        x: from,
        y: top + 5,
        width: Math.max(2, to - from),
        height: ROW - 10,
        rx: 2,
        class: `act act-${kind}`,
      },
      s("title", {}, `${ACTIVITIES[name]}: ${inWords(step, run)}`),
    );
  });
  // Waits are noted once a second: one that is over is noticed late, when its activity may be over, too.
  const over = Math.max(...mine.map((step) => (step.finished_at ? Date.parse(step.finished_at) : end)));
  const waits = run.waits
    .filter((wait) => wait.activity === name)
    .map((wait) => {
      const from = x(Date.parse(wait.since));
      const to = x(Math.min(over, wait.until ? Date.parse(wait.until) : end));
      return s(
        "rect",
        { x: from, y: top + 5, width: Math.max(1, to - from), height: ROW - 10, class: `wait-${wait.kind}` },
        s("title", {}, `waited for ${wait.noun} ${wait.what}`),
      );
    });
  const sent = steps.find((step) => step.activity === "DocEx_Search");
  const ticks = mine.flatMap((step) =>
    step.asked.map((after) => {
      const at = x(Date.parse(sent?.finished_at ?? step.started_at) + after * 1000);
      return s("line", { x1: at, x2: at, y1: top + 2, y2: top + ROW - 2, class: "tick" });
    }),
  );
  return s("g", {}, s("text", { x: 0, y: top + 16, class: "name" }, ACTIVITIES[name]), bars, waits, ticks);
}

/** What an activity is called that has not ended: of a run that is over, such as a cancelled one, none is under way. */
const unended = (run) => (run.finished_at ? "not finished" : "under way");

/** When an activity ended, in milliseconds; null while it is under way; unknown where it was stopped. */
const ended = (step, run) => {
  const known = step.finished_at ?? (run.finished_at ? step.started_at : null);
  return known && Date.parse(known);
};

const inWords = (step, run) => {
  const took = step.finished_at
    ? span((Date.parse(step.finished_at) - Date.parse(step.started_at)) / 1000)
    : unended(run);
  return `${took}${step.attempts > 1 ? `, try ${step.attempts}` : ""}${step.error ? `, ${step.error}` : ""}`;
};

/** The same as a table. */
export function asTable(run) {
  const head = ["Activity", "Document", "Tries", "Took, waits included", "Outcome"].map((name) =>
    h("th", { scope: "col" }, name),
  );
  const rows = run.activities.map((step) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, step.activity),
      h("td", {}, step.about.path ?? step.item),
      h("td", {}, String(step.attempts)),
      h("td", {}, inWords(step, run).split(",")[0]),
      h("td", {}, step.error ?? step.outcome ?? unended(run), step.polls ? ` (${many(step.polls, "question")})` : ""),
    ),
  );
  return h(
    "details",
    {},
    h("summary", {}, `All ${run.activities.length.toLocaleString()} activities`),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": "Activities" },
      h("table", { class: "steps" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
    ),
  );
}
