/**
 * no Python twin: the BSON classes that JavaScript users know, `Realm.BSON`.
 *
 * Each instance is immutable and has its wire text in `wire` (core/values.py lists the forms). EJSON is MongoDB's
 * extended JSON, relaxed. Knows nothing of properties or schemas: see values.js.
 */

import { Decimal } from "./decimal.js"
import { TypeAssertionError } from "./errors.js"

/** @typedef {ArrayBuffer | ArrayBufferView} Bytes */

/** The wire text of a UUID. */
export const DASHED = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let counter = crypto.getRandomValues(new Uint32Array(1))[0];
const PROCESS = hexOfBytes(crypto.getRandomValues(new Uint8Array(5)));

/** A value that is its text. */
class Text {
  /** @type {string} */
  #text;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
  }

  get wire() {
    return this.#text;
  }

  toString() {
    return this.#text;
  }
}

/** Twelve bytes as MongoDB's: four of seconds since 1970, eight that make it unique. */
export class ObjectId extends Text {
  /** A new one, or the one of 24 hex digits, 12 bytes or another. @param {string | Bytes | ObjectId} [value] */
  constructor(value) {
    const hex = value === undefined ? objectIdHex(Date.now() / 1000) : hexOf(value, 12);
    if (hex === null) throw new TypeAssertionError("an ObjectId (12 bytes or 24 hex digits)", value);
    super(hex);
  }

  /** Whether the constructor takes it. @param {any} value */
  static isValid(value) {
    return hexOf(value, 12) !== null;
  }

  /** @param {string} hex */
  static createFromHexString(hex) {
    return new ObjectId(String(hex));
  }

  /** The smallest one of that second, to compare with. @param {number} seconds */
  static createFromTime(seconds) {
    return new ObjectId(secondsHex(seconds) + "0".repeat(16));
  }

  /** The bytes of a new one. @param {number} [seconds] */
  static generate(seconds = Date.now() / 1000) {
    return bytesOf(objectIdHex(seconds));
  }

  get _bsontype() {
    return "ObjectId";
  }

  get id() {
    return bytesOf(this.wire);
  }

  getTimestamp() {
    return new Date(parseInt(this.wire.slice(0, 8), 16) * 1000);
  }

  toHexString() {
    return this.wire;
  }

  toJSON() {
    return this.wire;
  }

  /** @param {any} other Anything the constructor takes. */
  equals(other) {
    return hexOf(other, 12) === this.wire;
  }
}

/** A universally unique identifier, RFC 9562. */
export class UUID extends Text {
  /** A new one (version 4), or the one of 32 hex digits with or without dashes, 16 bytes or another.
   * @param {string | Bytes | UUID} [value] */
  constructor(value = UUID.generate()) {
    const hex = typeof value === "string" && DASHED.test(value) ? value : hexOf(value, 16);
    if (hex === null) throw new TypeAssertionError("a UUID (16 bytes or 32 hex digits)", value);
    super(hex === value && hex.length === 36 ? hex : hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
  }

  /** Whether the constructor takes it. @param {any} value */
  static isValid(value) {
    return hexOf(value, 16) !== null;
  }

  /** @param {string} hex */
  static createFromHexString(hex) {
    return new UUID(String(hex));
  }

  /** The bytes of a new one. */
  static generate() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return bytes;
  }

  get _bsontype() {
    return "UUID";
  }

  get id() {
    return bytesOf(this.toHexString(false));
  }

  toHexString(includeDashes = true) {
    return includeDashes ? this.wire : this.wire.replaceAll("-", "");
  }

  toJSON() {
    return this.wire;
  }

  /** @param {any} other Anything the constructor takes. */
  equals(other) {
    return hexOf(other, 16) === this.toHexString(false);
  }
}

/** A decimal of up to 34 digits; two of equal value have one text. */
export class Decimal128 extends Text {
  /** @param {string} text Plain or scientific notation, `NaN`, `Infinity`, `-Infinity`. */
  constructor(text) {
    if (typeof text !== "string") throw new TypeAssertionError("a decimal as a string", text);
    super(Decimal.parse(text).toString());
  }

  /** @param {string} text */
  static fromString(text) {
    return new Decimal128(text);
  }

