// The list of threads: newest first, longer as one scrolls, filtered as one types.

import { ask } from "./ask.js";
import { fragment } from "./markup.js";
import { complain } from "./notice.js";

const TYPING_MS = 120;

export class ThreadList {
  constructor() {
    this.scroller = document.getElementById("list");
    this.rows = document.getElementById("rows");
    this.edge = document.getElementById("rows-edge");
    this.empty = document.getElementById("no-rows");
    this.input = document.getElementById("filter");
    this.current = this.rows.querySelector("[aria-current]")?.closest("li").dataset.id ?? "";
    this.more = this.rows.dataset.more === "true";
    this.cursor = "";
    this.asked = new AbortController();
    this.busy = false;
    this.timer = 0;
    this.observer = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && this.loadMore(), {
      root: this.scroller,
      rootMargin: "600px",
    });
    this.observer.observe(this.edge);
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.reload(), TYPING_MS);
    });
    document.getElementById("filter-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.rows.querySelector("a")?.click();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.rows.querySelector("a")?.focus();
    });
    this.rows.addEventListener("keydown", (event) => this.move(event));
  }

  get filter() {
    return this.input.value.trim();
  }

  find(id) {
    return this.rows.querySelector(`li[data-id="${CSS.escape(id)}"]`);
  }

  /** Show which thread is open. */
  mark(id) {
    this.current = id;
    this.rows.querySelector("[aria-current]")?.removeAttribute("aria-current");
    this.find(id)?.querySelector("a").setAttribute("aria-current", "page");
  }

  /** Begin again at the newest thread. */
  async reload() {
    this.asked.abort();
    this.asked = new AbortController();
    this.busy = false;
    await this.load({ fresh: true });
  }

  async loadMore() {
    if (this.more && !this.busy) await this.load({ fresh: false });
  }

  async load({ fresh }) {
    const { signal } = this.asked;
    const query = new URLSearchParams();
    if (this.filter) query.set("filter", this.filter);
    const after = fresh ? "" : this.cursor || this.rows.lastElementChild?.dataset.id;
    if (after) query.set("after", after);
    this.busy = true;
    try {
      const response = await ask(`/dashboard/threads?${query}`, { signal });
      const found = await fragment(response);
      if (signal.aborted) return;
      if (fresh) this.rows.replaceChildren();
      this.rows.append(...[...found.children].filter((row) => !this.find(row.dataset.id)));
      this.more = response.headers.get("X-More") === "true";
      this.cursor = response.headers.get("X-Cursor") ?? "";
      this.busy = false;
      this.settle();
    } catch (error) {
      if (!signal.aborted) this.busy = false;
      complain(error);
    }
  }

  /** Threads were made meanwhile: they stand above all others. */
  async loadNewer() {
    if (this.filter) return;
    const first = this.rows.firstElementChild?.dataset.id;
    if (!first) {
      await this.reload();
      return;
    }
    try {
      const response = await ask(`/dashboard/threads?before=${first}`);
      const found = await fragment(response);
      if (response.headers.get("X-More") === "true") {
        await this.reload();
        return;
      }
      this.rows.prepend(...[...found.children].filter((row) => !this.find(row.dataset.id)));
      this.settle();
    } catch (error) {
      complain(error);
    }
  }

  /** A thread has another title. */
  async refresh(id) {
    const old = this.find(id);
    if (!old) return;
    try {
      const found = await fragment(await ask(`/dashboard/threads/${id}/row`));
      const focused = old.contains(document.activeElement);
      old.replaceWith(found.firstElementChild);
      this.mark(this.current);
      if (focused) this.find(id)?.querySelector("a").focus();
    } catch (error) {
      if (error.status !== 404) complain(error);
    }
  }

  remove(id) {
    this.find(id)?.remove();
    this.settle();
  }

  settle() {
    this.mark(this.current);
    this.edge.hidden = !this.more;
    this.empty.hidden = this.more || this.rows.childElementCount > 0;
    this.empty.textContent = this.filter ? "No title or id holds that." : "No thread yet.";
    // An edge that stays in sight tells so again only when it is looked for anew.
    this.observer.unobserve(this.edge);
    this.observer.observe(this.edge);
  }

  move(event) {
    const row = event.target.closest("li");
    const steps = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling, Home: this.rows.firstElementChild, End: this.rows.lastElementChild };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = steps[event.key]?.querySelector("a");
    if (next) next.focus();
    else if (event.key === "ArrowUp") this.input.focus();
  }
}
