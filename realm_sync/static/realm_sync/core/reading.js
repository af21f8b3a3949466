/**
 * Reading: the values that a bound path leads to, from an image and, through links, from others.
 *
 * Decides what becomes of null on the way (null), of an index beyond the end (undefined: no value at all), and of an
 * element whose object is not here (left out). Values are those of operators.js. Other objects come from the `objects`
 * that whoever has them offers. Takes bound paths only; called by predicate.js for every operand and sort key.
 */

import { Decimal } from "./decimal.js"
import { toBytes } from "./literals.js"
import { mixedType, wrapper } from "./mixed.js"
import { Typed, arithmetic, compare, compareMixed, compareText, isNaNValue, mixedRank } from "./operators.js"

/** @typedef {import('./nodes.js').Hop} Hop */
/** @typedef {Record<string, any>} Image wire values by stored name */
/** @typedef {(image: Image) => any} Getter */
/** Images of other objects: by key, and those whose property holds a link to a key. Both in no more time than an index needs.
 * @typedef {{get: (className: string, key: any) => Image | undefined,
 *   linksTo: (className: string, property: string, key: any) => Image[]}} Objects */

/** From wire value to comparable value, for the types whose wire values do not compare as they should.
 * @type {Record<string, (value: any) => any>} */
export const READERS = {
  int: (value) => (typeof value === "string" ? BigInt(value) : value ?? null),
  float: (value) => (typeof value === "string" ? Number(value) : value ?? null),
  double: (value) => (typeof value === "string" ? Number(value) : value ?? null),
  decimal128: (value) => (typeof value === "string" ? Decimal.exact(value) : null),
  data: (value) => (typeof value === "string" ? atob(value) : null),
  mixed: readMixed,
};

/** A mixed wire value as operators.js compares it. @param {any} wire @returns {any} */
function readMixed(wire) {
  if (typeof wire !== "object" || wire === null) return wire ?? null;
  const type = mixedType(wire);
  const kind = wrapper(wire);
  const inner = kind ? wire[kind] : wire;
  if (type === "int") return BigInt(inner);
  if (type === "double") return Number(inner);
  if (type === "decimal128") return Decimal.exact(inner);
  return new Typed(type, type === "data" ? atob(inner) : typeof inner === "string" ? inner : JSON.stringify(sorted(inner)));
}

/** JSON with the keys of its objects in order. @param {any} value @returns {any} */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.keys(value).sort(compareText).map((key) => [key, sorted(value[key])]);
}

/** How the value of a typed operand meets a mixed one. @param {string} type @param {string} target of a link
 * @returns {(value: any) => any} */
export function asMixed(type, target) {
  if (target) return (key) => (key === null ? null : new Typed("object", JSON.stringify([target, key])));
  if (type === "int") return (value) => (typeof value === "number" ? BigInt(value) : value);
  if (!["data", "date", "objectId", "uuid"].includes(type)) return (value) => value;
  return (value) => (value === null ? null : new Typed(type, value));
}

/**
 * Reads what a path leads to: one value, or an array of them if it has `many`.
 * @param {Pick<import('./nodes.js').Path, "hops" | "type" | "many">} path @param {Objects} objects
 * @param {((value: any) => any) | null} [read] what makes a comparable value of a wire value
 * @param {boolean} [isSort] whether what stands behind a null is undefined
 * @returns {Getter}
 */
export function reader({ hops, type, many }, objects, read = READERS[type] ?? null, isSort = false) {
  const takes = hops.map((hop, at) => taking(hop, objects, at === 0, isSort));
  const convert = read && VALUES.includes(hops[hops.length - 1].via) ? (/** @type {any} */ value) => (value === undefined ? value : read(value)) : null;
  const first = hops.findIndex((hop) => MANY.includes(hop.via));
  if (first < 0) return chain(convert ? [...takes, convert] : takes);
  const lead = chain(takes.slice(0, first));
  const [spread, ...others] = takes.slice(first);
  const rest = hops.slice(first + 1);
  const mayMiss = hops.some((hop) => hop.via === "element");
  return (image) => {
    let values = spread(lead(image));
    for (let at = 0; at < rest.length; at++) {
      const hop = rest[at];
      const take = others[at];
      if (MANY.includes(hop.via)) values = values.flatMap(take);
      else if (isJoining(hop)) values = [take(values.flatMap(valuesOf))];
      else values = values.map(take);
      if (hop.hides) values = values.filter(isThere); // of links, what is not here is no element
    }
    if (mayMiss) values = values.filter(isFound);
    if (convert) values = values.map(convert);
    return many ? values : values[0];
  };
}

/** One after the other. @param {((value: any) => any)[]} takes @returns {Getter} */
function chain(takes) {
  const [first, second, ...others] = takes;
  if (takes.length < 2) return first ?? ((value) => value);
  if (takes.length === 2) return (image) => second(first(image));
  return (image) => others.reduce((value, take) => take(value), second(first(image)));
}

