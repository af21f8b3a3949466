/**
 * Scalar values: what a property of each Realm type holds in JavaScript, and its canonical JSON value on the wire (R12).
 *
 *     type         read as                    written as                        wire (JSON)
 *     bool         boolean                    boolean                           true / false
 *     int          number, bigint past ±2^53  integral number, bigint           number, decimal string past ±2^53
 *     float        number                     number, rounded to 32 bit         number, "NaN", "Infinity", "-Infinity"
 *     double       number                     number                            as float
 *     decimal128   Decimal128                 Decimal128                        plain notation, no trailing zeros
 *     string       string                     string of valid Unicode           string without U+0000
 *     data         ArrayBuffer                ArrayBuffer, view, base64 text    base64, padded
 *     date         Date                       Date, text that Date understands  "2026-01-01T12:00:00.123456Z"
 *     objectId     ObjectId                   ObjectId                          24 lower-case hex digits
 *     uuid         UUID                       UUID                              lower case with dashes
 *
 * A Date has milliseconds: those that `decode` makes remember their microseconds, and `encode` gives them back as long
 * as the Date was not changed. Null is JSON null for every type; whether it may be is the property's business: schema.js.
 */

import { DASHED, Decimal128, ObjectId, UUID, fromBase64, isBytes, toBase64 } from "./bson.js"
import { TypeAssertionError } from "./errors.js"

/** Integers up to this magnitude are JSON numbers. */
export const SAFE_INTEGER = 2 ** 53;

/** What an error says was expected of a type. @type {Record<string, string>} */
export const EXPECTED = {
  bool: "a boolean",
  int: "a number or bigint",
  float: "a number",
  double: "a number",
  decimal128: "an instance of Decimal128",
  string: "a string",
  data: "an ArrayBuffer, a view of one or base64 text",
  date: "an instance of Date",
  objectId: "an instance of ObjectId",
  uuid: "an instance of UUID",
};

/** The scalar type names of Realm, in the order of its documentation. */
export const SCALARS = Object.keys(EXPECTED);

const LONE_SURROGATE = /\p{Surrogate}/u;
const SUSPICIOUS = /[\0\ud800-\udfff]/;
const DECIMAL = /^(?!-0$)-?(0|[1-9]\d*)(\.\d*[1-9])?$/;
const DATE = /^(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}\.\d{6}Z$/;
const HEX = /^[0-9a-f]{24}$/;

/** @type {Map<string, number>} */
const SPECIAL = new Map([["NaN", NaN], ["Infinity", Infinity], ["-Infinity", -Infinity]]);

/** The wire text of Dates that hold more than their milliseconds say. @type {WeakMap<Date, string>} */
const exact = new WeakMap();

/**
 * The wire value of a JavaScript value of `type`, one of SCALARS; null and undefined are null.
 * @param {string} type @param {any} value @param {string} [target] What an error names.
 */
export function encode(type, value, target) {
  if (value === null || value === undefined) return null;
  /** @type {(words: string) => never} */
  const fail = (words) => {
    throw new TypeAssertionError(words, value, target);
  };
  const wire = ENCODERS[type](value, fail);
  if (wire !== undefined) return wire;
  const name = value.constructor?.name;
  const isCopy = name && EXPECTED[type].endsWith(` of ${name}`);
  return fail(isCopy ? `an instance of Realm's own ${name}` : EXPECTED[type]);
}

/**
 * The JavaScript value of a wire value of `type`. Strict: what `encode` cannot have made is refused, so that one value
 * has one image.
 * @param {string} type @param {any} wire @param {string} [target] @returns {any}
 */
export function decode(type, wire, target) {
  if (wire === null) return null;
  const value = DECODERS[type](wire);
  if (value === undefined) throw new TypeAssertionError(`a wire value of type '${type}'`, wire, target);
  return value;
}

