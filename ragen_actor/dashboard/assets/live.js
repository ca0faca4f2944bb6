// Changes as they happen: one stream for the list and the open thread, while somebody can see them.

const KINDS = ["thread-created", "thread-changed", "thread-deleted", "turn-added", "turn-changed", "turn-deleted"];

export class Live {
  /**
   * `tell(kind, change)` hears of each change, of "open" whenever something may be missed, and of
   * "closed" or "signed-out" when nothing will come any more.
   */
  constructor(tell) {
    this.tell = tell;
    this.thread = "";
    this.source = null;
    document.addEventListener("visibilitychange", () => this.follow(this.thread));
    window.addEventListener("pagehide", () => this.source?.close());
  }

  /** Follow the list and this thread, or the list alone. */
  follow(thread) {
    this.thread = thread;
    this.source?.close();
    this.source = null;
    // A browser keeps few connections to one server, and a page behind others needs none.
    if (document.hidden) return;
    const query = thread ? `?thread=${encodeURIComponent(thread)}` : "";
    const source = new EventSource(`/dashboard/live${query}`);
    this.source = source;
    // A stream that begins, also after a break, may have missed something.
    source.addEventListener("open", () => this.tell("open", {}));
    source.addEventListener("missed", () => this.tell("missed", {}));
    source.addEventListener("signed-out", () => {
      source.close();
      this.tell("signed-out", {});
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => this.tell(kind, JSON.parse(event.data)));
    }
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.tell("closed", {});
    });
  }
}
