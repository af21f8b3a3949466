// Live: what collections, embedded objects and counters have in common: they are places inside an object's property.
//
// A place is an object and a path: the property, then properties, keys and indexes. It holds no data; every access reads
// what is there now. Where elements of a list before it came or went, it follows its element: the value that it saw last
// and the present one are compared, as merging compares them. When its element is gone, or was replaced, it is invalid.

import { align, NEW } from "../core/alignment.js"
import { identities, Shape } from "../core/edits.js"
import { empty } from "../core/encoding.js"
import { realmError } from "../core/errors.js"
import { mixedType } from "../core/mixed.js"

/** @typedef {import('./tables.js').Table} Table */
/** @typedef {import('../core/schema.js').WireProperty} WireProperty */

export const INVALID = "Accessing object which has been invalidated or deleted";
/** The place of a live collection or counter. */
export const PLACE = Symbol("realm-sync.place");
/** @type {WireProperty} what is inside a mixed value */
export const MIXED = { type: "mixed", optional: true };

/** Wire values that a write of this page replaced: who showed one of them shows nothing any more. @type {WeakSet<object>} */
const replaced = new WeakSet();
/** What edits of this page made of a container inside a property: all that it has been know the newest, and none of them the
 * next, so that who keeps an old one keeps not all that came after. @type {WeakMap<object, {newest: object}>} */
const lineages = new WeakMap();

export class Place {
  realm;
  table;
  key;
  prop;
  #path;
  #root;
  #kind;

  /** @param {any} realm @param {Table} table @param {any} key of the object @param {(string | number)[]} path
   * @param {WireProperty} prop the type of what is here @param {any} root the value of the whole property in which `path` leads here
   * @param {string | null} [kind] of a mixed value: list or dictionary, and invalid once it is something else */
  constructor(realm, table, key, path, prop, root, kind = null) {
    this.realm = realm;
    this.table = table;
    this.key = key;
    this.prop = prop;
    this.#path = path;
    this.#root = root;
    this.#kind = kind;
  }

  /** Where it is now. Throws if it is gone. */
  get path() {
    this.wire();
    return this.#path;
  }

  /** As errors name it: `items[3].qty`. */
  get where() {
    return this.#path.map((step, at) => (typeof step === "number" ? `[${step}]` : at ? `.${step}` : step)).join("");
  }

