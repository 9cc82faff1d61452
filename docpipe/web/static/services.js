/** Services with their quotas and outages, throughput and backlog. */
import { get, post } from "./api.js";
import { notice } from "./dialogs.js";
import { Schedules } from "./schedules.js";
import { ACTIVITIES, badge, bytes, capital, countdown, h, many, s, placeName, serviceName, span, time } from "./dom.js";

const AGAIN = 5000;
const BOTTLENECKS = {
  workers: "the converters",
  downloads: "the downloads",
  disk: "the disk, which is full",
  machine: "this machine (see its message)",
  pause: "the pause",
};

/** The view of services. */
export class Services {
  get title() {
    return "Services";
  }

  /** What the page shows. */
  element() {
    this.work = h("div");
    this.cards = h("div", { class: "cards" }, h("p", { class: "empty" }, "Loading…"));
    this.schedules = new Schedules();
    this.loaded = this.reset();
    return h(
      "section",
      {},
      h("h1", {}, "Services"),
      this.cards,
      this.schedules.element,
      h("section", { "aria-labelledby": "work-title" }, h("h2", { id: "work-title" }, "Work"), this.work),
    );
  }

  /** Load anew. */
  async reset() {
    try {
      this.service(await get("/api/services"));
      this.summary(await get("/api/summary"));
      await this.schedules.load();
    } catch (problem) {
      this.cards.replaceChildren(h("p", { class: "bad" }, problem.message));
    }
  }

  /** A run has changed: one that a schedule began, perhaps. */
  run() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.schedules.element.isConnected) this.schedules.load();
    }, AGAIN);
  }

  /** Services have changed. */
  service(services) {
    this.disk = services.disk ?? this.disk; // events leave the disks out
    const focused = this.cards.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const behind = services.fleet ? machines(services) : machine(services, this.disk);
    this.cards.replaceChildren(...services.services.map((one) => this.#card(one)), behind);
    if (focused)
      [...this.cards.querySelectorAll("button")].find((button) => button.dataset.name === focused)?.focus();
  }

  #card(service) {
    const paused = service.paused !== null;
    const button = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "data-name": service.name,
        click: () => this.#change(service.name, paused ? "resume" : "pause"),
      },
      paused ? "Continue" : "Pause",
      h("span", { class: "unseen" }, ` ${service.name}`),
    );
    const since =
      service.since &&
      h(
        "p",
        {},
        service.state === "paused" ? "paused since " : "down since ",
        time(service.since),
        service.next_probe && countdown(service.next_probe, ", next try in"),
      );
    const quotas = service.quotas.map((quota) => gauge(quota.name, quota));
    return h(
      "article",
      { class: "card" },
      h("header", {}, h("h2", {}, capital(serviceName(service.name).replace(/^the /, ""))), badge(service.state), button),
      since,
      quotas,
      history(service.outages),
    );
  }

  async #change(name, what) {
    try {
      await post(`/api/services/${encodeURIComponent(name)}/${what}`);
      await this.reset();
    } catch (problem) {
      notice(problem.message);
    }
  }

  /** Throughput and backlog have changed. */
  summary(summary) {
    const open = ["queued", "running", "cancelling"].reduce((sum, state) => sum + summary.counts[state], 0);
    const left = summary.expected_end && (new Date(summary.expected_end) - Date.now()) / 1000;
    const end = !open
      ? "Nothing is left to do."
      : summary.expected_end
        ? ["All should be done at ", time(summary.expected_end), `, in ${span(left)}.`]
        : "It is not known yet when all will be done.";
    const slow =
      summary.bottleneck && open
        ? ` Most wait for ${BOTTLENECKS[summary.bottleneck] ?? placeName(summary.bottleneck)}.`
        : "";
    this.work.replaceChildren(
      h("p", {}, h("strong", {}, many(open, "run")), " under way or waiting. ", end, slow),
      throughput(summary.throughput),
    );
  }
}

/** How many wait. */
const queue = (count) => `${count.toLocaleString()} ${count === 1 ? "waits" : "wait"}`;

function gauge(name, quota) {
  const label = `${capital(placeName(quota.name).replace(/^the /, ""))}, ${quota.rate ?? "no limit"}`;
  const value = quota.of ? `${quota.used.toLocaleString()} of ${quota.of.toLocaleString()} in use` : "";
  const waits = quota.waiting ? `${value && ", "}${queue(quota.waiting)}` : "";
  const closed = quota.next_at && countdown(quota.next_at, ", closed for");
  const bar = quota.of
    ? h("meter", {
        min: 0,
        max: quota.of,
        value: Math.min(quota.used, quota.of),
        "aria-label": `${label}: ${value}`,
      })
    : null;
  return h(
    "div",
    { class: "gauge" },
    h("span", {}, label),
    bar,
    h("span", { class: "faint" }, value, waits, closed),
  );
}

