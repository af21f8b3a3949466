// Tables: the objects of one class in memory, with indexes on what is looked up, and how classes of a file add up.
//
// An object is its image, wire values by wire name, and is never changed: a write puts another image in its place. So a
// listener knows a changed object by identity, and a copy of the map is a snapshot. Knows no storage; store.js fills it.

import { realmError } from "../core/errors.js"
import { typeText } from "../core/schema.js"

/** @typedef {Record<string, any>} Image an object's wire values by property, its key included */
/** @typedef {{name: string, keyName: string, properties: Record<string, any>, readOnly?: boolean, embedded?: boolean, asymmetric?: boolean}} StoredClass
 *   a class as its file keeps it: properties by wire name */
/** @typedef {{isEmbedded: (name: string | undefined) => boolean}} Classes */

export class Table {
  cls;
  name;
  keyName;
  /** @type {Map<any, Image>} by the wire value of the key, in the order they came */
  objects;
  /** Rises whenever an object comes, goes or changes: what was computed from the table before is stale then. */
  revision = 0;
  /** @type {Map<any, Image | undefined> | null} What changed since the notifier looked, as it was; null: nobody listens. */
  touched = null;
  /** @type {Map<string, Map<any, Set<any>>>} */
  #indexes = new Map();
  /** Where a key stands among the objects; made when it is first asked. @type {Map<any, number> | null} */
  #places = null;
  #nextPlace = 0;
  #classes;

  /** @param {StoredClass} cls @param {Classes} classes @param {Map<any, Image>} [objects] */
  constructor(cls, classes, objects = new Map()) {
    this.cls = cls;
    this.#classes = classes;
    this.name = cls.name;
    this.keyName = cls.keyName;
    this.objects = objects;
  }

  /** This moment of it. @param {Classes} classes */
  frozen(classes) {
    return new Table(this.cls, classes, new Map(this.objects));
  }

  /** The links of the class that are properties of their own: [wire name, target class]. @returns {[string, string][]} */
  get links() {
    return Object.entries(this.cls.properties).flatMap(([name, property]) => (this.#isLink(property) ? [[name, property.objectType]] : []));
  }

  /** @param {any} property */
  #isLink({ type, objectType }) {
    return type === "object" && !this.#classes.isEmbedded(objectType);
  }

  /** @param {any} key @param {Image} image */
  set(key, image) {
    const old = this.objects.get(key);
    if (old && sameImage(old, image)) return; // the server repeats our own words: nothing to tell anybody
    this.put(key, old ? withKnownValues(old, image) : image);
  }

  /** Of an image that is known to say something else. @param {any} key @param {Image} image */
  put(key, image) {
    const old = this.objects.get(key);
    if (this.#indexes.size) this.#reindex(key, old, image);
    this.objects.set(key, image);
    if (!old) this.#places?.set(key, this.#nextPlace++);
    this.revision += 1;
    this.#touch(key, old);
  }

  /** @param {any} key */
  delete(key) {
    const old = this.objects.get(key);
    if (!old) return;
    if (this.#indexes.size) this.#reindex(key, old, undefined);
    this.objects.delete(key);
    this.#places?.delete(key);
    this.revision += 1;
    this.#touch(key, old);
  }

  /** @param {any} key @param {Image | undefined} old */
  #touch(key, old) {
    if (this.touched && !this.touched.has(key)) this.touched.set(key, old);
  }

  /** Puts other objects in place of all; what is equal stays the same image. @param {Map<any, Image>} objects */
  replace(objects) {
    const before = this.objects;
    if (before.size) {
      for (const [key, image] of objects) {
        const old = before.get(key);
        if (old && sameImage(old, image)) objects.set(key, old);
      }
    }
    if (this.touched) {
      for (const [key, old] of before) if (old !== objects.get(key)) this.#touch(key, old);
      for (const key of objects.keys()) if (!before.has(key)) this.#touch(key, undefined);
    }
    this.objects = objects;
    this.#indexes.clear();
    this.#places = null;
    this.revision += 1;
  }

  /** The objects whose property has one of these wire values, from an index; undefined if the property has none: only
   * keys, links and `indexed` properties do. An index is made at its first use and kept up to date from then on.
   * In the order of the objects, as a scan gives them.
   * @param {string} name @param {Iterable<any>} values */
  lookUp(name, values) {
    let keys = [...values];
    if (name !== this.keyName) {
      const property = this.cls.properties[name];
      const isIndexed = property?.indexed && property.type !== "mixed";
      if (!isIndexed && !(property && this.#isLink(property))) return undefined;
      const index = this.#indexes.get(name) ?? this.#makeIndex(name);
      keys = keys.flatMap((value) => [...(index.get(value) ?? [])]);
    } else keys = keys.filter((key) => this.objects.has(key));
    return this.#inOrder(keys);
  }

  /** The objects whose property, a link or a collection of links, holds a key; in the order of the objects.
   * @param {string} name @param {any} key */
  linksTo(name, key) {
    if (!this.cls.properties[name]) return [];
    const index = this.#indexes.get(name) ?? this.#makeIndex(name);
    return this.#inOrder([...(index.get(key) ?? [])]);
  }

  /** @param {any[]} keys */
  #inOrder(keys) {
    if (keys.length > 1) {
      const places = this.#places ?? this.#makePlaces();
      const placeOf = (/** @type {any} */ key) => /** @type {number} */ (places.get(key));
      keys.sort((a, b) => placeOf(a) - placeOf(b)); // nearly sorted already: what never moved stands in order
    }
    return keys.map((key) => /** @type {Image} */ (this.objects.get(key)));
  }

  #makePlaces() {
    this.#places = new Map();
    for (const key of this.objects.keys()) this.#places.set(key, this.#nextPlace++);
    return this.#places;
  }

  /** @param {string} name */
  #makeIndex(name) {
    const index = new Map();
    for (const [key, image] of this.objects) for (const value of valuesIn(image[name])) addTo(index, value, key);
    this.#indexes.set(name, index);
    return index;
  }

  /** @param {any} key @param {Image | undefined} old @param {Image | undefined} image */
  #reindex(key, old, image) {
    for (const [name, index] of this.#indexes) {
      if (old && image && old[name] === image[name]) continue;
      if (old) for (const value of valuesIn(old[name])) index.get(value)?.delete(key);
      if (image) for (const value of valuesIn(image[name])) addTo(index, value, key);
    }
  }
}