  /** The wire value that is here now. Throws if there is none any more. @returns {any} */
  wire() {
    const image = this.realm.isClosed ? undefined : this.table.objects.get(this.key);
    if (!image) throw realmError(INVALID, this.realm.isClosed ? "ClosedRealm" : "InvalidatedObject");
    let value = image[this.#path[0]] ?? null;
    if (value !== this.#root) {
      const path = this.#follow(value);
      if (!path) throw realmError(INVALID, "InvalidatedObject"); // unless a cancelled write brings it back
      this.#path = path;
      this.#root = value;
    }
    for (let at = 1; at < this.#path.length; at += 1) value = value?.[this.#path[at]] ?? null;
    value ??= empty(this.prop);
    const isThere = this.#kind ? mixedType(value) === this.#kind : this.prop.type !== "object" || value !== null;
    if (!isThere) throw realmError(INVALID, "InvalidatedObject");
    return value;
  }

  get isValid() {
    try {
      this.wire();
      return true;
    } catch {
      return false;
    }
  }

  /** The property has another value: where what was here is now; null: nowhere. @param {any} after */
  #follow(after) {
    let path = this.#path;
    let before = this.#root;
    if ((this.#kind || this.prop.type === "object" || path.length > 1) && isReplaced(before)) return null;
    if (path.length === 1) return path;
    let shape = new Shape(this.realm._store.schema, this.table.cls.properties[path[0]]);
    for (let at = 1; at < path.length && before !== after; at += 1) {
      const step = path[at];
      const kind = shape.container(before);
      if (!kind || kind !== shape.container(after)) break;
      let to = step;
      if (kind === "list" && (before.length !== after.length || before[step] !== after[step])) {
        to = moved(shape, before, after, Number(step));
        if (to === -1) return null;
        path = path.map((each, index) => (index === at ? to : each));
      }
      before = before[step];
      after = after[to];
      if (before !== after && isReplaced(before)) return null;
      shape = kind === "list" || kind === "dictionary" ? shape.element : /** @type {Shape} */ (shape.fields.get(String(step)));
    }
    return path;
  }

  /** A place in what is here. @param {string | number} step @param {WireProperty} prop @param {string | null} [kind] */
  child(step, prop, kind = null) {
    return new Place(this.realm, this.table, this.key, [...this.path, step], prop, this.#root, kind);
  }

  /** The JavaScript value of an element of what is here. @param {string | number} step @param {WireProperty} prop @param {any} wire */
  read(step, prop, wire) {
    return this.realm._value(prop, wire, (/** @type {string | null} */ kind) => this.child(step, prop, kind));
  }

  /** Throws unless it may be changed now. */
  writing() {
    this.realm._writing(this.table.name);
    return this.wire();
  }

  /** One edit of what is here, at `steps` from here. @param {string} op @param {(string | number)[]} [steps]
   * @param {Record<string, any>} [fields] */
  edit(op, steps = [], fields = {}) {
    this.realm._edit(this.table, this.key, [this.#step(op, [...this.path, ...steps], fields)]);
  }

  /** Inserts and removes in the list that is here, all of them in one go. @param {{op: "insert" | "remove", at: number, value?: any}[]} edits */
  editList(edits) {
    const after = [...this.wire()];
    for (const { op, at, value } of edits) op === "insert" ? after.splice(at, 0, value) : after.splice(at, 1);
    const steps = edits.map(({ op, at, ...fields }) => this.#step(op, [...this.#path, at], fields));
    this.realm._replaceList(this, after, steps);
  }

  /** @param {string} op @param {(string | number)[]} path @param {Record<string, any>} fields */
  #step(op, path, fields) {
    return { op, class: this.table.name, _id: this.key, path, ...fields };
  }
}

/** An edit made `after` of `before`, the values of a property: what it leads through are the same containers. @param {any} before
 * @param {any} after @param {(string | number)[]} steps from the property to what was edited */
export function succeed(before, after, steps) {
  for (const step of [...steps, null]) {
    if (before === after || before === null || after === null || typeof before !== "object" || typeof after !== "object") return;
    const lineage = lineages.get(before) ?? { newest: after };
    lineage.newest = after;
    lineages.set(before, lineage);
    lineages.set(after, lineage);
    if (step === null) return;
    before = before[step];
    after = after[step];
  }
}

/** What this page has made of a container. @param {any} wire @returns {any} */
const newest = (wire) => lineages.get(wire)?.newest ?? wire;

/** @param {any} wire */
const isReplaced = (wire) => wire !== null && typeof wire === "object" && replaced.has(newest(wire));

/** What is written in its place is another value. @param {any} wire @param {object[]} undo for `restore` */
export function replace(wire, undo) {
  if (wire === null || typeof wire !== "object" || replaced.has(wire)) return;
  replaced.add(wire);
  undo.push(wire);
}

/** The write was cancelled. @param {object[]} undo */
export function restore(undo) {
  for (const wire of undo) replaced.delete(wire);
}

/** Where an element of a list is in another list; -1: it is gone. @param {Shape} shape @param {any[]} before @param {any[]} after
 * @param {number} at */
function moved(shape, before, after, at) {
  const element = before[at];
  if (element !== null && typeof element === "object") {
    const known = Math.max(after.indexOf(newest(element)), after.indexOf(element));
    if (known >= 0) return known;
  }
  const { origin, fate } = align(identities(shape.element, before), identities(shape.element, after));
  return origin.findIndex((from, to) => from === at && fate[to] !== NEW);
}
