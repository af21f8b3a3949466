// Results: live collections of objects, as RQL selects and sorts them.
//
// A Results is a query, not a list: every access sees the present state. What a query means is the core's; here is when
// it is evaluated: once per state of the classes that it reads, from an index where one of its conditions has one.

import { Decimal128 } from "../core/bson.js"
import { Decimal } from "../core/decimal.js"
import { AssertionError, IllegalConstructorError, realmError, TypeAssertionError } from "../core/errors.js"
import { equalityKeys } from "../core/lowering.js"
import { and, TRUE } from "../core/nodes.js"
import { classesRead } from "../core/paths.js"
import { applyClauses, compilePredicate } from "../core/predicate.js"
import { compare } from "../core/operators.js"
import { parse } from "../core/query.js"
import { toText } from "../core/text.js"
import { decode } from "../core/values.js"
import { identityOf } from "./objects.js"
import { INDEXED, OrderedCollection } from "./orderedCollection.js"

/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {Record<"insertions" | "deletions" | "newModifications" | "oldModifications", number[]>} CollectionChanges */

const NUMERIC = ["int", "float", "double", "decimal128"];

/** Live results. Made by `realm.objects()`; `filtered` and `sorted` narrow and order, and return new ones.
 * @template [T=any] @extends {OrderedCollection<T>} */
export class Results extends OrderedCollection {
  /** @param {any} realm @param {import('./tables.js').Table} table @param {any} [predicate] bound
   * @param {any[]} [clauses] bound @param {(() => Image[]) | null} [source] of which objects, none: all of the class; it gives
   * the same array as long as these are the same */
  constructor(realm, table, predicate = TRUE, clauses = [], source = null) {
    if (!realm?._bind) throw new IllegalConstructorError("Results");
    super();
    // `subscriptionName` is what `subscribe` gave.
    hide(this, { _realm: realm, _table: table, _predicate: predicate, _clauses: clauses, _source: source, _from: null, _revision: -1, _cache: [], _matches: null, _keys: null, _others: null, subscriptionName: null });
    return new Proxy(this, INDEXED);
  }

  // --- what it holds ------------------------------------------------------------------------------------------------

  /** The images of the members, in order. Not to be changed. @returns {Image[]} */
  _images() {
    const { _realm: realm, _table: table } = /** @type {any} */ (this);
    realm._open();
    const self = /** @type {any} */ (this);
    const from = self._source?.() ?? null;
    const revision = this._stamp();
    if (self._revision !== revision || self._from !== from) {
      const objects = reachedBy(realm);
      self._matches ??= self._predicate === TRUE ? null : compilePredicate(self._predicate, objects);
      self._keys ??= self._predicate === TRUE ? [] : [...equalityKeys(self._predicate)];
      let images;
      if (from) images = [...from];
      else for (const [name, values] of self._keys) if ((images = table.lookUp(name, values))) break;
      images ??= [...table.objects.values()];
      if (self._matches) images = images.filter(self._matches);
      self._cache = self._clauses.length ? applyClauses(images, self._clauses, objects) : images;
      self._revision = revision;
      self._from = from;
    }
    return self._cache;
  }

  /** Rises whenever an object changes that the query reads. */
  _stamp() {
    const self = /** @type {any} */ (this);
    const { _realm: realm, _table: table } = self;
    if (!self._others) {
      const names = classesRead(self._predicate);
      for (const clause of self._clauses) classesRead(clause, names);
      self._others = [...names].filter((name) => name !== table.name);
    }
    let stamp = table.revision;
    for (const name of self._others) stamp += realm._store.tables.get(name)?.revision ?? 0;
    return stamp;
  }

  /** @param {Image | undefined} image */
  _object(image) {
    const { _realm: realm, _table: table } = /** @type {any} */ (this);
    return image && realm._wrap(table, image[table.keyName]);
  }

  /** @param {number} index */
  _at(index) {
    return this._object(this._images()[index]);
  }

