/**
 * Constants read: what a literal of RQL, and a JavaScript value passed as `$0`, stands for.
 *
 * Decides spelling only: the type is that of the writing (`1.5` is a `number`, a B64 literal a `text`), and the values
 * are exact; binding.js makes them values of the property they are compared with. nodes.js lists their forms. Must agree
 * with text.js about which strings are plain. Knows neither the rest of the tree nor classes.
 */

import { EJSON, fromBase64, isBytes, toBase64 } from "./bson.js"
import { Decimal } from "./decimal.js"
import { QueryError } from "./errors.js"
import { fromShape } from "./geometry.js"
import { Link, wrapper } from "./mixed.js"
import { constant } from "./nodes.js"
import { SAFE_INTEGER, encode } from "./values.js"

/** @typedef {import('./nodes.js').Constant} Constant */
/** @typedef {[type: string, value: any]} Typed */

/** Matches a surrogate without its other half. */
export const LONE_SURROGATE = /\p{Surrogate}/u;

const PLAIN = /^[ !#-&(-[\]-~]*$/; // printable ASCII without quotes and backslash
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The constant that a text says; `token` is the name of its token in query.js.
 * @param {string} token @param {string} text @param {number | null} position */
export function readLiteral(token, text, position) {
  try {
    const [type, value] = READERS[token](text);
    return constant(type, value, null, position);
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(error.problem, "", position);
  }
}

/** The constant of a value, or of an element of a list, passed as `$number`.
 * @param {any} value @param {number} number @param {number} position */
export function fromJs(value, number, position) {
  try {
    const [type, content] = typed(value, number);
    return constant(type, content, number, position);
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(error.problem, "", position);
  }
}

/** The region that an argument object describes. @param {any} value @param {number} argument @param {number} position */
export function readGeometry(value, argument, position) {
  const shape = fromShape(value, coordinate);
  if (typeof shape !== "string") return shape;
  throw new QueryError(`The Geospatial query argument region is invalid: '${shape}' (argument $${argument})`, "", position);
}

/** The number that an argument in the place of a radius is. @param {Constant} given @returns {Decimal} */
export function numberOf({ type, value, argument, position }) {
  if (type === "int" || type === "number") return value instanceof Decimal ? value : Decimal.from(value);
  throw new QueryError(`Expected a number of radians as argument $${argument}.`, "", position);
}

/** @param {any} value @returns {Decimal | null} */
function coordinate(value) {
  if (typeof value !== "number" && typeof value !== "bigint" && value?._bsontype !== "Decimal128") return null;
  const number = typeof value === "object" ? Decimal.parse(String(value)) : Decimal.from(value);
  return number.isFinite ? number : null;
}

/** @param {any} value */
export function isPlainObject(value) {
  return typeof value === "object" && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value));
}

/** The number that a string holds, for strings that are compared with numbers; null if it holds none.
 * @param {string} text @returns {Typed | null} */
export function readNumber(text) {
  try {
    if (/^[+-]?\d+$/.test(text)) return ["int", integer(text)];
    if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return ["number", number(text)];
  } catch {
    // more digits than anything can hold
  }
  return null;
}

/** An int in its form: a bigint only beyond ±2^53. @param {bigint} value */
export function narrow(value) {
  return value >= -SAFE_INTEGER && value <= SAFE_INTEGER ? Number(value) : value;
}

/** Whether a string can be written between quotes as it is; others are written in base64. @param {string} value */
export function isPlain(value) {
  return PLAIN.test(value);
}

/** The UTF-8 of a string. @param {string} value */
export function toBytes(value) {
  return new TextEncoder().encode(value);
}