function machine(services, disk) {
  const { size, busy, waiting } = services.workers;
  const { trouble, trouble_since: since } = services.checkpoints;
  const blocked =
    trouble &&
    h("p", { class: "bad" }, "Progress cannot be saved since ", time(since), `. The reason: ${trouble}.`);
  return h(
    "article",
    { class: "card" },
    h("header", {}, h("h2", {}, "This machine")),
    blocked,
    h(
      "div",
      { class: "gauge" },
      h("span", {}, "Converters"),
      h("meter", { min: 0, max: size, value: busy, "aria-label": `${busy} of ${size} converters busy` }),
      h("span", { class: "faint" }, `${busy} of ${size} busy${waiting ? `, ${queue(waiting)}` : ""}`),
    ),
    disk
      ? h(
          "p",
          { class: "faint" },
          `Free: ${bytes(disk.state_free_bytes)} for checkpoints, ${bytes(disk.storage_free_bytes)} for documents`,
        )
      : null,
  );
}

/** The workers of a fleet. */
function machines(services) {
  const { workers, ui, trouble } = services.fleet;
  const { size, busy, waiting } = services.workers;
  const rows = workers.map((one) => {
    const doing = Object.entries(one.doing).map(([name, count]) => `${count} ${ACTIVITIES[name] ?? name}`);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, one.name, one.stopping ? " (stops)" : ""),
      h("td", {}, one.queues.join(", ") || "unknown"),
      h("td", {}, doing.join(", ") || "nothing"),
      h("td", {}, time(one.heard)),
    );
  });
  const head = ["Worker", "Queues", "Is at", "Last heard of"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "article",
    { class: "card machines" },
    h("header", {}, h("h2", {}, "Workers")),
    trouble && h("p", { class: "bad" }, `What is here may be old. ${trouble}`),
    rows.length
      ? h("table", { class: "outages" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))
      : h("p", { class: "bad" }, "No worker is at work, so that runs wait: `docpipe worker` starts one."),
    h("p", { class: "faint" }, `Converters: ${busy} of ${size} at work${waiting ? `, ${queue(waiting)}` : ""}`),
    ui && h("p", {}, h("a", { href: ui, target: "_blank", rel: "noopener noreferrer" }, "Temporal’s own page")),
  );
}

function history(outages) {
  if (!outages.length) return h("p", { class: "faint" }, "No outage since docpipe began.");
  const rows = [...outages]
    .reverse()
    .slice(0, 10)
    .map((outage) => {
      const lasted = outage.until ? span((new Date(outage.until) - new Date(outage.since)) / 1000) : "still";
      return h("tr", {}, h("td", {}, time(outage.since)), h("td", {}, lasted), h("td", {}, outage.reason));
    });
  const head = ["Outage since", "Lasted", "Reason"].map((name) => h("th", { scope: "col" }, name));
  return h("table", { class: "outages" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}

function throughput(hours) {
  const most = Math.max(1, ...hours.map((hour) => hour.finished));
  const bars = hours.map((hour, number) => {
    const height = (hour.finished / most) * 80;
    const when = new Date(hour.hour).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
    const mark =
      number % 6 === 0
        ? s(
            "text",
            {
              x: number ? number * 25 + 11 : 2,
              y: 112,
              "text-anchor": number ? "middle" : "start",
              class: "mark",
            },
            when,
          )
        : "";
    return s(
      "g",
      {},
      s(
        "rect",
        {
          x: number * 25 + 2,
          y: 94 - height,
          width: 18,
          height: Math.max(height, hour.finished ? 2 : 0.5),
          class: "hour",
        },
        s("title", {}, `${when}: ${many(hour.finished, "run")}, ${many(hour.documents, "document")}`),
      ),
      mark,
    );
  });
  const sum = hours.reduce((total, hour) => total + hour.finished, 0);
  const documents = hours.reduce((total, hour) => total + hour.documents, 0);
  return h(
    "figure",
    {},
    h("figcaption", {}, `Finished within 24 hours: ${many(sum, "run")}, ${many(documents, "document")}`),
    s(
      "svg",
      {
        viewBox: "0 0 606 118",
        class: "hours",
        role: "img",
        "aria-label": `Finished runs by the hour, ${most.toLocaleString()} at most`,
      },
      s("text", { x: 603, y: 12, "text-anchor": "end", class: "mark" }, `${most.toLocaleString()}/h`),
      bars,
    ),
  );
}
