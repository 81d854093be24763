// @ts-check
// Runs the form without leaving the page, and makes pictures into numbers. Without this file the form is simply sent.

import { enable } from "./hub.js";

const LOOK_AFTER_MS = 300;
const LOOK_EVERY_MS = 1000;
const DIGITS = 4;

const form = /** @type {HTMLFormElement | null} */ (document.querySelector("#try"));
const result = document.querySelector("#result");
const doing = document.querySelector("#doing");
/** Numbers of pictures, by input; they stand for what is empty in the form.
 *  @type {Map<string, () => string>} */
const pictures = new Map();

/** @param {string} text */
function tell(text) {
  if (doing) doing.textContent = text;
}

/** The pixels of a canvas as nested lists: rows of columns of channels, one picture.
 *  @param {HTMLCanvasElement} canvas @param {number} channels @param {string} scale */
function numbersOf(canvas, channels, scale) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return "";
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  /** @param {number} value */
  const scaled = (value) => {
    if (scale === "255") return Math.round(value);
    return Number((scale === "1" ? value / 255 : value / 127.5 - 1).toFixed(DIGITS));
  };
  const rows = [];
  for (let y = 0; y < canvas.height; y += 1) {
    const row = [];
    for (let x = 0; x < canvas.width; x += 1) {
      const at = (y * canvas.width + x) * 4;
      const [red, green, blue] = [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0];
      const grey = 0.299 * red + 0.587 * green + 0.114 * blue;
      row.push(channels === 1 ? [scaled(grey)] : [scaled(red), scaled(green), scaled(blue)]);
    }
    rows.push(row);
  }
  return JSON.stringify([rows]);
}

/** @param {HTMLFieldSetElement} field */
function pictureField(field) {
  const name = field.dataset.image ?? "";
  const picture = /** @type {HTMLElement} */ (field.querySelector(".picture"));
  const drop = /** @type {HTMLElement} */ (field.querySelector(".drop"));
  const chosen = /** @type {HTMLInputElement} */ (field.querySelector("input[type=file]"));
  const canvas = /** @type {HTMLCanvasElement} */ (field.querySelector("canvas"));
  const scale = /** @type {HTMLSelectElement} */ (field.querySelector(".scale"));
  const said = /** @type {HTMLElement} */ (field.querySelector(".said"));
  const box = /** @type {HTMLTextAreaElement} */ (field.querySelector("textarea.mono"));
  picture.hidden = false;

  /** @param {Blob & { name?: string }} file */
  const take = async (file) => {
    try {
      const bitmap = await createImageBitmap(file);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      if (!context) return;
      context.fillStyle = "white"; // behind what is transparent
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.imageSmoothingQuality = "high";
      context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      canvas.hidden = false;
      const from = `${bitmap.width}×${bitmap.height} → ${canvas.width}×${canvas.height}`;
      said.textContent = `${file.name ?? "Image"} ${from}`;
      box.value = "";
      pictures.set(name, () => numbersOf(canvas, Number(field.dataset.channels), scale.value));
    } catch {
      said.textContent = "The browser cannot read this file as an image. Take a PNG or JPEG.";
    }
  };
  chosen.addEventListener("change", () => chosen.files?.[0] && take(chosen.files[0]));
  box.addEventListener("input", () => pictures.delete(name));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
  return take;
}

/** @param {HTMLFormElement} form @param {Element} result */
function bench(form, result) {
  const takes = [...form.querySelectorAll("fieldset[data-image]")].map((field) =>
    pictureField(/** @type {HTMLFieldSetElement} */ (field))
  );
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (file && takes[0]) takes[0](file);
  });

  const buttons = /** @type {HTMLButtonElement[]} */ ([...form.querySelectorAll("button[type=submit]")]);
  const cancel = /** @type {HTMLButtonElement} */ (form.querySelector("[data-cancel]"));
  const version = form.dataset.version ?? "";
  const loading = document.getElementById("loading");
  /** @type {AbortController | undefined} */
  let running;

  /** Says what is going on, second by second. @param {AbortSignal} signal */
  const watch = async (signal) => {
    const began = performance.now();
    await new Promise((done) => setTimeout(done, LOOK_AFTER_MS));
    while (!signal.aborted) {
      const state = await fetch(form.dataset.state ?? "", { signal }).then((answer) => answer.json()).catch(() => null);
      if (signal.aborted) return;
      const seconds = Math.round((performance.now() - began) / 1000);
      const what = state && !state.loaded_on ? `Loading ${version}` : `Computing ${version}`;
      tell(`${what} … ${seconds} s`);
      await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
    }
  };

  /** @param {HTMLElement | null} submitter */
  const send = async (submitter) => {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form, submitter)) {
      if (typeof value === "string") fields.set(name, value);
    }
    for (const [name, numbers] of pictures) fields.set(`json.${name}`, numbers());
    const body = fields.toString();
    if (body.length > Number(form.dataset.maxBytes)) {
      tell(`That is ${Math.ceil(body.length / 2 ** 20)} MiB, more than the page takes. Use hub predict.`);
      return;
    }
    running = new AbortController();
    const { signal } = running;
    tell("Sent");
    watch(signal);
    try {
      const headers = { "Content-Type": "application/x-www-form-urlencoded", "Hub-Part": "result" };
      const answer = await fetch(form.action, { method: "POST", body, headers, signal });
      const text = await answer.text();
      const page = new DOMParser().parseFromString(text, "text/html");
      if (answer.headers.get("hub-part") === "result") {
        result.replaceChildren(...page.body.childNodes);
        enable(result);
      } else {
        result.replaceChildren(...(page.querySelector("main")?.childNodes ?? []));
      }
      tell(answer.ok ? "Answered" : "Refused");
      if (answer.ok && loading) loading.hidden = true;
    } catch {
      tell(signal.aborted ? "Cancelled" : "The hub did not answer. Run it again.");
    } finally {
      running.abort();
      running = undefined;
    }
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    for (const button of buttons) button.disabled = true;
    cancel.hidden = false;
    // A disabled button is no submitter: its name is what counts.
    const asked = document.createElement("button");
    const by = /** @type {HTMLButtonElement | null} */ (event.submitter);
    Object.assign(asked, { name: "ask", value: by?.value ?? "version", hidden: true });
    form.append(asked);
    try {
      await send(asked);
    } finally {
      asked.remove();
      for (const button of buttons) button.disabled = false;
      cancel.hidden = true;
    }
  });
  cancel.addEventListener("click", () => running?.abort());
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(buttons[0]);
  });
}

if (form && result) bench(form, result);

const choice = /** @type {HTMLFormElement | null} */ (document.querySelector("form.choice"));
if (choice) {
  /** @type {HTMLElement | null} */ (choice.querySelector("button"))?.remove();
  choice.addEventListener("change", () => choice.submit());
}
