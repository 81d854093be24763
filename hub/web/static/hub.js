// @ts-check
// Copy buttons, keys, the theme switch and the memory of a chosen tab. Pages are complete without this file: it only
// reveals what it can make work.

const COPIED_MS = 1500;
const CHORD_MS = 1500;
const THEMES = ["", "light", "dark"];
const THEME_NAMES = { "": "System", light: "Light", dark: "Dark" };
const THEME_SIGNS = { "": "◐", light: "○", dark: "●" };
const YEAR_S = 31536000;
const PLACES = /** @type {Record<string, string>} */ ({ m: "/", w: "/workers" });

/** Tell everybody, those who listen to the page too.
 *  @param {string} words */
function tell(words) {
  const said = document.getElementById("said");
  if (!said) return;
  said.textContent = words;
  setTimeout(() => {
    if (said.textContent === words && String(getSelection()) !== words) said.textContent = "";
  }, 2 * COPIED_MS);
}

/** @param {HTMLElement} button @param {string} said */
function show(button, said) {
  if (button.classList.contains("icon")) {
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), COPIED_MS);
    return;
  }
  const before = button.textContent ?? "";
  if (before === said) return;
  button.textContent = said;
  setTimeout(() => (button.textContent = before), COPIED_MS);
}

/** The clipboard needs https or localhost, and a reader who lets us.
 *  @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Copy what an element says, or select it, ready for Ctrl+C.
 *  @param {HTMLElement} source */
async function copyFrom(source) {
  const other = source.dataset.copied;
  if (await copied(other ?? source.textContent ?? "")) return "Copied";
  if (other) source.textContent = other;
  getSelection()?.selectAllChildren(source);
  return "Selected";
}

/** Copy a text that a key asked for, and show it.
 *  @param {string} text */
async function copyText(text) {
  if (await copied(text)) {
    tell(`Copied ${text}`);
    return;
  }
  const said = document.getElementById("said");
  if (!said) return;
  said.textContent = text;
  getSelection()?.selectAllChildren(said);
}

/** Make the copy buttons of a part of the page work; what is drawn later calls it again.
 *  @param {ParentNode} root */
export function enable(root) {
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (root.querySelectorAll("button[data-copy]"))) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy ?? "");
      if (!source) return;
      const result = await copyFrom(source);
      show(button, result);
      tell(result);
    });
  }
}

enable(document);

// On a narrow screen the tabs scroll; the one that is shown is in sight.
for (const tab of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".tabs > [aria-current]"))) {
  tab.scrollIntoView({ block: "nearest", inline: "center" });
}

const theme = /** @type {HTMLButtonElement | null} */ (document.querySelector("button[data-theme-switch]"));
if (theme) {
  const root = document.documentElement;
  const draw = () => {
    const name = /** @type {keyof typeof THEME_NAMES} */ (root.dataset.theme ?? "");
    theme.setAttribute("aria-label", `Theme: ${THEME_NAMES[name]}`);
    theme.title = `Theme: ${THEME_NAMES[name]}`;
    theme.textContent = THEME_SIGNS[name];
  };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length] ?? "";
    root.dataset.theme = next;
    document.cookie = `hub_theme=${next}; path=/; max-age=${YEAR_S}; samesite=strict`;
    draw();
  });
  draw();
}

// A row of snippets opens at the tab that its reader chose last, on whatever model.
const MEMORY = "hub_snippet";
for (const tab of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll(".snippets > input"))) {
  try {
    if (tab.id === localStorage.getItem(MEMORY)) tab.checked = true;
    tab.addEventListener("change", () => localStorage.setItem(MEMORY, tab.id));
  } catch {
    break; // a reader who allows no storage has no memory
  }
}

const keys = /** @type {HTMLDialogElement | null} */ (document.getElementById("keys"));
const opener = /** @type {HTMLButtonElement | null} */ (document.querySelector("button[data-keys]"));
if (opener) {
  opener.hidden = false;
  opener.addEventListener("click", () => keys?.showModal());
}

/** @param {string} selector */
function follow(selector) {
  const link = /** @type {HTMLAnchorElement | null} */ (document.querySelector(selector));
  link?.click();
}

/** @type {Record<string, (reference: string) => void>} */
const KEYS = {
  "/": () => document.getElementById("search")?.focus(),
  "?": () => keys?.showModal(),
  "[": () => follow(".neighbours a[rel=prev]"),
  "]": () => follow(".neighbours a[rel=next]"),
  c: (reference) => reference && void copyText(reference),
  y: (reference) => reference && void copyText(`hub pull ${reference}`),
};
let chordUntil = 0;

document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || keys?.open) return;
  if (at instanceof Element && at.closest("input:not([type=radio]), textarea, select, [contenteditable]")) return;
  const place = PLACES[event.key];
  if (place && event.timeStamp < chordUntil) {
    location.assign(place);
    return;
  }
  chordUntil = event.key === "g" ? event.timeStamp + CHORD_MS : 0;
  const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : undefined;
  if (!act) return;
  event.preventDefault();
  act(/** @type {HTMLElement | null} */ (document.querySelector("[data-reference]"))?.dataset.reference ?? "");
});
