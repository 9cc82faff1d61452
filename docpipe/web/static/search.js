/** Search in the texts of documents: of one patient, or of all. */
import { get } from "./api.js";
import { h, many, personLine, refill, shorten, tame } from "./dom.js";

const MOST = 20;

/** A search field with its hits; `patient` is the number of a patient, or null for all. */
export class TextSearch {
  constructor(patient = null, words = "", changed = () => {}) {
    this.patient = patient;
    this.changed = changed;
    this.asked = 0;
    this.status = h("p", { class: "faint", role: "status" });
    this.hits = h("ol", { class: "hits" });
    this.more = h("button", { type: "button", hidden: true, click: () => this.#load(this.count) }, "Show more");
    this.input = h("input", {
      type: "search",
      maxlength: 500, // as the service takes it
      "aria-label": "Search in the texts of documents",
      placeholder: 'Words, "a phrase", begin*',
      value: words,
    });
    const send = (event) => {
      event.preventDefault();
      this.changed(this.input.value.trim());
      this.#load(0);
    };
    this.element = h(
      "div",
      {},
      h("form", { class: "bar", role: "search", submit: send }, this.input, h("button", { type: "submit" }, "Search")),
      this.status,
      this.hits,
      this.more,
    );
    if (words) this.loaded = this.#load(0);
  }

  async #load(offset) {
    const words = this.input.value.trim();
    const asked = (this.asked += 1);
    if (!offset) {
      this.hits.replaceChildren();
      this.more.hidden = true;
    }
    if (!words) {
      this.status.textContent = "Type what to search for.";
      return;
    }
    const query = new URLSearchParams({ q: words, limit: MOST, offset });
    if (this.patient !== null) query.set("patient", this.patient);
    try {
      const answer = await get(`/api/search?${query}`);
      if (asked === this.asked) this.#show(answer, offset);
    } catch (problem) {
      if (asked === this.asked) this.status.textContent = problem.message;
    }
  }

  #show(answer, offset) {
    this.count = offset + answer.hits.length;
    this.hits.append(...answer.hits.map((hit) => this.#hit(hit)));
    if (this.patient === null) this.#introduce(answer.hits.map((hit) => hit.patient_id));
    this.more.hidden = !answer.hits.length || this.count >= answer.total;
    const total = `${answer.more ? "more than " : ""}${many(answer.total, "document")}`;
    const older = answer.complete ? "" : " Documents of earlier times may be missing.";
    this.status.textContent = (answer.total ? `${total} with these words.` : "No document has all these words.") + older;
  }

  /** Who the patients of hits are, as the database has them now; without it the numbers are there all the same. */
  async #introduce(patients) {
    const ids = [...new Set(patients)].filter((id) => id.length <= 200);
    if (!ids.length) return;
    const answer = await get(`/api/people?${new URLSearchParams(ids.map((id) => ["id", id]))}`).catch(() => null);
    for (const { patient_id: id, person } of answer?.people ?? [])
      for (const place of person ? this.hits.querySelectorAll(".who") : [])
        if (place.dataset.patient === id) place.textContent = personLine(person, id);
  }

  #hit(hit) {
    const words = new URLSearchParams({ q: this.input.value.trim() }); // marked there
    const address = `#/patient/${encodeURIComponent(hit.patient_id)}/document/${hit.document_id}?${words}`;
    const facts = [hit.date?.slice(0, 10), hit.author].filter(Boolean).map((fact) => tame(fact));
    const who = h("span", { class: "who", "data-patient": hit.patient_id }, `Patient ${hit.patient_id}`);
    return h(
      "li",
      {},
      h("a", { href: address, dir: "auto" }, shorten(tame(hit.title || hit.name))),
      h("span", { class: "faint" }, " ", this.patient === null && who, this.patient === null && facts.length > 0 && " · ", facts.join(" · ")),
      hit.lines.map((line) => refill(h("p", { class: "hit-line", dir: "auto" }), marked(line))),
    );
  }
}

/** A line with its matches marked, which are counted in code points; signs of Markdown are left out. */
function marked({ text, marks }) {
  const points = Array.from(text);
  const parts = [];
  let at = 0;
  for (const [start, end] of marks) {
    parts.push(plain(points.slice(at, start).join(""), at === 0), h("mark", {}, points.slice(start, end).join("")));
    at = end;
  }
  return [...parts, plain(points.slice(at).join(""), at === 0).replace(/[ ·]+$/, "")];
}

/** A piece of Markdown as it reads: cells of a table are parted by dots. */
function plain(words, first) {
  const dotted = words.replace(/\*\*|`/g, "").replace(/\s*(?<!\\)\|(?:\s*\|)*\s*/g, " · ");
  return first ? dotted.replace(/^[ ·]+|^#+ |^> /, "") : dotted;
}

/** The view over all patients; `query` are the words after the question mark of the address. */
export class Search {
  constructor(query) {
    this.query = new URLSearchParams(query);
  }

  get title() {
    return "Search";
  }

  /** What the page shows. */
  element() {
    const keep = (words) => history.replaceState(null, "", `#/search?${new URLSearchParams({ q: words })}`);
    const search = new TextSearch(null, this.query.get("q") ?? "", keep);
    this.loaded = search.loaded;
    this.field = search.input; // where people begin to type
    return h("section", {}, h("h1", {}, "Search in documents"), search.element);
  }

  /** Nothing of these is on this page. */
  run() {}
  summary() {}
  reset() {}
}
