/** One document: what it is, what to look at, its text beside its PDF. */
import { text } from "./api.js";
import { badge, bytes, dateOf, documentBadge, h, many, refill, shorten, tame, titleOf } from "./dom.js";
import { rendered } from "./markdown.js";
import { mark, unmark } from "./marks.js";

const MOST = 300000;

/** What became of a document for a reader: a scan that nobody could read is not "readable". */
export function stateOf(one) {
  if (one.outcome !== "converted" || one.attention !== "not_read") return one.outcome;
  return one.words > 0 ? "partly_read" : "not_read";
}

/** The place beside the list. */
export class Viewer {
  constructor() {
    this.element = h("div", {
      class: "viewer",
      id: "viewer",
      tabindex: "-1",
      "aria-label": "Document",
      role: "region",
    });
    this.who = ""; // the patient, for paper
    this.clear();
  }

  /** Show that nothing is chosen. */
  clear() {
    this.current = null;
    this.element.replaceChildren(h("p", { class: "empty unchosen" }, "Choose a document."));
  }

  /** Show that the address leads nowhere. */
  missing() {
    this.current = null;
    this.element.replaceChildren(
      h("p", { class: "empty" }, "This document is not among those of this list. Choose another."),
    );
  }

  /** Show a document; `previous` and `next` are the addresses of its neighbours, `query` is marked in its text. */
  async show(one, previous, next, query = "") {
    this.current = one;
    this.steps = h("nav", { class: "steps-nav", "aria-label": "Neighbouring documents" });
    this.neighbours(previous, next);
    const words = one.files["text.md"] && pane();
    this.finder = words && new Finder(words, query);
    this.paper = one.files["document.pdf"] && this.#pdf(one, 1);
    const panes = h("div", { class: "panes" }, words, this.paper);
    const about = [dateOf(one), tame(one.kind ?? ""), one.author && tame(one.author), one.custodian && tame(one.custodian)];
    refill(
      this.element,
      h("p", { class: "on-paper" }, this.who),
      this.steps,
      h("h3", { dir: "auto" }, titleOf(one)),
      h("p", { class: "badges" }, documentBadge(stateOf(one)), one.new && badge("new"), one.gone && badge("gone")),
      h("p", { class: "about-document", dir: "auto" }, about.filter(Boolean).map((fact) => shorten(fact)).join(" · ")),
      h(
        "p",
        { class: "faint path", dir: "auto" },
        shorten(tame(one.path)),
        one.format && ` · ${one.format}`,
        one.words > 0 && ` · ${many(one.words, "word")}`,
      ),
      findings(one),
      h("div", { class: "links" }, links(one), words && printButton(), pageField(one, (page) => this.#turn(panes, one, page))),
      words && this.finder.element,
      panes,
    );
    this.element.focus({ preventScroll: true }); // which would leave the title of a long document under the head
    this.element.scrollIntoView({ block: "start" });
    if (!words) return;
    await fillWords(one, words);
    this.finder.filled();
  }

  /** Mark other words in the text, and go to the first of them. */
  find(query) {
    this.finder?.find(query);
  }

  /** Go on by so many matches. */
  step(by) {
    this.finder?.step(by);
  }

  /** Take over new neighbours, when the list was filtered or sorted. */
  neighbours(previous, next) {
    if (!this.current || !this.steps) return;
    this.steps.replaceChildren(
      step(previous, "← Previous", "p", "prev"),
      step(next, "Next →", "n", "next"),
    );
  }

  #pdf(one, page) {
    const address = one.files["document.pdf"] + (page > 1 ? `#page=${page}` : "");
    return h("iframe", { src: address, title: `PDF of ${titleOf(one)}`, class: "paper" });
  }

  #turn(panes, one, page) {
    const paper = this.#pdf(one, page); // a new frame: viewers ignore a change of the page in the address
    this.paper.replaceWith(paper);
    this.paper = paper;
  }
}

/** Words within the displayed text: a field, how many matches there are, and the way from one to the next. */
class Finder {
  constructor(words, query) {
    this.words = words;
    this.matches = [];
    this.at = 0;
    this.input = h("input", {
      type: "search",
      value: query,
      "aria-label": "Find in this text",
      placeholder: "Find in this text…",
      input: () => this.find(this.input.value),
    });
    this.status = h("span", { class: "faint", role: "status" });
    this.buttons = [
      ["Previous match", "↑", "M", -1],
      ["Next match", "↓", "m", 1],
    ].map(([label, sign, key, by]) =>
      h(
        "button",
        { type: "button", class: "quiet", "aria-label": label, title: `${label} (key ${key})`, click: () => this.step(by) },
        sign,
      ),
    );
    const send = (event) => {
      event.preventDefault();
      this.step(1);
    };
    this.element = h("form", { class: "finder", role: "search", submit: send }, this.input, this.buttons, this.status);
    this.#tell();
  }