  /** @param {number} _index @param {any} _value @returns {never} */
  _setAt(_index, _value) {
    throw new AssertionError("Modifying a Results collection is not supported.");
  }

  /** The members of this moment, as an array. @returns {any[]} */
  _list() {
    return this._images().map((image) => this._object(image));
  }

  /** The class name. @returns {string} */
  get type() {
    return /** @type {any} */ (this)._table.name;
  }

  get optional() {
    return false;
  }

  get length() {
    return this._images().length;
  }

  isValid() {
    return !(/** @type {any} */ (this)._realm.isClosed);
  }

  // --- narrowing ----------------------------------------------------------------------------------------------------

  /** The objects that also match `query`, with `$0`, `$1` … for `args`. Throws a QueryError with a caret.
   * @param {string} query @param {...any} args @returns {Results<T>} */
  filtered(query, ...args) {
    const { _realm, _table, _predicate, _clauses, _source } = /** @type {any} */ (this);
    if (typeof query !== "string") throw new TypeAssertionError("a string", query, "query");
    if (_clauses.some((/** @type {any} */ clause) => clause.kind === "Limit")) {
      throw realmError("Filtering a Results with a limit is not yet implemented", "IllegalOperation");
    }
    for (const arg of args) {
      if (arg instanceof OrderedCollection) throw new AssertionError(`Using a ${arg instanceof Results ? "Results" : arg.constructor.name} as a query argument is not supported.`);
    }
    const bound = _realm._bind(parse(query, args), this.type);
    return new Results(_realm, _table, and(_predicate, bound.predicate), [..._clauses, ...bound.clauses], _source);
  }

