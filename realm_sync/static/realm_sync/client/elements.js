// Elements: what lists and sets have in common.
//
// Decides how elements are read, hidden and counted: links to what is not in this file are hidden, and indexes of the
// surface do not count them, while those on the wire do. Queries over objects and aggregates over values, too.

import { Decimal128 } from "../core/bson.js"
import { Decimal } from "../core/decimal.js"
import { compareElements } from "../core/encoding.js"
import { AssertionError, IllegalConstructorError, realmError, TypeAssertionError } from "../core/errors.js"
import { WIRE } from "../core/mixed.js"
import { elementOf } from "../core/schema.js"
import { decode } from "../core/values.js"
import { MIXED, PLACE } from "./live.js"
import { identityOf, plain } from "./objects.js"
import { INDEXED, OrderedCollection } from "./orderedCollection.js"
import { Results } from "./results.js"
import { sameWire } from "./tables.js"

/** @typedef {import('./live.js').Place} Place */
/** @typedef {import('./results.js').CollectionChanges} CollectionChanges */

const NUMERIC = ["int", "float", "double", "decimal128"];

/** @template [T=any] @extends {OrderedCollection<T>} */
export class Elements extends OrderedCollection {
  /** @param {Place} place */
  constructor(place) {
    super();
    if (!(/** @type {any} */ (place)?.realm)) throw new IllegalConstructorError(new.target.name);
    const element = place.prop.type === "mixed" ? MIXED : elementOf(place.prop);
    const target = element.type === "object" && !place.realm._store.schema.isEmbedded(element.objectType) ? element.objectType : null;
    const hidden = { value: { element, target, seen: null, results: null }, writable: true };
    Object.defineProperty(this, PLACE, { value: place });
    Object.defineProperty(this, "_kept", hidden);
    return new Proxy(this, INDEXED);
  }

  /** @returns {Place} */
  get _place() {
    return /** @type {any} */ (this)[PLACE];
  }

  /** The type of one element. @returns {import('../core/schema.js').WireProperty} */
  get _element() {
    return /** @type {any} */ (this)._kept.element;
  }

  /** The class of the links that are here; null: these are no links. @returns {string | null} */
  get _target() {
    return /** @type {any} */ (this)._kept.target;
  }

  /** `object`, or the type of the elements. */
  get type() {
    return this._element.type;
  }

  /** Whether elements can be null. */
  get optional() {
    return Boolean(this._element.optional);
  }

  get length() {
    return this._target === null ? this._place.wire().length : this._shown().length;
  }

  isValid() {
    return this._place.isValid;
  }

  /** Where on the wire the links are whose targets are here, in order. @returns {number[]} */
  _shown() {
    const kept = /** @type {any} */ (this)._kept;
    const wire = this._place.wire();
    const table = this._place.realm._store.tables.get(this._target);
    if (kept.seen?.wire !== wire || kept.seen.revision !== table?.revision) {
      /** @type {number[]} */
      const shown = [];
      wire.forEach((/** @type {any} */ key, /** @type {number} */ at) => table?.objects.has(key) && shown.push(at));
      kept.seen = { wire, revision: table?.revision, shown };
    }
    return kept.seen.shown;
  }

  /** The place on the wire of an element; at the end that of one to come. @param {number} index */
  _wireIndex(index) {
    if (this._target === null) return index;
    return this._shown()[index] ?? this._place.wire().length;
  }

  /** @param {number} index */
  _at(index) {
    if (index < 0 || index >= this.length) return undefined;
    const at = this._wireIndex(index);
    return this._place.read(at, this._element, this._place.wire()[at]);
  }

  /** @returns {T[]} */
  _list() {
    const place = this._place;
    const wire = place.wire();
    const element = this._element;
    if (this._target !== null) return this._shown().map((at) => place.read(at, element, wire[at]));
    return wire.map((/** @type {any} */ item, /** @type {number} */ at) => place.read(at, element, item));
  }

  /** A snapshot; what is deleted meanwhile comes out as null. @returns {Generator<T, void>} */
  *[Symbol.iterator]() {
    for (const value of this._list()) yield identityOf(value) && !(/** @type {any} */ (value).isValid()) ? /** @type {any} */ (null) : value;
  }

