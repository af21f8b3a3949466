// Objects: live views of stored objects, and the prototypes that give them their properties.
//
// An object holds no data: every access reads the present value, every assignment needs a write transaction; the realm
// does both. A link is assigned an object, or the key of one: unlike in Realm its target need not be in the file.

import { decode, encode } from "../core/values.js"
import { canonical } from "../core/schema.js"
import { AssertionError, IllegalConstructorError, realmError } from "../core/errors.js"
import { mixedType, WIRE } from "../core/mixed.js"
import { eachLinkOf } from "./links.js"
import { INVALID, PLACE } from "./live.js"

/** `place`: of an embedded object, which is in the object that `table` and `key` tell.
 * @typedef {{realm: any, table: import('./tables.js').Table, cls: import('../core/schema.js').ClassSchema, key: any, place?: import('./live.js').Place}} Identity */

const IDENTITY = Symbol("realm-sync.identity");

/** What an object of a realm is, undefined for anything else. @param {any} value @returns {Identity | undefined} */
export const identityOf = (value) => (value === null || value === undefined ? undefined : value[IDENTITY]);

/** @param {any} object @returns {Identity} */
const identify = (object) => object[IDENTITY];

/** One object of a realm; a class of an app extends it. Each access makes a new one: compare keys.
 * @template [T=any] */
export class RealmObject {
  /** The properties are defined for each realm by `prototypeFor`. @type {any} */
  static schema;

  /** `new Task(realm, values)` is `realm.create(Task, values)`. @param {any} realm @param {any} values */
  constructor(realm, values) {
    if (!realm?.create) throw new IllegalConstructorError(new.target.name);
    return realm.create(/** @type {any} */ (new.target), values);
  }

  /** False once it is deleted or its realm is closed. @returns {boolean} */
  isValid() {
    const { realm, table, key, place } = identify(this);
    return place ? place.isValid : !realm.isClosed && table.objects.has(key);
  }

  objectSchema() {
    return canonical(identify(this).cls);
  }

  keys() {
    return Object.keys(identify(this).cls.properties);
  }

  /** @returns {[string, any][]} */
  entries() {
    return this.keys().map((name) => [name, /** @type {any} */ (this)[name]]);
  }

  /** A plain tree; an object that occurs twice is the same one in it. @param {string} [_] the key JSON.stringify gives
   * @param {Map<string, any>} [cache] @returns {Record<string, any>} */
  toJSON(_, cache = new Map()) {
    const { table, place } = identify(this);
    const name = `${table.name} ${this._objectKey()}`;
    if (!place && cache.has(name)) return cache.get(name);
    /** @type {Record<string, any>} */
    const made = {};
    if (!place) cache.set(name, made);
    for (const [key, value] of this.entries()) made[key] = plain(value, cache);
    return made;
  }

  /** Live results of the objects of `type` whose link `property` leads here. @param {any} type @param {string} property */
  linkingObjects(type, property) {
    const { realm, cls } = identify(this);
    const origin = realm._classOf(type);
    const { type: kind, objectType } = origin.properties[property] ?? {};
    if (kind === "linkingObjects" || objectType !== cls.name) {
      throw new AssertionError(`'${origin.name}#${property}' is not a relationship to '${cls.name}'`);
    }
    return realm._backlinks(identify(this), origin, origin.properties[property]);
  }

  /** How many links lead here, of every class. */
  linkingObjectsCount() {
    const { realm, table, key, place } = identify(this);
    if (place) return 1; // what it is in
    const { tables, schema } = realm._store;
    let count = 0;
    for (const origin of tables.values()) {
      for (const image of origin.objects.values()) {
        eachLinkOf(schema, origin.cls, image, (target, wire) => void (count += Number(target === table.name && wire === key)));
      }
    }
    return count;
  }

  /** @param {string} name */
  getPropertyType(name) {
    const { cls } = identify(this);
    const property = cls.properties[name];
    if (!property) throw realmError(`Property '${name}' does not exist on '${cls.name}' objects`, "InvalidProperty");
    const { type, objectType, mapTo } = property;
    if (type === "object") return `<${objectType}>`;
    if (type !== "mixed") return objectType ? `${type}<${objectType}>` : type;
    const wire = imageOf(this)[mapTo];
    const kind = mixedType(wire);
    return kind === "object" ? `<${wire.$link[0]}>` : kind;
  }

  /** `callback(object, {deleted, changedProperties})`: soon, with nothing, and then whenever the object changes.
   * @param {(object: this & T, changes: {deleted: boolean, changedProperties: string[]}) => void} callback @param {string | string[]} [keyPaths] */
  addListener(callback, keyPaths) {
    identify(this).realm._listenToObject(this, identify(this), callback, keyPaths);
  }

