// Dictionaries: values by strings, as properties of an object and by methods (reference 9.5). Writes merge per key.

import { checkKey, WIRE } from "../core/mixed.js"
import { AssertionError, IllegalConstructorError, TypeAssertionError } from "../core/errors.js"
import { elementOf } from "../core/schema.js"
import { MIXED, PLACE } from "./live.js"
import { plain } from "./objects.js"

/** @typedef {import('./live.js').Place} Place */
/** @typedef {{insertions: string[], deletions: string[], modifications: string[]}} DictionaryChanges */

/** Makes `dictionary.key` work; names of methods come first. @type {ProxyHandler<any>} */
const KEYED = {
  get: (target, name) => (typeof name === "symbol" || name in target ? Reflect.get(target, name) : target._read(name)),
  set(target, name, value) {
    if (typeof name === "symbol") throw new AssertionError("Symbols cannot be used as keys of a dictionary");
    target.set(name, value);
    return true;
  },
  deleteProperty(target, name) {
    if (typeof name === "string") target.remove(name);
    return true;
  },
  has: (target, name) => (typeof name === "symbol" ? Reflect.has(target, name) : Object.hasOwn(target[PLACE].wire(), name)),
  ownKeys: (target) => [...Object.keys(target[PLACE].wire()), ...Reflect.ownKeys(target)],
  getOwnPropertyDescriptor(target, name) {
    if (typeof name === "symbol" || !Object.hasOwn(target[PLACE].wire(), name)) return Reflect.getOwnPropertyDescriptor(target, name);
    return { value: target._read(name), enumerable: true, configurable: true, writable: true };
  },
  defineProperty(target, name, { value }) {
    return KEYED.set?.(target, name, value, target) ?? false;
  },
};

/** A dictionary property, or a dictionary inside a mixed value. @template [T=any] */
export class Dictionary {
  /** @param {Place} place */
  constructor(place) {
    if (!(/** @type {any} */ (place)?.realm)) throw new IllegalConstructorError("Dictionary");
    Object.defineProperty(this, PLACE, { value: place, configurable: true });
    return new Proxy(this, KEYED);
  }

  /** @param {string} key @returns {T | undefined} */
  _read(key) {
    const place = placeOf(this);
    const wire = place.wire();
    return Object.hasOwn(wire, key) ? place.read(key, element(place), wire[key]) : undefined;
  }

  isValid() {
    return placeOf(this).isValid;
  }

  /** Sets a key, or all of an object's. @param {string | Record<string, T>} key @param {T} [value] @returns {this} */
  set(key, value) {
    const place = placeOf(this);
    place.writing();
    const entries = typeof key === "object" && key !== null ? Object.entries(key) : [[key, value]];
    const wires = entries.map(([name, each]) => [checkKey(name), place.realm._encode(`${place.where}["${name}"]`, element(place), each, "never")]);
    for (const [name, wire] of wires) place.realm._assign(place, name, element(place), wire);
    return this;
  }

  /** Those that are missing are ignored. @param {string | string[]} keys @returns {this} */
  remove(keys) {
    const place = placeOf(this);
    place.writing();
    for (const key of [keys].flat()) {
      if (typeof key !== "string") throw new TypeAssertionError("a string", key, "key");
      if (Object.hasOwn(place.wire(), key)) place.edit("remove", [key]);
    }
    return this;
  }

  /** @returns {Generator<string, void>} */
  *keys() {
    yield* Object.keys(placeOf(this).wire());
  }

  /** @returns {Generator<T, void>} */
  *values() {
    for (const [, value] of this.entries()) yield value;
  }

  /** Of this moment. @returns {Generator<[string, T], void>} */
  *entries() {
    const place = placeOf(this);
    const wire = place.wire();
    const entries = Object.keys(wire).map((key) => /** @type {[string, T]} */ ([key, place.read(key, element(place), wire[key])]));
    yield* entries;
  }

  /** @returns {Generator<[string, T], void>} */
  [Symbol.iterator]() {
    return this.entries();
  }

  /** @param {string} [_] @param {Map<string, any>} [cache] @returns {Record<string, any>} */
  toJSON(_, cache = new Map()) {
    return Object.fromEntries([...this.entries()].map(([key, value]) => [key, plain(value, cache)]));
  }

  [WIRE]() {
    return placeOf(this).wire();
  }

  /** `callback(dictionary, changes)`: soon, with nothing, and then whenever a key or an object in it changes.
   * @param {(dictionary: any, changes: DictionaryChanges) => void} callback @param {string | string[]} [keyPaths] */
  addListener(callback, keyPaths) {
    placeOf(this).realm._listenToDictionary(this, callback, keyPaths);
  }

  /** @param {Function} callback */
  removeListener(callback) {
    placeOf(this).realm._stopListening(this, callback);
  }

  removeAllListeners() {
    placeOf(this).realm._stopListening(this);
  }
}

/** @param {any} dictionary @returns {Place} */
const placeOf = (dictionary) => dictionary[PLACE];

/** The type of the values. @param {Place} place */
const element = ({ prop }) => (prop.type === "mixed" ? MIXED : elementOf(prop));
