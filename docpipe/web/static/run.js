/** One run: what it does, its timeline, its documents. */
import { get, post } from "./api.js";
import { ask, notice } from "./dialogs.js";
import { Documents } from "./documents.js";
import { ACTIVITIES, badge, counted, doing, h, time } from "./dom.js";
import { asTable, timeline } from "./timeline.js";

const OPEN = ["queued", "running", "cancelling"];
const RETRIED = ["completed", "completed_with_errors", "failed"];

/** The view of a run. */
export class Run {
  constructor(id) {
    this.id = id;
    this.documents = new Documents();
  }

  get title() {
    return this.now ? `${this.now.patient_id} – run` : "Run";
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
    return h("section", {}, h("p", {}, h("a", { href: "#/" }, "← All runs")), this.head, story, documents);
  }

  /** Load anew. */
  async reset() {
    try {
      this.#show(await get(`/api/runs/${this.id}`));
      this.documents.update((await get(`/api/runs/${this.id}/documents`)).documents);
    } catch (problem) {
      if (!this.now)
        this.head.replaceChildren(
          h("h1", {}, "There is no such run"),
          h("p", { class: "bad" }, problem.message),
        );
    }
  }

  /** A run has changed: this one is loaded anew, at most every second. */
  run(run) {
    if (run.run_id !== this.id || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null; // what changes from now on, while it loads, is loaded after that
      this.reset();
    }, 300);
  }

  /** Nothing of it is shown here. */
  summary() {}

  #show(run) {
    this.now = run;
    document.title = `${this.title} – docpipe`;
    const focused = this.head.contains(document.activeElement) ? document.activeElement.id : null;
    this.head.replaceChildren(
      h("h1", {}, `Patient ${run.patient_id} `, badge(run.state)),
      h(
        "p",
        { class: "now", role: "status" },
        run.error ? h("span", { class: "bad" }, run.error) : doing(run),
      ),
      h(
        "dl",
        { class: "facts" },
        fact("Documents", h("span", { class: "counts" }, counted(run))),
        fact("Submitted", time(run.created_at)),
        fact("Began", time(run.started_at)),
        fact("Ended", time(run.finished_at)),
        fact("Task", run.task_id ?? "–"),
        fact("Run", h("code", {}, run.run_id)),
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

const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
