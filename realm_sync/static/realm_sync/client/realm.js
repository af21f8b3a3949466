// Realm: one local database, as its users know it.
//
// Decides transactions, object creation and what misuse is answered with (words as in Realm); opens files by the table of
// R11. Reads and writes never wait for the network or the disk. Two Realms of one file in a page share everything but
// their listeners; those of other tabs share what is durable.

import { bind } from "../core/binding.js"
import * as BSON from "../core/bson.js"
import {
  AssertionError, ClientResetError, CompensatingWriteError, IllegalConstructorError, PropertySchemaParseError, realmError, SchemaParseError, SyncError, TimeoutError,
  TypeAssertionError,
} from "../core/errors.js"
import { canonical, HIDDEN_KEY, isCollection, parseClass, Schema } from "../core/schema.js"
import { decode, EXPECTED } from "../core/values.js"
import { App, Credentials, files, ProviderType, User, UserState } from "./app.js"
import { checkPath, ClientResetMode, DEFAULT_BEHAVIOR, defaults, mustBeFunction, OpenRealmBehaviorType, OpenRealmTimeOutBehavior, readConfiguration } from "./configuration.js"
import { writeCopy } from "./copying.js"
import { Counter } from "./counters.js"
import { Dictionary } from "./dictionaries.js"
import { Elements } from "./elements.js"
import { CollectionObserver, deliver, DictionaryObserver, ElementsObserver, ObjectObserver, resolveKeyPaths } from "./listeners.js"
import { List } from "./lists.js"
import { INVALID, Place, PLACE } from "./live.js"
import { NumericLogLevel, setLogger, setLogLevel } from "./logging.js"
import { encodeKey, identityOf, prototypeFor, RealmObject, wrap } from "./objects.js"
import { deleteFile, known, resetFile, sessions, OpenFile, release, share, userFiles } from "./openFiles.js"
import { ProgressRealmPromise } from "./opening.js"
import { valueOf } from "./reading.js"
import { Results } from "./results.js"
import { RealmSet } from "./sets.js"
import { MutableSubscriptionSet, Subscription, SubscriptionSet } from "./subscriptions.js"
import { ConnectionState, limited, ProgressDirection, ProgressMode, SessionState, SessionStopPolicy, SyncSession } from "./syncSession.js"
import { sameWire, storedClasses } from "./tables.js"
import { checkAssignable, defaultOf, removeEmbedded, replaceList, toWire, withDefault, write } from "./writing.js"

/** @typedef {import('./tables.js').Table} Table */
/** @typedef {import('./configuration.js').OpenBehavior} OpenBehavior */
/** @typedef {{mode: "discardUnsyncedChanges" | "recoverUnsyncedChanges" | "recoverOrDiscardUnsyncedChanges" | "manual", onBefore?: (before: Realm) => void,
 *   onAfter?: (before: Realm, after: Realm) => void, onManual?: (session: SyncSession, path: string) => void, onFallback?: Function}} ClientReset */
/** @typedef {{user: User, flexible?: true, partitionValue?: string | number | BSON.ObjectId | BSON.UUID | null,
 *   initialSubscriptions?: {update: (subscriptions: MutableSubscriptionSet, realm: Realm) => void, rerunOnOpen?: boolean},
 *   newRealmFileBehavior?: OpenBehavior, existingRealmFileBehavior?: OpenBehavior, clientReset?: ClientReset,
 *   onError?: (session: SyncSession, error: SyncError) => void, cancelWaitsOnNonFatalError?: boolean,
 *   customHttpHeaders?: Record<string, string>, ssl?: object, proxyConfig?: object}} SyncConfiguration */
/** @typedef {{name: string, primaryKey?: string, properties: Record<string, any>}} ObjectSchema */
/** @typedef {{path?: string, schema?: (ObjectSchema | (new (...args: any[]) => RealmObject))[], schemaVersion?: number, inMemory?: boolean, readOnly?: boolean,
 *   encryptionKey?: ArrayBuffer | ArrayBufferView, shouldCompact?: (totalBytes: number, usedBytes: number) => boolean,
 *   migrationOptions?: {resolveEmbeddedConstraints?: boolean}, disableFormatUpgrade?: boolean, fifoFilesFallbackPath?: string,
 *   excludeFromIcloudBackup?: boolean, onFirstOpen?: (realm: Realm) => void,
 *   deleteRealmIfMigrationNeeded?: boolean, onMigration?: (oldRealm: Realm, newRealm: Realm) => void, sync?: SyncConfiguration}} RealmConfiguration */
/** @typedef {import('./configuration.js').Configuration} Configuration */
/** @typedef {import('../core/schema.js').ClassSchema} ClassSchema */
/** A class of the schema, or its name. @template [T=any] @typedef {string | (new (...args: any[]) => T)} ObjectType */

export const UpdateMode = Object.freeze({ Never: "never", Modified: "modified", All: "all" });
export const WaitForSync = Object.freeze({ FirstTime: "first-time", Always: "always", Never: "never" });
export const SubscriptionSetState = Object.freeze({ Pending: "pending", Complete: "complete", Error: "error", Superseded: "superseded" });
const EVENTS = ["change", "schema", "beforenotify"];
const PARTITION_FIELD = "_partition";

