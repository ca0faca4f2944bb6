// One conversation: a window on its turns that can be moved from either end, of a bounded height.

import { ask } from "./ask.js";
import { fragment } from "./markup.js";
import { complain, notice } from "./notice.js";

const PAGE = 30;
const TURNS_MAX = 210;
const NEAR_PX = 160;
const RETRIES_MAX = 6;

export class Conversation {
  constructor(root) {
    this.root = root;
    this.id = root.dataset.thread;
    this.scroller = root.querySelector("#scroll");
    this.turns = root.querySelector("#turns");
    this.edges = { older: root.querySelector("#older-edge"), newer: root.querySelector("#newer-edge") };
    this.more = { older: this.turns.dataset.older === "true", newer: false };
    this.fresh = root.querySelector("#fresh");
    this.left = new AbortController();
    this.working = Promise.resolve();
    this.observer = new IntersectionObserver((seen) => this.reach(seen), { root: this.scroller, rootMargin: "900px 0px" });
    this.toEnd();
    this.settle();
    this.scroller.addEventListener("scroll", () => this.isNearEnd() && !this.more.newer && (this.fresh.hidden = true));
    root.querySelector("#composer").addEventListener("submit", (event) => this.add(event));
    root.querySelector("#words").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
    });
  }

  get title() {
    return this.root.querySelector("#title").textContent;
  }

  get isReadable() {
    return !this.root.querySelector(".banner");
  }

  /** Stop whatever is on its way: another thread is opened. */
  leave() {
    this.left.abort();
    this.observer.disconnect();
  }

  find(id) {
    return this.turns.querySelector(`li[data-id="${CSS.escape(id)}"]`);
  }

  isNearEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  reach(seen) {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting && target === this.edges.older) this.queue(() => this.loadOlder());
      if (isIntersecting && target === this.edges.newer) this.queue(() => this.loadNewer());
    }
  }

  /** Do one thing after another: two loads at once would not know what is between them. */
  queue(step) {
    this.working = this.working.then(step).catch(complain);
    return this.working;
  }

  async page(query) {
    const path = `/dashboard/threads/${this.id}/turns?limit=${PAGE}&${new URLSearchParams(query)}`;
    const response = await ask(path, { signal: this.left.signal });
    return { found: await fragment(response), more: response.headers.get("X-More") === "true" };
  }

  async loadOlder() {
    const first = this.turns.firstElementChild;
    if (!this.more.older || !first) return;
    const { found, more } = await this.page({ order: "desc", after: first.dataset.id });
    const height = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.turns.prepend(...found.children);
    this.more.older = more;
    this.scroller.scrollTop = this.scroller.scrollHeight - height;
    while (this.turns.childElementCount > TURNS_MAX) {
      this.turns.lastElementChild.remove();
      this.more.newer = true;
    }
    this.settle();
  }

  async loadNewer() {
    const last = this.turns.lastElementChild;
    const { found, more } = await this.page({ order: "asc", ...(last && { after: last.dataset.id }) });
    const arrived = [...found.children].filter((turn) => !this.find(turn.dataset.id));
    this.turns.append(...arrived);
    this.more.newer = more;
    const excess = this.turns.childElementCount - TURNS_MAX;
    if (excess > 0) {
      const height = this.scroller.scrollHeight;
      for (let count = 0; count < excess; count += 1) this.turns.firstElementChild.remove();
      this.scroller.scrollTop -= height - this.scroller.scrollHeight;
      this.more.older = true;
    }
    this.settle();
    return arrived;
  }

  /** Something was added at the end. */
  catchUp() {
    return this.queue(async () => {
      if (!this.isReadable) return;
      if (this.more.newer) {
        this.fresh.hidden = false;
        return;
      }
      const near = this.isNearEnd();
      const arrived = await this.loadNewer();
      for (const turn of arrived) turn.classList.add("arrived");
      if (!arrived.length) return;
      if (near && !this.more.newer) this.toEnd();
      else this.fresh.hidden = false;
    });
  }

  /** Go to one end and forget the way there. */
  jump(end) {
    return this.queue(async () => {
      const { found, more } = await this.page({ order: end === "first" ? "asc" : "desc" });
      this.turns.replaceChildren(found);
      this.more = { older: end === "latest" && more, newer: end === "first" && more };
      this.fresh.hidden = true;
      this.settle();
      if (end === "first") this.scroller.scrollTop = 0;
      else this.toEnd();
      this.scroller.focus({ preventScroll: true });
    });
  }

  /** Read one turn again: something of it has changed, or all of it is wanted. */
  async refresh(id) {
    if (!this.find(id)) return;
    const path = `/dashboard/threads/${this.id}/turns/${id}`;
    try {
      const found = await fragment(await ask(path, { signal: this.left.signal }));
      this.find(id)?.replaceWith(found.firstElementChild);
    } catch (error) {
      if (error.status === 404) this.remove(id);
      else complain(error);
    }
  }

  remove(id) {
    const turn = this.find(id);
    if (!turn) return;
    const focused = turn.contains(document.activeElement);
    turn.remove();
    this.settle();
    if (focused) this.scroller.focus();
  }

  settle() {
    for (const end of ["older", "newer"]) {
      this.edges[end].hidden = !this.more[end];
      this.observer.unobserve(this.edges[end]);
      if (this.more[end]) this.observer.observe(this.edges[end]);
    }
    const empty = !this.turns.childElementCount && !this.more.older && !this.more.newer;
    this.root.querySelector("#no-turns").hidden = !empty || !this.isReadable;
  }

  async add(event) {
    event.preventDefault();
    const form = event.target;
    const words = form.elements.words.value;
    if (!words.trim()) return;
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    try {
      const body = { role: form.elements.role.value, content: words };
      await ask(`/dashboard/threads/${this.id}/turns`, { method: "POST", body });
      form.elements.words.value = "";
      if (this.more.newer) await this.jump("latest");
      else await this.catchUp();
      this.toEnd();
      notice("Added.");
    } catch (error) {
      complain(error);
    } finally {
      button.disabled = false;
      form.elements.words.focus();
    }
  }

  /** Show a picture from elsewhere, in a frame of its own that can do nothing else. */
  show(link) {
    const frame = document.createElement("iframe");
    frame.src = `/dashboard/picture?url=${encodeURIComponent(link.href)}`;
    frame.title = "Image from another server";
    frame.setAttribute("sandbox", "");
    frame.referrerPolicy = "no-referrer";
    const figure = document.createElement("span");
    figure.className = "picture-frame";
    const open = link.cloneNode();
    open.removeAttribute("class");
    open.textContent = `Open ${link.href}`;
    figure.append(frame, open);
    link.replaceWith(figure);
    open.focus();
  }
}

/** Say how long to wait until a thread whose key could not be had is tried again; 0 for never. */
export function retryAfter(root, attempt) {
  const wait = Number(root.querySelector(".banner")?.dataset.retry ?? 0);
  return attempt < RETRIES_MAX ? wait * 2 ** attempt : 0;
}
