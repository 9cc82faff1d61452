/** The documents of a run: problems first, with text and PDF of the chosen one beside each other. */
import { text } from "./api.js";
import { badge, bytes, h, many } from "./dom.js";
import { rendered } from "./markdown.js";

const RANK = ["failed", "refused", null, "stored", "converted", "duplicate", "ignored"];
const MOST = 300000;

/** Controls that reorder a text are shown as signs, so that a name cannot pretend to be another. */
const tame = (name) =>
  name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

/** A title short enough to be shown. */
const short = (name) => (name.length > 200 ? `${name.slice(0, 200)}…` : name);

const titleOf = (document) => short(tame(document.title || document.path));

/** The list and the place where a document is shown. */
export class Documents {
  constructor() {
    this.list = h("ul", { class: "documents" });
    this.shown = h(
      "div",
      { class: "viewer", id: "viewer", tabindex: "-1", "aria-label": "Document", role: "region" },
      h("p", { class: "empty" }, "Choose a document."),
    );
    this.element = h("div", { class: "shelf" }, this.list, this.shown);
    this.signature = "";
  }

  /** Take over what the service tells. */
  update(documents) {
    const signature = JSON.stringify(documents);
    if (signature === this.signature) return;
    this.signature = signature;
    const sorted = [...documents].sort((a, b) => RANK.indexOf(a.outcome) - RANK.indexOf(b.outcome));
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.path : null;
    this.list.replaceChildren(...sorted.map((found) => this.#item(found)));
    if (focused)
      [...this.list.querySelectorAll("button")].find((button) => button.dataset.path === focused)?.focus();
    if (!sorted.length) this.list.append(h("li", { class: "empty" }, "No documents yet."));
  }

  #item(found) {
    const thumbnail = found.files["thumbnail.png"];
    const facts = [
      found.date?.slice(0, 10),
      found.author,
      found.pages && many(found.pages, "page"),
      found.ocr && "text by OCR",
    ]
      .filter(Boolean)
      .map((fact) => short(tame(fact)));
    const inner = [
      thumbnail
        ? h("img", { src: thumbnail, alt: "", loading: "lazy", width: 56, height: 72 })
        : h("span", { class: "no-picture", "aria-hidden": "true" }),
      h(
        "span",
        { class: "about" },
        h("strong", { dir: "auto" }, titleOf(found)),
        badge(found.outcome),
        h("span", { class: "faint" }, facts.join(" · ")),
        found.reason && h("span", { class: "reason" }, tame(found.reason)),
      ),
    ];
    const openable = Object.keys(found.files).length > 0;
    const attributes = {
      type: "button",
      "data-path": found.path,
      "aria-pressed": String(found.path === this.chosen),
      disabled: !openable,
      click: () => this.open(found),
    };
    return h("li", { class: `outcome-${found.outcome ?? "none"}` }, h("button", attributes, inner));
  }

  /** Show a document. */
  async open(found) {
    this.chosen = found.path;
    for (const button of this.list.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.path === found.path));
    const panes = [];
    const words = found.files["text.md"]
      ? h(
          "article",
          { class: "words", "aria-label": "Text", tabindex: "0", dir: "auto" },
          h("p", { class: "faint" }, "Loading…"),
        )
      : null;
    if (words) panes.push(words);
    if (found.files["document.pdf"])
      panes.push(
        h("iframe", { src: found.files["document.pdf"], title: `PDF of ${titleOf(found)}`, class: "paper" }),
      );
    const links = [
      ["document.pdf", "Open the PDF"],
      ["text.md", "Text"],
      ["original", `Original (${bytes(found.size)})`],
    ]
      .filter(([name]) => found.files[name])
      .map(([name, label]) => h("a", { href: found.files[name], target: "_blank", rel: "noopener" }, label));
    const warnings = found.warnings.length
      ? h(
          "ul",
          { class: "warnings" },
          found.warnings.map((warning) => h("li", {}, tame(warning))),
        )
      : null;
    const path = h(
      "p",
      { class: "faint path", dir: "auto" },
      short(tame(found.path)),
      found.media_type && ` · ${found.media_type}`,
      found.words && ` · ${many(found.words, "word")}`,
    );
    this.shown.replaceChildren(
      h("h3", { dir: "auto" }, titleOf(found)),
      path,
      h("p", { class: "links" }, links),
      warnings ?? "",
      h("div", { class: "panes" }, panes),
    );
    this.shown.focus({ preventScroll: false });
    if (words) await this.#words(found, words);
  }

  async #words(found, pane) {
    try {
      const loaded = await text(found.files["text.md"], MOST);
      pane.replaceChildren(...rendered(loaded.text));
      if (loaded.cut)
        pane.append(h("p", { class: "notice" }, "The text is longer: “Text” above opens all of it."));
      if (!loaded.text.trim()) pane.append(h("p", { class: "faint" }, "There is no text in it."));
    } catch (problem) {
      pane.replaceChildren(h("p", { class: "bad" }, problem.message));
    }
  }
}
