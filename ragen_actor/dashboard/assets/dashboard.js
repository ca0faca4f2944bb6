// The page put together: which thread is open, what its buttons do, what the keys do.

import { ask } from "./ask.js";
import { Conversation, retryAfter } from "./conversation.js";
import { confirm, editPairs, open } from "./dialogs.js";
import { ThreadList } from "./list.js";
import { Live } from "./live.js";
import { dress, fragment } from "./markup.js";
import { complain, copy, notice } from "./notice.js";

const RETRY_CLOSED_MS = 5000;
const main = document.getElementById("main");
const list = new ThreadList();
let conversation = null;
let opening = new AbortController();

const live = new Live((kind, change) => {
  const here = conversation !== null && change.thread_id === conversation.id;
  if (kind === "open" || kind === "missed") {
    list.loadNewer();
    if (kind === "missed") list.reload();
    conversation?.catchUp();
  }
  if (kind === "closed") setTimeout(reconnect, RETRY_CLOSED_MS);
  if (kind === "signed-out") reconnect();
  if (kind === "thread-created") list.loadNewer();
  if (kind === "thread-changed") list.refresh(change.thread_id);
  if (kind === "thread-changed" && here) renewHead();
  if (kind === "thread-deleted") {
    list.remove(change.thread_id);
    if (here) {
      notice("This thread was deleted.");
      go("", { push: true });
    }
  }
  if (kind === "turn-added" && here) conversation.catchUp();
  if (kind === "turn-changed" && here) conversation.refresh(change.message_id);
  if (kind === "turn-deleted" && here) conversation.remove(change.message_id);
});

/** The stream was refused: find out why, and follow again once it may be had. */
async function reconnect() {
  try {
    await ask(conversation ? `/dashboard/threads/${conversation.id}/row` : "/dashboard/threads");
    live.follow(live.thread);
  } catch (error) {
    complain(error);
    if (error.status === 404) go("", { push: false });
    else if (error.status !== 401) setTimeout(reconnect, RETRY_CLOSED_MS);
  }
}

/** Take up the conversation that stands in the page. */
function adopt(attempt = 0) {
  const root = document.getElementById("conversation");
  conversation?.leave();
  conversation = root && new Conversation(root);
  document.body.dataset.view = root ? "thread" : "list";
  document.title = root ? `${conversation.title} - RAGEN Actor` : "RAGEN Actor";
  list.mark(conversation?.id ?? "");
  const wait = root ? retryAfter(root, attempt) : 0;
  if (wait) setTimeout(() => root.isConnected && renew(attempt + 1), wait);
}

/** Open a thread, or none, in place of the one that is open. */
async function go(id, { push }) {
  opening.abort();
  opening = new AbortController();
  const { signal } = opening;
  try {
    if (id) {
      const response = await ask(`/dashboard/threads/${id}/conversation`, { signal });
      main.replaceChildren(await fragment(response));
    } else {
      main.replaceChildren(document.getElementById("nothing").content.cloneNode(true));
    }
  } catch (error) {
    complain(error);
    return;
  }
  if (signal.aborted) return;
  if (push) history.pushState({}, "", id ? `/dashboard/threads/${id}` : "/dashboard");
  adopt();
  live.follow(id);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

/** Read the open conversation again, all of it. */
async function renew(attempt = 0) {
  try {
    main.replaceChildren(await fragment(await ask(`/dashboard/threads/${conversation.id}/conversation`)));
    adopt(attempt);
  } catch (error) {
    complain(error);
  }
}

/** Read what stands above the turns again: title and metadata. */
async function renewHead() {
  const { root, id } = conversation;
  try {
    const found = await fragment(await ask(`/dashboard/threads/${id}/conversation`));
    const fresh = found.getElementById("conversation");
    root.querySelector("#title").replaceWith(fresh.querySelector("#title"));
    root.querySelector(".pairs")?.remove();
    const pairs = fresh.querySelector(".pairs");
    if (pairs) root.querySelector(".head").after(pairs);
    Object.assign(root.dataset, { title: fresh.dataset.title, metadata: fresh.dataset.metadata });
    if (conversation?.id === id) document.title = `${conversation.title} - RAGEN Actor`;
  } catch (error) {
    if (error.status !== 404) complain(error);
  }
}

const actions = {
  "new-thread": () => {
    let made = "";
    return open("new-thread", {
      act: async (form) => {
        const { title, words, encrypted } = form.elements;
        const body = { title: title.value.trim() || null };
        if (words.value) body.messages = [{ role: "user", content: words.value }];
        const query = encrypted?.checked ? "?encrypted=true" : "";
        const response = await ask(`/dashboard/threads${query}`, { method: "POST", body });
        made = (await response.json()).id;
      },
    }).then(async (done) => {
      if (!done) return;
      await list.loadNewer();
      await go(made, { push: true });
      document.getElementById("words")?.focus();
    });
  },
  rename: () => {
    const { root, id } = conversation;
    return open("rename", {
      fill: (form) => {
        form.elements.title.value = root.dataset.title;
      },
      act: async (form) => {
        const title = form.elements.title.value.trim() || null;
        await ask(`/dashboard/threads/${id}`, { method: "PATCH", body: { title } });
        await Promise.all([renewHead(), list.refresh(id)]);
      },
    });
  },
  metadata: () => {
    const { root, id } = conversation;
    return editPairs(JSON.parse(root.dataset.metadata), async (metadata) => {
      await ask(`/dashboard/threads/${id}`, { method: "PATCH", body: { metadata } });
      await renewHead();
    });
  },
  "delete-thread": () => {
    const { id, title } = conversation;
    return confirm("Delete this thread?", `“${title}” and all its turns will be gone. This cannot be undone.`, async () => {
      await ask(`/dashboard/threads/${id}`, { method: "DELETE" });
      const next = list.find(id)?.nextElementSibling ?? list.find(id)?.previousElementSibling;
      list.remove(id);
      await go("", { push: true });
      (next?.querySelector("a") ?? list.input).focus();
    });
  },
  "delete-turn": (button) => {
    const { id } = button.closest(".turn").dataset;
    const words = button.closest(".turn").querySelector(".text, .plain")?.textContent.trim().slice(0, 200) ?? "";
    return confirm("Delete this turn?", words ? `“${words}”` : "It will be gone. This cannot be undone.", async () => {
      await ask(`/dashboard/threads/${conversation.id}/turns/${id}`, { method: "DELETE" });
      conversation.remove(id);
    });
  },
  "show-all": (button) => conversation.refresh(button.closest(".turn").dataset.id),
  first: () => conversation.jump("first"),
  latest: () => conversation.jump("latest"),
  "try-again": () => renew(),
};

document.addEventListener("click", (event) => {
  const target = event.target.closest("a, button");
  if (!target || event.defaultPrevented) return;
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (target.dataset.copy) copy(target.dataset.copy);
  else if (target.dataset.action) actions[target.dataset.action](target);
  else if (target.matches(".picture") && plain && conversation) {
    event.preventDefault();
    conversation.show(target);
  } else if (target.matches("a.row, a.back") && plain) {
    event.preventDefault();
    go(target.closest("li")?.dataset.id ?? "", { push: true });
  }
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, dialog");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    list.input.focus();
  }
});

window.addEventListener("popstate", () => {
  const found = location.pathname.match(/^\/dashboard\/threads\/([^/]+)$/);
  go(found ? found[1] : "", { push: false });
});

dress(document.body);
adopt();
live.follow(conversation?.id ?? "");
// From here on the page does what its buttons say.
document.body.dataset.ready = "";
