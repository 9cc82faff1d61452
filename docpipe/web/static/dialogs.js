/** Questions before what cannot be taken back, notices of what was refused, and the form for patients. */
import { newKey, submit } from "./api.js";
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

/** Say what went wrong until it is put away. */
export function notice(message, kind = "bad") {
  const line = h(
    "p",
    { class: `notice ${kind}` },
    message,
    h(
      "button",
      { type: "button", class: "quiet", "aria-label": "Put this notice away", click: () => line.remove() },
      "✕",
    ),
  );
  byId("notices").append(line);
  if (kind !== "bad") setTimeout(() => line.remove(), 8000);
}

/** Make the form for patients work; `done` is called after a submission. */
export function prepareSubmission(done) {
  const dialog = byId("submit-dialog");
  let key = newKey();
  byId("submit").addEventListener("click", () => {
    byId("submit-problem").textContent = "";
    dialog.showModal();
    byId("ids").focus();
  });
  byId("submit-cancel").addEventListener("click", () => dialog.close());
  for (const id of ["ids", "file", "priority"]) byId(id).addEventListener("input", () => (key = newKey()));
  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("submit-send").disabled = true;
    try {
      const answer = await submit(await wanted(), Number(byId("priority").value), key);
      told(answer);
      dialog.close();
      byId("ids").value = byId("file").value = "";
      key = newKey();
      done(answer);
    } catch (problem) {
      byId("submit-problem").textContent = problem.message;
    } finally {
      byId("submit-send").disabled = false;
    }
  });
}

async function wanted() {
  const file = byId("file").files[0];
  if (file) return file.text();
  const ids = byId("ids")
    .value.split(/[\n,;]+/)
    .map((id) => id.trim())
    .filter(Boolean);
  if (!ids.length) throw new Error("Give the id of a patient, or choose a file.");
  return ids;
}

function told(answer) {
  const created = answer.runs.filter((run) => run.created).length;
  const known = answer.runs.length - created;
  const parts = [many(created, "run has begun", "runs have begun")];
  if (known) parts.push(`${many(known, "patient")} had an unfinished run already`);
  notice(`${parts.join("; ")}.`, "good");
  if (answer.refused.length)
    notice(
      `Refused: ${answer.refused
        .slice(0, 5)
        .map(({ line, reason }) => `line ${line}: ${reason}`)
        .join("; ")}${answer.refused.length > 5 ? `; and ${answer.refused.length - 5} more` : ""}`,
    );
}
