// @ts-check
// The controls of the training page: what they choose goes to every chart, to the tables and into the URL.

import "./chart.js";

/** @typedef {import("./chart.js").HubChart} HubChart */

const AXES = ["step", "relative", "wall"];
const form = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-controls]"));
const charts = /** @type {HubChart[]} */ ([...document.querySelectorAll("hub-chart")]);

/** @param {HTMLFormElement} form */
function chosen(form) {
  const data = new FormData(form);
  const boxes = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll("input[name=runs]")]);
  const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
  const x = /** @type {import("./curves.js").Axis} */ (AXES.find((axis) => axis === data.get("x")) ?? "step");
  return { x, smooth: Number(data.get("smooth")), log: data.get("log") === "1", hidden, shown: boxes.filter((box) => box.checked) };
}

/** @param {URL} url @param {string} key @param {string} value */
function note(url, key, value) {
  if (value) url.searchParams.set(key, value);
  else url.searchParams.delete(key);
}

/** @param {HTMLFormElement} form */
function apply(form) {
  const options = chosen(form);
  for (const chart of charts) chart.options = options;
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("tr[data-run]"))) row.hidden = options.hidden.has(row.dataset.run ?? "");
  const url = new URL(location.href);
  note(url, "x", options.x === "step" ? "" : options.x);
  note(url, "smooth", options.smooth ? String(options.smooth) : "");
  note(url, "log", options.log ? "1" : "");
  url.searchParams.delete("runs");
  if (options.hidden.size) for (const box of options.shown) url.searchParams.append("runs", box.value);
  history.replaceState(null, "", url);
}

/** What the URL says of zooms: ``zoom=LOW..HIGH~TAG``, once for each chart. */
function zooms() {
  return new Map(new URL(location.href).searchParams.getAll("zoom").flatMap((text) => {
    const found = /^(-?[\d.e+-]+)\.\.(-?[\d.e+-]+)~(.*)$/s.exec(text);
    const low = Number(found?.[1]), high = Number(found?.[2]);
    return found && low < high ? [[found[3], /** @type {[number, number]} */ ([low, high])]] : [];
  }));
}

for (const chart of charts) {
  chart.zoom = zooms().get(chart.tag) ?? null;
  chart.addEventListener("zoomed", (event) => {
    const all = zooms();
    const part = /** @type {CustomEvent<[number, number] | null>} */ (event).detail;
    if (part) all.set(chart.tag, [Number(part[0].toPrecision(12)), Number(part[1].toPrecision(12))]);
    else all.delete(chart.tag);
    const url = new URL(location.href);
    url.searchParams.delete("zoom");
    for (const [tag, [low, high]] of all) url.searchParams.append("zoom", `${low}..${high}~${tag}`);
    history.replaceState(null, "", url);
  });
}
if (form) {
  form.addEventListener("input", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.name !== "tags") apply(form);
  });
  apply(form);
}
