/**
 * Mixed: values that carry their type with them, what they are in JavaScript and as JSON on the wire.
 *
 *     JavaScript                 wire (JSON)
 *     null, boolean, string      null, true / false, string
 *     number                     number, or {"$numberDouble": "NaN"}: a plain number is always a double
 *     bigint (64 bit)            {"$numberLong": "5"}: read as a number up to ±2^53, as a bigint past it
 *     Decimal128                 {"$numberDecimal": "0.1"}
 *     Date, ArrayBuffer, view    {"$date": "2026-01-01T12:00:00.000000Z"}, {"$binary": "AAEC"}
 *     ObjectId, UUID             {"$oid": "…"}, {"$uuid": "…"}
 *     Link, object of a realm    {"$link": ["Airfield", key]}: the wire value of the target's key
 *     array, plain object        array, object: nested lists and dictionaries, of mixed again
 *
 * What has a wire value of its own, a live list, says it under the symbol WIRE. No key of a dictionary begins with `$`,
 * so a wrapper is never mistaken for one. Knows no classes: whether a link's class exists is for encoding.js to say.
 */

import { Decimal128, isBytes, ObjectId, UUID } from "./bson.js"
import { AssertionError, realmError, TypeAssertionError } from "./errors.js"
import { decode, encode } from "./values.js"

/** How many lists and dictionaries may be nested in one value; as in Realm. */
export const DEEPEST = 100;
/** Of an object: a function that gives its wire value in a mixed property, or throws. It is told where that is wanted: the
 * `context` of `encodeMixed`. */
export const WIRE = Symbol.for("realm-sync.wire");

/** A link inside a mixed value: a class and the wire value of a key. Its target need not exist. */
export class Link {
  /** @param {string} className @param {any} key */
  constructor(className, key) {
    this.className = className;
    this.key = key;
  }

  [WIRE]() {
    return { $link: [this.className, this.key] };
  }
}

/** @type {Record<string, string>} */
const WRAPPED = {
  $numberLong: "int", $numberDouble: "double", $numberDecimal: "decimal128", $date: "date", $binary: "data", $oid: "objectId", $uuid: "uuid", $link: "object",
};

/** The wire value of a mixed value. Throws a TypeAssertionError that names the element: `data["a"][0]`.
 * @param {any} value @param {string} [where] @param {any} [context] @returns {any} */
export function encodeMixed(value, where = "value", context = undefined, depth = 0) {
  if (value === null || value === undefined) return null;
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      return encode("string", value, where);
    case "number":
      return Number.isFinite(value) ? value : { $numberDouble: String(value) };
    case "bigint":
      return { $numberLong: String(encode("int", value, where)) };
    case "object":
      break;
    default:
      throw new TypeAssertionError("a value that mixed can hold", value, where);
  }
  if (typeof value[WIRE] === "function") {
    const wire = value[WIRE](context);
    mustBeShallow(wire, depth, where);
    return wire;
  }
  if (value instanceof Decimal128) return { $numberDecimal: value.wire };
  if (value instanceof Date) return { $date: encode("date", value, where) };
  if (value instanceof ObjectId) return { $oid: value.wire };
  if (value instanceof UUID) return { $uuid: value.wire };
  if (isBytes(value)) return { $binary: encode("data", value, where) };
  if (value instanceof Set) throw new AssertionError("Using a Set as a Mixed value is not supported.");
  if (Array.isArray(value)) {
    checkDepth(depth, where);
    return value.map((item, at) => encodeMixed(item, `${where}[${at}]`, context, depth + 1));
  }
  if (![Object.prototype, null].includes(Object.getPrototypeOf(value))) throw new TypeAssertionError("a value that mixed can hold", value, where);
  checkDepth(depth, where);
  // By entries: `__proto__` is a key as any other.
  return Object.fromEntries(Object.keys(value).map((key) => [checkKey(key), encodeMixed(value[key], `${where}["${key}"]`, context, depth + 1)]));
}

/** The value of a wire value: arrays and plain objects for nested collections. Strict, as values.js.
 * @param {any} wire @param {string} [where] @returns {any} */
export function decodeMixed(wire, where = "value", depth = 0) {
  const refuse = () => new TypeAssertionError("a wire value of type 'mixed'", wire, where);
  if (wire === undefined) throw refuse();
  if (wire === null || typeof wire === "boolean") return wire;
  if (typeof wire === "string") return decode("string", wire, where);
  if (typeof wire === "number") return decode("double", wire, where);
  if (Array.isArray(wire)) {
    checkDepth(depth, where);
    return wire.map((item, at) => decodeMixed(item, `${where}[${at}]`, depth + 1));
  }
  const kind = wrapper(wire);
  if (!kind) {
    checkDepth(depth, where);
    return Object.fromEntries(Object.keys(wire).map((key) => [checkKey(key), decodeMixed(wire[key], `${where}["${key}"]`, depth + 1)]));
  }
  const inner = wire[kind];
  if (kind === "$link") {
    const fits = Array.isArray(inner) && inner.length === 2 && typeof inner[0] === "string" && ["string", "number"].includes(typeof inner[1]);
    if (!fits) throw refuse();
    return new Link(inner[0], inner[1]);
  }
  if (!Object.hasOwn(WRAPPED, kind) || typeof inner !== "string") throw refuse();
  if (kind === "$numberLong") {
    if (!/^(0|-?[1-9]\d{0,18})$/.test(inner) || BigInt.asIntN(64, BigInt(inner)) !== BigInt(inner)) throw refuse();
    return Number.isSafeInteger(Number(inner)) ? Number(inner) : BigInt(inner);
  }
  return decode(WRAPPED[kind], inner, where);
}

/** The key of a wrapper (`$oid` …); "" for every other wire value, dictionaries included. @param {any} wire */
export function wrapper(wire) {
  if (wire === null || typeof wire !== "object" || Array.isArray(wire)) return "";
  let found = "";
  for (const key in wire) {
    if (found || !key.startsWith("$")) return "";
    found = key;
  }
  return found;
}

/** A key of a dictionary; Realm allows neither a leading `$` nor a dot. @param {any} key @returns {string} */
export function checkKey(key) {
  const problem = typeof key !== "string" ? "be a string" : key.startsWith("$") ? "not start with '$'" : key.includes(".") ? "not contain '.'" : "";
  if (problem) throw realmError(`Dictionary::insert: key must ${problem}`, "InvalidDictionaryKey");
  return encode("string", key, "key");
}

/** The type of a mixed wire value: a scalar type of values.js, `null`, `object` (a link), `list`, `dictionary`. @param {any} wire */
export function mixedType(wire) {
  if (wire === null || wire === undefined) return "null";
  if (Array.isArray(wire)) return "list";
  if (typeof wire === "object") return WRAPPED[wrapper(wire)] ?? "dictionary";
  return typeof wire === "boolean" ? "bool" : typeof wire === "string" ? "string" : "double";
}

/** @param {number} depth @param {string} where */
function checkDepth(depth, where) {
  if (depth >= DEEPEST) throw new TypeAssertionError(`a value of at most ${DEEPEST} nested lists and dictionaries`, null, where.slice(0, 100));
}

/** @param {any} wire @param {number} depth @param {string} where */
function mustBeShallow(wire, depth, where) {
  if (wire === null || typeof wire !== "object" || wrapper(wire)) return;
  checkDepth(depth, where);
  for (const item of Object.values(wire)) mustBeShallow(item, depth + 1, where);
}
