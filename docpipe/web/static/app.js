/** The page: its current view, the events, pausing, and the state of the connection. */
import { get, listen, post } from "./api.js";
import { ask, notice, prepareSubmission } from "./dialogs.js";
import { byId, capital, countdown, h, painted, serviceName, time } from "./dom.js";
import { Runs, spoken } from "./runs.js";

const SPOKEN_EVERY = 10000;
let view = null;
let paused = false;
let spokenAt = 0;
let bannerSignature = "";

/** The run or patient of an address, the document within, and the words that are marked in it. */
function placeOf(hash) {
  const [path, query] = hash.replace(/^#/, "").split("?");
  return { ...viewOfPath(path), query: new URLSearchParams(query ?? "").get("q") ?? "" };
}

function viewOfPath(path) {
  const run = /^\/run\/([0-9A-Z]{26})(?:\/document\/([0-9a-f]{16}))?$/.exec(path);
  if (run) return { key: `run ${run[1]}`, run: run[1], document: run[2] ?? null };
  const patient = /^\/patient\/([^/]+)(?:\/document\/([0-9a-f]{16}))?$/.exec(path);
  if (!patient) return {};
  try {
    const id = decodeURIComponent(patient[1]);
    return { key: `patient ${id}`, patient: id, document: patient[2] ?? null };
  } catch {
    return {}; // no address that docpipe makes
  }
}

/** The view that an address asks for; all but the list are loaded when they are needed, or after it. */
async function viewOf(hash) {
  const [path, query] = hash.replace(/^#/, "").split("?");
  const { run, patient, document, query: words } = placeOf(hash);
  if (run) return new (await import("./run.js")).Run(run, document, words);
  if (patient) return new (await import("./patient.js")).Patient(patient, document, words);
  if (path === "/search") return new (await import("./search.js")).Search(query ?? "");
  if (path === "/services") return new (await import("./services.js")).Services();
  return new Runs(query ?? "");
}

async function show(first) {
  const hash = location.hash;
  let next;
  try {
    next = await viewOf(hash);
  } catch {
    notice("The service cannot be reached, so this cannot be shown. Try again when it is back.");
    return;
  }
  if (location.hash !== hash) return; // people have gone on meanwhile
  view = next;
  const current = ["services", "search"].find((name) => hash.startsWith(`#/${name}`)) ?? "runs";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("main").replaceChildren(view.element());
  document.title = `${view.title} – docpipe`;
  if (!first) {
    (view.field ?? byId("main")).focus();
    scrollTo(0, 0);
  }
}

function summary(counts) {
  view?.summary(counts);
  if (Date.now() - spokenAt < SPOKEN_EVERY) return;
  spokenAt = Date.now();
  byId("live").textContent = spoken(counts.counts);
}

function service(services) {
  view?.service?.(services);
  paused = services.paused !== null;
  const button = byId("pause");
  button.hidden = false;
  button.textContent = paused ? "Continue" : "Pause";
  document.body.classList.toggle("paused", paused);
  const troubles = services.services
    .filter((one) => one.state !== "up")
    .map((one) => `${serviceName(one.name)} is ${one.state}`);
  showBanner(services);
  if (paused) troubles.unshift("everything is paused");
  const line = byId("connection");
  const words = troubles.length ? troubles.join(", ") : "connected";
  line.className = `connection ${troubles.length ? "trouble" : "well"}`;
  if (line.textContent !== words) line.textContent = words;
}

/** Outages and a pause of everything, above every view; rebuilt only when they change, for it is read aloud. */
function showBanner(services) {
  const down = services.services.filter((one) => one.state === "down");
  const signature = JSON.stringify([services.paused, down.map((one) => [one.name, one.since, one.next_probe])]);
  if (signature === bannerSignature) return;
  bannerSignature = signature;
  const lines = down.map((one) =>
    h(
      "p",
      {},
      `${capital(serviceName(one.name))} does not answer since `,
      time(one.since),
      ". ",
      one.next_probe && countdown(one.next_probe, "Next try in"),
      one.next_probe && ". ",
      "Nothing is lost: retrievals continue by themselves once it answers.",
    ),
  );
  if (services.paused)
    lines.unshift(
      h("p", {}, "Everything is paused since ", time(services.paused), ". “Continue” above ends the pause."),
    );
  byId("banner").replaceChildren(...lines);
  byId("banner").hidden = !lines.length;
}

async function toggle() {
  if (!paused) {
    const sure = await ask({
      title: "Pause all retrievals?",
      text: "Nothing more is requested from any service, for everybody, until somebody continues; also after a restart. What is on its way ends. Nothing is lost.",
      yes: "Pause everything",
    });
    if (!sure) return;
  }
  try {
    await post(paused ? "/api/resume" : "/api/pause");
    service(await get("/api/services"));
  } catch (problem) {
    notice(problem.message);
  }
}

async function signOut() {
  try {
    await post("/logout");
    location.assign("/login");
  } catch (problem) {
    notice(`You are still signed in. ${problem.message}`);
  }
}

const load = () => get("/api/services").then(service, () => {});

addEventListener("hashchange", (event) => {
  const { hash } = new URL(event.newURL);
  const { key, document, query } = placeOf(hash);
  if (key && view?.key === key) view.show(document, query);
  else if (!(view instanceof Runs && hash.startsWith("#/?"))) show(false);
});
byId("pause").addEventListener("click", toggle);
byId("sign-out").addEventListener("click", signOut);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  byId("main").focus();
});
prepareSubmission(({ runs }) => {
  if (runs.length === 1) location.hash = `#/run/${runs[0].run_id}`;
  else view?.reset();
});
const handlers = {
  open() {
    load();
  },
  lost() {
    byId("connection").className = "connection lost";
    byId("connection").textContent = "no connection; trying again";
  },
  reset(counts) {
    view?.reset(); // also the first time: no event reported changes since the view was loaded
    summary(counts);
  },
  run: (run) => view?.run(run),
  service,
  summary,
};

/** The view that people wait for first; all else can wait, too. */
async function begin() {
  await show(true);
  await view?.loaded;
  await painted();
  listen(handlers);
  // So that they are there at once when somebody goes there; whoever does asks again where that fails.
  await Promise.allSettled([import("./run.js"), import("./patient.js"), import("./search.js"), import("./services.js")]);
}
begin();