/** An open realm. */
export class Realm {
  /** @type {OpenFile} */
  _file;
  /** @type {import('./store.js').Store} */
  _store;
  #config;
  #closed = false;
  /** @type {Map<string, {cls: ClassSchema, stored: any, prototype: any, forQueries: any}>} */
  #classes = new Map();
  /** @type {Map<any, ClassSchema>} */
  #byConstructor = new Map();
  /** @type {Record<string, Set<Function>>} */
  #listeners = Object.fromEntries(EVENTS.map((event) => [event, new Set()]));
  /** @type {Map<any, Map<Function, any>>} the observers of this realm's listeners, by what they listen to */
  #observers = new Map();
  /** The classes as queries name them: as the app declares them, where it does. @type {import('../core/paths.js').Schema} */
  #forQueries = {
    get: (name) => {
      if (!this.#forQueries.has(name)) return undefined;
      const { classes } = this.#config;
      return !classes || classes.has(name) ? this.#classFor(name).forQueries : fromStored(/** @type {any} */ (this._store.tables.get(name)).cls);
    },
    has: (name) => Boolean(this.#config.classes?.has(name)) || this._store.tables.has(name),
    [Symbol.iterator]: () => {
      const names = new Set([...(this.#config.classes?.names() ?? []), ...this._store.tables.keys()]);
      return [...names].map((name) => /** @type {any} */ (this.#forQueries.get(name))).values();
    },
  };
  #seen = 0;
  #known = 0; // how many classes
  #isMigrating = false;

  /** Opens at once, without waiting for disk or network: what the file holds appears a moment later (`whenLoaded`), what
   * the server has when it arrives. @param {string | RealmConfiguration} [config] */
  constructor(config) {
    const read = readConfiguration(config);
    this.#config = read;
    const isShared = read._store;
    this._file = isShared ? /** @type {any} */ ({ store: read._store, notifier: { deliver() {}, changed() {} }, realms: new Set() }) : share(read, this);
    this._store = this._file.store;
    try {
      for (const cls of read.classes ?? []) if (cls.ctor) this.#byConstructor.set(cls.ctor, cls);
      if (isShared) return;
      if (read.classes && this._store.synced) this._store.addSchema(storedClasses(read.classes));
      else if (read.classes && !this._store.isLoaded && this._file.isNew) this._store.addSchema(storedClasses(read.classes), read.schemaVersion);
    } catch (error) {
      release(this._file, this);
      throw error;
    }
    const { session, transport } = this._file;
    const { sync } = read;
    if (sync && session && transport) {
      if (sync.onError) session._errorCallbacks.add(sync.onError);
      transport.schema ??= read.classes ? read.classes.toWire() : null;
    }
    if (read._isAwaited) return; // Realm.open does the rest, and hears of what goes wrong
    try {
      if (this._file.isNew) this._runInitialSubscriptions();
    } catch (error) {
      this.close();
      throw error;
    }
    this._file.loaded.then(() => (this._runInitialSubscriptions(), this._opened())).catch((error) => {
      if (this.#closed) return;
      if (sync?.onError && session) deliver(() => sync.onError(session, error));
      else console.error(`realm_sync: the realm '${this.path}' could not be opened:`, error);
      this.close();
    });
  }

  /** Opens by the table of R11: by default when everything subscribed to is here, at most after 30 s. Never throws itself:
   * what is wrong with the configuration is a rejection as well. @param {string | RealmConfiguration} [config] */
  static open(config) {
    return new ProgressRealmPromise(config, (/** @type {any} */ read) => new Realm(read));
  }

  /** Whether there is such a file in this browser. @param {string | RealmConfiguration} [config] */
  static exists(config) {
    return known.get(readConfiguration(config).path) !== null;
  }

  /** Deletes the realm in this browser; other tabs' realms of it are closed. Resolves when it is gone, which opening it
   * anew waits for by itself. @param {string | RealmConfiguration} [config] */
  static deleteFile(config) {
    return deleteFile(readConfiguration(config).path);
  }

  /** -1 if there is no such file. It is known without reading the file, so a wrong `encryptionKey` is not found out.
   * @param {string} path @param {ArrayBuffer | ArrayBufferView} [encryptionKey] */
  static schemaVersion(path, encryptionKey) {
    return Number(known.get(readConfiguration({ path, encryptionKey }).path) ?? -1);
  }

  /** A plain object with the default of every property. @param {any} schema */
  static createTemplateObject(schema) {
    /** @type {Record<string, any>} */
    const plain = {};
    const empty = /** @type {Record<string, any>} */ ({ bool: false, int: 0, float: 0, double: 0, string: "", data: new ArrayBuffer(0), date: new Date(0) });
    for (const [name, { default: given, optional, type }] of Object.entries(parseClass(schema, { base: RealmObject }).properties)) {
      if (given !== undefined) plain[name] = given;
      else if (!optional && type in empty) plain[name] = empty[type];
    }
    return plain;
  }

  /** Where realms are whose configuration says no path and no sync. */
  static get defaultPath() {
    return defaults.path;
  }

  static set defaultPath(path) {
    checkPath(path);
    defaults.path = path;
  }

  // --- state --------------------------------------------------------------------------------------------------------

  get path() {
    return this._store.path;
  }

  /** The classes of this realm: those it was opened with, else all of the file. */
  get schema() {
    return this.#names().map((name) => canonical(this._classOf(name)));
  }

  get schemaVersion() {
    return this.#config.schemaVersion ?? this._store.file.schemaVersion ?? 0;
  }

  get isClosed() {
    return this.#closed;
  }

  get isInTransaction() {
    return this._file.writer?.realm === this;
  }

  get isInMigration() {
    return this.#isMigrating;
  }

  get isReadOnly() {
    return Boolean(this.#config.readOnly) || this._store.isFrozen;
  }

  get isInMemory() {
    return Boolean(this.#config.inMemory);
  }

  get isEmpty() {
    return this.#names().every((name) => !this._store.tables.get(name)?.objects.size);
  }

  /** The session; null for a local realm. */
  get syncSession() {
    return this._file.session ?? null;
  }

  /** The newest subscription set. */
  get subscriptions() {
    const { sync } = this.#config;
    if (!sync?.flexible) {
      const actual = sync ? "partition based sync is enabled" : "sync is currently disabled";
      throw new AssertionError(`\`subscriptions\` can only be accessed if flexible sync is enabled, but ${actual} for your app.`);
    }
    this._open();
    return new SubscriptionSet(this, this._store.newestSet());
  }

  /** Resolves when what the file held when it was opened is here; only `new Realm` is usable before. */
  whenLoaded() {
    return this._file.loaded;
  }

  /** Resolves when everything written so far is durable in this browser; rejects if it could not be stored, and is tried
   * again. `sync.onError` hears of that, too (without sync, the console). */
  writesFlushed() {
    return this._store.writesFlushed();
  }

  // --- transactions -------------------------------------------------------------------------------------------------

  /** A write transaction: what `callback` does happens as a whole, at once; if it throws, nothing of it happened.
   * @template T @param {() => T} callback */
  write(callback) {
    this.beginTransaction();
    let result;
    try {
      result = callback();
    } catch (error) {
      if (this.isInTransaction) this.cancelTransaction();
      throw error;
    }
    if (this.isInTransaction) this.commitTransaction();
    return result;
  }

  beginTransaction() {
    this._open();
    if (this.isReadOnly) throw realmError(`Can't perform transactions on ${this._store.isFrozen ? "a frozen Realm" : "read-only Realms."}`, "WrongTransactionState");
    if (this._file.writer) throw realmError("The Realm is already in a write transaction", "WrongTransactionState");
    this._file.notifier.deliver(); // listeners hear of a state before it is written to
    // Subscribing allows writing: the classes of the newest set, whatever its state.
    const isFlexible = this._store.synced && this._store.isLoaded;
    const writable = isFlexible ? new Set(this._store.newestSet().subscriptions.map((item) => item.class)) : null;
    this._file.writer = Object.assign(this._store.writer(), { realm: this, writable, version: this.#version });
  }

  /** Makes the changes pending; throws, and undoes them, if they are more than the server takes at once. */
  commitTransaction() {
    if (!this.isInTransaction) throw realmError("Can't commit a non-existing write transaction", "WrongTransactionState");
    const { writer } = this._file;
    try {
      writer.finish(Date.now());
    } catch (error) {
      this.cancelTransaction();
      throw error;
    }
    this._file.writer = null;
    this.#seen = this.#version;
    this._file.changed();
    this.#fire("change"); // what a listener throws leaves through the commit, as in Realm
  }

  cancelTransaction() {
    if (!this.isInTransaction) throw realmError("Can't cancel a non-existing write transaction", "WrongTransactionState");
    this._file.writer.cancel();
    this._file.writer = null;
  }

  // --- objects ------------------------------------------------------------------------------------------------------

  /** Live results of all objects of a class. @template [T=any] @param {ObjectType<T>} type @returns {Results<T & RealmObject>} */
  objects(type) {
    this.#mustBeQueryable(this._classOf(type));
    return new Results(this, this.#tableOf(type));
  }

  /** @param {ClassSchema} cls */
  #mustBeQueryable({ embedded, asymmetric }) {
    if (embedded) throw new AssertionError("You cannot query an embedded object.");
    if (asymmetric) throw new AssertionError("You cannot query an asymmetric object.");
  }

  /** The object with this key, or null. @template [T=any] @param {ObjectType<T>} type @param {any} key
   * @returns {(T & RealmObject) | null} */
  objectForPrimaryKey(type, key) {
    const cls = this._classOf(type);
    this.#mustBeQueryable(cls);
    const table = this.#tableOf(type);
    if (cls.primaryKey === undefined) throw new AssertionError(`Expected a primary key on '${cls.name}'`);
    const wire = encodeKey(cls, key);
    if (wire === null) throw new TypeAssertionError(EXPECTED[cls.wire[cls.keyName].type], key);
    return table.objects.has(wire) ? this._wrap(table, wire) : null;
  }

  /** A new object, or with mode `modified` or `all` the existing one with this key, changed. Links take an object, a plain
   * object, which is created likewise, or the target's key. Of an asymmetric class: undefined. @template [T=any] @param {ObjectType<T>} type @param {Record<string, any>} [values]
   * @param {"never" | "modified" | "all" | boolean} [mode] @returns {T & RealmObject} */
  create(type, values = {}, mode = UpdateMode.Never) {
    if (typeof mode === "boolean") mode = mode ? UpdateMode.All : UpdateMode.Never;
    if (!(/** @type {string[]} */ (Object.values(UpdateMode)).includes(mode))) {
      throw new AssertionError("Unsupported 'updateMode'. Only 'never', 'modified' or 'all' is supported.");
    }
    if (Array.isArray(values)) throw new AssertionError("Array values on object creation is no longer supported");
    if (values instanceof RealmObject && !identityOf(values)) throw new AssertionError("Cannot create an object from a detached RealmObject instance");
    const writer = this.#writing();
    const cls = this._classOf(type);
    if (cls.embedded) throw new AssertionError(`An object of the embedded class '${cls.name}' is created by assigning it to a property.`);
    const table = this.#tableOf(type);
    this._checkWritable(cls.name);
    const { keyName, primaryKey } = cls;
    const properties = Object.values(cls.properties).filter((property) => property.type !== "linkingObjects");
    const keyProperty = primaryKey === undefined ? null : cls.properties[primaryKey];
    const given = keyProperty ? /** @type {any} */ (values)[keyProperty.name] : null;
    const key = keyProperty ? toWire(this, keyProperty.name, keyProperty, given ?? defaultOf(keyProperty), mode) : new BSON.ObjectId().wire;
    const existing = table.objects.get(key);
    if (existing) {
      if (mode === UpdateMode.Never) {
        throw realmError(`Attempting to create an object of type '${cls.name}' with an existing primary key value '${key}'.`, "ObjectAlreadyExists");
      }
      this.#updateExisting(table, key, properties.filter(({ name, mapTo }) => mapTo !== keyName && /** @type {any} */ (values)[name] !== undefined), values, mode);
      return cls.asymmetric ? /** @type {any} */ (undefined) : this._wrap(table, key);
    }
    /** @type {Record<string, any>} */
    const image = { [keyName]: key };
    image[table.keyName] ??= key; // while a migration runs, tables have keys of their own
    for (const property of properties) {
      const { name, mapTo } = property;
      if (mapTo === keyName) continue;
      const { hasDefault, readOnly } = table.cls.properties[mapTo];
      let value = /** @type {any} */ (values)[name];
      if (value === undefined && mapTo === this.#partitionField) value = this.#config.sync?.partitionValue;
      value ??= value === undefined ? defaultOf(property) : value;
      if (value === undefined && !isCollection(property.type) && (property.optional || hasDefault || readOnly)) continue;
      image[mapTo] = withDefault(this, name, property, value, mode);
    }
    writer.create(table, image);
    return cls.asymmetric ? /** @type {any} */ (undefined) : this._wrap(table, key);
  }

  /** @param {Table} table @param {any} key @param {import('../core/schema.js').Property[]} properties @param {any} values
   * @param {"modified" | "all"} mode */
  #updateExisting(table, key, properties, values, mode) {
    const wires = properties.map((property) => toWire(this, property.name, property, values[property.name], mode));
    const existing = /** @type {Record<string, any>} */ (table.objects.get(key));
    properties.forEach((property) => checkAssignable(property, existing[property.mapTo], values[property.name]));
    /** @type {Record<string, any>} */
    const simple = {};
    properties.forEach((property, at) => {
      const { mapTo } = property;
      if (mode !== UpdateMode.All && sameWire(existing[mapTo], wires[at])) return;
      if (wires[at] === null || typeof wires[at] !== "object") simple[mapTo] = wires[at];
      else write(this, table, key, [mapTo], property, wires[at]);
    });
    if (Object.keys(simple).length) this._file.writer.update(table, key, simple);
  }

  /** Deletes an object, or all of an iterable or Results. @param {any} subject */
  delete(subject) {
    this._open();
    if (!this.isInTransaction) throw new AssertionError("Can only delete objects within a transaction.");
    if (identityOf(subject)) return this.#delete(subject);
    if (subject instanceof Elements && subject._target === null) {
      const place = /** @type {any} */ (subject)[PLACE];
      if (place.realm._store !== this._store) throw new AssertionError("Can't delete an object from another Realm");
      if (place.writing().length) place.edit("clear");
      return;
    }
    if (typeof subject?.[Symbol.iterator] !== "function" || typeof subject === "string") throw new AssertionError("Can only delete objects, lists and results.");
    for (const object of [...subject]) {
      if (object === null && subject instanceof Results) continue;
      if (!identityOf(object)) throw new AssertionError("Can only delete objects, lists and results.");
      this.#delete(object);
    }
  }

  /** @param {any} object */
  #delete(object) {
    const { realm, table, key, place } = /** @type {import('./objects.js').Identity} */ (identityOf(object));
    if (realm._store !== this._store) throw new AssertionError("Can't delete an object from another Realm");
    if (place) return removeEmbedded(place);
    if (!table.objects.has(key)) {
      throw realmError("Object is invalid. Either it has been previously deleted or the Realm it belongs to has been closed.", "InvalidatedObject");
    }
    this._checkWritable(table.name);
    this._file.writer.delete(table, key);
  }

  /** Deletes every object of every class. */
  deleteAll() {
    for (const name of this.#names()) {
      const { embedded, asymmetric } = this._classOf(name);
      if (!embedded && !asymmetric) this.delete(this.objects(name));
    }
  }

  // --- listeners ----------------------------------------------------------------------------------------------------

  /** `callback(realm, event, schema?)`: "change" at the end of each local commit and when others have written,
   * "beforenotify" before listeners are told, "schema" when classes are added. @param {"change" | "beforenotify" | "schema"} event
   * @param {(realm: Realm, event: string, schema?: any[]) => void} callback */
  addListener(event, callback) {
    this._open();
    listenersOf(this.#listeners, event).add(mustBeFunction(callback, "callback"));
    // The notifier tells of others' commits: this realm's own listeners before those of its objects.
    if (this.#observers.has(this)) return;
    this.#seen = this.#version;
    this.#observe(this, () => {}, { look: () => this.#lookAround() });
  }

  /** @param {string} event @param {Function} callback */
  removeListener(event, callback) {
    listenersOf(this.#listeners, event).delete(callback);
  }

  /** Of this event, or of all; listeners of objects and collections stay. @param {string} [event] */
  removeAllListeners(event) {
    for (const each of event === undefined ? EVENTS : [event]) listenersOf(this.#listeners, each).clear();
  }

  /** @param {string} event @param {any[]} more */
  #fire(event, ...more) {
    for (const callback of [...this.#listeners[event]]) callback(this, event, ...more);
  }

  #lookAround() {
    if (this.#listeners.beforenotify.size) this.#fire("beforenotify");
    if (this.#version === this.#seen) return;
    this.#seen = this.#version;
    this.#fire("change");
  }

  /** For OpenFile: something in the store has changed. */
  _advanced() {
    if (this.#config.classes || this.#known === this._store.tables.size) return;
    this.#known = this._store.tables.size;
    if (!this.#config._isAwaited) this._runInitialSubscriptions();
    this.#fire("schema", this.schema);
  }

  /** Changes whenever an object does. */
  get #version() {
    let sum = 0;
    for (const table of this._store.tables.values()) sum += table.revision;
    return sum;
  }

  /** @param {any} target @param {Function} callback @param {any} observer */
  #observe(target, callback, observer) {
    let observers = this.#observers.get(target);
    if (!observers) this.#observers.set(target, (observers = new Map()));
    if (observers.has(callback)) throw new AssertionError("Remove callback before adding it again");
    observers.set(callback, observer);
    this._file.notifier.add(observer, target === this);
  }

  /** @param {any} results @param {any} callback @param {string | string[] | undefined} keyPaths */
  _listenToResults(results, callback, keyPaths) {
    this.#mayListen(callback);
    this.#observe(results, callback, new CollectionObserver(this._store, results, callback, resolveKeyPaths(this, results.type, keyPaths)));
  }

  /** @param {any} object @param {import('./objects.js').Identity} identity @param {any} callback @param {string | string[] | undefined} keyPaths */
  _listenToObject(object, { table, key, cls, place }, callback, keyPaths) {
    this.#mayListen(callback);
    if (!object.isValid()) throw realmError(INVALID, "InvalidatedObject");
    const names = /** @type {[string, string][]} */ (Object.values(cls.properties).map(({ mapTo, name }) => [mapTo, name]));
    const tell = (/** @type {any} */ changes) => callback(object, changes);
    const read = () => (place ? (place.isValid ? place.wire() : undefined) : table.objects.get(key));
    this.#observe(object, callback, new ObjectObserver(read, tell, resolveKeyPaths(this, cls.name, keyPaths), names));
  }

  /** A list or set. @param {any} elements @param {any} callback @param {string | string[] | undefined} keyPaths */
  _listenToElements(elements, callback, keyPaths) {
    this.#listenInside(elements, callback, keyPaths, elements._element, ElementsObserver);
  }

  /** @param {any} dictionary @param {any} callback @param {string | string[] | undefined} keyPaths */
  _listenToDictionary(dictionary, callback, keyPaths) {
    const { prop } = dictionary[PLACE];
    this.#listenInside(dictionary, callback, keyPaths, prop, DictionaryObserver);
  }

  /** @param {any} collection @param {any} callback @param {string | string[] | undefined} keyPaths
   * @param {import('../core/schema.js').WireProperty} prop @param {any} Observer */
  #listenInside(collection, callback, keyPaths, { objectType }, Observer) {
    this.#mayListen(callback);
    const place = collection[PLACE];
    place.wire();
    const paths = objectType !== undefined && this._store.tables.has(objectType) ? resolveKeyPaths(this, objectType, keyPaths) : null;
    const tell = (/** @type {any} */ changes) => callback(collection, changes);
    this.#observe(collection, callback, new Observer(this._store, place, tell, paths));
  }

  /** @param {any} callback */
  #mayListen(callback) {
    this._open();
    mustBeFunction(callback, "callback");
    if (this._store.isFrozen) throw new AssertionError("Cannot create asynchronous query for immutable Realms");
    if (this.isInTransaction && this._file.writer.version !== this.#version) throw new AssertionError("Cannot create asynchronous query after making changes in a write transaction.");
  }

  /** @param {any} target @param {Function} [callback] none: all */
  _stopListening(target, callback) {
    const observers = this.#observers.get(target);
    for (const [each, observer] of observers ?? []) {
      if (callback && each !== callback) continue;
      observers?.delete(each);
      this._file.notifier.remove(observer);
    }
    if (!observers?.size) this.#observers.delete(target);
  }

  /** Removes a class and its objects; in `onMigration` only. @param {string} name */
  deleteModel(name) {
    if (!this.#isMigrating) throw realmError("'deleteModel' is for 'onMigration' only.", "NotSupported");
    this._store.tables.delete(name);
  }

  /** Writes what is visible to another file: of another encryption, local, or synced in the same way. Resolves when it is
   * durable; the copy of a synced realm is usable offline at once and fetches everything anew when it first connects. Is
   * there such a file, then objects are merged into it by their keys. @param {string | RealmConfiguration} config */
  async writeCopyTo(config) {
    this._open();
    if (this._file.writer) throw new AssertionError("Can only convert Realms outside a transaction.");
    const { sync, classes } = this.#config;
    const given = typeof config === "string" ? { path: config } : config;
    const openTarget = () => new Realm(/** @type {any} */ ({ ...given, _isAwaited: true }));
    return writeCopy(this, sync, classes ? storedClasses(classes) : null, readConfiguration(given), openTarget);
  }

  /** Writes the file anew without what is outdated in it. Resolves to whether it did: not while another realm of it is in a
   * transaction. */
  async compact() {
    this._open();
    if (this.isInTransaction) throw new AssertionError("Cannot compact a Realm within a transaction.");
    if (this.isReadOnly) throw realmError("Can't compact a read-only Realm", "WrongTransactionState");
    await this.whenLoaded();
    return this._store.compact();
  }

  // --- closing ------------------------------------------------------------------------------------------------------

  /** Idempotent. An open transaction is cancelled, listeners end. What is written becomes durable; what is pending is
   * uploaded while the page lives, and else when the realm is opened again. */
  close() {
    if (this.#closed) return;
    if (this.isInTransaction) this.cancelTransaction();
    this.#closed = true;
    for (const target of [...this.#observers.keys()]) this._stopListening(target);
    for (const event of EVENTS) this.#listeners[event].clear();
    if (this._store.isFrozen) return;
    const { sync } = this.#config;
    if (sync?.onError) this._file.session?._errorCallbacks.delete(sync.onError);
    release(this._file, this);
  }

  // --- for the other modules of the client --------------------------------------------------------------------------

  _open() {
    if (this.#closed) throw realmError("Cannot access realm that has been closed.", "ClosedRealm");
    return this._store;
  }

  get _transport() {
    return this._file.transport;
  }

  #names() {
    return this.#config.classes ? this.#config.classes.names() : [...this._store.tables.keys()];
  }

  /** @param {ObjectType} type */
  _classOf(type) {
    return this.#classFor(type).cls;
  }

  /** @param {ObjectType} type */
  #classFor(type) {
    if (typeof type !== "string" && !this.#byConstructor.has(type)) {
      if (typeof type !== "function") throw new TypeAssertionError("a string or a class", type, "type");
      throw new AssertionError("Constructor was not registered in the schema for this Realm");
    }
    const name = typeof type === "string" ? type : /** @type {ClassSchema} */ (this.#byConstructor.get(type)).name;
    const table = this._store.tables.get(name);
    const declared = this.#config.classes;
    if (declared ? !declared.has(name) : !table) throw realmError(`Object type '${name}' not found in schema.`, "NoSuchTable");
    const stored = table?.cls;
    let entry = this.#classes.get(name);
    if (!entry || entry.stored !== stored) {
      const cls = declared?.get(name) ?? fromStored(stored);
      entry = { cls, stored, prototype: entry?.prototype ?? prototypeFor(cls), forQueries: { ...cls, wire: { ...cls.wire, ...stored?.properties } } };
      if (!declared) entry.prototype = prototypeFor(cls);
      this.#classes.set(name, entry);
    }
    return entry;
  }

  /** @param {ObjectType} type */
  #tableOf(type) {
    const { name } = this._classOf(type);
    return /** @type {Table} */ (this._open().tables.get(name) ?? this._store._tableFor(storedClasses([this._classOf(name)])[0]));
  }

  /** @param {any} query @param {string} type */
  _bind(query, type) {
    return bind(query, this.#classFor(type).forQueries, this.#forQueries);
  }

  /** Whether the realm has been opened with this class. @param {string} name */
  _knows(name) {
    const { classes } = this.#config;
    return classes ? classes.has(name) : this._store.tables.has(name);
  }

  /** An embedded object. @param {Place} place @returns {any} */
  _wrapEmbedded(place) {
    const { cls, prototype } = this.#classFor(/** @type {string} */ (place.prop.objectType));
    return wrap(prototype, { realm: this, table: place.table, cls, key: place.key, place });
  }

  /** @param {Table} table @param {any} key @returns {any} */
  _wrap(table, key) {
    const { cls, prototype } = this.#classFor(table.name);
    return wrap(prototype, { realm: this, table, cls, key });
  }

  /** @param {Table} table @param {any} key @param {import('../core/schema.js').Property} property */
  _get(table, key, property) {
    const { type, mapTo } = property;
    const image = this.#closed ? undefined : table.objects.get(key);
    if (!image) throw realmError(INVALID, this.#closed ? "ClosedRealm" : "InvalidatedObject");
    const value = image[mapTo] ?? null;
    if (type in EXPECTED && !property.presentation) return value === null ? null : decode(type, value);
    if (type === "linkingObjects") return this.#declaredBacklinks(this._wrap(table, key), property);
    return valueOf(this, property, value, (kind) => new Place(this, table, key, [mapTo], property, value, kind));
  }

  /** @param {any} object @param {import('../core/schema.js').Property} property */
  #declaredBacklinks(object, { objectType, property }) {
    return object.linkingObjects(objectType, property);
  }

  /** A property of an embedded object. @param {Place} place @param {import('../core/schema.js').Property} property */
  _getIn(place, property) {
    const value = place.wire()[property.mapTo] ?? null;
    if (property.type === "linkingObjects") return this.#declaredBacklinks(this._wrapEmbedded(place), property);
    return valueOf(this, property, value, (kind) => place.child(property.mapTo, property, kind));
  }

  /** An element. @param {import('../core/schema.js').WireProperty} prop @param {any} wire @param {(kind: string | null) => Place} place */
  _value(prop, wire, place) {
    return valueOf(this, prop, wire, place);
  }

  /** @param {string} where @param {import('../core/schema.js').WireProperty} prop @param {any} value @param {"never" | null} mode */
  _encode(where, prop, value, mode) {
    return toWire(this, where, prop, value, mode);
  }

  /** @param {Table} table @param {any} key @param {import('../core/schema.js').Property} property @param {any} value */
  _set(table, key, property, value) {
    const present = this.#closed ? undefined : table.objects.get(key);
    if (!present) throw realmError(INVALID, this.#closed ? "ClosedRealm" : "InvalidatedObject");
    const writer = this.#writing();
    const { name, type, mapTo } = property;
    if (type === "linkingObjects") throw new AssertionError("Not supported");
    if (mapTo === table.keyName) throw realmError("Cannot change value of primary key outside migration function", "ModifyPrimaryKey");
    this._checkWritable(table.name);
    if (property.presentation) checkAssignable(property, present[mapTo], value);
    const wire = toWire(this, name, property, value, UpdateMode.Never);
    if (type in EXPECTED) writer.update(table, key, { [mapTo]: wire });
    else write(this, table, key, [mapTo], property, wire);
  }

  /** A property of an embedded object. @param {Place} place @param {import('../core/schema.js').Property} property @param {any} value */
  _setIn(place, property, value) {
    const { name, mapTo } = property;
    const present = place.writing();
    if (property.type === "linkingObjects") throw new AssertionError("Not supported");
    checkAssignable(property, present[mapTo], value);
    this._assign(place, mapTo, property, toWire(this, `${place.where}.${name}`, property, value, UpdateMode.Never));
  }

  /** What is at a step from a place. @param {Place} place @param {string | number} step @param {import('../core/schema.js').WireProperty} prop
   * @param {any} wire */
  _assign(place, step, prop, wire) {
    write(this, place.table, place.key, [...place.path, step], prop, wire);
  }

  /** What is at a place. @param {Place} place @param {any} wire */
  _write(place, wire) {
    write(this, place.table, place.key, place.path, place.prop, wire);
  }

  /** @param {Place} place @param {any[]} wire @param {any[]} edits */
  _replaceList(place, wire, edits) {
    replaceList(place, wire, edits);
  }

  /** @param {Table} table @param {any} key @param {any[]} edits */
  _edit(table, key, edits) {
    for (const edit of edits) this._file.writer.edit(table, key, edit);
  }

  /** Throws unless objects of the class may be changed now. @param {string} name */
  _writing(name) {
    this.#writing();
    this._checkWritable(name);
  }

  /** The objects whose property leads to an object. @param {import('./objects.js').Identity} identity @param {ClassSchema} origin
   * @param {import('../core/schema.js').Property} property */
  _backlinks({ table, key, place }, origin, property) {
    if (property.type === "object" && !place) return this.objects(origin.name).filtered(`${property.mapTo} == $0`, this._wrap(table, key));
    this.#mustBeQueryable(origin);
    const from = this.#tableOf(origin.name);
    let revision = -1;
    /** @type {any[]} */ let images = [];
    const source = () => {
      if (revision === from.revision) return images;
      revision = from.revision;
      if (place) return (images = from === table && place.path[0] === property.mapTo ? [from.objects.get(key)] : []);
      return (images = from.linksTo(property.mapTo, key));
    };
    return new Results(this, from, undefined, [], source);
  }

  #writing() {
    this._open();
    if (!this.isInTransaction) throw realmError("Cannot modify managed objects outside of a write transaction.", "WrongTransactionState");
    return this._file.writer;
  }

  /** @param {string} name */
  _checkWritable(name) {
    const { writable } = this._file.writer;
    if (writable && !writable.has(name) && !this._classOf(name).asymmetric) {
      throw realmError(`Cannot write to class ${name} when no flexible sync subscription has been created.`, "NoSubscriptionForWrite");
    }
  }

  // --- subscriptions ------------------------------------------------------------------------------------------------

  /** @param {any[]} items */
  _addSet(items) {
    const stored = this._open().addSet(items);
    this._file.transport?.wake();
    return stored;
  }

  get #partitionField() {
    const { sync } = this.#config;
    return sync && !sync.flexible ? (sync.user.app.settings?.partitionField ?? PARTITION_FIELD) : null;
  }

  /** Whether some opening of the file succeeded before this one. */
  get _wasOpened() {
    return this._file.wasOpened;
  }

  /** This opening succeeded: from now on the file counts as existing. */
  _opened() {
    this.#config._isAwaited = false;
    if (!this.#closed) this._file.opened();
  }

  /** In a file whose first opening this is, or on every open where asked for; once the classes are known. */
  _runInitialSubscriptions() {
    const { sync } = this.#config;
    if (!sync || this.#config._ran || this.#closed || !this.#names().length) return;
    const isFirst = this._store.newestSet().version === 0;
    if (!sync.flexible) return this.#subscribeToPartition();
    const { update, rerunOnOpen } = sync.initialSubscriptions ?? {};
    if (!update || !(rerunOnOpen || isFirst || !this._wasOpened)) return;
    this.#config._ran = true;
    this.subscriptions._updateNow(update);
  }

  /** Partition sync is one subscription for each class that has the partition's property. */
  #subscribeToPartition() {
    const field = /** @type {string} */ (this.#partitionField);
    const items = new MutableSubscriptionSet([...this._store.newestSet().subscriptions]);
    const before = items.length;
    for (const name of this.#names()) {
      const { embedded, asymmetric } = this._classOf(name);
      if (embedded || asymmetric || !this.#classFor(name).forQueries.wire[field] || items.findByName(`partition:${name}`)) continue;
      items.add(this.objects(name).filtered(`${field} == $0`, this.#config.sync?.partitionValue), { name: `partition:${name}` });
    }
    if (items.length > before) this._addSet(items._items);
  }

  /** @param {any} results @param {{name?: string, behavior?: string, timeout?: number, throwOnUpdate?: boolean}} options */
  async _subscribe(results, { name, behavior = WaitForSync.Never, timeout, throwOnUpdate }) {
    if (!(/** @type {string[]} */ (Object.values(WaitForSync)).includes(behavior))) {
      throw new AssertionError(`Unsupported 'behavior': '${behavior}'. Only 'first-time', 'always' or 'never' is supported.`);
    }
    const set = this.subscriptions;
    const isKnown = (results.subscriptionName ? set.findByName(results.subscriptionName) : set.findByQuery(results)) !== null;
    set._updateNow((/** @type {MutableSubscriptionSet} */ mutable) => mutable.add(results, { name, throwOnUpdate }));
    results.subscriptionName = name ?? null;
    if (behavior === WaitForSync.Always || (behavior === WaitForSync.FirstTime && !isKnown)) {
      await limited(set.waitForSynchronization(), timeout, "").catch((error) => {
        if (!(error instanceof TimeoutError)) throw error; // synchronization goes on
      });
    }
    return results;
  }

  /** @param {any} results */
  _unsubscribe(results) {
    const { subscriptionName: name } = results;
    this.subscriptions._updateNow((/** @type {MutableSubscriptionSet} */ mutable) => (name ? mutable.removeByName(name) : mutable.remove(results)));
    results.subscriptionName = null;
  }

  // --- client reset, migration --------------------------------------------------------------------------------------

  /** What it was opened with. */
  get _sync() {
    return this.#config.sync;
  }

  /** A realm of a moment, read-only. @param {import('./store.js').Store} store */
  _frozen(store) {
    const { schema, schemaVersion } = this.#config;
    return new Realm(/** @type {any} */ ({ path: store.path, schema, ...(schema && { schemaVersion }), _store: store }));
  }

  /** @param {import('./store.js').Store} before @param {Map<string, any>} stored classes @param {Function} onMigration */
  _migrate(before, stored, onMigration) {
    const old = this._frozen(before);
    old.#config = { ...old.#config, schemaVersion: before.file.schemaVersion, classes: new Schema([...stored.values()].map(fromStored)) };
    old.#classes.clear();
    this.#isMigrating = true;
    try {
      this.write(() => onMigration(old, this));
    } finally {
      this.#isMigrating = false;
      old.close();
    }
  }
}

/** `Realm.App.Sync`. */
const Sync = {
  openLocalRealmBehavior: Object.freeze({ type: "openImmediately" }),
  downloadBeforeOpenBehavior: DEFAULT_BEHAVIOR,
  setLogLevel: (/** @type {App} */ _, /** @type {string} */ level) => setLogLevel(level),
  setLogger: (/** @type {App} */ _, /** @type {any} */ callback) => setLogger(callback),
  /** After a manual client reset, once the realm is closed: puts the file aside, where `error.config` opens it, so that
   * the next opening begins anew. @param {App} _ @param {string} path */
  initiateClientReset: (_, path) => resetFile(path),
  /** @param {User} user */
  getAllSyncSessions: (user) => sessions().filter((session) => session.user.id === user.id),
  /** Of partition-based realms. @param {User} user @param {any} partitionValue */
  getSyncSession: (user, partitionValue) => sessions().find((session) => session._path === user.app.realmPath(user.id, undefined, partitionValue)) ?? null,
  /** @param {App} app */
  reconnect: (app) => sessions().forEach((session) => session.user.app.id === app.id && session.reconnect()),
};

// One by one, so that types see them.
App.Sync = Sync;
Object.assign(files, userFiles);
Realm.App = App;
Realm.Credentials = Credentials;
Realm.User = User;
Realm.BSON = BSON;
Realm.Object = RealmObject;
Realm.Results = Results;
Realm.List = List;
Realm.Set = RealmSet;
Realm.Dictionary = Dictionary;
Realm.Counter = Counter;
Realm.SyncSession = SyncSession;
Realm.Subscription = Subscription;
Realm.SubscriptionSet = SubscriptionSet;
Realm.MutableSubscriptionSet = MutableSubscriptionSet;
Realm.ProgressRealmPromise = ProgressRealmPromise;
Realm.Types = BSON;
Realm.OpenRealmBehaviorType = OpenRealmBehaviorType;
Realm.OpenRealmTimeOutBehavior = OpenRealmTimeOutBehavior;
Realm.ClientResetMode = ClientResetMode;
Realm.UpdateMode = UpdateMode;
Realm.WaitForSync = WaitForSync;
Realm.SubscriptionSetState = SubscriptionSetState;
Realm.ConnectionState = ConnectionState;
Realm.SessionState = SessionState;
Realm.ProgressDirection = ProgressDirection;
Realm.ProgressMode = ProgressMode;
Realm.SessionStopPolicy = SessionStopPolicy;
Realm.UserState = UserState;
Realm.ProviderType = ProviderType;
Realm.NumericLogLevel = NumericLogLevel;
Realm.setLogLevel = setLogLevel;
Realm.setLogger = setLogger;
Realm.SyncError = SyncError;
Realm.ClientResetError = ClientResetError;
Realm.CompensatingWriteError = CompensatingWriteError;
Realm.AssertionError = AssertionError;
Realm.TypeAssertionError = TypeAssertionError;
Realm.SchemaParseError = SchemaParseError;
Realm.PropertySchemaParseError = PropertySchemaParseError;
Realm.IllegalConstructorError = IllegalConstructorError;

/** A class of the file as this realm would declare it. @param {any} stored @returns {any} */
function fromStored({ name, keyName, properties: wire, embedded, asymmetric }) {
  const { [HIDDEN_KEY]: hidden, ...properties } = wire;
  return { ...Schema.fromWire([{ name, properties, embedded, asymmetric }]).get(name), wire, keyName, primaryKey: hidden || embedded ? undefined : keyName };
}

/** @param {Record<string, Set<Function>>} listeners @param {string} event */
function listenersOf(listeners, event) {
  if (!EVENTS.includes(event)) throw realmError(`Unknown event name '${event}': only 'change', 'schema' and 'beforenotify' are supported.`, "InvalidArgument");
  return listeners[event];
}
