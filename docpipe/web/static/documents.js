/** The documents of a run or a patient: a list with filters, and the chosen document beside it. */
import { badge, dateOf, documentBadge, h, many, outcomeWord, shorten, tame, titleOf } from "./dom.js";
import { stateOf, Viewer } from "./viewer.js";

const ATTENTION = ["failed", "refused", "not_read", "partly_read"];
const LAST = ["duplicate", "ignored"];
const PAGE = 200;
const ORDERS = {
  problems: ["problems first, then newest", (a, b) => rank(a) - rank(b) || newest(a, b)],
  newest: ["newest first", (a, b) => newest(a, b)],
  oldest: ["oldest first", (a, b) => !dateOf(a) - !dateOf(b) || newest(b, a)], // without a date: last
  title: ["by title", (a, b) => titleOf(a).localeCompare(titleOf(b))],
  type: ["by type", (a, b) => typeOf(a).localeCompare(typeOf(b)) || newest(a, b)],
};
/** What can be filtered by, with the value of a document. */
const FIELDS = {
  outcome: ["Outcome", (one) => outcomeWord(stateOf(one))],
  type: ["Type", (one) => typeOf(one)],
  author: ["Author", (one) => tame(one.author ?? "")],
  source: ["Source", (one) => tame(one.custodian ?? "")],
};

const typeOf = (one) => tame(one.kind || one.format || "");
const newest = (a, b) => dateOf(b).localeCompare(dateOf(a));

function rank(one) {
  const state = stateOf(one);
  if (ATTENTION.includes(state)) return 0;
  return LAST.includes(state) ? 2 : 1;
}

