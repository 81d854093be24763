// @ts-check
// Lights what a version came from and what came from it, and scrolls to the current one. The page is complete without.

const graph = /** @type {HTMLElement | null} */ (document.querySelector(".graph"));

/** Everything that can be reached from a node in one direction.
 *  @param {Map<string, string[]>} next @param {string} start */
function reached(next, start) {
  const found = new Set([start]);
  const waiting = [start];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const other of next.get(at) ?? []) {
      if (!found.has(other)) waiting.push(other);
      found.add(other);
    }
  }
  return found;
}

if (graph) {
  const nodes = /** @type {SVGGElement[]} */ ([...graph.querySelectorAll("[data-node]")]);
  const ties = /** @type {SVGPathElement[]} */ ([...graph.querySelectorAll("[data-from]")]);
  const before = new Map();
  const after = new Map();
  for (const tie of ties) {
    const [from, to] = [tie.dataset.from ?? "", tie.dataset.to ?? ""];
    after.set(from, [...(after.get(from) ?? []), to]);
    before.set(to, [...(before.get(to) ?? []), from]);
  }

  /** @param {string} name */
  const light = (name) => {
    const up = reached(before, name);
    const down = reached(after, name);
    for (const node of nodes) {
      node.classList.toggle("lit", up.has(node.dataset.node ?? "") || down.has(node.dataset.node ?? ""));
    }
    for (const tie of ties) {
      const [from, to] = [tie.dataset.from ?? "", tie.dataset.to ?? ""];
      tie.classList.toggle("lit", (up.has(from) && up.has(to)) || (down.has(from) && down.has(to)));
    }
    graph.classList.add("lit");
  };
  const dim = () => graph.classList.remove("lit");

  for (const node of nodes) {
    node.addEventListener("pointerenter", () => light(node.dataset.node ?? ""));
    node.addEventListener("pointerleave", dim);
    node.addEventListener("focusin", () => light(node.dataset.node ?? ""));
    node.addEventListener("focusout", dim);
  }

  const centre = graph.querySelector(".node.centre rect");
  if (centre) {
    const [inner, outer] = [centre.getBoundingClientRect(), graph.getBoundingClientRect()];
    graph.scrollLeft += inner.left + inner.width / 2 - (outer.left + outer.width / 2);
    graph.scrollTop += inner.top + inner.height / 2 - (outer.top + outer.height / 2);
  }
}
