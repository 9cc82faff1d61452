/** Words of a search, marked within a displayed text. They match as in the index: case and accents aside. */
import { h } from "./dom.js";

const PARTS = /"([^"]*)"?(\*?)|([^\s"]+)/g;
const WORD = /[\p{L}\p{N}]+/gu;
const MOST = 1000;
const BLOCKS = "p, li, td, th, h1, h2, h3, h4, h5, h6, pre, blockquote, div";

const fold = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");

/** What finds the words of a query in folded text; null where it has none. */
export function patternOf(query) {
  const terms = [...query.matchAll(PARTS)].flatMap(([, phrase, star, word]) => {
    const words = fold(phrase ?? word).match(WORD);
    if (!words) return [];
    const prefix = star === "*" || Boolean(word?.endsWith("*"));
    return `${words.join("[^\\p{L}\\p{N}]+")}${prefix ? "[\\p{L}\\p{N}]*" : "(?![\\p{L}\\p{N}])"}`;
  });
  return terms.length ? new RegExp(`(?<![\\p{L}\\p{N}])(?:${terms.join("|")})`, "gu") : null;
}

/** Mark what matches a query within an element; returns the marks, in order, each a list of its pieces. */
export function mark(element, query) {
  const pattern = patternOf(query);
  if (!pattern) return [];
  const { text, places } = folded(element);
  const matches = [];
  for (const match of text.matchAll(pattern)) {
    if (matches.length === MOST) break;
    matches.push([match.index, match.index + match[0].length]);
  }
  // From the end on, so that the offsets of what is left stay right.
  return matches.reverse().map(([from, to]) => pieces(places, from, to)).reverse();
}

/** Take marks away again. */
export function unmark(element) {
  for (const one of element.querySelectorAll("mark.match")) {
    const parent = one.parentNode;
    one.replaceWith(...one.childNodes);
    parent.normalize();
  }
}

/** The text of an element as it is searched, and for each of its letters the node and offset it comes from. */
function folded(element) {
  const places = [];
  const parts = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let block = null;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const around = node.parentElement.closest(BLOCKS);
    if (block && around !== block) {
      parts.push("\n");
      places.push(null);
    }
    block = around;
    let at = 0;
    for (const letter of node.data) {
      const plain = fold(letter);
      const before = places.at(-1);
      if (!plain && before?.node === node) before.to = at + letter.length; // an accent stays with its letter
      parts.push(plain);
      for (let unit = 0; unit < plain.length; unit += 1) places.push({ node, from: at, to: at + letter.length });
      at += letter.length;
    }
  }
  return { text: parts.join(""), places };
}

/** Wrap the letters of a match; it has a piece for each node that it is in. */
function pieces(places, from, to) {
  const spans = [];
  for (const place of places.slice(from, to).filter(Boolean)) {
    const last = spans.at(-1);
    if (last?.node === place.node) last.to = place.to;
    else spans.push({ ...place });
  }
  return spans
    .reverse()
    .map((span) => {
      const rest = span.node.splitText(span.from);
      rest.splitText(span.to - span.from);
      const piece = h("mark", { class: "match" });
      rest.replaceWith(piece);
      piece.append(rest);
      return piece;
    })
    .reverse();
}
