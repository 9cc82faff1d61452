/** Questions before changes that cannot be undone, notices, and the form for patients. */
import { check, newKey, save, submit } from "./api.js";
import { byId, h, many } from "./dom.js";

/** Ask; true when the answer is yes. */
export function ask({ title, text, yes, more = [] }) {
  const dialog = byId("ask-dialog");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  byId("ask-more").replaceChildren(...more);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}

/** Show what went wrong until the reader closes it. */
export function notice(message, kind = "bad") {
  const line = h(
    "p",
    { class: `notice ${kind}` },
    message,
    h(
      "button",
      { type: "button", class: "quiet", "aria-label": "Close this notice", click: () => line.remove() },
      "✕",
    ),
  );
  byId("notices").append(line);
  if (kind !== "bad") setTimeout(() => line.remove(), 8000);
}

/** A button that saves a file which the service makes on demand; `message` is displayed meanwhile. */
export function saveButton(id, label, path, message) {
  const click = async () => {
    try {
      await save(path);
      notice(message, "good");
    } catch (problem) {
      notice(problem.message);
    }
  };
  return h("button", { type: "button", id, click }, label);
}

/** The buttons for all documents of a patient or a run; `base` is its address in the API. */
export const saveButtons = (base) => [
  saveButton("chart", "Chart (one PDF)", `${base}/chart.pdf`, "The chart is being made; your browser saves it when it is ready."),
  saveButton("package", "All files (ZIP)", `${base}/documents.zip`, "Your browser saves the documents as they come."),
];

/** Make the form for patients work; `done` is called after a submission. */
export function prepareSubmission(done) {
  const dialog = byId("submit-dialog");
  const rest = byId("submit-rest");
  let key = newKey();
  let usable = [];
  const clear = () => {
    byId("submit-problem").replaceChildren();
    rest.hidden = true;
  };
  const changed = () => {
    key = newKey();
    clear();
  };
  const send = async (patients) => {
    const answer = await submit(patients, Number(byId("priority").value), key);
    report(answer);
    dialog.close();
    byId("ids").value = byId("file").value = "";
    changed();
    done(answer);
  };
  const guarded = async (work) => {
    byId("submit-send").disabled = rest.disabled = true;
    try {
      await work();
    } catch (problem) {
      byId("submit-problem").textContent = problem.message;
    } finally {
      byId("submit-send").disabled = rest.disabled = false;
    }
  };
  byId("submit").addEventListener("click", () => {
    clear();
    dialog.showModal();
    byId("ids").focus();
  });
  byId("submit-cancel").addEventListener("click", () => dialog.close());
  for (const id of ["ids", "file", "priority"]) byId(id).addEventListener("input", changed);
  rest.addEventListener("click", () => guarded(() => send(usable)));
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(async () => {
      clear();
      const checked = await check(await given());
      usable = checked.patients;
      if (!checked.unknown.length && !checked.refused.length) return send(usable);
      byId("submit-problem").replaceChildren(...unusable(checked));
      rest.hidden = !usable.length;
      rest.textContent = `Start the other ${usable.length.toLocaleString()}`;
      return null;
    });
  });
}

/** What has to be corrected before all ids can be submitted. */
function unusable({ unknown, refused }) {
  const lines = [];
  if (unknown.length)
    lines.push(
      `The patients database does not have ${listed(unknown)}. Compare with the patient's papers: capital letters and leading zeros count.`,
    );
  if (refused.length)
    lines.push(`Not usable: ${listed(refused.map(({ line, reason }) => `line ${line} (${reason})`))}.`);
  return [...lines, "Nothing has begun yet."].map((line) => h("span", { class: "line" }, line));
}

const listed = (words) =>
  words.slice(0, 5).join(", ") + (words.length > 5 ? ` and ${(words.length - 5).toLocaleString()} more` : "");

async function given() {
  const file = byId("file").files[0];
  if (file) return file.text();
  const ids = byId("ids")
    .value.split(/[\n,;]+/)
    .map((id) => id.trim())
    .filter(Boolean);
  if (!ids.length) throw new Error("Give the id of a patient, or choose a file.");
  return ids;
}

function report(answer) {
  const created = answer.runs.filter((run) => run.created).length;
  const known = answer.runs.length - created;
  const parts = [many(created, "run has begun", "runs have begun")];
  if (known) parts.push(`${many(known, "patient")} had an unfinished run already`);
  notice(`${parts.join("; ")}.`, "good");
}
