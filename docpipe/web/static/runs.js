/** The list of runs: filters, search, a page at a time, kept up to date by events. */
import { get, post } from "./api.js";
import { ask, notice, saveButton } from "./dialogs.js";
import { badge, counted, doing, h, many, painted, personLine, prepareTimes, refill, shorten, stateWord, tame, time } from "./dom.js";

const FILTERS = [
  ["all", "All", []],
  ["open", "Under way", ["queued", "running", "cancelling"]],
  ["errors", "With errors", ["completed_with_errors"]],
  ["failed", "Failed", ["failed"]],
  ["done", "Completed", ["completed"]],
  ["cancelled", "Cancelled", ["cancelled"]],
];
const PAGE = 50;
const LONGEST_QUERY = 6000; // an address has room for some 8,000 characters
const OPEN = ["queued", "running", "cancelling"];
const RETRIED = ["completed", "completed_with_errors", "failed"];

/** The view; `query` are the words after the question mark of the address. */
export class Runs {
  constructor(query) {
    this.query = new URLSearchParams(query);
    this.rows = new Map();
    this.asked = 0;
    this.changed = null; // runs that change while an answer is awaited
    this.selected = new Map();
    this.people = new Map(); // who is listed, for as long as the list is there
  }

  get title() {
    return "Runs";
  }

  /** What the page shows. */
  element() {
    const search = h("input", {
      type: "search",
      id: "q",
      maxlength: 200, // as the service takes it
      placeholder: "Name or id begins with…",
      "aria-label": "Search by a patient's name, or by the beginning of a patient's or run's id",
      value: this.query.get("q") ?? "",
      input: (event) => this.#later(() => this.#set("q", event.target.value.trim())),
    });
    this.filters = h("div", { class: "filters", role: "group", "aria-label": "Show" });
    this.body = h("tbody");
    this.status = h("p", { class: "faint", role: "status" });
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
    const head = [h("span", { class: "unseen" }, "Selected"), "Patient", "State", "Now", "Documents", "Submitted"].map(
      (name) => h("th", { scope: "col" }, name),
    );
    this.namesakes = h("section", { class: "namesakes", "aria-label": "Patients of this name", hidden: true });
    this.bulk = h("div", { class: "bulk", role: "region", "aria-label": "Selected runs", hidden: true });
    this.table = h(
      "table",
      { class: "runs", hidden: true },
      h("caption", { class: "unseen" }, "Runs"),
      h("thead", {}, h("tr", {}, head)),
      this.body,
    );
    this.#showFilters({});
    this.loaded = this.#load(null);
    this.#searchNames();
    return h(
      "section",
      { "aria-labelledby": "title" },
      h("h1", { id: "title", class: "unseen" }, "Runs"),
      h("div", { class: "bar" }, search, this.filters, this.order),
      this.namesakes,
      this.status,
      this.bulk,
      this.table,
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
    if (name === "q") this.#searchNames();
  }

  /** People whose name begins with what is searched, as the database has them now; there may be none. */
  async #searchNames() {
    const name = this.query.get("q") ?? "";
    const asked = (this.askedNames = (this.askedNames ?? 0) + 1);
    let answer = null;
    if (name.length >= 2 && name.length <= 100 && /\p{L}/u.test(name))
      answer = await get(`/api/people/search?${new URLSearchParams({ name })}`).catch(() => null); // ids are searched all the same
    if (asked !== this.askedNames) return;
    const people = answer?.people ?? [];
    this.namesakes.hidden = !people.length;
    refill(
      this.namesakes,
      h("h2", {}, `Patients whose name begins with “${shorten(tame(name), 50)}”`),
      h(
        "ul",
        {},
        people.map(({ patient_id: id, person }) =>
          h("li", {}, h("a", { href: `#/patient/${encodeURIComponent(id)}`, dir: "auto" }, personLine(person, id))),
        ),
      ),
      answer?.more && h("p", { class: "faint" }, "There are more. Type more of the name."),
    );
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
      const number = Object.keys(counts).length ? ` ${total.toLocaleString()}` : "";
      return h(
        "button",
        {
          type: "button",
          "data-show": name,
          "aria-pressed": String(name === chosen),
          click: () => this.#set("show", name === "all" ? "" : name),
        },
        label,
        h("span", { class: "number" }, number),
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
    this.changed = new Map();
    const words = new URLSearchParams({ limit: PAGE, order: this.query.get("order") ?? "newest" });
    for (const state of this.states) words.append("state", state);
    if (this.query.get("q")) words.set("q", this.query.get("q"));
    if (cursor) words.set("cursor", cursor);
    let page;
    try {
      const answer = get(`/api/runs?${words}`);
      prepareTimes();
      page = await answer;
    } catch (problem) {
      this.status.textContent = problem.message;
      if (asked === this.asked) this.changed = null;
      return;
    }
    if (asked !== this.asked) return; // another question was asked meanwhile
    const drawn = JSON.stringify(page.runs);
    if (cursor || drawn !== this.drawn) {
      if (!cursor) this.#clear();
      for (const run of page.runs) this.#append(run);
    }
    this.drawn = cursor ? null : drawn;
    this.next = page.next;
    this.more.hidden = !page.next;
    this.#showTotal(page.total, page.more);
    const changed = this.changed.values();
    this.changed = null;
    for (const run of changed) this.run(run); // the answer may be from before that
    painted().then(() => this.#introduce(page.runs.map((run) => run.patient_id)));
  }

  /** Who some patients are, as the database has them now. */
  async #introduce(ids) {
    const words = new URLSearchParams([...new Set(ids)].map((id) => ["id", id]));
    if (!ids.length || words.toString().length > LONGEST_QUERY) return;
    const answer = await get(`/api/people?${words}`).catch(() => null); // the numbers are there all the same
    for (const { patient_id: id, person } of answer?.people ?? []) this.people.set(id, person);
    for (const cell of this.body.querySelectorAll(".who"))
      if (this.people.has(cell.dataset.patient)) cell.replaceWith(this.#who(cell.dataset.patient));
  }

  #clear() {
    this.rows.clear();
    this.body.replaceChildren();
  }

  #showTotal(total, more) {
    const all = `${more ? "more than " : ""}${total.toLocaleString()}`;
    if (!total && !this.query.toString())
      this.status.textContent = "No patient has been submitted yet. “Retrieve patients” begins.";
    else
      this.status.textContent = total
        ? `${this.rows.size.toLocaleString()} of ${all} runs`
        : "No run fits. Clear the search, or choose “All”.";
    this.total = total;
    this.uncounted = more;
    this.table.hidden = !this.rows.size;
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

  #checkbox(run) {
    if (this.selected.has(run.run_id)) this.#select(run, true);
    return h("input", {
      type: "checkbox",
      "aria-label": `Select the run of patient ${run.patient_id}`,
      checked: this.selected.has(run.run_id),
      change: (event) => this.#select(run, event.target.checked),
    });
  }