  /** Ordered: `sorted("due")`, `sorted("due", true)` descending, `sorted([["priority", true], "due"])`. Sorting what is
   * sorted: the newest order is the primary one.
   * @param {string | boolean | (string | [string, boolean])[]} [by] @param {boolean} [reverse] @returns {Results<T>} */
  sorted(by, reverse = false) {
    const { _realm, _table, _predicate, _clauses, _source } = /** @type {any} */ (this);
    if (by === undefined || typeof by === "boolean") {
      throw realmError("Cannot sort on key path 'self': objects are sorted by a property.", "InvalidArgument");
    }
    const descriptors = typeof by === "string" ? [/** @type {[string, boolean]} */ ([by, reverse])] : by;
    if (!Array.isArray(descriptors)) throw new TypeAssertionError("a string or an array", by, "descriptor");
    const keys = descriptors.map((each) => {
      const [name, descending] = typeof each === "string" ? [each, false] : each;
      if (typeof name !== "string") throw new TypeAssertionError("a string", name, "descriptor");
      if (!name) throw realmError("Cannot sort on key path '': missing property name", "InvalidArgument");
      const cls = _realm._classOf(this.type);
      const property = cls.properties[name.split(/[.[]/)[0]] ?? cls.wire[name];
      if (!property || property.type === "linkingObjects") {
        const problem = property ? "is of unsupported type 'linkingObjects'" : "does not exist";
        throw realmError(`Cannot sort on key path '${name}': property '${cls.name}.${name}' ${problem}`, "InvalidArgument");
      }
      const [key] = name.includes("[") ? parse(`TRUEPREDICATE SORT(${name} ASC)`).clauses.flatMap((clause) => (clause.kind === "Sort" ? clause.keys[0] : [])) : [];
      return [key ?? { kind: "Path", steps: name.split("."), quantifier: "" }, !descending];
    });
    const bound = _realm._bind({ kind: "Query", predicate: TRUE, clauses: [{ kind: "Sort", keys }], text: "" }, this.type);
    return new Results(_realm, _table, _predicate, [..._clauses, ...bound.clauses], _source);
  }

  /** The same objects in the same order from now on; a deleted one reads as null. @returns {Results<T>} */
  snapshot() {
    const { _realm, _table } = /** @type {any} */ (this);
    return new Snapshot(_realm, _table, this._images());
  }

  /** The query as canonical RQL. @returns {string} */
  description() {
    const { _predicate: predicate, _clauses: clauses } = /** @type {any} */ (this);
    return toText({ kind: "Query", predicate, clauses, text: "" });
  }

  // --- as an array --------------------------------------------------------------------------------------------------

  /** The members of this moment: what changes the collection on the way does no harm. @returns {Generator<T, void>} */
  *[Symbol.iterator]() {
    const images = this._images();
    const { _table } = /** @type {any} */ (this);
    for (const image of images) yield _table.objects.has(image[_table.keyName]) ? this._object(image) : null;
  }

  /** @param {number} index @returns {T | undefined} */
  at(index) {
    return this._object(this._images().at(index));
  }

  /** @param {number} [start] @param {number} [end] @returns {T[]} */
  slice(start, end) {
    return this._images().slice(start, end).map((image) => this._object(image));
  }

  /** Where an object is, by which object it is; -1 if it is not here. @param {any} object @param {never} [fromIndex] */
  indexOf(object, fromIndex) {
    if (fromIndex !== undefined) throw new AssertionError("The second fromIndex argument is not yet supported");
    const identity = identityOf(object);
    if (!identity) throw new TypeAssertionError("an instance of Realm.Object", object);
    const { _table } = /** @type {any} */ (this);
    return identity.table === _table && !identity.place ? this._images().findIndex((image) => image[_table.keyName] === identity.key) : -1;
  }

  /** @param {any} object @returns {number} */
  lastIndexOf(object) {
    return this.indexOf(object); // an object occurs once
  }

  /** @param {string} [_] @param {Map<string, any>} [cache] @returns {any[]} */
  toJSON(_, cache = new Map()) {
    return this._list().map((object) => object?.toJSON("", cache) ?? null);
  }

  toString() {
    return "[object Realm.Results]";
  }

  // --- aggregates ---------------------------------------------------------------------------------------------------

  /** The smallest value, undefined if there is none. @param {string} property */
  min(property) {
    return extreme(this, "min", property, -1);
  }

  /** @param {string} property */
  max(property) {
    return extreme(this, "max", property, 1);
  }

  /** The sum of what is not null; 0 for nothing. @param {string} property */
  sum(property) {
    return total(this, "sum", property)[0];
  }

  /** The mean of what is not null; undefined if there is nothing. @param {string} property */
  avg(property) {
    const [sum, count] = total(this, "avg", property);
    if (!count) return undefined;
    return sum instanceof Decimal128 ? new Decimal128(Decimal.parse(`${sum}`).divide(Decimal.parse(`${count}`)).toString()) : Number(sum) / count;
  }

  // --- changes ------------------------------------------------------------------------------------------------------

  /** Sets the property of every member, in a write transaction. @param {string} property @param {any} value */
  update(property, value) {
    propertyOf(this, property);
    for (const object of this._list()) object[property] = value;
  }

  /** `callback(collection, changes)`: soon, with nothing, and then whenever the collection or an object in it changes.
   * @param {(collection: Results<T>, changes: CollectionChanges) => void} callback
   * @param {string | string[]} [keyPaths] which changes of objects are told: `"name"`, `"owner.name"`, `"*"`; `[]`: none */
  addListener(callback, keyPaths) {
    /** @type {any} */ (this)._realm._listenToResults(this, callback, keyPaths);
  }

  /** @param {Function} callback */
  removeListener(callback) {
    /** @type {any} */ (this)._realm._stopListening(this, callback);
  }

  removeAllListeners() {
    /** @type {any} */ (this)._realm._stopListening(this);
  }

  /** Subscribes to these objects; resolves to this, when its data is here. With options, it waits only if `behavior` says so.
   * @param {{name?: string, behavior?: "first-time" | "always" | "never", timeout?: number, throwOnUpdate?: boolean}} [options] @returns {Promise<Results<T>>} */
  subscribe(options = { behavior: "first-time" }) {
    return /** @type {any} */ (this)._realm._subscribe(this, options);
  }

  /** Removes the subscription made by `subscribe`; the data goes when the server has been told. */
  unsubscribe() {
    /** @type {any} */ (this)._realm._unsubscribe(this);
  }
}

/** Results with fixed members in fixed order. */
class Snapshot extends Results {
  /** @param {any} realm @param {import('./tables.js').Table} table @param {Image[]} images */
  constructor(realm, table, images) {
    super(realm, table);
    hide(this, { _cache: images });
  }

