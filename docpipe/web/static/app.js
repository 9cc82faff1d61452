/** The page: which view is shown, what the events tell it, pausing, and whether the service is there. */
import { get, listen, post } from "./api.js";
import { notice, prepareSubmission } from "./dialogs.js";
import { byId } from "./dom.js";
import { Runs, spoken } from "./runs.js";

const SPOKEN_EVERY = 10000;
let view = null;
let paused = false;
let spokenAt = 0;

/** The view that an address asks for; all but the list are loaded when they are needed, or after it. */
async function viewOf(hash) {
  const [path, query] = hash.replace(/^#/, "").split("?");
  const run = /^\/run\/([0-9A-Z]{26})$/.exec(path);
  if (run) return new (await import("./run.js")).Run(run[1]);
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
  const shown = hash.startsWith("#/services") ? "services" : "runs";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("main").replaceChildren(view.element());
  document.title = `${view.title} – docpipe`;
  if (!first) {
    byId("main").focus();
    scrollTo(0, 0);
  }
}

function summary(told) {
  view?.summary(told);
  if (Date.now() - spokenAt < SPOKEN_EVERY) return;
  spokenAt = Date.now();
  byId("live").textContent = spoken(told.counts);
}

function service(told) {
  view?.service?.(told);
  paused = told.paused !== null;
  const button = byId("pause");
  button.hidden = false;
  button.textContent = paused ? "Go on" : "Pause";
  document.body.classList.toggle("paused", paused);
  const troubles = told.services
    .filter((one) => one.state !== "up")
    .map((one) => `${one.name} is ${one.state}`);
  if (paused) troubles.unshift("everything is paused");
  const line = byId("connection");
  const words = troubles.length ? troubles.join(", ") : "connected";
  line.className = `connection ${troubles.length ? "trouble" : "well"}`;
  if (line.textContent !== words) line.textContent = words;
}

async function toggle() {
  try {
    await post(paused ? "/api/resume" : "/api/pause");
    service(await get("/api/services"));
  } catch (problem) {
    notice(problem.message);
  }
}

const load = () => get("/api/services").then(service, () => {});

addEventListener("hashchange", (event) => {
  if (!(view instanceof Runs && new URL(event.newURL).hash.startsWith("#/?"))) show(false);
});
byId("pause").addEventListener("click", toggle);
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
  reset(told) {
    view?.reset(); // at the first time, too: what happened since it was asked was told to nobody
    summary(told);
  },
  run: (told) => view?.run(told),
  service,
  summary,
};

/** The view that people wait for first; all else can wait, too. */
async function begin() {
  await show(true);
  await view?.loaded;
  listen(handlers);
  // So that they are there at once when somebody goes there; whoever does asks again where that fails.
  await Promise.allSettled([import("./run.js"), import("./services.js")]);
}
begin();