  #select(run, chosen) {
    if (chosen) this.selected.set(run.run_id, run);
    else this.selected.delete(run.run_id);
    this.#showBulk();
  }

  /** What can be done with the selected runs. */
  #showBulk() {
    const runs = [...this.selected.values()];
    const open = runs.filter((run) => OPEN.includes(run.state) && run.state !== "cancelling");
    const ended = runs.filter((run) => RETRIED.includes(run.state));
    const focused = this.bulk.contains(document.activeElement) ? document.activeElement.id : null;
    this.bulk.hidden = !runs.length;
    refill(
      this.bulk,
      h("span", {}, `${many(runs.length, "run")} selected`),
      open.length > 0 &&
        h("button", { type: "button", id: "bulk-cancel", click: () => this.#cancelAll(open) }, `Cancel ${open.length.toLocaleString()}`),
      ended.length > 0 &&
        h("button", { type: "button", id: "bulk-retry", click: () => this.#retryAll(ended) }, `Do ${ended.length.toLocaleString()} again`),
      ended.length > 0 && saveButton("bulk-save", `Save the documents of ${ended.length.toLocaleString()} (ZIP)`, addressOf(ended), "Your browser saves the documents as they come."),
      h("button", { type: "button", class: "quiet", id: "bulk-clear", click: () => this.#unselect() }, "Clear the selection"),
    );
    if (focused) this.bulk.querySelector(`#${focused}`)?.focus();
  }

  #unselect() {
    this.selected.clear();
    for (const box of this.body.querySelectorAll("input[type=checkbox]")) box.checked = false;
    this.#showBulk();
  }

  async #cancelAll(runs) {
    const sure = await ask({
      title: `Cancel ${many(runs.length, "run")}?`,
      text: "Nothing more is retrieved for these patients, and their tasks are closed as cancelled. Documents that are stored already stay. It cannot be undone.",
      yes: runs.length === 1 ? "Cancel it" : "Cancel them",
    });
    if (sure) await this.#changeAll(runs, "cancel", "cancelled");
  }

  async #retryAll(runs) {
    const sure = await ask({
      title: `Do ${many(runs.length, "run")} again?`,
      text: "What failed is done again; of runs in which nothing failed, all is. Readable documents are not converted again, and each task gets another report.",
      yes: runs.length === 1 ? "Do it again" : "Do them again",
    });
    if (sure) await this.#changeAll(runs, "retry", "queued again");
  }

  /** One after the other, so that one that is refused does not hold up the rest. */
  async #changeAll(runs, what, done) {
    const refused = [];
    for (const run of runs) {
      const first = what === "retry" && run.state === "completed" ? { from: "GetPatientFromDB" } : { from: null };
      try {
        await post(`/api/runs/${run.run_id}/${what}`, what === "retry" ? first : undefined);
      } catch (problem) {
        refused.push(`${run.patient_id}: ${problem.message}`);
      }
    }
    if (refused.length < runs.length) notice(`${many(runs.length - refused.length, "run")} ${done}.`, "good");
    if (refused.length) notice(refused.slice(0, 5).join(" "));
    this.#unselect();
    this.reset();
  }

  #who(id) {
    const person = this.people.get(id);
    const name = person ? [`${person.given} ${person.family}, `, h("span", {}, `born ${person.birth_date}`)] : [];
    return h("span", { class: "who", "data-patient": id }, name);
  }

  #row(run) {
    const urgent = run.priority
      ? h("span", { class: "urgent", title: "priority" }, ` ${run.priority > 0 ? "↑" : "↓"}${Math.abs(run.priority)}`)
      : null;
    const again = run.retries ? h("span", { class: "faint again" }, ` retry ${run.retries}`) : null;
    return h(
      "tr",
      { "data-run": run.run_id },
      h("td", { class: "select" }, this.#checkbox(run)),
      h("th", { scope: "row" }, h("a", { href: `#/run/${run.run_id}` }, run.patient_id), urgent, this.#who(run.patient_id)),
      h("td", { "data-label": "State" }, badge(run.state), again),
      h("td", { "data-label": "Now", class: run.doing || run.error ? null : "nothing" }, doing(run)),
      h("td", { "data-label": "Documents", class: run.files ? "counts" : "counts nothing" }, counted(run)),
      h("td", { "data-label": "Submitted" }, time(run.created_at)),
    );
  }

  /** A run has changed. */
  run(run) {
    this.drawn = null; // the rows are newer than the last answer
    this.changed?.set(run.run_id, run);
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
      this.#showTotal((this.total ?? 0) + (this.uncounted ? 0 : 1), this.uncounted);
      if (!this.people.has(run.patient_id)) this.#introduceLater(run.patient_id);
    }
  }

  /** Several that begin together are asked for together. */
  #introduceLater(id) {
    this.strangers ??= new Set();
    this.strangers.add(id);
    this.asking ??= setTimeout(() => {
      const ids = [...this.strangers].slice(0, PAGE);
      this.asking = this.strangers = null;
      if (this.body.isConnected) this.#introduce(ids);
    }, 300);
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

/** Where the documents of some runs are as one ZIP. */
const addressOf = (runs) => `/api/documents.zip?${new URLSearchParams(runs.map((run) => ["run", run.run_id]))}`;

/** A summary in words, for screen readers. */
export function spoken(counts) {
  const open = ["queued", "running", "cancelling"].reduce((sum, state) => sum + counts[state], 0);
  const ended = ["completed", "completed_with_errors", "failed"]
    .filter((state) => counts[state])
    .map((state) => `${counts[state]} ${stateWord(state)}`);
  return `${open} under way${ended.length ? `, ${ended.join(", ")}` : ""}`;
}