const isThere = (/** @type {any} */ value) => value !== null;
const isFound = (/** @type {any} */ value) => value !== undefined;

/** Whether it makes one value of all those before it. @param {Hop} hop */
function isJoining({ type, name }) {
  return type === "objects" || name === "objects";
}

/** Hops to any number of values. */
const MANY = ["items", "values", "keys", "all"];
/** Hops to a wire value. */
const VALUES = ["property", "entry", "element", "items", "values", "all"];

/** @param {Hop} hop @param {Objects} objects @param {boolean} isFirst @param {boolean} isSort @returns {(value: any) => any} */
function taking({ via, type = "", name = "", cls = "", key = "", index = 0, inner = [], origins = [] }, objects, isFirst, isSort) {
  switch (via) {
    case "property":
      if (isFirst) return (image) => image[name] ?? null;
      return (image) => (image ? image[name] ?? null : isSort ? undefined : image);
    case "link":
      return (value) => (value === null || value === undefined ? value : objects.get(cls, value) ?? null);
    case "items":
      return (value) => value ?? [];
    case "values":
      return valuesOf;
    case "keys":
      return (value) => Object.keys(value ?? {}).sort(compareText);
    case "all":
      return (value) => (typeof value === "object" && value !== null && !wrapper(value) ? valuesOf(value) : []);
    case "entry":
      return (value) => (isDictionary(value) && Object.hasOwn(value, name) ? value[name] : value === undefined ? value : null);
    case "element":
      return (value) => {
        const found = Array.isArray(value) ? value.at(index) : undefined;
        return isSort && value !== undefined ? found ?? null : found;
      };
    case "backlinks":
      return (image) => (image ? links(objects, cls, name, image[key]) : []);
    case "incoming":
      return (image) => image && origins.reduce((sum, [origin, link]) => sum + links(objects, origin, link, image[key]).length, 0);
    case "exists":
      return (value) => Number((value ?? null) !== null);
    case "size":
      return (value) => sizeOf(type, value);
    case "kind":
      return mixedType;
  }
  return aggregate(via, type, reader({ hops: inner, type, many: true }, objects));
}

/** The objects that link to a key, each as often as it does.
 * @param {Objects} objects @param {string} cls @param {string} name @param {any} key */
function links(objects, cls, name, key) {
  const found = [];
  for (const image of objects.linksTo(cls, name, key)) {
    const held = image[name];
    if (held === key) found.push(image);
    else for (const each of valuesOf(held)) if (each === key) found.push(image);
  }
  return found;
}

/** @param {any} value */
function isDictionary(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !wrapper(value);
}

/** The elements of a collection; a link is one. @param {any} value @returns {any[]} */
function valuesOf(value) {
  if (Array.isArray(value)) return value;
  if (typeof value !== "object") return value === undefined ? [] : [value];
  return typeof value === "object" && value !== null ? Object.keys(value).sort(compareText).map((key) => value[key]) : [];
}

/** @param {string} type @param {any} value */
function sizeOf(type, value) {
  const isText = type === "string" || type === "data";
  if (value === null || value === undefined) return isText || type === "mixed" ? value : 0;
  if (type === "string") return toBytes(value).length;
  if (type === "data") return atob(value).length;
  if (type !== "mixed") return Array.isArray(value) ? value.length : Object.keys(value).length;
  if (typeof value === "string") return toBytes(value).length;
  if (typeof value !== "object") return null;
  const kind = wrapper(value);
  return kind === "" ? valuesOf(value).length : kind === "$binary" ? atob(value.$binary).length : null;
}

/** Of a collection, what `@min`, `@max`, `@sum` or `@avg` is: of what is not null; in order NaN does not count either, and
 * of mixed values only numbers have a sum. @param {string} via @param {string} type of the values @param {Getter} read
 * @returns {(collection: any) => any} */
function aggregate(via, type, read) {
  const isMixed = type === "mixed";
  const isDecimal = isMixed || type === "decimal128";
  const [sumType, meanType] = isDecimal ? ["decimal128", "decimal128"] : [type === "int" ? "int" : "double", "double"];
  const order = isMixed ? compareMixed : compare;
  return (collection) => {
    /** @type {any[]} */
    const values = read(collection).filter((/** @type {any} */ value) => value !== null);
    if (via === "min" || via === "max") {
      const sign = via === "min" ? 1 : -1;
      const ordered = isMixed ? values : values.filter((value) => !isNaNValue(value));
      return ordered.length ? ordered.reduce((best, value) => (order(value, best) * sign < 0 ? value : best)) : null;
    }
    const numbers = isMixed ? values.filter((value) => mixedRank(value) === 2) : values;
    if (via === "avg" && !numbers.length) return null;
    const sum = numbers.reduce((total, value) => arithmetic("+", sumType, total, value), isDecimal ? Decimal.exact("0") : 0);
    return via === "sum" ? sum : arithmetic("/", meanType, sum, numbers.length);
  };
}
