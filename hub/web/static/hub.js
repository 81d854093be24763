// @ts-check
// Copy buttons and the theme switch. Pages are complete without this file: it only reveals what it can make work.

const COPIED_MS = 1500;
const THEMES = ["", "light", "dark"];
const THEME_NAMES = { "": "System", light: "Light", dark: "Dark" };
const YEAR_S = 31536000;

/** @param {HTMLElement} button @param {string} said */
function say(button, said) {
  const before = button.textContent ?? "";
  if (before === said) return;
  button.textContent = said;
  setTimeout(() => (button.textContent = before), COPIED_MS);
}

/** The clipboard needs https or localhost, and a reader who lets us; else the text is selected, ready for Ctrl+C.
 *  @param {HTMLElement} source @param {string} text */
async function copy(source, text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    getSelection()?.selectAllChildren(source);
    return "Selected";
  }
}

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-copy]"))) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy ?? "");
    if (source) say(button, await copy(source, source.textContent ?? ""));
  });
}

const theme = /** @type {HTMLButtonElement | null} */ (document.querySelector("button[data-theme-switch]"));
if (theme) {
  const root = document.documentElement;
  const show = () => {
    const name = /** @type {keyof typeof THEME_NAMES} */ (root.dataset.theme ?? "");
    theme.setAttribute("aria-label", `Theme: ${THEME_NAMES[name]}`);
    theme.title = `Theme: ${THEME_NAMES[name]}`;
  };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length] ?? "";
    root.dataset.theme = next;
    document.cookie = `hub_theme=${next}; path=/; max-age=${YEAR_S}; samesite=strict`;
    show();
  });
  show();
}

document.addEventListener("keydown", (event) => {
  const search = document.getElementById("search");
  const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey || !search) return;
  event.preventDefault();
  search.focus();
});
