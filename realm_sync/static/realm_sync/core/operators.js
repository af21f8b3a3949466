/**
 * Operators: what each of them says about two values.
 *
 * Decides what the query language means, value by value (R4), with null and NaN: NaN equals NaN and is neither below nor
 * above anything, and `<=` is "less or equal" also for them. Values are null, booleans, numbers, bigints, Decimals and
 * strings: wire text where that sorts right, data as a string of one character per byte. Knows no nodes and no images.
 */

import { toBase64 } from "./bson.js"
import { Decimal } from "./decimal.js"
import { toBytes } from "./literals.js"
import { STRING_OPERATORS } from "./nodes.js"

/** Where the order of UTF-16 may not be that of code points. */
export const HIGH = /[\ud800-\uffff]/;

/** Strings by code point, which is the order of their UTF-8. @param {string} a @param {string} b */
export function compareText(a, b) {
  if (a === b) return 0;
  if (HIGH.test(a) && HIGH.test(b)) {
    let at = 0;
    while (a.charCodeAt(at) === b.charCodeAt(at)) at++;
    const [unit, other] = [a.charCodeAt(at), b.charCodeAt(at)];
    // Surrogates stand for characters above all others.
    if (unit >= 0xd800 && other >= 0xd800 && unit < 0xe000 !== other < 0xe000) return unit < 0xe000 ? 1 : -1;
  }
  return a < b ? -1 : 1;
}

/** -1, 0 or 1 for two values of comparable types, null excepted; NaN if one is NaN. A double meets a decimal as the
 * decimal with the fewest digits. @param {any} a @param {any} b */
export function compare(a, b) {
  if (typeof a === "string") return compareText(a, b);
  if (typeof a === "object" || typeof b === "object") {
    return (a instanceof Decimal ? a : Decimal.from(a)).compare(b instanceof Decimal ? b : Decimal.from(b));
  }
  return a < b ? -1 : a > b ? 1 : a == b ? 0 : NaN; // == is exact between a number and a bigint
}

/** @param {any} value */
export function isNaNValue(value) {
  return value !== value || (value instanceof Decimal && value.isNaN);
}

/** @param {any} left @param {any} right */
export function equal(left, right) {
  if (left === right) return true;
  if (left === null || right === null) return false;
  const order = compare(left, right);
  return order === 0 || (order !== order && isNaNValue(left) && isNaNValue(right));
}

/** @param {any} left @param {any} right */
function below(left, right) {
  return left !== null && right !== null && compare(left, right) < 0;
}

/** Every operator between two values; lowering.js leaves no other but IN. A null right side is the beginning, end and
 * part of everything, null included, and is LIKE null only. @type {Record<string, (left: any, right: any) => boolean>} */
export const OPERATORS = {
  "==": equal,
  "!=": (left, right) => !equal(left, right),
  "<": below,
  ">": (left, right) => below(right, left),
  "<=": (left, right) => below(left, right) || equal(left, right),
  ">=": (left, right) => below(right, left) || equal(left, right),
  BEGINSWITH: (left, right) => right === null || (left !== null && left.startsWith(right)),
  ENDSWITH: (left, right) => right === null || (left !== null && left.endsWith(right)),
  CONTAINS: (left, right) => right === null || (left !== null && left.includes(right)),
  LIKE: (left, right) => (left === null || right === null ? left === right : likePattern(right)(left)),
};

/** What `[c]` compares: ASCII and Latin-1 letters (without × and ÷) in lower case; other alphabets keep their case.
 * @param {any} value */
export function fold(value) {
  if (typeof value !== "string") return value;
  if (/^[\0-\x7f]*$/.test(value)) return value.toLowerCase();
  return value.replace(/[A-ZÀ-ÖØ-Þ]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 32));
}

/** What `[c]` compares of data: ASCII letters in lower case. @param {any} value */
export function foldBytes(value) {
  return typeof value === "string" ? value.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : value;
}

