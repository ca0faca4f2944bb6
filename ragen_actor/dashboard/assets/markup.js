// The one place where text from this server becomes a part of the page.

import { render } from "./markdown.js";

const policy = window.trustedTypes?.createPolicy("ragen", { createHTML: (text) => text });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** Return the elements of an answer, ready to be shown. */
export async function fragment(response) {
  const template = document.createElement("template");
  const text = await response.text();
  template.innerHTML = policy ? policy.createHTML(text) : text;
  dress(template.content);
  return template.content;
}

/** Render what is Markdown, and put times in the reader's own. */
export function dress(root) {
  for (const element of root.querySelectorAll("[data-markdown]")) render(element);
  const today = day.format(new Date());
  for (const element of root.querySelectorAll("time")) {
    const time = new Date(element.dateTime);
    const date = day.format(time);
    element.textContent = date === today ? hour.format(time) : `${date}, ${hour.format(time)}`;
    element.title = exact.format(time);
  }
}
