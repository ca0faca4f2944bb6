// A word at the bottom of the page, also for those who listen to it.

const toast = document.getElementById("toast");
const SHOWN_MS = 4000;
let timer = 0;

export function notice(words) {
  clearTimeout(timer);
  toast.textContent = words;
  toast.classList.add("up");
  timer = setTimeout(() => toast.classList.remove("up"), SHOWN_MS);
}

/** Say what went wrong, unless somebody has gone elsewhere meanwhile. */
export function complain(error) {
  if (error.name === "AbortError") return;
  notice(error.message);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice("Copied.");
  } catch {
    notice(text); // Browsers let pages copy over TLS and on this machine only.
  }
}
