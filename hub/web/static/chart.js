// @ts-check
// <hub-chart>: one tag, a line for each run. It asks for its points when it comes into view, and draws them as SVG.

import { figures, logTicks, nearest, placeText, places, smoothed, ticks } from "./curves.js";

/** @typedef {import("./curves.js").Series} Series */
/** @typedef {{x: import("./curves.js").Axis, smooth: number, log: boolean, hidden: Set<string>}} Options */
/** @typedef {{series: Series, at: number[], raw: (number|null)[], smooth: (number|null)[]}} Line */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 220, LEFT = 52, RIGHT = 12, TOP = 8, BOTTOM = 22;
const DRAG_PX = 5, MAX_PAGES = 10;
const DRAWN_POINTS = 240; // of a curve that nobody looks at closely: two for every three pixels or so
const COLOURS = 4, DASHES = 6;
const READING = ["ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End", "+", "=", "-", "Escape"];

/** @param {string} name @param {Record<string, string|number>} attributes @param {Node[]} children */
function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

/** @param {string} name @param {string} kind @param {(Node|string)[]} children */
function html(name, kind, ...children) {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  node.append(...children);
  return node;
}

/** @param {number} index */
const look = (index) => `series-${index % COLOURS} dash-${index % DASHES}`;

/** @param {number} index */
function swatch(index) {
  const line = svg("path", { class: look(index), d: "M0 4H24" });
  return svg("svg", { class: "swatch", viewBox: "0 0 24 8", width: 24, height: 8, "aria-hidden": "true" }, line);
}

/** Whether what a logarithm cannot show stands where the lowest of a stretch would. @param {Series} series */
const lacksLow = (series) => series.thinned && series.values.some((value) => value !== null && value <= 0);

export class HubChart extends HTMLElement {
  /** @type {Options} */ #options = { x: "step", smooth: 0, log: false, hidden: new Set() };
  /** @type {Series[] | null} */ #series = null;
  /** @type {Promise<void> | null} */ #whole = null;
  /** @type {Line[]} */ #lines = [];
  /** @type {[number, number] | null} */ #zoom = null;
  /** @type {number | null} */ #cursor = null;
  #low = 0; #high = 1; #bottom = 0; #top = 1; #width = 0;

  get tag() {
    return this.dataset.tag ?? "";
  }

  /** What the whole page chose. @param {Options} chosen */
  set options(chosen) {
    if (chosen.x !== this.#options.x && this.#series) this.#setZoom(null);
    this.#options = chosen;
    this.#draw();
  }

  /** The part that is looked at; null is all of it. @param {[number, number] | null} part */
  set zoom(part) {
    this.#zoom = part;
    this.#draw();
  }

  connectedCallback() {
    this.#build();
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      void this.#load();
    }, { rootMargin: "200px" });
    seen.observe(this);
    new ResizeObserver(() => {
      if (this.clientWidth === this.#width) return;
      this.#width = this.clientWidth;
      this.#draw();
    }).observe(this);
  }