  /** @param {number} index @returns {T | undefined} */
  at(index) {
    return this._at(index < 0 ? this.length + index : index);
  }

  /** The wire value of an element that an app gives. @param {any} value @param {number | null} index where it is to be; null: it
   * is only looked for */
  _encode(value, index) {
    return this._place.realm._encode(`${this._place.where}[${index}]`, this._element, value, index === null ? null : "never");
  }

  /** The places on the wire where a value is. @param {any} value @returns {number[]} */
  _found(value) {
    const identity = identityOf(value);
    if (this._element.type === "object" && !identity) throw new TypeAssertionError("an instance of Realm.Object", value);
    if (identity?.place) {
      const { table, key, path } = identity.place;
      const mine = this._place.path;
      const isMine = table === this._place.table && key === this._place.key && path.length === mine.length + 1 && mine.every((step, at) => step === path[at]);
      return isMine ? [Number(path.at(-1))] : [];
    }
    let wanted;
    try {
      wanted = this._encode(value, null);
    } catch {
      return [];
    }
    return this._place.wire().flatMap((/** @type {any} */ wire, /** @type {number} */ at) => (sameWire(wire, wanted) ? [at] : []));
  }

  /** @param {any} value @param {never} [fromIndex] @returns {number} */
  indexOf(value, fromIndex) {
    if (fromIndex !== undefined) throw new AssertionError("The second fromIndex argument is not yet supported");
    const [at = -1] = this._found(value);
    return this._target === null ? at : this._shown().indexOf(at);
  }

  /** @param {any} value @returns {number} */
  lastIndexOf(value) {
    const at = this._found(value).at(-1) ?? -1;
    return this._target === null ? at : this._shown().indexOf(at);
  }

  /** The keys of all targets, also of those that are not in this file; not in Realm. @returns {any[]} */
  linkedKeys() {
    if (this._target === null) throw new AssertionError(`'${this._place.where}' holds no links`);
    const { cls, keyName } = this._place.realm._store.tables.get(this._target);
    return this._place.wire().map((/** @type {any} */ key) => decode(cls.properties[keyName].type, key));
  }

  /** @param {string} [_] @param {Map<string, any>} [cache] @returns {any[]} */
  toJSON(_, cache = new Map()) {
    return this._list().map((value) => plain(value, cache));
  }

  [WIRE]() {
    return this._place.wire();
  }

  // --- queries ------------------------------------------------------------------------------------------------------

  /** Live results of the objects here that match. @param {string} query @param {...any} args @returns {Results<T>} */
  filtered(query, ...args) {
    return this._results().filtered(query, ...args);
  }

  /** Of objects: live results, ordered as `Results.sorted` says; of values: an array of them now.
   * @param {any} [by] @param {boolean} [reverse] @returns {any} */
  sorted(by, reverse = false) {
    if (this._target !== null) return this._results().sorted(by, reverse);
    if (by !== undefined && typeof by !== "boolean" && by !== "self") {
      throw realmError(`Cannot sort on key path '${by}': arrays of '${this.type}' can only be sorted on 'self'`, "InvalidArgument");
    }
    const wire = this._place.wire();
    const exact = (/** @type {any} */ item) => (this.type === "decimal128" ? Decimal.parse(item) : decode(this.type, item));
    const compare = (/** @type {any} */ a, /** @type {any} */ b) => {
      if (a === null || b === null) return Number(a !== null) - Number(b !== null);
      if (!NUMERIC.includes(this.type)) return compareElements(a, b);
      const [x, y] = [exact(a), exact(b)];
      if (this.type === "decimal128") return x.compare(y);
      return Number.isNaN(x) || Number.isNaN(y) ? Number(Number.isNaN(y)) - Number(Number.isNaN(x)) : x < y ? -1 : x > y ? 1 : 0;
    };
    const order = [...wire.keys()].sort((a, b) => compare(wire[a], wire[b]) || a - b);
    if (by === true || reverse) order.reverse();
    return order.map((at) => this._place.read(at, this._element, wire[at]));
  }

  /** The objects as they are now, in fixed membership and order. */
  snapshot() {
    return this._target === null ? this._list() : this._results().snapshot();
  }

