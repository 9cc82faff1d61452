/** What is retrieved again by plan: for whom, how often, when next; each can be paused. */
import { get, post } from "./api.js";
import { notice } from "./dialogs.js";
import { badge, h, many, time } from "./dom.js";

const UNITS = { s: "second", m: "minute", min: "minute", h: "hour", d: "day", w: "week" };

/** How often, in words; cron expressions stay as they are. */
function often({ every, zone }) {
  const [, number, unit] = /^(\d+) ?([a-z]+)$/.exec(every) ?? [];
  if (UNITS[unit]) return Number(number) === 1 ? `every ${UNITS[unit]}` : `every ${number} ${UNITS[unit]}s`;
  return h("span", {}, "at the times of ", h("code", {}, every), ` (${zone})`);
}

const whom = ({ patients, members }) => {
  const all = patients.length === 1 && patients[0] === "all";
  if (all) return members === null ? "All patients" : `All patients (${members.toLocaleString()})`;
  const words = patients.join(", ");
  return members === null ? words : `${words}: ${many(members, "patient")}`;
};

/** The section; empty where nothing is planned. */
export class Schedules {
  constructor() {
    this.element = h("section", { "aria-labelledby": "schedules-title", hidden: true });
  }

  /** Load anew. */
  async load() {
    let schedules;
    try {
      ({ schedules } = await get("/api/schedules"));
    } catch {
      return; // what was there stays; the view above says what is wrong
    }
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    this.element.hidden = !schedules.length;
    this.element.replaceChildren(
      h("h2", { id: "schedules-title" }, "Retrieved again by plan"),
      h("div", { class: "cards" }, schedules.map((one) => this.#card(one))),
    );
    if (focused) [...this.element.querySelectorAll("button")].find((one) => one.dataset.name === focused)?.focus();
  }

  #card(one) {
    const paused = one.paused !== null;
    const button = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "data-name": one.name,
        click: () => this.#change(one.name, paused ? "resume" : "pause"),
      },
      paused ? "Continue" : "Pause",
      h("span", { class: "unseen" }, ` ${one.name}`),
    );
    const next = paused ? ["Nothing is begun since ", time(one.paused), "."] : ["Next: ", time(one.next_at), "."];
    const last = one.last_at ? [" Last: ", time(one.last_at), `, ${many(one.begun, "run")} in that round.`] : [];
    return h(
      "article",
      { class: "card" },
      h("header", {}, h("h3", {}, one.name), badge(paused ? "paused" : "planned"), button),
      h("p", {}, whom(one), ", ", often(one), "."),
      one.trouble && h("p", { class: "bad" }, one.trouble),
      h("p", {}, next, last),
    );
  }

  async #change(name, what) {
    try {
      await post(`/api/schedules/${encodeURIComponent(name)}/${what}`);
    } catch (problem) {
      notice(problem.message);
    }
    await this.load();
  }
}
