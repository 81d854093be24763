// @ts-check
// What changes while it is looked at: an element with data-live shows what that stream sends. The browser comes again by
// itself where a stream breaks off; where it is refused, we do, more and more slowly.

import { enable } from "./hub.js";

const MOST_WAIT_MS = 60000;
const badge = document.getElementById("live");

/** @param {string} word @param {string} kind */
function say(word, kind) {
  if (!badge || badge.textContent === word) return;
  badge.hidden = false;
  badge.textContent = word;
  badge.className = `badge ${kind}`;
}

/** @param {HTMLElement} element @param {number} wait_ms */
function listen(element, wait_ms) {
  const source = new EventSource(element.dataset.live ?? "");
  source.addEventListener("workers", (event) => {
    const drawn = new DOMParser().parseFromString(event.data, "text/html");
    element.replaceChildren(...drawn.body.childNodes);
    enable(element);
    say("live", "ready");
    wait_ms = 1000;
  });
  source.addEventListener("error", () => {
    say("not live, trying again", "warning");
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => listen(element, Math.min(2 * wait_ms, MOST_WAIT_MS)), wait_ms);
  });
}

for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-live]"))) {
  listen(element, 1000);
}
