/** One run: what it does, its timeline, its documents. */
import { get, post, UNREACHABLE } from "./api.js";
import { ask, notice, saveButtons } from "./dialogs.js";
import { Documents } from "./documents.js";
import { ACTIVITIES, badge, counted, doing, entitle, fact, forReader, h, onlyHead, personLine, time, titleOf } from "./dom.js";
import { asTable, timeline } from "./timeline.js";

const OPEN = ["queued", "running", "cancelling"];
const RETRIED = ["completed", "completed_with_errors", "failed"];

/** A link to the page of another program. */
const link = (href, text) => h("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);

/** The task of a run, as a link to the tracker's own page where that is known. */
const taskOf = ({ task_id: id, task_url: href }) => (href ? link(href, id) : (id ?? "–"));

/** The view of a run. */
export class Run {
  constructor(id, chosen, query) {
    this.id = id;
    this.key = `run ${id}`;
    this.documents = new Documents(`#/run/${id}`);
    this.chosen = chosen;
    this.query = query;
  }

  get title() {
    const current = this.documents.viewer.current;
    const run = this.now ? `${this.now.patient_id} – run` : "Run";
    return current ? `${titleOf(current)} – ${run}` : run;
  }

  /** What the page shows. */
  element() {
    this.head = h("div", { class: "run-head" }, h("p", { class: "empty" }, "Loading…"));
    this.line = h("div");
    const documents = h(
      "section",
      { "aria-labelledby": "documents-title" },
      h("h2", { id: "documents-title" }, "Documents"),
      this.documents.element,
    );
    const story = h(
      "section",
      { "aria-labelledby": "timeline-title" },
      h("h2", { id: "timeline-title" }, "Timeline"),
      this.line,
    );
    this.loaded = this.reset();
    return h("section", {}, h("p", { class: "back" }, h("a", { href: "#/" }, "← All runs")), this.head, story, documents);
  }

  /** Load anew. */
  async reset() {
    try {
      this.#show(await get(`/api/runs/${this.id}`));
      this.documents.update((await get(`/api/runs/${this.id}/documents`)).documents);
      if (this.chosen && !this.documents.viewer.current) this.show(this.chosen, this.query);
      await this.#introduce();
    } catch (problem) {
      if (!this.now) this.#missing(problem);
    }
  }

  /** Who the patient is, so that the reader can tell whether it is the right one. */
  async #introduce() {
    if (this.person !== undefined) return;
    try {
      this.person = (await get(`/api/patients/${encodeURIComponent(this.now.patient_id)}/person`)).person;
    } catch {
      return; // the number is there all the same
    }
    this.documents.viewer.who = personLine(this.person, this.now.patient_id);
    this.#show(this.now);
  }

  /** Show another document of this run, or none. */
  show(chosen, query = "") {
    this.chosen = chosen;
    this.query = query;
    this.documents.show(chosen, query);
    entitle(this.head, this.title);
  }

  /** Only the service can tell that there is no such run. */
  #missing({ status, message }) {
    const heading = { 0: UNREACHABLE, 404: "There is no such run" }[status] ?? "This run cannot be shown";
    const rest = message.startsWith(heading) ? message.slice(heading.length + 1).trim() : message;
    this.head.replaceChildren(h("h1", {}, heading), h("p", { class: "bad" }, rest));
    onlyHead(this.head, true);
  }

  /** A run has changed: this one is loaded anew, at most every second. */
  run(run) {
    if (run.run_id !== this.id || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null; // what changes from now on, while it loads, is loaded after that
      this.reset();
    }, 300);
  }

  /** Nothing of it is on this page. */
  summary() {}

  #show(run) {
    this.now = run;
    onlyHead(this.head, false);
    entitle(this.head, this.title);
    const focused = this.head.contains(document.activeElement) ? document.activeElement.id : null;
    this.head.replaceChildren(
      h("h1", {}, `Patient ${run.patient_id} `, badge(run.state)),
      h(
        "p",
        { class: "now", role: "status" },
        run.error ? h("span", { class: "bad" }, forReader(run.error)) : doing(run),
      ),
      h(
        "p",
        {},
        this.person && h("span", { dir: "auto" }, `${personLine(this.person, run.patient_id)} · `),
        h("a", { href: `#/patient/${encodeURIComponent(run.patient_id)}` }, "All retrievals and documents of this patient"),
      ),
      h(
        "dl",
        { class: "facts" },
        fact("Documents", h("span", { class: "counts" }, counted(run))),
        fact("Submitted", time(run.created_at)),
        fact("Began", time(run.started_at)),
        fact("Ended", time(run.finished_at)),
        fact("Task", taskOf(run)),
        fact("Run", h("code", {}, run.run_id)),
        run.temporal_url && fact("Course", link(run.temporal_url, "in Temporal")),
      ),
      h("div", { class: "buttons" }, this.#buttons(run)),
    );
    if (focused) this.head.querySelector(`#${focused}`)?.focus();
    const open = this.line.querySelector("details")?.open;
    const table = asTable(run);
    if (open) table.open = true;
    this.line.replaceChildren(timeline(run), table);
  }

  #buttons(run) {
    const buttons = [];
    if (OPEN.includes(run.state) && run.state !== "cancelling")
      buttons.push(
        h("button", { type: "button", id: "cancel", click: () => this.#cancel() }, "Cancel this run"),
      );
    if (RETRIED.includes(run.state)) {
      buttons.push(h("button", { type: "button", id: "retry", click: () => this.#retry() }, "Do it again"));
      buttons.push(
        h(
          "a",
          {
            class: "button",
            href: `/api/runs/${run.run_id}/files/report.html`,
            target: "_blank",
            rel: "noopener",
          },
          "Report",
        ),
        ...saveButtons(`/api/runs/${run.run_id}`),
      );
    }
    return buttons;
  }

  async #cancel() {
    const sure = await ask({
      title: `Cancel the run of patient ${this.now.patient_id}?`,
      text: "Nothing more is retrieved, and the task is closed as cancelled. Documents that are stored already stay. It cannot be taken back.",
      yes: "Cancel the run",
    });
    if (sure) await this.#change("cancel");
  }

  async #retry() {
    const first = h(
      "select",
      { id: "first" },
      h("option", { value: "" }, "what failed, or all"),
      Object.entries(ACTIVITIES).map(([name, words]) => h("option", { value: name }, `${words} (${name})`)),
    );
    const sure = await ask({
      title: `Do the run of patient ${this.now.patient_id} again?`,
      text: "Readable documents are not converted again, and no second task is made; the task gets another report.",
      yes: "Do it again",
      more: [h("label", { for: "first" }, "From"), first],
    });
    if (sure) await this.#change("retry", { from: first.value || null });
  }

  async #change(what, value) {
    try {
      await post(`/api/runs/${this.id}/${what}`, value);
    } catch (problem) {
      notice(problem.message);
    }
    await this.reset();
  }
}
