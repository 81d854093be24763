// @ts-check
// The arithmetic of curves: smoothing, axes, and what lies nearest. Pure functions, no page.

/** @typedef {{key: string, label: string, index: number, thinned: boolean, steps: number[], walls: number[], values: (number|null)[]}} Series */
/** @typedef {"step" | "relative" | "wall"} Axis */

const HOUR_S = 3600;

/** Exponential moving average without the pull to zero of its beginning; gaps stay gaps.
 *  @param {(number|null)[]} values @param {number} share of the average that stays, from 0 to below 1 */
export function smoothed(values, share) {
  if (!share) return values;
  let sum = 0, weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * share + value * (1 - share);
    weight = weight * share + (1 - share);
    return sum / weight;
  });
}

/** Where the points lie across: steps, hours since the run's first point, or seconds since 1970.
 *  @param {Series} series @param {Axis} axis */
export function places(series, axis) {
  if (axis === "step") return series.steps;
  if (axis === "wall") return series.walls;
  const first = Math.min(...series.walls);
  return series.walls.map((wall) => (wall - first) / HOUR_S);
}

/** Round numbers from low to high, about as many as asked.
 *  @param {number} low @param {number} high @param {number} count */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((each) => each * power >= rough) ?? 10) * power;
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return found;
}

/** Powers of ten within low and high; round numbers where there are not two of them.
 *  @param {number} low @param {number} high @param {number} count */
export function logTicks(low, high, count) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  if (last - first < 1) return ticks(low, high, count).filter((each) => each > 0);
  const every = Math.ceil((last - first + 1) / count);
  const found = [];
  for (let power = first; power <= last; power += every) found.push(10 ** power);
  return found;
}

/** The index of the point nearest to a place, in a list that never falls; -1 where there is none.
 *  @param {number[]} sorted @param {number} place */
export function nearest(sorted, place) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= place) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return sorted.length ? 0 : -1;
  return low < sorted.length && sorted[low] - place < place - sorted[low - 1] ? low : low - 1;
}

/** @param {number | null | undefined} value */
export function figures(value) {
  if (value === null || value === undefined) return "not finite";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(5)));
}

/** A place as people read it. @param {number} place @param {Axis} axis @param {number} [span] what the axis spans */
export function placeText(place, axis, span = 0) {
  if (axis === "step") return Math.round(place).toLocaleString("en");
  if (axis === "relative") return span && span < 0.05 ? `${figures(place * HOUR_S)} s` : span < 2 ? `${figures(place * 60)} min` : `${figures(place)} h`;
  const when = new Date(place * 1000);
  const time = when.toLocaleTimeString("en-GB");
  return span && span < 86400 ? time : `${when.toLocaleDateString("en-CA")} ${time.slice(0, 5)}`;
}