/**
 * A function that matches a whole value: `?` is one character (of data: one byte), `*` any number, nothing is escaped.
 *
 * Finds the pieces between stars from left to right, each as early as possible: that needs no backtracking, so that no
 * pattern takes more than length of value × length of pattern.
 * @param {string} pattern @returns {(value: string) => boolean}
 */
export function likePattern(pattern) {
  const texts = pattern.split("*");
  const pieces = texts.map((text, at) => {
    const source = text.replace(/[\\^$.+()[\]{}|/]/g, "\\$&").replaceAll("?", ".");
    return new RegExp(source, at === 0 || at === texts.length - 1 ? "suy" : "sug");
  });
  const last = texts.length - 1;
  const length = Array.from(texts[last]).length;
  return (value) => {
    let position = 0;
    for (let at = 0; at < last || at === 0; at++) {
      pieces[at].lastIndex = position;
      if (!pieces[at].test(value)) return false;
      position = pieces[at].lastIndex;
    }
    if (last === 0) return position === value.length;
    let end = value.length;
    for (let count = 0; count < length; count++) end -= (value.codePointAt(end - 2) ?? 0) > 0xffff ? 2 : 1;
    pieces[last].lastIndex = end;
    return position <= end && pieces[last].test(value);
  };
}

// --- Mixed values ---

/** A mixed value that its JavaScript form does not tell from others: its type and a text: of data one character per byte, of
 * links, lists and dictionaries JSON. The other mixed values are null, booleans, strings, and numbers: an int is a bigint. */
export class Typed {
  /** @param {string} type @param {string} value */
  constructor(type, value) {
    this.type = type;
    this.value = value;
  }
}

const NUMBERS = 2;
/** The place of a type among the others. @type {Record<string, number>} */
const RANKS = { data: 4, date: 5, objectId: 6, uuid: 7, object: 8, list: 9, dictionary: 10 };
/** From this rank on values are equal or not, and of one place in an order. */
const UNORDERED = 8;

/** The place of a mixed value's type: null < bool < numbers < string < data < date < objectId < uuid < links < lists <
 * dictionaries. @param {any} value */
export function mixedRank(value) {
  if (value === null) return 0;
  if (value instanceof Typed) return RANKS[value.type];
  return typeof value === "boolean" ? 1 : typeof value === "string" ? 3 : NUMBERS;
}

/** -1, 0 or 1 for mixed values of any types; NaN is below every number. @param {any} a @param {any} b @returns {number} */
export function compareMixed(a, b) {
  const rank = mixedRank(a);
  const other = mixedRank(b);
  if (rank !== other) return rank < other ? -1 : 1;
  if (rank === 0 || rank >= UNORDERED) return 0;
  if (a instanceof Typed) return compareText(a.value, b.value);
  return compare(a, b) || Number(isNaNValue(b)) - Number(isNaNValue(a));
}

/** @param {any} left @param {any} right */
function equalMixed(left, right) {
  if (left === null || right === null || mixedRank(left) !== mixedRank(right)) return left === right;
  return left instanceof Typed ? left.value === right.value : equal(left, right);
}

/** @param {any} left @param {any} right */
function belowMixed(left, right) {
  return left !== null && mixedRank(left) === mixedRank(right) && compareMixed(left, right) < 0;
}

/** Text, equal for equal mixed values. @param {any} value */
export function mixedIdentity(value) {
  if (value instanceof Typed) return `${value.type} ${value.value}`;
  if (mixedRank(value) !== NUMBERS) return JSON.stringify(value);
  return `number ${value instanceof Decimal ? value : Decimal.from(value)}`;
}

/** Data, and text as data is; null for anything else. @param {any} value */
function bytesOf(value) {
  return typeof value === "string" ? binary(value) : value instanceof Typed && value.type === "data" ? value.value : null;
}

/** OPERATORS for mixed values, which compare only where their types do: numbers of all kinds as one; what is neither string
 * nor data begins, ends and contains nothing. @type {Record<string, (left: any, right: any) => boolean>} */
