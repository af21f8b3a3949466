// The plot: airfields where they are, equirectangular, with a graticule. Its colours are the stylesheet's.

const STEPS = [0.25, 0.5, 1, 2, 5, 10, 15, 30, 60];
const REACH = 16; // px around an airfield that still mean it

export class Plot {
  #points = [];
  #lit = null;
  #inspected = new Set();
  #chosen = null;
  #hovered = null;
  #due = false;

  /** `picked(key)` when an airfield is clicked. */
  constructor(figure, picked) {
    this.canvas = figure.querySelector("canvas");
    this.figure = figure;
    this.caption = figure.querySelector("figcaption");
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.canvas);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => this.redraw();
    this.dark.addEventListener("change", this.recolour);
    this.canvas.addEventListener("pointermove", (event) => this.#hover(this.#near(event)));
    this.canvas.addEventListener("pointerleave", () => this.#hover(null));
    this.canvas.addEventListener("click", (event) => {
      const point = this.#near(event);
      this.#hover(point);
      if (point) picked(point.key);
    });
  }

  close() {
    this.observer.disconnect();
    this.dark.removeEventListener("change", this.recolour);
  }

  /** `points`: {key, latitude, longitude, name}; `lit`: the keys that a search found, null for all. */
  set({ points = this.#points, lit = this.#lit, inspected = this.#inspected, chosen = this.#chosen, label = "" }) {
    if (points !== this.#points) this.#frame(points);
    [this.#points, this.#lit, this.#inspected, this.#chosen] = [points, lit, inspected, chosen];
    if (label) this.canvas.setAttribute("aria-label", label);
    this.redraw();
  }

  /** What is in view: all points, cut open where the largest stretch without any is. */
  #frame(points) {
    this.west = 0;
    if (!points.length) return (this.box = null);
    const longitudes = points.map(({ longitude }) => longitude).sort((a, b) => a - b);
    let gap = longitudes[0] + 360 - longitudes.at(-1);
    let west = longitudes[0];
    for (let at = 1; at < longitudes.length; at += 1) {
      if (longitudes[at] - longitudes[at - 1] <= gap) continue;
      gap = longitudes[at] - longitudes[at - 1];
      west = longitudes[at];
    }
    this.west = gap < 40 ? -180 : west;
    const width = gap < 40 ? 360 : 360 - gap;
    let [south, north] = [90, -90];
    for (const { latitude } of points) {
      south = Math.min(south, latitude);
      north = Math.max(north, latitude);
    }
    this.box = { width: Math.max(width, 0.6), south: Math.min(south, north - 0.4), north };
    const shape = (this.box.width * shrinkage(this.box)) / (north - this.box.south);
    this.figure.style.aspectRatio = String(Math.min(Math.max(shape, 0.9), 1.9));
  }

  redraw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#draw();
    });
  }