  get _bsontype() {
    return "Decimal128";
  }

  toJSON() {
    return { $numberDecimal: this.wire };
  }

  /** @param {any} other */
  equals(other) {
    return other instanceof Decimal128 && other.wire === this.wire;
  }
}

/** MongoDB's extended JSON, relaxed: numbers are numbers where nothing is lost. Binary data is read as ArrayBuffer. */
export const EJSON = {
  /** @param {string} text @returns {any} */
  parse: (text) => EJSON.deserialize(JSON.parse(text)),

  /** @param {unknown} value @param {any} [replacer] @param {string | number} [space] */
  stringify: (value, replacer, space) => JSON.stringify(EJSON.serialize(value), replacer, space),

  /** Plain JSON of a value. @param {any} value @returns {any} */
  serialize(value) {
    if (typeof value === "bigint") {
      return Number.isSafeInteger(Number(value)) ? Number(value) : { $numberLong: String(value) };
    }
    if (typeof value === "number") return Number.isFinite(value) ? value : { $numberDouble: String(value) };
    if (value === null || typeof value !== "object") return value;
    if (value instanceof ObjectId) return { $oid: value.wire };
    if (value instanceof UUID) return { $binary: { base64: toBase64(value.id), subType: "04" } };
    if (value instanceof Decimal128) return value.toJSON();
    if (value instanceof Date) {
      const time = value.getTime();
      return { $date: time >= 0 && time < 253402300800000 ? value.toISOString() : { $numberLong: String(time) } };
    }
    if (isBytes(value)) return { $binary: { base64: toBase64(value), subType: "00" } };
    if (Array.isArray(value)) return value.map(EJSON.serialize);
    if (typeof value.toJSON === "function") return EJSON.serialize(value.toJSON());
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, EJSON.serialize(item)]));
  },

  /** The value of plain JSON. @param {any} value @returns {any} */
  deserialize(value) {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(EJSON.deserialize);
    const keys = Object.keys(value);
    const read = keys.length === 1 && Object.hasOwn(READERS, keys[0]) && READERS[keys[0]];
    if (read) return read(value[keys[0]]);
    return Object.fromEntries(keys.map((key) => [key, EJSON.deserialize(value[key])]));
  },
};

/** @type {Record<string, (content: any) => any>} */
const READERS = {
  $oid: (text) => new ObjectId(text),
  $uuid: (text) => new UUID(text),
  $numberDecimal: (text) => new Decimal128(text),
  $numberInt: Number,
  $numberDouble: Number,
  $numberLong: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)),
  $date: (content) => new Date(typeof content === "object" ? Number(content.$numberLong) : content),
  $binary: ({ base64, subType }) => (subType === "04" ? new UUID(fromBase64(base64)) : fromBase64(base64).buffer),
};

/** Whether it holds bytes. @param {any} value @returns {value is Bytes} */
export function isBytes(value) {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

/** @param {Bytes} value */
export function toBase64(value) {
  const bytes = viewOf(value);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** Throws if the text is not base64. @param {string} text */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** @param {Bytes} value */
function viewOf(value) {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** @param {Uint8Array} bytes */
function hexOfBytes(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The lower-case hex digits of an identifier of `size` bytes, null if it is none. @param {any} value @param {number} size */
function hexOf(value, size) {
  if (value instanceof ObjectId || value instanceof UUID) value = value.wire;
  if (isBytes(value)) value = hexOfBytes(viewOf(value));
  if (typeof value !== "string") return null;
  const hex = value.toLowerCase();
  if (size === 16 && DASHED.test(hex)) return hex.replaceAll("-", "");
  return hex.length === size * 2 && /^[0-9a-f]*$/.test(hex) ? hex : null;
}

/** @param {string} hex */
function bytesOf(hex) {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => parseInt(hex.slice(at * 2, at * 2 + 2), 16));
}

/** @param {number} seconds */
function secondsHex(seconds) {
  return (Math.floor(seconds) >>> 0).toString(16).padStart(8, "0");
}

/** @param {number} seconds */
function objectIdHex(seconds) {
  counter = (counter + 1) & 0xffffff;
  return secondsHex(seconds) + PROCESS + counter.toString(16).padStart(6, "0");
}
