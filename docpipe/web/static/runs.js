/** The list of runs: filters, search, a page at a time, kept up to date by events. */
import { get } from "./api.js";
import { badge, counted, doing, h, stateWord, time } from "./dom.js";

const FILTERS = [
  ["all", "All", []],
  ["open", "Under way", ["queued", "running", "cancelling"]],
  ["problems", "Problems", ["completed_with_errors", "failed"]],
  ["done", "Completed", ["completed"]],
  ["cancelled", "Cancelled", ["cancelled"]],
];
const PAGE = 50;

/** The view; `query` are the words after the question mark of the address. */
export class Runs {
  constructor(query) {
    this.query = new URLSearchParams(query);
    this.rows = new Map();
    this.asked = 0;
    this.told = null; // runs that change while an answer is awaited
  }

  get title() {
    return "Runs";
  }

  /** What the page shows. */
  element() {
    const search = h("input", {
      type: "search",
      id: "q",
      placeholder: "Patient or run id begins with…",
      "aria-label": "Search by the beginning of a patient's or run's id",
      value: this.query.get("q") ?? "",
      input: (event) => this.#later(() => this.#set("q", event.target.value.trim())),
    });
    this.filters = h("div", { class: "filters", role: "group", "aria-label": "Show" });
    this.body = h("tbody");
    this.found = h("p", { class: "faint", role: "status" });
    this.more = h(
      "button",
      { type: "button", hidden: true, click: () => this.#load(this.next) },
      `Show ${PAGE} more`,
    );
    this.order = h(
      "select",
      { "aria-label": "Order", change: (event) => this.#set("order", event.target.value) },
      h("option", { value: "newest" }, "newest first"),
      h("option", { value: "urgent", selected: this.query.get("order") === "urgent" }, "most urgent first"),
    );
    const head = ["Patient", "State", "Now", "Documents", "Submitted"].map((name) =>
      h("th", { scope: "col" }, name),
    );
    const table = h(
      "table",
      { class: "runs" },
      h("caption", { class: "unseen" }, "Runs"),
      h("thead", {}, h("tr", {}, head)),
      this.body,
    );
    this.#showFilters({});
    this.loaded = this.#load(null);
    return h(
      "section",
      { "aria-labelledby": "title" },
      h("h1", { id: "title", class: "unseen" }, "Runs"),
      h("div", { class: "bar" }, search, this.filters, this.order),
      this.found,
      table,
      this.more,
    );
  }

  #later(work) {
    clearTimeout(this.timer);
    this.timer = setTimeout(work, 250);
  }

  #set(name, value) {
    value ? this.query.set(name, value) : this.query.delete(name);
    const words = this.query.toString();
    history.replaceState(null, "", words ? `#/?${words}` : "#/");
    this.#showFilters(this.counts ?? {});
    this.#load(null);
  }

  get states() {
    return FILTERS.find(([name]) => name === (this.query.get("show") ?? "all"))?.[2] ?? [];
  }

  #showFilters(counts) {
    const chosen = this.query.get("show") ?? "all";
    const buttons = FILTERS.map(([name, label, states]) => {
      const total = Object.entries(counts).reduce(
        (sum, [state, count]) => sum + (!states.length || states.includes(state) ? count : 0),
        0,
      );
      const told = Object.keys(counts).length ? ` ${total.toLocaleString()}` : "";
      return h(
        "button",
        {
          type: "button",
          "data-show": name,
          "aria-pressed": String(name === chosen),
          click: () => this.#set("show", name === "all" ? "" : name),
        },
        label,
        h("span", { class: "number" }, told),
      );
    });
    const focused = this.filters.contains(document.activeElement)
      ? document.activeElement.dataset.show
      : null;
    this.filters.replaceChildren(...buttons);
    if (focused) this.filters.querySelector(`[data-show=${focused}]`)?.focus();
  }

  async #load(cursor) {
    const asked = (this.asked += 1);
    this.told = new Map();
    const words = new URLSearchParams({ limit: PAGE, order: this.query.get("order") ?? "newest" });
    for (const state of this.states) words.append("state", state);
    if (this.query.get("q")) words.set("q", this.query.get("q"));
    if (cursor) words.set("cursor", cursor);
    let page;
    try {
      page = await get(`/api/runs?${words}`);
    } catch (problem) {
      this.found.textContent = problem.message;
      if (asked === this.asked) this.told = null;
      return;
    }
    if (asked !== this.asked) return; // another question was asked meanwhile
    if (!cursor) this.#clear();
    for (const run of page.runs) this.#append(run);
    this.next = page.next;
    this.more.hidden = !page.next;
    this.#tell(page.total);
    const told = this.told.values();
    this.told = null;
    for (const run of told) this.run(run); // the answer may be from before that
  }

  #clear() {
    this.rows.clear();
    this.body.replaceChildren();
  }

  #tell(total) {
    const all = total >= 100000 ? "more than 100,000" : total.toLocaleString();
    if (!total && !this.query.toString())
      this.found.textContent = "No patient has been submitted yet. “Retrieve patients” begins.";
    else
      this.found.textContent = total
        ? `${this.rows.size.toLocaleString()} of ${all} runs`
        : "No run is like that.";
    this.total = total;
  }

  #append(run, first = false) {
    const row = this.#row(run);
    const before = this.rows.get(run.run_id);
    this.rows.set(run.run_id, row);
    if (before) {
      const focused = before.contains(document.activeElement);
      before.replaceWith(row);
      if (focused) row.querySelector("a")?.focus();
    } else if (first) this.body.prepend(row);
    else this.body.append(row);
  }

  #row(run) {
    const urgent = run.priority
      ? h("span", { class: "urgent", title: "priority" }, ` ↑${run.priority}`)
      : null;
    const again = run.retries ? h("span", { class: "faint" }, ` retry ${run.retries}`) : null;
    return h(
      "tr",
      { "data-run": run.run_id },
      h("th", { scope: "row" }, h("a", { href: `#/run/${run.run_id}` }, run.patient_id), urgent),
      h("td", { "data-label": "State" }, badge(run.state), again),
      h("td", { "data-label": "Now", class: run.doing || run.error ? null : "nothing" }, doing(run)),
      h("td", { "data-label": "Documents", class: "counts" }, counted(run)),
      h("td", { "data-label": "Submitted" }, time(run.created_at)),
    );
  }

  /** A run has changed. */
  run(run) {
    this.told?.set(run.run_id, run);
    const fits = !this.states.length || this.states.includes(run.state);
    if (this.rows.has(run.run_id))
      this.#append(run); // a row stays where it is, also when it fits no more
    else if (
      fits &&
      !this.query.get("q") &&
      (this.query.get("order") ?? "newest") === "newest" &&
      this.#isNewest(run)
    ) {
      this.#append(run, true);
      this.#tell((this.total ?? 0) + 1);
    }
  }

  #isNewest(run) {
    const first = this.body.firstElementChild?.dataset.run;
    return !first || run.run_id > first;
  }

  /** The counts have changed. */
  summary(summary) {
    this.counts = summary.counts;
    this.#showFilters(summary.counts);
  }

  /** Everything may have changed. */
  reset() {
    this.#load(null);
  }
}

/** What is said aloud of a summary. */
export function spoken(counts) {
  const open = ["queued", "running", "cancelling"].reduce((sum, state) => sum + counts[state], 0);
  const told = ["completed", "completed_with_errors", "failed"]
    .filter((state) => counts[state])
    .map((state) => `${counts[state]} ${stateWord(state)}`);
  return `${open} under way${told.length ? `, ${told.join(", ")}` : ""}`;
}
