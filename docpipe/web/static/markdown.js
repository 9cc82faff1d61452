/**
 * Shows docpipe's text.md: headings, paragraphs, lists, tables and code. It makes elements and texts and
 * nothing else: no HTML of the document is read, no link leads anywhere, no picture is loaded.
 */
import { h } from "./dom.js";

const BLOCK = /^(#{1,6}\s|\||[-*+]\s|\d{1,9}[.)]\s|>|```|---+\s*$)/;

/** Elements for a text. */
export function rendered(text) {
  const lines = text.split(/\r?\n/);
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) at += 1;
    else if (line.startsWith("```")) at = code(lines, at, blocks);
    else if (/^#{1,6}\s/.test(line)) at = heading(lines, at, blocks);
    else if (line.startsWith("|")) at = table(lines, at, blocks);
    else if (/^\s*([-*+]|\d{1,9}[.)])\s/.test(line)) at = list(lines, at, blocks);
    else if (/^---+\s*$/.test(line)) at = (blocks.push(h("hr")), at + 1);
    else if (line.startsWith(">")) at = quote(lines, at, blocks);
    else at = paragraph(lines, at, blocks);
  }
  return blocks;
}

function code(lines, from, blocks) {
  let to = from + 1;
  while (to < lines.length && !lines[to].startsWith("```")) to += 1;
  blocks.push(h("pre", {}, lines.slice(from + 1, to).join("\n")));
  return to + 1;
}

function heading(lines, at, blocks) {
  const [, marks, words] = /^(#{1,6})\s+(.*?)\s*#*$/.exec(lines[at]) ?? [null, "#", lines[at]];
  blocks.push(h(`h${Math.min(6, marks.length + 3)}`, {}, inline(words))); // below the page's own headings
  return at + 1;
}

/** Cells of a row; a backslash keeps a bar from dividing. */
function cells(line) {
  const found = line.replace(/^\||\|\s*$/g, "").split(/(?<!\\)\|/);
  return found.map((cell) => cell.trim());
}

function table(lines, from, blocks) {
  let to = from;
  while (to < lines.length && lines[to].startsWith("|")) to += 1;
  const rows = lines.slice(from, to);
  const headed = rows.length > 1 && /^\|[\s:|-]+\|?\s*$/.test(rows[1]);
  const head = headed
    ? h(
        "thead",
        {},
        h(
          "tr",
          {},
          cells(rows[0]).map((cell) => h("th", { scope: "col" }, inline(cell))),
        ),
      )
    : null;
  const body = rows.slice(headed ? 2 : 0).map((row) =>
    h(
      "tr",
      {},
      cells(row).map((cell) => h("td", {}, inline(cell))),
    ),
  );
  blocks.push(
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" },
      h("table", {}, head, h("tbody", {}, body)),
    ),
  );
  return to;
}

function list(lines, from, blocks) {
  const first = /^\s*\d/.test(lines[from]);
  const items = [];
  let at = from;
  for (; at < lines.length && lines[at].trim(); at += 1) {
    const match = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/.exec(lines[at]);
    if (match) items.push([Math.min(6, Math.floor(match[1].length / 2)), match[3]]);
    else if (BLOCK.test(lines[at])) break;
    else if (items.length) items[items.length - 1][1] += ` ${lines[at].trim()}`;
  }
  blocks.push(
    h(
      first ? "ol" : "ul",
      {},
      items.map(([depth, words]) => h("li", { class: `depth-${depth}` }, inline(words))),
    ),
  );
  return at;
}

function quote(lines, from, blocks) {
  let to = from;
  while (to < lines.length && lines[to].startsWith(">")) to += 1;
  const inner = lines.slice(from, to).map((line) => line.replace(/^>\s?/, ""));
  blocks.push(
    h(
      "blockquote",
      {},
      inner.some((line) => line.startsWith(">>>>")) ? inner.join("\n") : rendered(inner.join("\n")),
    ),
  );
  return to;
}

function paragraph(lines, from, blocks) {
  let to = from + 1;
  while (to < lines.length && lines[to].trim() && !BLOCK.test(lines[to])) to += 1;
  const parts = lines
    .slice(from, to)
    .flatMap((line, number) => (number ? [h("br"), inline(line)] : [inline(line)]));
  blocks.push(h("p", {}, parts.flat()));
  return to;
}

/** Bold, code and escapes; a link becomes its words and its address, as text. */
function inline(words) {
  const parts = words.split(/(\*\*[^*]+\*\*|`[^`]+`|!?\[[^\]]*\]\([^)\s]*\))/);
  return parts.filter(Boolean).map((part) => {
    if (/^\*\*[^*]+\*\*$/.test(part)) return h("strong", {}, plain(part.slice(2, -2)));
    if (/^`[^`]+`$/.test(part)) return h("code", {}, part.slice(1, -1));
    const link = /^!?\[([^\]]*)\]\(([^)\s]*)\)$/.exec(part);
    return link ? plain(`${link[1]} (${link[2]})`) : plain(part);
  });
}

const plain = (words) =>
  words
    .replace(/\\([\\`*_{}[\]()#+\-.!|<>~&])/g, "$1")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