export const MIXED_OPERATORS = {
  "==": equalMixed,
  "!=": (left, right) => !equalMixed(left, right),
  "<": belowMixed,
  ">": (left, right) => belowMixed(right, left),
  "<=": (left, right) => belowMixed(left, right) || equalMixed(left, right),
  ">=": (left, right) => belowMixed(right, left) || equalMixed(left, right),
};
for (const name of STRING_OPERATORS) {
  const test = OPERATORS[name];
  MIXED_OPERATORS[name] = (left, right) => {
    if (right === null || (typeof left === "string" && typeof right === "string")) return test(left, right);
    const [ours, theirs] = [bytesOf(left), bytesOf(right)];
    return ours !== null && theirs !== null && test(ours, theirs);
  };
}

/** A string as data is: one character per byte of its UTF-8. @param {string | null} value */
export function binary(value) {
  return value && atob(toBase64(toBytes(value)));
}

/** What `[c]` compares of mixed values. @param {any} value */
export function mixedFold(value) {
  return value instanceof Typed && value.type === "data" ? new Typed("data", foldBytes(value.value)) : fold(value);
}

/** What `@type` is compared with, in lower case → the types of mixed values it stands for. @type {Map<string, string[]>} */
export const TYPE_NAMES = new Map();
for (const [words, types] of [
  ["null", "null"],
  ["int integer int16 int32 int64 short long byte char", "int"],
  ["bool boolean", "bool"],
  ["string", "string"],
  ["binary data bytearray byte[]", "data"],
  ["date datetimeoffset timestamp", "date"],
  ["float", "float"],
  ["double", "double"],
  ["decimal128 decimal", "decimal128"],
  ["objectlink link", "object"],
  ["objectid", "objectId"],
  ["uuid guid", "uuid"],
  ["numeric", "int float double decimal128"],
  ["bindata", "data"],
  ["object dictionary", "dictionary"],
  ["array list", "list"],
  ["collection", "list dictionary"],
]) {
  for (const word of words.split(" ")) TYPE_NAMES.set(word, types.split(" "));
}

// --- Arithmetic ---

/** `left operator right` in `type`: int wraps at 64 bits and divides towards zero (by zero: the largest or smallest int),
 * double follows IEEE, decimal128 rounds to 34 digits. Null if a side is null. Never throws.
 * @param {string} operator @param {string} type @param {any} left @param {any} right @returns {any} */
export function arithmetic(operator, type, left, right) {
  if (left === null || right === null) return null;
  if (type === "mixed") return mixedArithmetic(operator, left, right);
  if (type === "int") return intArithmetic(operator, left, right);
  if (type === "decimal128") {
    const [a, b] = [left, right].map((side) => (side instanceof Decimal ? side : Decimal.from(side)));
    return operator === "+" ? a.add(b) : operator === "-" ? a.subtract(b) : operator === "*" ? a.multiply(b) : a.divide(b);
  }
  const [a, b] = [Number(left), Number(right)];
  return operator === "+" ? a + b : operator === "-" ? a - b : operator === "*" ? a * b : a / b;
}

/** Of the numbers that mixed values hold: a bigint is an int. @param {string} operator @param {any} left @param {any} right */
function mixedArithmetic(operator, left, right) {
  if (mixedRank(left) !== NUMBERS || mixedRank(right) !== NUMBERS) return null;
  if (left instanceof Decimal || right instanceof Decimal) return arithmetic(operator, "decimal128", left, right);
  return arithmetic(operator, typeof left === "bigint" && typeof right === "bigint" ? "int" : "double", left, right);
}

/** @param {string} operator @param {number | bigint} left @param {number | bigint} right */
function intArithmetic(operator, left, right) {
  if (operator === "/" && !right) return left < 0 ? -(2n ** 63n) : 2n ** 63n - 1n;
  if (typeof left === "number" && typeof right === "number") {
    if (operator === "/") return Math.trunc(left / right);
    const result = operator === "+" ? left + right : operator === "-" ? left - right : left * right;
    if (Number.isSafeInteger(result)) return result;
  }
  const [a, b] = [BigInt(left), BigInt(right)];
  return BigInt.asIntN(64, operator === "+" ? a + b : operator === "-" ? a - b : operator === "*" ? a * b : a / b);
}
