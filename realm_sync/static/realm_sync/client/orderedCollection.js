// no Python twin: Python's sequences do this there. Ordered collections: what Results, lists and sets have of an array.
//
// Each method works on a copy of the elements, so what changes the collection on the way does no harm (reference 9.2).

import { AssertionError } from "../core/errors.js"

/** Whether a property's name is an index. @param {any} name @returns {boolean} */
export const isIndex = (name) => typeof name === "string" && name.charCodeAt(0) < 58 && /^\d+$/.test(name);

/** Makes `collection[0]` work; `_at(index)` reads, `_setAt(index, value)` writes. @type {ProxyHandler<any>} */
export const INDEXED = {
  get: (target, name) => (isIndex(name) ? target._at(Number(name)) : Reflect.get(target, name)),
  set(target, name, value) {
    if (isIndex(name)) target._setAt(Number(name), value);
    else if (name === "length") throw new AssertionError("Cannot assign to read only property 'length'");
    else if (typeof name === "string" && /^-\d+$/.test(name)) target._setAt(Number(name), value);
    else return Reflect.set(target, name, value);
    return true;
  },
  has: (target, name) => (isIndex(name) ? Number(name) < target.length : Reflect.has(target, name)),
  ownKeys: (target) => Array.from({ length: target.length }, (_, at) => `${at}`).concat(/** @type {string[]} */ (Reflect.ownKeys(target))),
  getOwnPropertyDescriptor(target, name) {
    if (!isIndex(name)) return Reflect.getOwnPropertyDescriptor(target, name);
    const value = target._at(Number(name));
    return value === undefined ? undefined : { value, enumerable: true, configurable: true, writable: true };
  },
};

/** @template [T=any] */
export class OrderedCollection {
  /** The elements of this moment. @returns {any[]} */
  _list() {
    return [];
  }

  /** @returns {number} */
  get length() {
    return this._list().length;
  }

  isEmpty() {
    return this.length === 0;
  }

  /** What is here at the call. @returns {Generator<T, void>} */
  *[Symbol.iterator]() {
    yield* this._list();
  }

  /** @param {number} index @returns {T | undefined} */
  at(index) {
    return this._list().at(index);
  }

  /** @returns {Generator<T, void>} */
  values() {
    return this[Symbol.iterator]();
  }

  /** @returns {IterableIterator<number>} */
  keys() {
    return Array.from({ length: this.length }, (_, at) => at).values();
  }

  /** @returns {IterableIterator<[number, T]>} */
  entries() {
    return this._list().entries();
  }

  /** @template U @param {(object: T, index: number) => U} callback @param {any} [self] @returns {U[]} */
  map(callback, self) {
    return this._list().map(callback, self);
  }

  /** @param {(object: T, index: number) => unknown} callback @param {any} [self] @returns {T[]} */
  filter(callback, self) {
    return this._list().filter(callback, self);
  }

  /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
  forEach(callback, self) {
    this._list().forEach(callback, self);
  }

  /** @param {(object: T, index: number) => unknown} callback @param {any} [self] @returns {T | undefined} */
  find(callback, self) {
    return this._list().find(callback, self);
  }

  /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
  findIndex(callback, self) {
    return this._list().findIndex(callback, self);
  }

  /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
  some(callback, self) {
    return this._list().some(callback, self);
  }

  /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
  every(callback, self) {
    return this._list().every(callback, self);
  }

  /** @template U @param {(object: T, index: number) => U | readonly U[]} callback @param {any} [self] @returns {U[]} */
  flatMap(callback, self) {
    return this._list().flatMap(callback, self);
  }

  /** @param {[any, any?]} rest @returns {any} */
  reduce(...rest) {
    return this._list().reduce(.../** @type {[any]} */ (rest));
  }

  /** @param {[any, any?]} rest @returns {any} */
  reduceRight(...rest) {
    return this._list().reduceRight(.../** @type {[any]} */ (rest));
  }

  /** @param {number} [start] @param {number} [end] @returns {T[]} */
  slice(start, end) {
    return this._list().slice(start, end);
  }

  /** @param {...any} others @returns {any[]} */
  concat(...others) {
    return this._list().concat(...others.map((other) => (other instanceof OrderedCollection ? other._list() : other)));
  }

  /** @param {string} [separator] */
  join(separator) {
    return this._list().join(separator);
  }

  /** Where a value is; -1 if it is not here. @param {any} value @param {never} [fromIndex] @returns {number} */
  indexOf(value, fromIndex) {
    if (fromIndex !== undefined) throw new AssertionError("The second fromIndex argument is not yet supported");
    return this._list().indexOf(value);
  }

  /** @param {any} value @returns {number} */
  lastIndexOf(value) {
    return this._list().lastIndexOf(value);
  }

  /** @param {any} value */
  includes(value) {
    return this.indexOf(value) >= 0;
  }

  /** @returns {never} */
  flat() {
    throw new AssertionError("Method not implemented.");
  }

  toLocaleString() {
    return this._list().toLocaleString();
  }
}
