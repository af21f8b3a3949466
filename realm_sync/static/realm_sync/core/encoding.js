/**
 * Encoding: the wire value of a property of any type, scalar or not (R12), and what is plain in JavaScript of one.
 *
 *     list                array of the elements' wire values
 *     set                 array without duplicates, in the order of `compareElements`
 *     dictionary          object; keys as checkKey allows
 *     embedded object     object with every property of its class, by wire name
 *     mixed               as mixed.js says
 *     link                the key of the target
 *     scalars             as values.js says
 *
 * A collection is never null: null on the wire reads as an empty one. Plain: arrays for lists and sets, objects for
 * dictionaries and embedded objects, keys for links. The client's live objects are made in client/collections.js; both
 * name the element in errors: `tags[2]`. Knows classes (schema.js), no storage.
 */

import { AssertionError, TypeAssertionError } from "./errors.js"
import { checkKey, decodeMixed, encodeMixed, wrapper } from "./mixed.js"
import { decode, encode, EXPECTED, SCALARS } from "./values.js"

/** @typedef {import("./schema.js").WireProperty} WireProperty */
/** What this needs to know of classes.
 * @typedef {{get: (name: string) => any, wireType: (prop: any) => string, element: (prop: any) => WireProperty}} Classes */

/** The wire value of a plain value. @param {Classes} schema @param {string} where @param {WireProperty} prop @param {any} value @returns {any} */
export function encodeProperty(schema, where, prop, value) {
  return convert(schema, where, prop, value, encode, encodeMixed);
}

/** The plain value of a wire value. @param {Classes} schema @param {string} where @param {WireProperty} prop @param {any} wire @returns {any} */
export function decodeProperty(schema, where, prop, wire) {
  return convert(schema, where, prop, wire, decode, decodeMixed);
}

/** The wire value of a property that nobody has written: an empty collection, else null. @param {{type: string}} prop */
export function empty({ type }) {
  return type === "list" || type === "set" ? [] : type === "dictionary" ? {} : null;
}

/** @param {Classes} schema @param {string} where @param {WireProperty} prop @param {any} value
 * @param {typeof encode} scalar @param {typeof encodeMixed} mixed @returns {any} */
function convert(schema, where, prop, value, scalar, mixed) {
  const isEncoding = scalar === encode;
  const kind = schema.wireType(prop);
  const each = (/** @type {string} */ place, /** @type {any} */ item) => convert(schema, place, schema.element(prop), item, scalar, mixed);
  if (kind === "list" || kind === "set") {
    if (value === null || value === undefined) return [];
    if (!Array.isArray(value)) throw new TypeAssertionError("an array", value, where);
    if (kind === "list") return value.map((item, at) => each(`${where}[${at}]`, item));
    const pairs = value.map((item, at) => {
      const converted = each(`${where}[${at}]`, item);
      return { wire: checkMember(isEncoding ? converted : item), converted };
    });
    return uniqueElements(pairs, ({ wire }) => wire).map(({ converted }) => converted);
  }
  if (kind === "dictionary") {
    if (value === null || value === undefined) return {};
    if (!isObject(value)) throw new TypeAssertionError("an object", value, where);
    return Object.fromEntries(Object.keys(value).map((key) => [checkKey(key), each(`${where}["${key}"]`, value[key])]));
  }
  if (value === null || value === undefined) {
    if (prop.optional) return null;
    throw new TypeAssertionError(EXPECTED[kind] ?? "an object", value, where);
  }
  if (kind === "mixed") return mixed(value, where);
  if (kind !== "embedded") return scalar(kind, value, where);
  const cls = schema.get(/** @type {string} */ (prop.objectType));
  if (!isObject(value)) throw new TypeAssertionError(`an object of class '${cls.name}'`, value, where);
  const properties = cls.wire ?? cls.properties;
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(properties, name)) throw new TypeAssertionError(`an object of class '${cls.name}', which has no property '${name}'`, value, where);
  }
  return Object.fromEntries(Object.keys(properties).map((name) => [name, convert(schema, `${where}.${name}`, properties[name], value[name], scalar, mixed)]));
}

/** An element of a set: anything but arrays and plain objects. @param {any} wire */
export function checkMember(wire) {
  if (wire === null || typeof wire !== "object" || wrapper(wire)) return wire;
  throw new AssertionError(`${Array.isArray(wire) ? "Lists" : "Dictionaries"} within a Set are not supported.`);
}

/** Where an element of a set stands among others: null, false, true, numbers (an int and a double of one value are one
 * element, NaN comes first), strings by code point, then wrappers by their key and text.
 * @param {any} wire @returns {[number, any]} */
function place(wire) {
  if (wire === null) return [0, 0];
  if (typeof wire === "boolean") return [1, Number(wire)];
  if (typeof wire === "number") return [2, wire];
  if (typeof wire === "string") return [3, wire];
  const kind = wrapper(wire);
  if (kind === "$numberDouble") return [2, Number(wire[kind])];
  if (kind === "$numberLong") return [2, Number.isSafeInteger(Number(wire[kind])) ? Number(wire[kind]) : BigInt(wire[kind])];
  return [4, [kind, wire[kind]].flat().join("\0")];
}

/** The order of elements in a set's wire value; 0: they are one element. @param {any} a @param {any} b */
export function compareElements(a, b) {
  const [kind, x] = place(a);
  const [other, y] = place(b);
  if (kind !== other) return kind - other;
  if (kind < 3) return Number.isNaN(x) || Number.isNaN(y) ? Number(Number.isNaN(y)) - Number(Number.isNaN(x)) : x < y ? -1 : x > y ? 1 : 0;
  return compareText(x, y);
}

/** By code point, which is not how `<` compares strings. @param {string} a @param {string} b */
function compareText(a, b) {
  if (a === b) return 0;
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at += 1) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x === y) continue;
    const isSurrogate = (/** @type {number} */ unit) => unit >= 0xd800 && unit < 0xe000;
    return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

/** A set's elements in canonical order; of equal ones the first stays. @template T @param {T[]} items
 * @param {(item: T) => any} wireOf @returns {T[]} */
function uniqueElements(items, wireOf) {
  const sorted = [...items].sort((a, b) => compareElements(wireOf(a), wireOf(b)));
  return sorted.filter((item, at) => !at || compareElements(wireOf(sorted[at - 1]), wireOf(item)));
}

/** A set's wire value of wire elements in any order, with or without repetitions. @param {any[]} elements @returns {any[]} */
export const sortWire = (elements) => uniqueElements(elements, (wire) => wire);

/** Puts an element that is not in it yet into a set's wire value. @param {any[]} wire in its order @param {any} element */
export function insertWire(wire, element) {
  let low = 0;
  for (let high = wire.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (compareElements(wire[middle], element) < 0) low = middle + 1;
    else high = middle;
  }
  wire.splice(low, 0, element);
}

/** @param {any} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
