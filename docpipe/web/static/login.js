/** Signs in with the code of a printed link, or shows why signing in failed. */
const reasons = {
  401: "That is not the token, or the link was used already.",
  429: "Too many wrong tokens from here: wait a minute, then try again.",
};
const problem = new URLSearchParams(location.search).get("problem");
if (problem) document.getElementById("problem").textContent = reasons[problem] ?? "Signing in failed.";

const code = location.hash.slice(1);
if (code) {
  history.replaceState(null, "", location.pathname); // it is of no use a second time
  document.getElementById("token").value = code;
  document.querySelector("form").requestSubmit();
}
