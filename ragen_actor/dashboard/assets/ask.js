// Requests to this server: with the session's token, and with failures in words.

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";
const ATTEMPTS_MAX = 4;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Send a request and return its answer, which is a success; a read that came too soon waits. */
export async function ask(path, { method = "GET", body, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await send(path, { method, body, signal });
    if (response.ok) return response;
    if (response.status === 401) leave();
    const soon = response.status === 429 || response.status === 503;
    if (!soon || method !== "GET" || attempt === ATTEMPTS_MAX) throw await refusal(response);
    await pause(Number(response.headers.get("retry-after-ms")) || 1000, signal);
  }
}

/** Go and sign in again, unless something was typed that would be lost. */
function leave() {
  if (document.getElementById("words")?.value.trim()) {
    throw new Refused(401, "Your session has ended. Copy what you wrote, then reload the page to sign in.");
  }
  location.assign(`/dashboard/sign-in?next=${encodeURIComponent(location.pathname)}`);
}

async function send(path, { method, body, signal }) {
  const headers = { "X-CSRF-Token": token };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server cannot be reached.");
  }
}

async function refusal(response) {
  try {
    return new Refused(response.status, (await response.json()).error.message);
  } catch {
    return new Refused(response.status, `The server answered with ${response.status}.`);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