/** The string of UTF-8, null if it is none. @param {Uint8Array} bytes */
export function fromBytes(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The beginning of what was written, for errors that quote it. @param {string} text @param {number} length */
export function excerpt(text, length) {
  if (text.length <= length) return text;
  const points = Array.from(text.slice(0, 2 * length + 2));
  return points.length <= length ? text : `${points.slice(0, length - 1).join("")}…`;
}

/** @param {string} digits @param {string} prefix */
function integer(digits, prefix = "") {
  if (digits.replace(/^[-+0]+/, "").length > 40) throw unreadable(digits);
  return narrow(BigInt(prefix + digits));
}

/** The exact value of a number with a fraction, exponent or word; `f` marks a 32-bit float. @param {string} text */
function number(text) {
  const exponent = /e[+-]?0*(\d*)/i.exec(text);
  if (text.length > 800 || (exponent && exponent[1].length > 5)) throw unreadable(text);
  return /\d.*f$/.test(text) ? Decimal.from(Math.fround(Number(text.slice(0, -1)))) : Decimal.exact(text);
}

/** @param {string} text */
function unreadable(text) {
  return new QueryError(`Cannot convert '${excerpt(text, 40)}' to a number`);
}

/** As its canonical text will spell it: what needs base64 cannot be told from a B64 literal. @param {string} value @returns {Typed} */
function string(value) {
  return isPlain(value) ? ["string", value] : ["text", toBytes(value)];
}

/** @param {string} text */
function base64(text) {
  if (text.length % 4) throw new QueryError(`Invalid base64 value '${excerpt(text, 40)}'`);
  return fromBase64(text);
}

/** @param {string} text */
function date(text) {
  const [year, month, day, hour, minute, second, nanoseconds = 0] = text.split(/[-@T:]/).map(Number);
  if (year < 1900) throw new QueryError("Conversion of dates before 1900 is not supported.");
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  let problem = "";
  if (month < 1 || month > 12) problem = "month must be in 1..12";
  else if (day < 1 || day > DAYS[month - 1] + Number(leap)) problem = "day is out of range for month";
  else if (hour > 23) problem = "hour must be in 0..23";
  else if (minute > 59) problem = "minute must be in 0..59";
  else if (second > 59) problem = "second must be in 0..59";
  if (problem) throw new QueryError(`Invalid date '${text}': ${problem}.`);
  return moment(Date.UTC(year, month - 1, day, hour, minute, second), nanoseconds);
}

/** @param {string} text */
function timestamp(text) {
  const [seconds, nanoseconds] = text.slice(1).split(":").map(Number);
  const microseconds = Math.floor(nanoseconds / 1000);
  const whole = seconds + Math.floor(microseconds / 1e6);
  if (!(whole >= -62135596800 && whole < 253402300800)) {
    throw new QueryError(`The date ${text} is outside the years 1 to 9999.`);
  }
  return moment(whole * 1000, (microseconds - Math.floor(microseconds / 1e6) * 1e6) * 1000);
}

/** The wire text of a whole second, and nanoseconds cut to microseconds. @param {number} time @param {number} nanoseconds */
function moment(time, nanoseconds) {
  return `${new Date(time).toISOString().slice(0, 19)}.${String(Math.floor(nanoseconds / 1000)).padStart(6, "0")}Z`;
}

/** @type {Record<string, (text: string) => Typed>} */
const READERS = {
  INTEGER: (text) => ["int", integer(text)],
  HEX: (text) => ["int", integer(text.slice(2), "0x")],
  FLOAT: (text) => ["number", number(text)],
  NOT_FINITE: (text) => ["number", number(text)],
  TRUE: () => ["bool", true],
  FALSE: () => ["bool", false],
  NULL: () => ["null", null],
  NIL: () => ["null", null],
  STRING: (text) => string(text.slice(1, -1)),
  BASE64: (text) => ["text", base64(text.slice(4, -1))],
  OBJECT_ID: (text) => ["objectId", text.slice(4, -1).toLowerCase()],
  UUID: (text) => ["uuid", text.slice(5, -1).toLowerCase()],
  DATE: (text) => ["date", date(text)],
  TIMESTAMP: (text) => ["date", timestamp(text)],
  INTERNAL_KEY: (text) => ["internal", text],
};

/** The tokens that are literals. */
export const LITERALS = Object.keys(READERS);

/** @param {any} value @param {number} argument @returns {Typed} */
function typed(value, argument) {
  switch (typeof value) {
    case "undefined":
      return ["null", null];
    case "boolean":
      return ["bool", value];
    case "bigint":
      return ["int", narrow(value)];
    case "number":
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? ["int", value] : ["number", Decimal.from(value)];
    case "string":
      if (LONE_SURROGATE.test(value)) throw new QueryError(`Argument $${argument} holds a lone surrogate.`);
      return string(value);
  }
  if (value === null) return ["null", null];
  if (isBytes(value)) return ["data", fromBase64(toBase64(value))];
  if (value instanceof Date) {
    try {
      return ["date", encode("date", value)];
    } catch {
      throw new QueryError(`The date argument $${argument} is outside the years 1 to 9999.`);
    }
  }
  const text = value.wire ?? String(value);
  if (value._bsontype === "ObjectId") return ["objectId", text];
  if (value._bsontype === "UUID") return ["uuid", text];
  if (value._bsontype === "Decimal128") return ["number", Decimal.parse(text)];
  if (value instanceof Link) return ["object", [value.className, constant(...typed(value.key, argument))]];
  if (isPlainObject(value) && wrapper(value)) {
    const read = EJSON.deserialize(value);
    if (!isPlainObject(read)) return typed(read, argument);
  }
  const object = value[Symbol.for("realm-sync.key")];
  if (object) {
    const { className, type, wire } = object;
    const key = type === "string" ? string(wire) : [type, type === "int" ? narrow(BigInt(wire)) : wire];
    return ["object", [className, constant(key[0], key[1])]];
  }
  const name = value.constructor?.name || typeof value;
  if (name === "Counter") throw new QueryError("Using a Counter as a query argument is not supported. Use 'Counter.value'.");
  throw new QueryError(`Using a ${name} as a query argument is not supported (argument $${argument}).`);
}