/** What an index finds an object by. @param {any} value of a property @returns {any[]} */
function valuesIn(value) {
  if (Array.isArray(value)) return value;
  return typeof value === "object" && value !== null ? Object.values(value) : [value ?? null];
}

/** @param {Map<any, Set<any>>} index @param {any} value @param {any} key */
function addTo(index, value, key) {
  const keys = index.get(value);
  if (keys) keys.add(key);
  else index.set(value, new Set([key]));
}

/** Whether two images say the same; a missing property is null. @param {Image} a @param {Image} b */
export function sameImage(a, b) {
  for (const name in a) if (!sameWire(a[name], b[name])) return false;
  for (const name in b) if (!(name in a) && b[name] !== null) return false;
  return true;
}

/** Whether two wire values say the same; a missing one is null, and the order of keys says nothing. @param {any} a @param {any} b
 * @returns {boolean} */
export function sameWire(a, b) {
  if (a === b || (a ?? null) === (b ?? null)) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a)) {
    if (a.length !== b.length) return false;
    for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at] && !sameWire(a[at], b[at])) return false;
    return true;
  }
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameWire(a[key], b[key]));
}

/** Values that say the same stay the same, so that who watches one knows by identity that it has not changed.
 * @param {Image} old @param {Image} image */
function withKnownValues(old, image) {
  /** @type {Image | null} */ let copy = null;
  for (const name in image) {
    const value = image[name];
    if (value === null || typeof value !== "object" || value === old[name] || !sameWire(value, old[name])) continue;
    copy ??= { ...image };
    copy[name] = old[name];
  }
  return copy ?? image;
}

/** `known` with the classes and properties of `added`, or null if there is nothing to add. Like Realm's additive mode, a
 * property never changes its type and nothing is ever removed. @param {Map<string, StoredClass>} known
 * @param {Iterable<StoredClass>} added */
export function addClasses(known, added) {
  const merged = new Map(known);
  const problems = [];
  for (const cls of added) {
    const ours = merged.get(cls.name);
    const properties = { ...ours?.properties };
    for (const [name, property] of Object.entries(cls.properties)) {
      const old = properties[name];
      if (old && typeText(old) !== typeText(property)) {
        problems.push(`Property '${cls.name}.${name}' has been changed from '${typeText(old)}' to '${typeText(property)}'.`);
      }
      // What only the server knows stays known when a page declares the property again.
      properties[name] = { ...old, ...property, ...(old?.indexed && { indexed: true }) };
    }
    const next = { ...ours, ...cls, properties };
    if (!ours || JSON.stringify(ours) !== JSON.stringify(next)) merged.set(cls.name, next);
  }
  if (problems.length) {
    const lines = problems.map((problem) => `\n- ${problem}`).join("");
    throw realmError(`The following changes cannot be made in additive-only schema mode:${lines}`, "SchemaMismatch");
  }
  return [...merged].some(([name, cls]) => known.get(name) !== cls) ? merged : null;
}

/** The classes as the file keeps them. @param {Iterable<any>} classes */
export const storedClasses = (classes) =>
  [...classes].map(({ name, keyName, wire, embedded, asymmetric }) => ({ name, keyName, properties: wire, ...(embedded && { embedded }), ...(asymmetric && { asymmetric }) }));