  _images() {
    const self = /** @type {any} */ (this);
    self._realm._open();
    return self._cache;
  }

  /** @param {Image | undefined} image */
  _object(image) {
    const object = super._object(image);
    return object && (object.isValid() ? object : null);
  }

  snapshot() {
    return this;
  }

  /** @param {...any} _ @returns {never} */
  addListener(..._) {
    throw new AssertionError("Cannot create asynchronous query for snapshotted Results.");
  }
}

/** Properties that enumerating does not show. @param {object} target @param {Record<string, any>} values */
function hide(target, values) {
  for (const [name, value] of Object.entries(values)) Object.defineProperty(target, name, { value, writable: true, configurable: true });
}

/** The objects that links and backlinks lead to. @param {any} realm @returns {import('../core/reading.js').Objects} */
function reachedBy(realm) {
  return {
    get: (name, key) => realm._store.tables.get(name)?.objects.get(key),
    linksTo: (name, property, key) => realm._store.tables.get(name)?.linksTo(property, key) ?? [],
  };
}

/** @param {any} results @param {string} name @returns {import('../core/schema.js').Property} */
function propertyOf(results, name) {
  const cls = results._realm._classOf(results.type);
  if (!Object.hasOwn(cls.properties, name)) throw realmError(`Property '${name}' does not exist on '${cls.name}' objects`, "InvalidProperty");
  return cls.properties[name];
}

/** The wire values that are not null, and their type. @param {any} results @param {string} operation @param {string} name
 * @param {string[]} types @returns {[any[], string]} */
function wiresOf(results, operation, name, types) {
  const { type, optional, mapTo } = propertyOf(results, name);
  if (!types.includes(type)) {
    throw realmError(`Operation '${operation}' not supported for ${type}${optional ? "?" : ""} property '${results.type}.${name}'`, "IllegalOperation");
  }
  return [results._images().flatMap((/** @type {Image} */ image) => image[mapTo] ?? []), type];
}

/** @param {any} results @param {string} operation @param {string} name @param {1 | -1} sign */
function extreme(results, operation, name, sign) {
  const [wires, type] = wiresOf(results, operation, name, [...NUMERIC, "date"]);
  const exact = (/** @type {any} */ wire) => (type === "decimal128" ? Decimal.parse(wire) : type === "date" ? wire : decode(type, wire));
  let best;
  for (const wire of wires) if (best === undefined || compare(exact(wire), exact(best)) * sign > 0) best = wire;
  return best === undefined ? undefined : decode(type, best);
}

/** @param {any} results @param {string} operation @param {string} name @returns {[any, number]} */
function total(results, operation, name) {
  const [wires, type] = wiresOf(results, operation, name, NUMERIC);
  if (type === "decimal128") {
    const exact = wires.reduce((sum, wire) => sum.add(Decimal.parse(wire)), Decimal.parse("0"));
    return [new Decimal128(exact.toString()), wires.length];
  }
  if (type !== "int") return [wires.reduce((sum, wire) => sum + decode(type, wire), 0), wires.length];
  const exact = wires.reduce((sum, wire) => sum + BigInt(wire), 0n);
  return [Number.isSafeInteger(Number(exact)) ? Number(exact) : exact, wires.length];
}