/** The wire value; undefined if the value is not what EXPECTED says. @type {Record<string, (value: any, fail: (words: string) => never) => any>} */
const ENCODERS = {
  bool,
  int(value, fail) {
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) return fail("a 64-bit integer");
      return value >= -SAFE_INTEGER && value <= SAFE_INTEGER ? Number(value) : String(value);
    }
    if (typeof value !== "number") return undefined;
    if (!Number.isInteger(value)) return fail("an integer");
    return Math.abs(value) <= SAFE_INTEGER ? value : fail("a bigint where it is beyond ±2^53");
  },
  float: (value) => (typeof value === "number" ? double(Math.fround(value)) : undefined),
  double: (value) => (typeof value === "number" ? double(value) : undefined),
  decimal128: (value) => (value instanceof Decimal128 ? value.wire : undefined),
  string(value, fail) {
    if (typeof value !== "string") return undefined;
    const unfit = value.includes("\0") ? "a string without U+0000" : "a string of valid Unicode (no lone surrogates)";
    return string(value) ?? fail(unfit);
  },
  data(value, fail) {
    if (isBytes(value)) return toBase64(value);
    if (typeof value !== "string") return undefined;
    try {
      return toBase64(fromBase64(value));
    } catch {
      return fail("base64 text");
    }
  },
  date(value, fail) {
    const date = typeof value === "string" ? new Date(value) : value;
    if (!(date instanceof Date)) return undefined;
    if (Number.isNaN(date.getTime())) return fail("a valid date");
    const text = date.toISOString();
    if (!/^(?!0000)\d{4}-/.test(text)) return fail("a date of the years 1 to 9999");
    const before = exact.get(date);
    return before?.startsWith(text.slice(0, -1)) ? before : `${text.slice(0, -1)}000Z`;
  },
  objectId: (value) => (value instanceof ObjectId ? value.wire : undefined),
  uuid: (value) => (value instanceof UUID ? value.wire : undefined),
};

/** The value, or undefined if the wire value does not fit. @type {Record<string, (wire: any) => any>} */
const DECODERS = {
  bool,
  int(wire) {
    if (typeof wire === "number") return Number.isInteger(wire) && Math.abs(wire) <= SAFE_INTEGER ? wire : undefined;
    if (typeof wire !== "string" || !/^-?[1-9]\d{15,18}$/.test(wire)) return undefined;
    const value = BigInt(wire);
    const large = value > SAFE_INTEGER || value < -SAFE_INTEGER;
    return large && BigInt.asIntN(64, value) === value ? value : undefined;
  },
  float: number,
  double: number,
  decimal128(wire) {
    const plain = typeof wire === "string" && (SPECIAL.has(wire) || DECIMAL.test(wire));
    return plain ? new Decimal128(wire) : undefined;
  },
  string,
  data(wire) {
    if (typeof wire !== "string") return undefined;
    try {
      const bytes = fromBase64(wire);
      return toBase64(bytes) === wire ? bytes.buffer : undefined;
    } catch {
      return undefined;
    }
  },
  date(wire) {
    if (typeof wire !== "string" || !DATE.test(wire)) return undefined;
    const date = new Date(`${wire.slice(0, 23)}Z`);
    const day = Number(wire.slice(8, 10));
    if (day > 28 && date.getUTCDate() !== day) return undefined;
    if (!wire.endsWith("000Z")) exact.set(date, wire);
    return date;
  },
  objectId: (wire) => (typeof wire === "string" && HEX.test(wire) ? new ObjectId(wire) : undefined),
  uuid: (wire) => (typeof wire === "string" && DASHED.test(wire) ? new UUID(wire) : undefined),
};

/** @param {unknown} value */
function bool(value) {
  return typeof value === "boolean" ? value : undefined;
}

/** @param {unknown} value */
function string(value) {
  if (typeof value !== "string") return undefined;
  return SUSPICIOUS.test(value) && (value.includes("\0") || LONE_SURROGATE.test(value)) ? undefined : value;
}

/** @param {number} value */
function double(value) {
  return Number.isFinite(value) ? value : String(value);
}

/** @param {unknown} wire */
function number(wire) {
  return typeof wire === "number" && Number.isFinite(wire) ? wire : SPECIAL.get(/** @type {string} */ (wire));
}