  #build() {
    const title = html("h3", "", this.tag);
    const reset = html("button", "quiet", "Reset zoom");
    reset.setAttribute("type", "button");
    reset.hidden = true;
    reset.addEventListener("click", () => this.#setZoom(null));
    const plot = html("div", "plot");
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-roledescription", "chart");
    plot.setAttribute("aria-label", `${this.tag}: arrow keys read values, plus and minus zoom, Escape resets`);
    const said = html("output", "unseen");
    said.setAttribute("aria-live", "polite");
    this.replaceChildren(html("div", "head", title, reset), plot, html("ul", "legend"), said);
    plot.addEventListener("keydown", (event) => this.#press(event));
    plot.addEventListener("focus", () => void this.#loadWhole());
    plot.addEventListener("pointerenter", () => void this.#loadWhole());
    plot.addEventListener("pointermove", (event) => this.#point(event));
    plot.addEventListener("pointerleave", () => this.#read(null));
    plot.addEventListener("pointerdown", (event) => this.#drag(event));
    plot.addEventListener("dblclick", () => this.#setZoom(null));
    plot.addEventListener("blur", () => this.#read(null));
    plot.append(html("p", "note", "Loading …"));
  }

  get #plot() {
    return /** @type {HTMLElement} */ (this.querySelector(".plot"));
  }

  async #load() {
    try {
      this.#series = await this.#found(`&most=${DRAWN_POINTS}`);
      this.#draw();
    } catch (error) {
      const again = html("button", "quiet", "Try again");
      again.addEventListener("click", () => void this.#load());
      this.#plot.replaceChildren(html("p", "note", `These points could not be had: ${error instanceof Error ? error.message : error}. `, again));
    }
  }

  /** @param {string} most */
  async #found(most) {
    /** @type {[string, string, number][]} */ const runs = JSON.parse(this.dataset.runs ?? "[]");
    const known = new Map(runs.map((run) => [run[0], run]));
    /** @type {Series[]} */ const found = [];
    for (const [number, url] of JSON.parse(this.dataset.sources ?? "[]")) {
      for (const { curve, is_thinned, steps, walls, values } of await this.#points(url + most)) {
        const run = known.get(`${number}/${curve.run}`);
        if (run) found.push({ key: run[0], label: run[1], index: run[2], thinned: is_thinned, steps, walls, values });
      }
    }
    return found.sort((one, other) => one.index - other.index);
  }

  /** Has every point that the hub has, for whoever reads, zooms or smooths; what is drawn stays where they cannot be had. */
  async #loadWhole() {
    if (!this.#series?.some((series) => series.thinned)) return;
    this.#whole ??= this.#found("").then((found) => {
      this.#series = found;
      this.#draw();
    }).catch(() => undefined).finally(() => (this.#whole = null));
    await this.#whole;
  }

  /** @param {string} url */
  async #points(url) {
    const items = [];
    let after = 0;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const answer = await fetch(`${url}&after=${after}`);
      if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
      const body = await answer.json();
      items.push(...body.items);
      if (body.next === null) break;
      after = body.next;
    }
    return items;
  }

  #draw() {
    if (!this.#series || !this.#width) return;
    const { x, smooth, log, hidden } = this.#options;
    if (smooth || this.#zoom || (log && this.#series.some(lacksLow))) void this.#loadWhole();
    this.#lines = this.#series.filter((series) => !hidden.has(series.key)).map((series) => {
      const raw = log ? series.values.map((value) => (value !== null && value > 0 ? value : null)) : series.values;
      return { series, at: places(series, x), raw, smooth: smoothed(raw, smooth) };
    });
    this.#measure();
    const frame = svg("svg", { width: this.#width, height: HEIGHT, "aria-hidden": "true" });
    frame.append(...this.#axes());
    for (const line of this.#lines) {
      if (smooth) frame.append(svg("path", { class: `faint ${look(line.series.index)}`, d: this.#path(line, line.raw) }));
      frame.append(svg("path", { class: look(line.series.index), d: this.#path(line, line.smooth) }));
    }
    frame.append(svg("g", { class: "cursor" }), svg("rect", { class: "brush", y: TOP, height: HEIGHT - TOP - BOTTOM, width: 0 }));
    this.#plot.replaceChildren(frame);
    /** @type {HTMLElement} */ (this.querySelector(".head button")).hidden = this.#zoom === null;
    this.#read(this.#cursor);
  }

  #measure() {
    const all = this.#lines.flatMap((line) => [line.at[0], line.at[line.at.length - 1]]).filter(Number.isFinite);
    if (this.#options.x !== "step") all.push(...this.#lines.map((line) => line.at.reduce((most, each) => Math.max(most, each), -Infinity)));
    [this.#low, this.#high] = this.#zoom ?? [Math.min(...all), Math.max(...all)];
    if (!all.length && !this.#zoom) [this.#low, this.#high] = [0, 1];
    if (this.#low === this.#high) [this.#low, this.#high] = [this.#low - 0.5, this.#high + 0.5];
    let bottom = Infinity, top = -Infinity;
    for (const line of this.#lines) {
      line.at.forEach((place, index) => {
        if (place < this.#low || place > this.#high) return;
        for (const value of [line.raw[index], line.smooth[index]]) {
          if (value === null) continue;
          bottom = Math.min(bottom, value);
          top = Math.max(top, value);
        }
      });
    }
    if (bottom > top) [bottom, top] = this.#options.log ? [0.1, 1] : [0, 1];
    const room = bottom === top ? Math.abs(top) * 0.1 || 0.5 : (top - bottom) * 0.05;
    [this.#bottom, this.#top] = this.#options.log ? [bottom / 1.1, top * 1.1] : [bottom - room, top + room];
  }

  /** @param {number} place */
  #across(place) {
    return LEFT + ((place - this.#low) / (this.#high - this.#low)) * (this.#width - LEFT - RIGHT);
  }

  /** @param {number} value */
  #down(value) {
    const { log } = this.#options;
    const share = log ? Math.log(value / this.#bottom) / Math.log(this.#top / this.#bottom) : (value - this.#bottom) / (this.#top - this.#bottom);
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
  }

  #axes() {
    const { x, log } = this.#options;
    const marks = [];
    const right = this.#width - RIGHT, span = this.#high - this.#low;
    for (const value of (log ? logTicks : ticks)(this.#bottom, this.#top, 4)) {
      const y = this.#down(value);
      marks.push(svg("path", { class: "grid", d: `M${LEFT} ${y}H${right}` }));
      marks.push(svg("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, new Text(figures(value))));
    }
    for (const place of ticks(this.#low, this.#high, Math.max(2, Math.floor(this.#width / 120)))) {
      const at = this.#across(place);
      const anchor = at > right - 30 ? "end" : at < LEFT + 30 ? "start" : "middle";
      marks.push(svg("text", { class: "tick", x: at, y: HEIGHT - 6, "text-anchor": anchor }, new Text(placeText(place, x, span))));
    }
    return marks;
  }

  /** @param {Line} line @param {(number|null)[]} values */
  #path(line, values) {
    const first = Math.max(0, nearest(line.at, this.#low) - 1);
    let path = "", isOn = false;
    for (let index = first; index < values.length; index += 1) {
      const value = values[index];
      if (value !== null) path += `${isOn ? "L" : "M"}${this.#across(line.at[index]).toFixed(1)} ${this.#down(value).toFixed(1)}`;
      isOn = value !== null;
      if (line.at[index] > this.#high) break;
    }
    return path;
  }

  /** Shows the values of all runs nearest to a place, or none. @param {number | null} place */
  #read(place) {
    this.#cursor = place;
    const cursor = this.querySelector(".cursor");
    cursor?.replaceChildren();
    const rows = this.#lines.map((line) => {
      const index = place === null ? -1 : nearest(line.at, place);
      if (index < 0) return { line, text: "" };
      const value = line.smooth[index];
      const exact = this.#options.smooth && value !== null ? ` (${figures(line.raw[index])})` : "";
      if (value !== null) cursor?.append(svg("circle", { class: look(line.series.index), r: 3.5, cx: this.#across(line.at[index]), cy: this.#down(value) }));
      return { line, text: `${figures(value)}${exact} at ${placeText(line.at[index], this.#options.x, this.#high - this.#low)}` };
    });
    if (place !== null) cursor?.prepend(svg("path", { class: "hair", d: `M${this.#across(place).toFixed(1)} ${TOP}V${HEIGHT - BOTTOM}` }));
    this.querySelector(".legend")?.replaceChildren(...rows.map(({ line, text }) =>
      html("li", "", swatch(line.series.index), html("span", "", ` ${line.series.label} `), html("strong", "", text))));
    return rows.map(({ line, text }) => `${line.series.label} ${text}`).join("; ");
  }

  /** @param {PointerEvent | MouseEvent} event */
  #place(event) {
    const share = (event.clientX - this.#plot.getBoundingClientRect().left - LEFT) / (this.#width - LEFT - RIGHT);
    return this.#low + Math.min(1, Math.max(0, share)) * (this.#high - this.#low);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    if (this.#series) this.#read(this.#place(event));
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (event.button !== 0 || !this.#series) return;
    const began = event.clientX, from = this.#place(event);
    const shade = (/** @type {string} */ name, /** @type {number} */ value) => this.querySelector(".brush")?.setAttribute(name, String(value));
    const move = (/** @type {PointerEvent} */ now) => {
      const [left, right] = [this.#across(from), this.#across(this.#place(now))].sort((one, other) => one - other);
      shade("x", left);
      shade("width", right - left);
    };
    const end = (/** @type {PointerEvent} */ now) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      shade("width", 0);
      if (now.type === "pointerup" && Math.abs(now.clientX - began) >= DRAG_PX) this.#zoomTo(from, this.#place(now));
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  /** @param {number} from @param {number} to */
  #zoomTo(from, to) {
    const [low, high] = from < to ? [from, to] : [to, from];
    if (high - low > Math.abs(high) * 1e-12) this.#setZoom([low, high]);
  }

  /** @param {[number, number] | null} part */
  #setZoom(part) {
    this.#zoom = part;
    this.#draw();
    this.dispatchEvent(new CustomEvent("zoomed", { bubbles: true, detail: part }));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (!READING.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    void this.#loadWhole().then(() => {
      if (document.activeElement === this.#plot) this.#move(event.key); // whoever has left meanwhile reads nothing
    });
  }

  /** @param {string} key */
  #move(key) {
    const places = [...new Set(this.#lines.flatMap((line) => line.at))].filter((at) => at >= this.#low && at <= this.#high).sort((one, other) => one - other);
    if (!places.length) return;
    const last = places.length - 1, page = Math.max(1, Math.round(last / 10));
    const now = this.#cursor === null ? -1 : nearest(places, this.#cursor);
    const goals = { ArrowLeft: now < 0 ? last : now - 1, ArrowRight: now + 1, PageDown: now + page, PageUp: now < 0 ? last : now - page, Home: 0, End: last };
    const centre = this.#cursor ?? (this.#low + this.#high) / 2, half = (this.#high - this.#low) / 2;
    if (key in goals) {
      const goal = goals[/** @type {keyof typeof goals} */ (key)];
      const said = this.#read(places[Math.min(last, Math.max(0, goal))]);
      const output = this.querySelector("output");
      if (output) output.textContent = said;
    } else if (key === "-") this.#zoomTo(centre - half * 2, centre + half * 2);
    else if (key === "Escape") this.#setZoom(null);
    else this.#zoomTo(centre - half / 2, centre + half / 2);
  }
}

customElements.define("hub-chart", HubChart);
