// Subscriptions: what this realm wants from the server.
//
// A set is a snapshot of one version; `update` makes the next one. Offline it is stored and sent later. Decides what a set
// contains (reference 4.2); when it is sent is the session's, what it selects the server's.

import { ObjectId } from "../core/bson.js"
import { AssertionError, TypeAssertionError } from "../core/errors.js"
import { checkSubscribable } from "../core/subscribable.js"
import { toText } from "../core/text.js"
import { decode, encode } from "../core/values.js"

/** @typedef {import('../core/messages.js').SubscriptionItem} Item */
/** @typedef {import('./fileRecord.js').StoredSet} StoredSet */

/** One query of a set. */
export class Subscription {
  /** @type {Item} */
  #item;

  /** @param {Item} item */
  constructor(item) {
    this.#item = item;
  }

  get id() {
    return new ObjectId(this.#item.id);
  }

  get name() {
    return this.#item.name ?? null;
  }

  get objectType() {
    return this.#item.class;
  }

  /** Canonical RQL with its arguments written out. */
  get queryString() {
    return this.#item.query;
  }

  /** @returns {Date} */
  get createdAt() {
    return decode("date", this.#item.createdAt);
  }

  /** @returns {Date} */
  get updatedAt() {
    return decode("date", this.#item.updatedAt);
  }
}

/** What both kinds of set have. An index gives a subscription, as in an array. */
class BaseSet {
  /** @type {Item[]} */
  _items;

  /** @param {Item[]} items */
  constructor(items) {
    this._items = items;
    return new Proxy(this, {
      get: (target, name) => {
        const index = typeof name === "string" && /^\d+$/.test(name) ? target._items[Number(name)] : undefined;
        return index ? new Subscription(index) : Reflect.get(target, name);
      },
    });
  }

  get length() {
    return this._items.length;
  }

  get isEmpty() {
    return !this._items.length;
  }

  *[Symbol.iterator]() {
    for (const item of this._items) yield new Subscription(item);
  }

  /** @param {string} name */
  findByName(name) {
    return found(this._items.find((item) => (item.name ?? null) === name));
  }

  /** The first subscription, named or not, with the class and query of `results`. @param {any} results */
  findByQuery(results) {
    const query = queryText(results);
    return found(this._items.find((item) => item.class === results.type && item.query === query));
  }
}

/** @param {Item | undefined} item */
const found = (item) => (item ? new Subscription(item) : null);

/** The set as of one version. `realm.subscriptions` is the newest. */
export class SubscriptionSet extends BaseSet {
  /** @param {any} realm @param {StoredSet} stored */
  constructor(realm, stored) {
    super(stored.subscriptions);
    Object.defineProperty(this, "_realm", { value: realm });
    Object.defineProperty(this, "_stored", { value: stored, writable: true });
  }

  /** 0 in a new realm; rises with every update. @returns {number} */
  get version() {
    return /** @type {any} */ (this)._stored.version;
  }

  /** @returns {"pending" | "complete" | "error" | "superseded"} */
  get state() {
    const { _realm, _stored } = /** @type {any} */ (this);
    const { file, sets } = _realm._store;
    // Above all that there are is one that a client reset dropped.
    const isDropped = _stored.version > Math.max(0, ...sets.map((/** @type {StoredSet} */ { version }) => version));
    return file.queryVersion > _stored.version || isDropped ? "superseded" : current(this).state;
  }

  /** The server's reason, in state `error`. */
  get error() {
    return current(this).error;
  }

  /** Calls `callback(subscriptions, realm)` at once with a set to change, and stores the result as the newest set.
   * Resolves when its data is here; rejects if the callback throws, and nothing is changed then.
   * @param {(subscriptions: MutableSubscriptionSet, realm: any) => void} callback */
  async update(callback) {
    this._updateNow(callback);
    await this.waitForSynchronization();
  }

  /** @param {Function} callback */
  _updateNow(callback) {
    const self = /** @type {any} */ (this);
    if (typeof callback !== "function") throw new TypeAssertionError("a function", callback, "callback");
    if (self._realm.isInTransaction) throw new AssertionError("Subscriptions cannot be updated in a write transaction.");
    const mutable = new MutableSubscriptionSet(this._items);
    callback(mutable, self._realm);
    self._stored = self._realm._addSet(mutable._items);
    self._items = mutable._items;
  }

  /** Resolves when this set is complete or superseded; rejects with the server's reason if it is refused.
   * @returns {Promise<void>} */
  async waitForSynchronization() {
    const { _realm, _stored } = /** @type {any} */ (this);
    _realm._open();
    return _realm._transport.waitForSet(_stored);
  }
}

/** The stored set as it is now. @param {any} set @returns {StoredSet} */
function current({ _realm, _stored }) {
  return _realm._store.sets.find((/** @type {StoredSet} */ set) => set.version === _stored.version) ?? _stored;
}

/** The set while `update` runs. */
export class MutableSubscriptionSet extends BaseSet {
  /** @param {Item[]} items */
  constructor(items) {
    super([...items]);
  }

  /** Adds the query of `results`, or renews the subscription of that name, or without a name of that query. Sorting is left
   * out. @param {any} results @param {{name?: string, throwOnUpdate?: boolean}} [options] */
  add(results, { name, throwOnUpdate = false } = {}) {
    if (name !== undefined && typeof name !== "string") throw new TypeAssertionError("a string", name, "name");
    const query = queryText(results);
    const now = encode("date", new Date());
    for (const [at, item] of this._items.entries()) {
      const isSame = item.class === results.type && item.query === query;
      if ((item.name ?? undefined) !== name || (name === undefined && !isSame)) continue;
      if (throwOnUpdate && !isSame) {
        throw new AssertionError(
          `A subscription with the name '${name}' already exists but has a different query. If you meant to update it, remove 'throwOnUpdate: true' from the subscription options.`,
        );
      }
      return new Subscription((this._items[at] = { ...item, class: results.type, query, updatedAt: now }));
    }
    const item = { id: new ObjectId().toHexString(), class: results.type, query, ...(name !== undefined && { name }), createdAt: now, updatedAt: now };
    this._items.push(item);
    return new Subscription(item);
  }

  /** The first subscription, named or not, with this class and query. @param {any} results */
  remove(results) {
    const subscription = this.findByQuery(results);
    return subscription !== null && this.removeSubscription(subscription);
  }

  /** @param {string} name */
  removeByName(name) {
    return this._keep((item) => (item.name ?? null) !== name) > 0;
  }

  /** @param {Subscription} subscription */
  removeSubscription(subscription) {
    const id = subscription.id.toHexString();
    return this._keep((item) => item.id !== id) > 0;
  }

  /** @param {string} objectType @returns {number} how many there were */
  removeByObjectType(objectType) {
    if (typeof objectType !== "string") throw new TypeAssertionError("a string", objectType, "objectType");
    return this._keep((item) => item.class !== objectType);
  }

  removeAll() {
    return this._keep(() => false);
  }

  removeUnnamed() {
    return this._keep((item) => (item.name ?? null) !== null);
  }

  /** @param {(item: Item) => boolean} wanted */
  _keep(wanted) {
    const before = this._items.length;
    this._items = this._items.filter(wanted);
    return before - this._items.length;
  }
}

/** The canonical query of a subscription. Sorting is dropped, as in Realm; LIMIT and DISTINCT would change what is selected
 * and are refused, as is everything else that cannot be kept live. @param {any} results @returns {string} */
function queryText(results) {
  if (!results?._images) throw new TypeAssertionError("an instance of Results", results, "query");
  const clauses = results._clauses.filter((/** @type {any} */ clause) => clause.kind !== "Sort");
  checkSubscribable({ kind: "Query", predicate: results._predicate, clauses, text: results.description() });
  return toText(results._predicate);
}