  /** @param {Function} callback */
  removeListener(callback) {
    identify(this).realm._stopListening(this, callback);
  }

  removeAllListeners() {
    identify(this).realm._stopListening(this);
  }

  /** The key that a link holds, even if its target is not in this file and the link reads as null; not in Realm.
   * @param {string} name of the link @returns {any} */
  linkedKey(name) {
    const { realm, cls } = identify(this);
    const property = cls.properties[name];
    const target = property?.type === "object" ? realm._classOf(property.objectType) : null;
    if (!target || target.embedded) throw new AssertionError(`'${cls.name}#${name}' is not a link`);
    return decode(target.wire[target.keyName].type, imageOf(this)[property.mapTo] ?? null);
  }

  /** Tells objects of one class and file apart. */
  _objectKey() {
    const { key, place } = identify(this);
    return place ? `${key} ${place.where}` : String(key);
  }

  /** What a mixed property of `realm` holds of it. @param {any} realm */
  [WIRE](realm) {
    const { table, cls, key, place, realm: mine } = identify(this);
    if (place) throw new AssertionError(`Using an embedded object (${cls.name}) as a Mixed value is not supported.`);
    if (realm && mine._store !== realm._store) throw realmError("Realm object is from another Realm", "InvalidArgument");
    if (!this.isValid()) throw realmError(INVALID, "InvalidatedObject");
    return { $link: [table.name, key] };
  }

  /** What a query takes it for: see literals.js. @returns {{className: string, type: string, wire: any} | undefined} */
  get [Symbol.for("realm-sync.key")]() {
    const { table, key, cls, place } = identify(this);
    if (place) return undefined;
    return { className: table.name, type: cls.wire[cls.keyName].type, wire: key };
  }
}

/** The wire values that are there. @param {any} object @returns {Record<string, any>} */
function imageOf(object) {
  const { realm, table, key, place } = identify(object);
  if (place) return place.wire();
  const image = realm.isClosed ? undefined : table.objects.get(key);
  if (!image) throw realmError(INVALID, realm.isClosed ? "ClosedRealm" : "InvalidatedObject");
  return image;
}

/** So that `{...object}` and `Object.keys(object)` list the properties of the schema.
 * @type {ProxyHandler<any>} */
const LISTED = {
  ownKeys: (target) => [...Object.keys(target[IDENTITY].cls.properties), ...Reflect.ownKeys(target).filter((key) => key !== IDENTITY)],
  getOwnPropertyDescriptor(target, name) {
    if (name === IDENTITY || !(typeof name === "string" && Object.hasOwn(target[IDENTITY].cls.properties, name))) {
      return Reflect.getOwnPropertyDescriptor(target, name);
    }
    return { value: target[name], enumerable: true, configurable: true, writable: true };
  },
  /** A class's field initialisers, which run after `super(realm, values)`, do not hide what is stored. */
  defineProperty: (target, name, descriptor) => name in target[IDENTITY].cls.properties || Reflect.defineProperty(target, name, descriptor),
};

/** The prototype of a class's objects in one realm: that of the app's class, with accessors.
 * @param {import('../core/schema.js').ClassSchema} cls */
export function prototypeFor(cls) {
  const prototype = Object.create(cls.ctor?.prototype ?? RealmObject.prototype);
  for (const [name, property] of Object.entries(cls.properties)) {
    Object.defineProperty(prototype, name, {
      get() {
        const { realm, table, key, place } = this[IDENTITY];
        return place ? realm._getIn(place, property) : realm._get(table, key, property);
      },
      set(value) {
        const { realm, table, key, place } = this[IDENTITY];
        if (place) realm._setIn(place, property, value);
        else realm._set(table, key, property, value);
      },
    });
  }
  return prototype;
}

/** @param {any} prototype @param {Identity} identity */
export function wrap(prototype, identity) {
  return new Proxy(Object.create(prototype, { [IDENTITY]: { value: identity, configurable: true } }), LISTED);
}

/** Plain values of what `toJSON` meets. @param {any} value @param {Map<string, any>} cache @returns {any} */
export function plain(value, cache) {
  if (value === null || typeof value !== "object") return value;
  return identityOf(value) || value[PLACE] || value._images ? value.toJSON("", cache) : value;
}

/** The wire value of a key that an app gives. @param {import('../core/schema.js').ClassSchema} cls @param {any} key */
export function encodeKey(cls, key) {
  return encode(cls.wire[cls.keyName].type, key, cls.primaryKey ?? cls.keyName);
}