  /** From degrees to pixels. */
  #projection(width, height) {
    const { box, west } = this;
    const middle = (box.south + box.north) / 2;
    const shrink = shrinkage(box);
    const pad = 14;
    const scale = Math.min((width - 2 * pad) / (box.width * shrink), (height - 2 * pad) / (box.north - box.south));
    const left = (width - box.width * shrink * scale) / 2;
    return {
      scale,
      shrink,
      x: (longitude) => left + ((((longitude - west) % 360) + 360) % 360) * shrink * scale,
      at: (degrees) => left + degrees * shrink * scale, // east of the western edge
      y: (latitude) => height / 2 + (middle - latitude) * scale,
      left,
      middle,
    };
  }

  #draw() {
    const { canvas } = this;
    const { width, height } = canvas.getBoundingClientRect();
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!this.box) return;
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(`--plot-${name}`);
    const projection = (this.projection = this.#projection(width, height));
    this.#graticule(pen, width, height, colour, projection);
    this.#dots(pen, colour, projection);
  }

  #graticule(pen, width, height, colour, { scale, shrink, x, y, left, middle }) {
    const step = STEPS.find((each) => each * scale > 42) ?? 90;
    pen.strokeStyle = colour("grid");
    pen.fillStyle = colour("words");
    pen.lineWidth = 1;
    pen.font = `10px ${getComputedStyle(this.canvas).fontFamily}`;
    pen.beginPath();
    const degrees = (value, letters) => `${Math.abs(value)}°${value ? letters[value > 0 ? 0 : 1] : ""}`;
    const reach = height / 2 / scale;
    for (let at = Math.ceil((middle - reach) / step) * step; at <= middle + reach; at += step) {
      if (Math.abs(at) > 90) continue;
      const where = Math.round(y(at)) + 0.5;
      pen.moveTo(0, where);
      pen.lineTo(width, where);
      if (where > 16) pen.fillText(degrees(at, "NS"), 4, where - 3);
    }
    const across = step * Math.max(1, Math.round(1 / shrink));
    const first = this.west - left / (shrink * scale);
    for (let at = Math.ceil(first / across) * across; at <= first + width / (shrink * scale); at += across) {
      const where = Math.round(left + (at - this.west) * shrink * scale) + 0.5;
      pen.moveTo(where, 0);
      pen.lineTo(where, height);
      const longitude = ((((at + 180) % 360) + 360) % 360) - 180;
      if (where < width - 24) pen.fillText(degrees(longitude, "EW"), where + 3, height - 4);
    }
    pen.stroke();
  }

  #dots(pen, colour, { x, y }) {
    const many = this.#points.length > 3000;
    const size = many ? 1.2 : this.#points.length > 600 ? 2 : 3;
    const rings = [];
    const groups = { dim: [], dot: [] };
    for (const point of this.#points) {
      point.x = x(point.longitude);
      point.y = y(point.latitude);
      const isLit = !this.#lit || this.#lit.has(point.key);
      groups[isLit ? "dot" : "dim"].push(point);
      if (this.#inspected.has(point.key)) rings.push(point);
    }
    for (const [name, points] of Object.entries(groups)) {
      pen.fillStyle = colour(name);
      const side = this.#lit && name === "dot" ? size + 1.5 : size;
      for (const point of points) {
        if (side < 2.5) pen.fillRect(point.x - side / 2, point.y - side / 2, side, side);
        else {
          pen.beginPath();
          pen.arc(point.x, point.y, side / 2 + 0.3, 0, 7);
          pen.fill();
        }
      }
    }
    const ring = (point, radius, name, thick) => {
      pen.beginPath();
      pen.arc(point.x, point.y, radius, 0, 7);
      pen.strokeStyle = colour(name);
      pen.lineWidth = thick;
      pen.stroke();
    };
    for (const point of rings) {
      pen.fillStyle = colour("work");
      pen.beginPath();
      pen.arc(point.x, point.y, 3, 0, 7);
      pen.fill();
      ring(point, 5.5, "work", 1.2);
    }
    const chosen = this.#points.find(({ key }) => key === this.#chosen);
    if (chosen) ring(chosen, 9, "chosen", 2);
    if (this.#hovered && this.#hovered !== chosen) ring(this.#hovered, 7, "chosen", 1.5);
  }

  #near({ offsetX, offsetY }) {
    let best = null;
    let distance = REACH ** 2;
    for (const point of this.#points) {
      const far = (point.x - offsetX) ** 2 + (point.y - offsetY) ** 2;
      if (far >= distance) continue;
      distance = far;
      best = point;
    }
    return best;
  }

  #hover(point) {
    if (this.#hovered === point) return;
    this.#hovered = point;
    this.caption.textContent = point ? `${point.key} · ${point.name}` : "";
    this.canvas.classList.toggle("pointing", point !== null);
    this.redraw();
  }
}

/** How much narrower than on the equator a degree of longitude is drawn. */
function shrinkage({ width, south, north }) {
  return width > 300 ? 1 : Math.cos((((south + north) / 2) * Math.PI) / 180);
}