/** The list and the place for a document; `base` is the address that documents are below. */
export class Documents {
  constructor(base) {
    this.base = base;
    this.all = [];
    this.order = "problems";
    this.wanted = {};
    this.most = PAGE;
    this.signature = "";
    this.list = h("ul", { class: "documents", "aria-label": "Documents" });
    this.status = h("p", { class: "faint", role: "status" });
    this.more = h("button", { type: "button", hidden: true, click: () => this.#showMore() }, "Show more");
    this.viewer = new Viewer();
    this.filters = h("details", { class: "document-filters" }, h("summary", {}, "Filter and sort"));
    this.element = h(
      "div",
      { class: "shelf", keydown: (event) => this.#key(event) },
      h("div", { class: "shelf-list" }, this.#search(), this.filters, this.status, this.list, this.more),
      this.viewer.element,
    );
  }

  #search() {
    return h("input", {
      type: "search",
      class: "document-search",
      placeholder: "Find in titles, authors and names…",
      "aria-label": "Find in titles, authors and file names",
      input: (event) => this.#set("words", event.target.value.trim().toLowerCase()),
    });
  }

  /** Take over the documents that the service sends. */
  update(documents) {
    const signature = JSON.stringify(documents);
    if (signature === this.signature) return;
    this.signature = signature;
    this.all = documents;
    this.#fillFilters();
    this.#render();
    if (this.chosen && !this.viewer.current) this.show(this.chosen, this.query);
  }

  #fillFilters() {
    const wasOpen = this.filters.open;
    const selects = Object.entries(FIELDS).map(([name, [label, value]]) => {
      const values = [...new Set(this.all.map(value).filter(Boolean))].sort((a, b) => a.localeCompare(b));
      const options = values.map((one) =>
        h("option", { value: one, selected: this.wanted[name] === one }, shorten(one, 60)),
      );
      return field(label, h("select", { change: this.#changed(name) }, h("option", { value: "" }, "all"), options));
    });
    const dates = [
      ["from", "Dated from"],
      ["to", "Dated until"],
    ].map(([name, label]) =>
      field(label, h("input", { type: "date", value: this.wanted[name] ?? "", change: this.#changed(name) })),
    );
    const orders = Object.entries(ORDERS).map(([name, [label]]) =>
      h("option", { value: name, selected: name === this.order }, label),
    );
    const order = h("select", { change: (event) => this.#sort(event.target.value) }, orders);
    const marks = this.all.some((one) => one.new || one.gone) ? [this.#marks()] : [];
    this.filters.replaceChildren(
      h("summary", {}, "Filter and sort"),
      h("div", { class: "fields" }, selects, dates, marks, field("Order", order)),
    );
    this.filters.open = wasOpen;
  }

  #marks() {
    const options = [
      ["", "all"],
      ["new", "new since the last retrieval"],
      ["gone", "no longer at the exchange"],
    ].map(([value, label]) => h("option", { value, selected: (this.wanted.mark ?? "") === value }, label));
    return field("Retrieval", h("select", { change: this.#changed("mark") }, options));
  }

  #changed(name) {
    return (event) => this.#set(name, event.target.value);
  }

  #set(name, value) {
    this.wanted[name] = value;
    this.most = PAGE;
    this.#render();
  }

  #sort(order) {
    this.order = order;
    this.#render();
  }

  #showMore() {
    const next = this.most;
    this.most += PAGE;
    this.#render();
    this.list.children[next]?.querySelector("a")?.focus();
  }

  #fits(one) {
    const { words, from, to, mark } = this.wanted;
    if (words && ![one.title, one.path, one.author].some((text) => text?.toLowerCase().includes(words)))
      return false;
    if (mark && !one[mark]) return false;
    const date = dateOf(one);
    if ((from && (!date || date < from)) || (to && (!date || date > to))) return false;
    return Object.entries(FIELDS).every(([name, [, value]]) => !this.wanted[name] || value(one) === this.wanted[name]);
  }

  #render() {
    this.sorted = this.all.filter((one) => this.#fits(one)).sort(ORDERS[this.order][1]);
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.path : null;
    this.list.replaceChildren(...this.sorted.slice(0, this.most).map((one) => this.#item(one)));
    if (focused) [...this.list.querySelectorAll("a")].find((link) => link.dataset.path === focused)?.focus();
    if (!this.sorted.length)
      this.list.append(h("li", { class: "empty" }, this.all.length ? "No document fits." : "No documents yet."));
    this.more.hidden = this.sorted.length <= this.most;
    const count = Math.min(this.most, this.sorted.length);
    const words = this.all.length ? `${count.toLocaleString()} of ${many(this.all.length, "document")}` : "";
    if (this.status.textContent !== words) this.status.textContent = words;
    this.viewer.neighbours(...this.#neighbours());
  }

  #item(one) {
    const state = stateOf(one);
    const thumbnail = one.files["thumbnail.png"];
    const facts = [dateOf(one), typeOf(one), one.author, one.pages && many(one.pages, "page")];
    const inner = [
      thumbnail
        ? h("img", { src: thumbnail, alt: "", loading: "lazy", width: 56, height: 72 })
        : h("span", { class: "no-picture", "aria-hidden": "true" }),
      h(
        "span",
        { class: "about" },
        h("strong", { dir: "auto" }, titleOf(one)),
        h("span", { class: "badges" }, documentBadge(state), one.new && badge("new"), one.gone && badge("gone")),
        h("span", { class: "faint" }, facts.filter(Boolean).map((fact) => shorten(tame(fact))).join(" · ")),
        one.ocr && h("span", { class: "faint" }, "text by OCR"),
        reasonOf(one),
      ),
    ];
    const openable = Object.keys(one.files).length > 0;
    const attributes = {
      class: "document",
      "data-path": one.path,
      href: `${this.base}/document/${one.document_id}`,
      "aria-current": one.document_id === this.chosen ? "true" : null,
    };
    return h(
      "li",
      { class: `outcome-${one.outcome ?? "none"}` },
      openable ? h("a", attributes, inner) : h("div", { class: "document" }, inner),
    );
  }

  /** Show the document with this id, or none; its address has been opened. `query` is marked in its text. */
  show(id, query = "") {
    const before = this.chosen;
    this.chosen = id;
    for (const link of this.list.querySelectorAll("a"))
      if (id && link.getAttribute("href").endsWith(`/${id}`)) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    const one = id && this.all.find((other) => other.document_id === id && Object.keys(other.files).length);
    this.query = query;
    if (one && this.viewer.current === one) this.viewer.find(query);
    else if (one) this.viewer.show(one, ...this.#neighbours(), query);
    else if (id && this.all.length) this.viewer.missing();
    else this.viewer.clear();
    if (!id && before) this.list.querySelector(`a[href$="/${before}"]`)?.focus();
    return one;
  }

  /** The addresses of the documents before and after the chosen one, as the list stands. */
  #neighbours() {
    const openable = (this.sorted ?? []).filter((one) => Object.keys(one.files).length);
    const at = openable.findIndex((one) => one.document_id === this.chosen);
    if (at < 0) return [null, null];
    return [openable[at - 1], openable[at + 1]].map((one) => one && `${this.base}/document/${one.document_id}`);
  }

  /**
   * `n` and `p` lead to the next and the previous document while the focus is here, `m` and `M` to the next and
   * the previous match in its text, Escape to the list.
   */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const by = { m: 1, M: -1 }[event.key];
    if (by) this.viewer.step(by);
    const [previous, next] = this.#neighbours();
    const to = { n: next, p: previous, Escape: this.chosen && this.base }[event.key];
    if (!to) return;
    event.preventDefault();
    location.hash = to;
  }
}

const field = (label, control) => h("label", {}, h("span", {}, label), control);

function reasonOf(one) {
  const words = one.findings[0]?.plain || one.reason;
  return words && one.attention !== "to_check" ? h("span", { class: "reason" }, tame(words)) : null;
}
