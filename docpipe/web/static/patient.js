/** A patient: who it is, all runs, and all documents of all runs. */
import { get, UNREACHABLE } from "./api.js";
import { saveButtons } from "./dialogs.js";
import { Documents } from "./documents.js";
import { TextSearch } from "./search.js";
import { badge, counted, entitle, fact, h, many, onlyHead, personLine, time, titleOf } from "./dom.js";

const FEW = 3;

/** The view of a patient; `id` is the patient's number, `chosen` the id of a document or null. */
export class Patient {
  constructor(id, chosen, query) {
    this.id = id;
    this.key = `patient ${id}`;
    this.documents = new Documents(`#/patient/${encodeURIComponent(id)}`);
    this.chosen = chosen;
    this.query = query;
    this.runs = new Set();
  }

  get title() {
    const current = this.documents.viewer.current;
    return current ? `${titleOf(current)} – patient ${this.id}` : `Patient ${this.id}`;
  }

  /** What the page shows. */
  element() {
    this.head = h("div", { class: "run-head" }, h("p", { class: "empty" }, "Loading…"));
    this.list = h("div");
    this.loaded = this.reset();
    return h(
      "section",
      {},
      h("p", { class: "back" }, h("a", { href: "#/" }, "← All runs")),
      this.head,
      h("section", { "aria-labelledby": "runs-title" }, h("h2", { id: "runs-title" }, "Retrievals"), this.list),
      h(
        "section",
        {},
        h(
          "details",
          { class: "texts" },
          h("summary", {}, "Search in the texts of this patient's documents"),
          new TextSearch(this.id).element,
        ),
      ),
      h(
        "section",
        { "aria-labelledby": "documents-title" },
        h("h2", { id: "documents-title" }, "Documents"),
        this.documents.element,
      ),
    );
  }

  /** Load anew. */
  async reset() {
    try {
      this.#show(await get(`/api/patients/${encodeURIComponent(this.id)}`));
    } catch (problem) {
      if (!this.now) this.#missing(problem);
    }
  }

  #missing({ status, message }) {
    const heading = { 0: UNREACHABLE, 404: "There is no such patient" }[status] ?? "This patient cannot be shown";
    const rest = message.startsWith(heading) ? message.slice(heading.length + 1).trim() : message;
    this.head.replaceChildren(h("h1", {}, heading), h("p", { class: "bad" }, rest));
    onlyHead(this.head, true);
  }

  #show(patient) {
    const first = !this.now;
    const focused = this.head.contains(document.activeElement) ? document.activeElement.id : null;
    this.now = patient;
    onlyHead(this.head, false);
    const { person } = patient;
    const news = patient.documents.filter((one) => one.new).length;
    const gone = patient.documents.filter((one) => one.gone).length;
    const missing =
      patient.problem ?? "The patients database does not have this patient any more; the documents are still here.";
    this.head.replaceChildren(
      h("h1", { dir: "auto" }, person ? `${person.given} ${person.family}` : `Patient ${patient.patient_id}`),
      person ? "" : h("p", { class: "bad" }, missing),
      h(
        "dl",
        { class: "facts" },
        person && fact("Born", person.birth_date),
        fact("Number", patient.patient_id),
        person && person.sex !== "unknown" && fact("Sex", person.sex),
        fact("Documents", patient.documents.length.toLocaleString()),
        news > 0 && fact("New since the last retrieval", String(news)),
        gone > 0 && fact("No longer at the exchange", String(gone)),
      ),
      patient.documents.some((one) => Object.keys(one.files).length)
        ? h("div", { class: "buttons" }, saveButtons(`/api/patients/${encodeURIComponent(patient.patient_id)}`))
        : "",
    );
    if (focused) this.head.querySelector(`#${focused}`)?.focus();
    this.runs = new Set(patient.runs.map((run) => run.run_id));
    this.#showRuns(patient.runs);
    this.documents.viewer.who = personLine(person, patient.patient_id);
    this.documents.update(patient.documents);
    if (first) this.show(this.chosen, this.query);
  }

  #showRuns(runs) {
    if (!runs.length) {
      this.list.replaceChildren(h("p", { class: "faint" }, "Nothing was retrieved yet."));
      return;
    }
    const older = runs.slice(FEW);
    const open = this.list.querySelector("details")?.open;
    const rest = older.length
      ? [h("details", { open }, h("summary", {}, `${many(older.length, "earlier retrieval")}`), table(older))]
      : [];
    this.list.replaceChildren(table(runs.slice(0, FEW)), ...rest);
  }

  /** Show another document of this patient, or none. */
  show(chosen, query = "") {
    this.chosen = chosen;
    this.query = query;
    this.documents.show(chosen, query);
    entitle(this.head, this.title);
  }

  /** A run has changed: if it is of this patient, all is loaded anew, at most every second. */
  run(run) {
    if (run.patient_id !== this.id || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.reset();
    }, 1000);
  }

  /** Nothing of it is on this page. */
  summary() {}
}

function table(runs) {
  const head = ["Submitted", "State", "Documents", "Ended"].map((name) => h("th", { scope: "col" }, name));
  const rows = runs.map((run) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: `#/run/${run.run_id}` }, time(run.created_at))),
      h("td", { "data-label": "State" }, badge(run.state)),
      h("td", { "data-label": "Documents", class: "counts" }, counted(run)),
      h("td", { "data-label": "Ended" }, time(run.finished_at)),
    ),
  );
  return h(
    "table",
    { class: "runs" },
    h("caption", { class: "unseen" }, "Retrievals"),
    h("thead", {}, h("tr", {}, head)),
    h("tbody", {}, rows),
  );
}
