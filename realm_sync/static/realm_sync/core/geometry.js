/**
 * Geometry: whether a point on the sphere lies in a box, a circle or a polygon (reference 10.10).
 *
 * Decides what a point is (longitude and latitude in degrees, in GeoJSON's order) and what a region is. A box runs along
 * meridians and parallels, eastwards from its first corner; the edges of polygons are great circles, and a ring encloses
 * the side that is smaller than a hemisphere. Plain IEEE arithmetic in a fixed order, so that core/geometry.py decides
 * alike. Knows no queries but their Geometry node.
 */

import { Decimal } from "./decimal.js"

/** @typedef {import('./nodes.js').Geometry} Geometry */
/** @typedef {[number, number, number]} Vector */
/** @typedef {(longitude: number, latitude: number) => boolean} Contains */
/** @typedef {(value: any) => Decimal | null} ReadNumber */

/** Why this is no region; "" if it is one. @param {Geometry} geometry */
export function geometryProblem({ shape, rings, radius }) {
  for (const [longitude, latitude] of rings.flat().map(degrees)) {
    if (!isPlace(longitude, latitude)) {
      return `Longitude/latitude is out of bounds, lng: ${short(longitude)} lat: ${short(latitude)}`;
    }
  }
  if (shape === "geoCircle") {
    const isValid = radius instanceof Decimal && radius.isFinite && radius.toNumber() >= 0;
    return isValid ? "" : "The radius of a circle must be a non-negative number";
  }
  if (shape === "geoBox") {
    const [[, south], [, north]] = rings[0].map(degrees);
    return south <= north ? "" : "The first corner of a box is its southern one";
  }
  return rings.map((ring) => ringProblem(ring.map(degrees))).find(Boolean) ?? "";
}

/** @param {Decimal[]} point */
function degrees([longitude, latitude]) {
  return [longitude.toNumber(), latitude.toNumber()];
}

/** @param {number} longitude @param {number} latitude */
function isPlace(longitude, latitude) {
  return longitude >= -180 && longitude <= 180 && latitude >= -90 && latitude <= 90;
}

/** Six significant digits. @param {number} number */
function short(number) {
  return String(Number(number.toPrecision(6)));
}

/** @param {number[][]} ring */
function ringProblem(ring) {
  const [first, last] = [ring[0], ring[ring.length - 1]];
  if (first[0] !== last[0] || first[1] !== last[1]) {
    const [a, b] = [first, last].map((point) => `[${point.map(short).join(", ")}]`);
    return `Ring is not closed, first vertex '${a}' does not equal last vertex '${b}'`;
  }
  const { size } = new Set(ring.map(String));
  if (size < 3) return `Ring must have at least 3 different vertices, ${size} unique vertices were provided`;
  const vertices = verticesOf(ring);
  const middle = middleOf(vertices);
  return middle && vertices.every((vertex) => dot(vertex, middle) > 0) ? "" : "A ring must fit into a hemisphere";
}

/** A function from wire values of embedded points to whether they lie within a region that has no problem. What is no
 * point (null, another type, too few or impossible coordinates) does not.
 * @param {Geometry} geometry @returns {(value: any) => boolean} */
export function compileGeometry({ shape, rings, radius }) {
  const places = rings.map((ring) => ring.map(degrees));
  const contains = shape === "geoBox" ? box(places[0]) : shape === "geoCircle" ? circle(places[0][0], radius.toNumber()) : polygon(places);
  return (value) => {
    const coordinates = value?.type === "Point" ? value.coordinates : null;
    if (!Array.isArray(coordinates)) return false;
    const [longitude, latitude] = coordinates;
    return typeof longitude === "number" && typeof latitude === "number" && isPlace(longitude, latitude) && contains(longitude, latitude);
  };
}

// --- Regions ---

/** @param {number[][]} corners @returns {Contains} */
function box([[west, south], [east, north]]) {
  return (longitude, latitude) => {
    if (latitude < south || latitude > north) return false;
    if (west > east) return longitude >= west || longitude <= east;
    const isEdge = (longitude === -180 && east === 180) || (longitude === 180 && west === -180);
    return (west <= longitude && longitude <= east) || isEdge;
  };
}

/** @param {number[]} center @param {number} radius @returns {Contains} */
function circle(center, radius) {
  const middle = vector(center);
  return (longitude, latitude) => {
    // The chord, not the cosine: that has no digits left for small circles.
    const [x, y, z] = vector([longitude, latitude]).map((each, at) => each - middle[at]);
    return 2 * Math.asin(Math.min(1, Math.sqrt(x * x + y * y + z * z) / 2)) <= radius;
  };
}

/** @param {number[][][]} rings @returns {Contains} */
function polygon(rings) {
  const [outer, ...holes] = rings.map(compileRing);
  return (longitude, latitude) => {
    const point = vector([longitude, latitude]);
    return outer(point) && !holes.some((hole) => hole(point));
  };
}