  /** The text is there: what is asked for is marked. */
  filled() {
    this.isFilled = true;
    if (this.input.value) this.find(this.input.value);
  }

  find(query) {
    if (this.input.value !== query) this.input.value = query;
    if (!this.isFilled) return;
    unmark(this.words);
    this.matches = mark(this.words, query);
    this.at = 0;
    this.#tell();
    this.#go();
  }

  step(by) {
    if (!this.matches.length) return;
    this.at = (this.at + by + this.matches.length) % this.matches.length;
    this.#tell();
    this.#go();
  }

  #go() {
    this.words.querySelectorAll("mark.here").forEach((one) => one.classList.remove("here"));
    const pieces = this.matches[this.at] ?? [];
    for (const piece of pieces) piece.classList.add("here");
    if (!pieces.length) return;
    const { top } = pieces[0].getBoundingClientRect();
    const frame = this.words.getBoundingClientRect();
    this.words.scrollTop += top - frame.top - frame.height / 3; // the page itself stays where it is
  }

  #tell() {
    const { length } = this.matches;
    const none = this.input.value.trim() && this.isFilled ? "not in this text" : "";
    this.status.textContent = length ? `match ${(this.at + 1).toLocaleString()} of ${length.toLocaleString()}` : none;
    for (const button of this.buttons) button.disabled = length < 2;
  }
}

const pane = () =>
  h(
    "article",
    { class: "words", "aria-label": "Text", tabindex: "0", dir: "auto" },
    h("p", { class: "faint" }, "Loading…"),
  );

function step(address, label, key, rel) {
  if (!address) return h("span", { class: "faint" }, label);
  return h("a", { href: address, rel, "aria-keyshortcuts": key, title: `${label.replace(/[←→ ]/g, "")} (key ${key})` }, label);
}

/** What to look at, with advice; what the converter noted besides comes after it. */
function findings(one) {
  const known = new Set(one.findings.map((finding) => finding.reason));
  const notes = one.warnings.filter((warning) => !known.has(warning));
  if (!one.findings.length && !notes.length && !one.reason) return null;
  const reason = one.findings.length || !one.reason ? [] : [one.reason];
  return h(
    "ul",
    { class: "warnings" },
    one.findings.map((finding) =>
      h("li", {}, tame(finding.plain || finding.reason), finding.advice && ` ${tame(finding.advice)}`),
    ),
    [...reason, ...notes].map((note) => h("li", {}, tame(note))),
  );
}

function links(one) {
  const known = [
    ["document.pdf", "Open the PDF", ""],
    ["document.pdf", "Save the PDF", "?download=1"],
    ["text.md", "Text", ""],
    ["original", `Original (${bytes(one.size)})`, ""],
  ];
  return known
    .filter(([name]) => one.files[name])
    .map(([name, label, query]) =>
      h("a", { href: one.files[name] + query, target: "_blank", rel: "noopener" }, label),
    );
}

const printButton = () =>
  h("button", { type: "button", class: "quiet", click: () => print() }, "Print the text");

function pageField(one, turn) {
  if (!one.files["document.pdf"] || !(one.pages > 1)) return null;
  const input = h("input", {
    type: "number",
    min: 1,
    max: one.pages,
    value: 1,
    change: () => {
      const page = Math.min(one.pages, Math.max(1, Math.round(Number(input.value) || 1)));
      input.value = page;
      turn(page);
    },
  });
  return h("label", { class: "page-field" }, "Page ", input, ` of ${one.pages.toLocaleString()}`);
}

async function fillWords(one, words) {
  try {
    const loaded = await text(one.files["text.md"], MOST);
    words.replaceChildren();
    for (const block of rendered(loaded.text)) words.append(block);
    if (loaded.cut) words.append(h("p", { class: "notice" }, "The text is longer: “Text” above opens all of it."));
    if (!loaded.text.trim()) words.append(h("p", { class: "faint" }, "There is no text in it."));
  } catch (problem) {
    words.replaceChildren(h("p", { class: "bad" }, problem.message));
  }
}
