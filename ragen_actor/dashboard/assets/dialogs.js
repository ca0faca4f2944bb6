// Questions that the page asks: each is a dialog of its own, closed once what it asked for is done.

import { complain } from "./notice.js";

/**
 * Open a dialog and do something when it is sent; a failure is told in it, and it stays open.
 * Returns a promise of whether it was done.
 */
export function open(name, { fill, act }) {
  const dialog = document.getElementById(name);
  const form = dialog.querySelector("form");
  const trouble = dialog.querySelector(".trouble");
  form.reset();
  trouble.hidden = true;
  fill?.(form, dialog);
  return new Promise((resolve) => {
    let done = false;
    const gone = new AbortController();
    const { signal } = gone;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const buttons = form.querySelectorAll("button[type=submit]");
      for (const button of buttons) button.disabled = true;
      try {
        await act(form);
        done = true;
        dialog.close();
      } catch (error) {
        trouble.textContent = error.message;
        trouble.hidden = false;
      } finally {
        for (const button of buttons) button.disabled = false;
      }
    }, { signal });
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => {
      gone.abort();
      resolve(done);
    }, { signal });
    dialog.showModal();
  });
}

export function confirm(title, words, act) {
  return open("confirm", {
    fill: (_, dialog) => {
      dialog.querySelector("h2").textContent = title;
      dialog.querySelector("#confirm-words").textContent = words;
    },
    act,
  }).catch(complain);
}

/** Edit pairs; `act` gets the change: a pair that is gone has the value null. */
export function editPairs(pairs, act) {
  return open("metadata", {
    fill: (form) => {
      const list = form.querySelector("#pairs");
      list.replaceChildren();
      const entries = Object.entries(pairs);
      for (const [name, value] of entries.length ? entries : [["", ""]]) addPair(list, name, value);
      form.querySelector("#add-pair").onclick = () => addPair(list, "", "").focus();
    },
    act: (form) => act(changeOf(pairs, form)),
  });
}

function addPair(list, name, value) {
  const pair = document.getElementById("pair").content.firstElementChild.cloneNode(true);
  const [nameInput, valueInput] = pair.querySelectorAll("input");
  nameInput.value = name;
  valueInput.value = value;
  pair.querySelector("[data-remove]").addEventListener("click", () => pair.remove());
  list.append(pair);
  return nameInput;
}

function changeOf(pairs, form) {
  const wanted = {};
  for (const pair of form.querySelectorAll(".pair")) {
    const [name, value] = [...pair.querySelectorAll("input")].map((input) => input.value);
    if (name) wanted[name] = value;
    else if (value) throw new Error("A value needs a name.");
  }
  const gone = Object.keys(pairs).filter((name) => !(name in wanted));
  return { ...wanted, ...Object.fromEntries(gone.map((name) => [name, null])) };
}