  /** @returns {Results<any>} */
  _results() {
    const kept = /** @type {any} */ (this)._kept;
    if (this._target === null) {
      throw realmError(`'${this._place.where}' is a collection of '${this.type}': only collections of objects can be queried.`, "IllegalOperation");
    }
    if (kept.results) return kept.results;
    const { realm } = this._place;
    const table = realm._store.tables.get(this._target);
    /** @type {any} */ let from = null;
    /** @type {any} */ let images = [];
    return (kept.results = new Results(realm, table, undefined, [], () => {
      const shown = this._shown();
      if (shown !== from) {
        const wire = this._place.wire();
        images = shown.map((at) => table.objects.get(wire[at]));
        from = shown;
      }
      return images;
    }));
  }

  /** The smallest value, undefined if there is none. @param {string} [property] of objects @returns {any} */
  min(property) {
    return this._target === null ? this._extreme("min", property, -1) : this._results().min(/** @type {string} */ (property));
  }

  /** @param {string} [property] @returns {any} */
  max(property) {
    return this._target === null ? this._extreme("max", property, 1) : this._results().max(/** @type {string} */ (property));
  }

  /** The sum of what is not null; 0 for nothing. @param {string} [property] @returns {any} */
  sum(property) {
    return this._target === null ? this._total("sum", property)[0] : this._results().sum(/** @type {string} */ (property));
  }

  /** @param {string} [property] @returns {any} */
  avg(property) {
    if (this._target !== null) return this._results().avg(/** @type {string} */ (property));
    const [sum, count] = this._total("avg", property);
    if (!count) return undefined;
    return sum instanceof Decimal128 ? new Decimal128(Decimal.parse(`${sum}`).divide(Decimal.parse(`${count}`)).toString()) : Number(sum) / count;
  }

  /** @param {string} operation @param {string | undefined} property @param {string[]} types */
  _numbers(operation, property, types) {
    if (property !== undefined) throw new AssertionError(`Cannot get property named '${property}' on a list of primitives`);
    if (!types.includes(this.type) && this.type !== "mixed") {
      throw realmError(`Operation '${operation}' not supported for ${this.type}${this.optional ? "?" : ""} list '${this._place.table.name}.${this._place.where}'`, "IllegalOperation");
    }
    const values = this._list().filter((value) => value !== null);
    return this.type === "mixed" ? values.filter((value) => typeof value === "number" || typeof value === "bigint" || value instanceof Decimal128) : values;
  }

  /** @param {string} operation @param {string | undefined} property @param {1 | -1} sign */
  _extreme(operation, property, sign) {
    const values = /** @type {any[]} */ (this._numbers(operation, property, [...NUMERIC, "date"]));
    const compare = (/** @type {any} */ a, /** @type {any} */ b) => (a instanceof Decimal128 || b instanceof Decimal128 ? Decimal.parse(`${a}`).compare(Decimal.parse(`${b}`)) : a < b ? -1 : a > b ? 1 : 0);
    let best;
    for (const value of values) if (best === undefined || compare(value, best) * sign > 0) best = value;
    return best;
  }

  /** @param {string} operation @param {string | undefined} property @returns {[any, number]} */
  _total(operation, property) {
    const values = /** @type {any[]} */ (this._numbers(operation, property, NUMERIC));
    if (values.some((value) => value instanceof Decimal128)) {
      return [new Decimal128(values.reduce((sum, value) => sum.add(Decimal.parse(`${value}`)), Decimal.parse("0")).toString()), values.length];
    }
    if (this.type !== "int") return [values.reduce((sum, value) => sum + Number(value), 0), values.length];
    const exact = values.reduce((sum, value) => sum + BigInt(value), 0n);
    return [Number.isSafeInteger(Number(exact)) ? Number(exact) : exact, values.length];
  }

  // --- changes ------------------------------------------------------------------------------------------------------

  /** `callback(collection, changes)`: soon, with nothing, and then whenever it or an object in it changes.
   * @param {(collection: any, changes: CollectionChanges) => void} callback @param {string | string[]} [keyPaths] */
  addListener(callback, keyPaths) {
    this._place.realm._listenToElements(this, callback, keyPaths);
  }

  /** @param {Function} callback */
  removeListener(callback) {
    this._place.realm._stopListening(this, callback);
  }

  removeAllListeners() {
    this._place.realm._stopListening(this);
  }
}
