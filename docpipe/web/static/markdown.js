/**
 * Shows docpipe's text.md: headings, paragraphs, lists, tables and code. It makes elements and texts and
 * nothing else: no HTML of the document is read, no link leads anywhere, no picture is loaded.
 */
import { h } from "./dom.js";

const BLOCK = /^(#{1,6}\s|\||[-*+]\s|\d{1,9}[.)]\s|>|```|---+\s*$)/;
const NEWLINE = /\r\n?|[\n\v\f\u0085\u2028\u2029]/; // `.` and `$` take some of these for the end of a line
const DEEPEST = 4; // quotes within quotes

/**
 * Elements for a text. The time is linear in its length, whatever it holds: each block takes at least a
 * line, and no expression goes over the same letters again and again.
 */
export function rendered(text, depth = 0) {
  const lines = text.split(NEWLINE);
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    const from = at;
    const line = lines[at];
    if (!line.trim()) at += 1;
    else if (line.startsWith("```")) at = code(lines, at, blocks);
    else if (/^#{1,6}\s/.test(line)) at = heading(lines, at, blocks);
    else if (line.startsWith("|")) at = table(lines, at, blocks);
    else if (/^\s*([-*+]|\d{1,9}[.)])\s/.test(line)) at = list(lines, at, blocks);
    else if (/^---+\s*$/.test(line)) at = (blocks.push(h("hr")), at + 1);
    else if (line.startsWith(">") && depth < DEEPEST) at = quote(lines, at, blocks, depth);
    else at = paragraph(lines, at, blocks);
    if (at <= from) at = from + 1;
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
  const marks = /^#{1,6}/.exec(lines[at])[0].length;
  const words = lines[at].slice(marks).trim();
  let end = words.length;
  while (end > 0 && words[end - 1] === "#") end -= 1;
  const closed = end === 0 || /\s/.test(words[end - 1]); // "C#" ends in a letter of its own
  const title = closed ? words.slice(0, end).trimEnd() : words;
  blocks.push(h(`h${Math.min(6, marks + 3)}`, {}, inline(title))); // below the page's own headings
  return at + 1;
}

/** Cells of a row; a backslash keeps a bar from dividing. */
function cells(line) {
  const row = line.slice(1).trimEnd();
  const found = (row.endsWith("|") ? row.slice(0, -1) : row).split(/(?<!\\)\|/);
  return found.map((cell) => cell.trim());
}

function table(lines, from, blocks) {
  let to = from;
  while (to < lines.length && lines[to].startsWith("|")) to += 1;
  const rows = lines.slice(from, to);
  const headed = rows.length > 1 && /^\|[\s:|-]+$/.test(rows[1]);
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
      { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" },
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
    const match = /^(\s*)([-*+]|\d{1,9}[.)])\s/.exec(lines[at]);
    if (match)
      items.push([Math.min(6, Math.floor(match[1].length / 2)), lines[at].slice(match[0].length).trimStart()]);
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

function quote(lines, from, blocks, depth) {
  let to = from;
  while (to < lines.length && lines[to].startsWith(">")) to += 1;
  const inner = lines.slice(from, to).map((line) => line.replace(/^>\s?/, ""));
  blocks.push(h("blockquote", {}, rendered(inner.join("\n"), depth + 1)));
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
  const parts = [];
  const next = finder(words);
  const special = /\*\*|`|!?\[/g;
  let done = 0;
  for (let match = special.exec(words); match; match = special.exec(words)) {
    const [part, end] = passage(words, match.index, match[0], next);
    if (end) {
      if (match.index > done) parts.push(plain(words.slice(done, match.index)));
      parts.push(part);
      done = end;
    }
    special.lastIndex = end || match.index + 1;
  }
  if (done < words.length) parts.push(plain(words.slice(done)));
  return parts;
}

/** The passage that begins with a sign, and where it ends; nothing, where the sign is only a sign. */
function passage(words, at, sign, next) {
  if (sign === "**") {
    const end = next(/\*/g, at + 2);
    return end > at + 2 && words[end + 1] === "*"
      ? [h("strong", {}, plain(words.slice(at + 2, end))), end + 2]
      : [];
  }
  if (sign === "`") {
    const end = next(/`/g, at + 1);
    return end > at + 1 && end < words.length ? [h("code", {}, words.slice(at + 1, end)), end + 1] : [];
  }
  const from = at + sign.length;
  const middle = next(/\]/g, from);
  if (words[middle + 1] !== "(") return [];
  const end = next(/[\s)]/g, middle + 2);
  if (words[end] !== ")") return [];
  return [plain(`${words.slice(from, middle)} (${words.slice(middle + 2, end)})`), end + 1];
}

/** Finds what stands next at or after a place, else the end. Places only grow, so each letter is seen once. */
function finder(words) {
  const known = new Map();
  return (sign, from) => {
    const before = known.get(sign.source) ?? -1;
    if (before >= from) return before;
    sign.lastIndex = from;
    const at = sign.exec(words)?.index ?? words.length;
    known.set(sign.source, at);
    return at;
  };
}

const plain = (words) =>
  words
    .replace(/\\([\\`*_{}[\]()#+\-.!|<>~&])/g, "$1")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