/** Counts how often the great circle from a point to one that is certainly outside crosses the ring.
 * @param {number[][]} ring @returns {(point: Vector) => boolean} */
function compileRing(ring) {
  const vertices = verticesOf(ring);
  const middle = /** @type {Vector} */ (middleOf(vertices));
  const reach = Math.min(...vertices.map((vertex) => dot(vertex, middle)));
  const outside = outsideOf(middle);
  const edges = vertices.map((first, at) => {
    const second = vertices[(at + 1) % vertices.length];
    return { first, second, normal: cross(first, second) };
  });
  return (point) => {
    if (dot(point, middle) < reach - 1e-12) return false; // beyond the cap around all vertices, which is convex
    const line = cross(point, outside);
    let isInside = false;
    for (const { first, second, normal } of edges) {
      const [before, after] = [dot(line, first) >= 0, dot(line, second) >= 0];
      if (before === after) continue;
      const [here, there] = [dot(normal, point) >= 0, dot(normal, outside) >= 0];
      // The last condition: they meet on this side of the sphere and not on the other.
      if (here !== there && before !== here) isInside = !isInside;
    }
    return isInside;
  };
}

/** A point 135 degrees from the middle: no point of a ring's cap is near its antipode unless the ring is huge.
 * @param {Vector} middle */
function outsideOf(middle) {
  const side = /** @type {Vector} */ (unit(cross(middle, Math.abs(middle[0]) < 0.6 ? [1, 0, 0] : [0, 1, 0])));
  return /** @type {Vector} */ (unit([side[0] - middle[0], side[1] - middle[1], side[2] - middle[2]]));
}

/** @param {number[]} place @returns {Vector} */
function vector([longitude, latitude]) {
  const [across, up] = [longitude * (Math.PI / 180), latitude * (Math.PI / 180)];
  return [Math.cos(up) * Math.cos(across), Math.cos(up) * Math.sin(across), Math.sin(up)];
}

/** @param {number[][]} ring */
function verticesOf(ring) {
  return ring.slice(0, -1).map(vector);
}

/** @param {Vector[]} vertices */
function middleOf(vertices) {
  return unit(vertices.reduce((sum, vertex) => [sum[0] + vertex[0], sum[1] + vertex[1], sum[2] + vertex[2]], [0, 0, 0]));
}

/** @param {Vector} given @returns {Vector | null} */
function unit(given) {
  const length = Math.sqrt(dot(given, given));
  return length < 1e-12 ? null : [given[0] / length, given[1] / length, given[2] / length];
}

/** @param {Vector} a @param {Vector} b */
function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** @param {Vector} a @param {Vector} b @returns {Vector} */
function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

// --- Regions given as arguments ---

/** The region that an argument object describes, as the Realm SDKs write them; a text says what is wrong with it.
 * @param {any} value @param {ReadNumber} number reads a coordinate @returns {Geometry | string} */
export function fromShape(value, number) {
  const keys = Object.keys(value).sort().join();
  if (keys === "bottomLeft,topRight") return shaped("geoBox", [[value.bottomLeft, value.topRight]], number);
  if (keys === "center,distance") {
    const radius = number(value.distance);
    const circle = shaped("geoCircle", [[value.center]], number);
    if (typeof circle === "string") return circle;
    return radius === null ? "'distance' must be a number of radians" : { ...circle, radius };
  }
  if (keys === "outerRing" || keys === "holes,outerRing") return shaped("geoPolygon", [value.outerRing, ...(value.holes ?? [])], number);
  if (keys === "coordinates,type" && value.type === "Polygon") return shaped("geoPolygon", value.coordinates, number);
  return "it is no box (bottomLeft, topRight), circle (center, distance) or polygon (outerRing, holes)";
}

/** @param {string} shape @param {any} rings @param {ReadNumber} number @returns {Geometry | string} */
function shaped(shape, rings, number) {
  if (!Array.isArray(rings) || !rings.length) return "Polygon has no rings.";
  const found = [];
  for (const ring of rings) {
    if (!Array.isArray(ring) || !ring.length) return "a ring must be an array of points";
    const points = ring.map((point) => readPoint(point, number));
    if (points.includes(null)) return "a point must be [longitude, latitude], {longitude, latitude} or a GeoJSON point";
    found.push(/** @type {Decimal[][]} */ (points));
  }
  return { kind: "Geometry", shape, rings: found, radius: null };
}

/** @param {any} value @param {ReadNumber} number @returns {Decimal[] | null} */
function readPoint(value, number) {
  let point = value;
  if (!Array.isArray(value) && typeof value === "object" && value !== null) {
    const { type, coordinates, longitude, latitude, altitude } = value;
    point = type === "Point" ? coordinates : [longitude, latitude, altitude ?? []].flat();
  }
  if (!Array.isArray(point) || point.length < 2 || point.length > 3) return null;
  const numbers = point.map(number);
  return numbers.includes(null) ? null : /** @type {Decimal[]} */ (numbers);
}
