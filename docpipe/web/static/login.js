/** Tells why signing in failed. */
const told = {
  401: "That is not the token.",
  429: "Too many wrong tokens from here: wait a minute, then try again.",
};
const problem = new URLSearchParams(location.search).get("problem");
if (problem) document.getElementById("problem").textContent = told[problem] ?? "Signing in failed.";
