// Listeners: who is told what when a realm changes, and when.
//
// Decides the change sets (reference 9.7): insertions, deletions and modifications by index, found by comparing what a
// collection holds now with what it held, so that it does not matter who wrote: this tab, another tab or the server.
// Several commits may be told as one. Callbacks run in a task of their own, and before the next local write begins; what
// they throw is an uncaught error of the page. Realm's own `change` listeners are called by the realm.

import { align, CHANGED, KEPT } from "../core/alignment.js"
import { identities, Shape } from "../core/edits.js"
import { AssertionError } from "../core/errors.js"
import { elementOf, isCollection } from "../core/schema.js"
import { eachLink, mayLink } from "./links.js"
import { MIXED } from "./live.js"
import { sameWire } from "./tables.js"

/** @typedef {import('./tables.js').Table} Table */
/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {Map<string, Map<any, Image | undefined>>} Touched class → key → the object as it was */
/** @typedef {{insertions: number[], deletions: number[], newModifications: number[], oldModifications: number[]}} CollectionChanges
 *   `deletions` and `oldModifications` are indices in the previous state, the others in the new one; ascending */
/** @typedef {{deleted: boolean, changedProperties: string[]}} ObjectChanges */
/** @typedef {{insertions: string[], deletions: string[], modifications: string[]}} DictionaryChanges */
/** @typedef {{tables: Map<string, Table>, schema: any}} World */

const DEPTH = 4; // links that a collection's listeners follow

/** What makes `next` of `old`, two lists of images. A member that moved is a deletion and an insertion.
 * @param {Image[]} old @param {Image[]} next @param {string} keyName @param {(old: Image, next: Image) => boolean} isModified */
export function collectionChanges(old, next, keyName, isModified) {
  // Most commits touch little of a large collection: only what lies between the equal ends needs the full comparison.
  const shorter = Math.min(old.length, next.length);
  const sameKey = (/** @type {Image} */ a, /** @type {Image} */ b) => a === b || a[keyName] === b[keyName];
  let head = 0;
  while (head < shorter && sameKey(old[head], next[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && sameKey(old[old.length - 1 - tail], next[next.length - 1 - tail])) tail += 1;
  const places = new Map();
  for (let at = head; at < old.length - tail; at += 1) places.set(old[at][keyName], at);
  const common = [];
  for (let at = head; at < next.length - tail; at += 1) {
    const before = places.get(next[at][keyName]);
    if (before !== undefined) common.push([at, before]);
  }
  const stayed = longestRising(common.map(([, before]) => before));
  const kept = new Map(common.filter((_, at) => stayed[at]).map(([now, before]) => [now, before]));
  const keptBefore = new Set(kept.values());
  /** @type {CollectionChanges} */
  const changes = { insertions: [], deletions: [], newModifications: [], oldModifications: [] };
  for (let at = 0; at < next.length; at += 1) {
    const before = at < head ? at : at >= next.length - tail ? at - next.length + old.length : kept.get(at);
    if (before === undefined) changes.insertions.push(at);
    else if (isModified(old[before], next[at])) {
      changes.newModifications.push(at);
      changes.oldModifications.push(before);
    }
  }
  for (let at = head; at < old.length - tail; at += 1) if (!keptBefore.has(at)) changes.deletions.push(at);
  return changes;
}

/** Which of `places` belong to a longest rising subsequence: those did not move. @param {number[]} places */
function longestRising(places) {
  const ends = []; // of the best subsequence of each length, the position of its last member
  const previous = places.map(() => -1);
  for (let at = 0; at < places.length; at += 1) {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[ends[middle]] < places[at]) low = middle + 1;
      else high = middle;
    }
    previous[at] = low ? ends[low - 1] : -1;
    ends[low] = at;
  }
  const chosen = places.map(() => false);
  for (let at = ends.at(-1) ?? -1; at >= 0; at = previous[at]) chosen[at] = true;
  return chosen;
}

/** @param {() => void} call what an app's callback throws has nobody to be thrown to */
export function deliver(call) {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Key paths as lists of wire names; null: everything. Throws in Realm's words if one leads nowhere.
 * @param {any} realm @param {string} name class @param {string | string[] | undefined} keyPaths
 * @returns {string[][] | null} */
export function resolveKeyPaths(realm, name, keyPaths) {
  if (keyPaths === undefined) return null;
  return [keyPaths].flat().map((path) => {
    let names = [name]; // of the classes that the path has led to
    return path.split(".").map((step, at, { length }) => {
      const where = `Property '${step}' in KeyPath '${path}' is not a`;
      const properties = names.flatMap((each) => Object.values(realm._classOf(each).properties)).filter((each) => step === "*" || each.name === step);
      if (!properties.length) throw new AssertionError(names.length === 1 ? `${where} valid property in ${names}.` : `'${path}' does not resolve in any valid key paths.`);
      const links = properties.filter(({ type, objectType }) => objectType !== undefined && (type === "linkingObjects" ? step !== "*" : realm._knows(objectType)));
      if (at < length - 1 && !links.length) {
        throw new AssertionError(
          step === "*" ? `'${path}' does not resolve in any valid key paths.` : `${where} collection of objects or an object reference, so it cannot be used as an intermediate keypath element.`,
        );
      }
      names = links.map(({ objectType }) => objectType);
      return step === "*" ? "*" : properties[0].mapTo;
    });
  });
}

/** Whether an object, or one that it links to, differs in what `paths` name.
 * @param {World} world @param {Table} table @param {Image | undefined} old @param {Image | undefined} now
 * @param {Touched} touched @param {string[][] | null} paths @param {number} depth @returns {boolean} */
function isModified(world, table, old, now, touched, paths, depth) {
  return differs(world, table.cls.properties, old, now, touched, paths, depth);
}

/** The same of an object of any class, embedded ones too. @param {World} world @param {Record<string, any>} properties
 * @param {any} old @param {any} now @param {Touched} touched @param {string[][] | null} paths @param {number} depth @returns {boolean} */
function differs(world, properties, old, now, touched, paths, depth) {
  if (old !== now && !paths) return true;
  return Object.keys(properties).some((name) => {
    const rest = paths && paths.filter(([first]) => first === name || first === "*").map((path) => path.slice(1));
    if (rest && !rest.length) return false;
    const prop = properties[name];
    const before = old?.[name] ?? null;
    const after = now?.[name] ?? null;
    const deeper = rest && rest.filter((path) => path.length);
    if (before !== after && rest) {
      if (rest.some((path) => !path.length)) return true;
      const isEmbedded = prop.type === "object" && world.schema.isEmbedded(prop.objectType);
      if (!isEmbedded || !before || !after) return mayLink(world.schema, prop) || isEmbedded;
      return differs(world, world.schema.get(prop.objectType).properties, before, after, touched, deeper, depth);
    }
    if (!depth || after === null || (deeper && !deeper.length) || !mayLink(world.schema, prop)) return false;
    return isLinkedModified(world, prop, after, touched, deeper, depth - 1);
  });
}

/** Whether an object that a value links to differs. @param {World} world @param {any} prop @param {any} wire @param {Touched} touched
 * @param {string[][] | null} paths @param {number} depth */
function isLinkedModified(world, prop, wire, touched, paths, depth) {
  let found = false;
  eachLink(world.schema, prop, wire, (name, key) => {
    const table = world.tables.get(name);
    if (found || !table) return;
    const changed = touched.get(name);
    const image = table.objects.get(key);
    found = isModified(world, table, changed?.has(key) ? changed.get(key) : image, image, touched, paths, depth);
  });
  return found;
}

/** Whether an element of a collection differs, or an object that it links to. @param {World} world @param {any} element its type
 * @param {any} before @param {any} after @param {Touched} touched @param {string[][] | null} paths */
function isElementModified(world, element, before, after, touched, paths) {
  const isSame = sameWire(before, after);
  if (before && after && element.type === "object" && world.schema.isEmbedded(element.objectType)) {
    return differs(world, world.schema.get(element.objectType).properties, isSame ? after : before, after, touched, paths, DEPTH);
  }
  return !isSame || isLinkedModified(world, element, after, touched, paths, DEPTH);
}

/** The classes that objects or values of a property lead to, in at most `depth` links. @param {World} world @param {any} prop
 * @param {number} depth @param {Set<string>} [found] */
function targetsOf({ tables, schema }, prop, depth, found = new Set()) {
  /** @param {any} each @returns {string[]} */
  const direct = (each) => {
    if (each.type === "linkingObjects" || !mayLink(schema, each)) return [];
    if (each.type === "mixed" || each.objectType === "mixed") return [...tables.keys()];
    if (!schema.isEmbedded(each.objectType)) return [each.objectType];
    return Object.values(schema.get(each.objectType).properties).flatMap(direct);
  };
  for (let names = direct(prop), at = 0; at < depth && names.length; at += 1) {
    const fresh = [...new Set(names)].filter((name) => !found.has(name));
    for (const name of fresh) found.add(name);
    names = fresh.flatMap((name) => Object.values(tables.get(name)?.cls.properties ?? {}).flatMap(direct));
  }
  return found;
}

/** One listener of a collection. */
export class CollectionObserver {
  #world;
  #results;
  #callback;
  #paths;
  /** @type {Image[] | null} */
  #members = null;
  #revision = -1;
  #linked;

  /** @param {World} world @param {any} results live @param {(collection: any, changes: any) => void} callback
   * @param {string[][] | null} paths */
  constructor(world, results, callback, paths) {
    this.#world = world;
    this.#results = results;
    this.#callback = callback;
    this.#paths = paths;
    this.#linked = new Set([results.type].flatMap((name) => Object.values(world.tables.get(name)?.cls.properties ?? {}).flatMap((prop) => [...targetsOf(world, prop, DEPTH)])));
  }

  /** @param {Touched} touched */
  look(touched) {
    const table = /** @type {Table} */ (this.#world.tables.get(this.#results.type));
    const isFirst = this.#members === null;
    const isDeep = [...this.#linked].some((name) => touched.get(name)?.size);
    const revision = this.#results._stamp();
    if (!isFirst && revision === this.#revision && !isDeep && !this.#results._source) return;
    const old = this.#members ?? [];
    const next = this.#results._images();
    if (next === old && !isDeep) return;
    this.#members = next;
    this.#revision = revision;
    const modified = (/** @type {Image} */ before, /** @type {Image} */ now) =>
      (before !== now || isDeep) && isModified(this.#world, table, before, now, touched, this.#paths, DEPTH);
    const changes = isFirst ? collectionChanges([], [], "", modified) : collectionChanges(old, next, table.keyName, modified);
    const { insertions, deletions, newModifications } = changes;
    if (isFirst || insertions.length || deletions.length || newModifications.length) {
      deliver(() => this.#callback(this.#results, changes));
    }
  }
}

/** One listener of a list or set. */
export class ElementsObserver {
  #world;
  #place;
  #tell;
  #paths;
  /** @type {{wire: any[], shown: any[]} | null} */
  #seen = null;
  #isOver = false;
  #linked;

  /** @param {World} world @param {import('./live.js').Place} place @param {(changes: CollectionChanges) => void} tell @param {string[][] | null} paths */
  constructor(world, place, tell, paths) {
    this.#world = world;
    this.#place = place;
    this.#tell = tell;
    this.#paths = paths;
    this.#linked = targetsOf(world, place.prop, DEPTH + 1);
  }

  /** @param {Touched} touched */
  look(touched) {
    const place = this.#place;
    if (this.#isOver) return;
    const wire = place.isValid ? place.wire() : null;
    const isDeep = [...this.#linked].some((name) => touched.get(name)?.size);
    if (this.#seen && wire === this.#seen.wire && !isDeep) return;
    const { schema, tables } = this.#world;
    const element = place.prop.type === "mixed" ? MIXED : elementOf(place.prop);
    const target = element.type === "object" && !schema.isEmbedded(element.objectType) ? tables.get(/** @type {string} */ (element.objectType)) : null;
    const shown = (wire ?? []).filter((/** @type {any} */ key) => !target || target.objects.has(key));
    const old = this.#seen?.shown;
    this.#seen = { wire, shown };
    this.#isOver = wire === null;
    /** @type {CollectionChanges} */
    const changes = { insertions: [], deletions: [], newModifications: [], oldModifications: [] };
    if (!old) return deliver(() => this.#tell(changes));
    const shape = new Shape(schema, /** @type {any} */ (isCollection(place.prop.type) ? place.prop : MIXED));
    const { origin, fate, removed } = align(identities(shape.element, old), identities(shape.element, shown));
    const deletions = new Set(removed);
    origin.forEach((from, to) => {
      const isLink = element.type === "object" && shape.element.kind === "scalar";
      if (fate[to] === KEPT || (fate[to] === CHANGED && !isLink)) {
        if (!isElementModified(this.#world, element, old[from], shown[to], touched, this.#paths)) return;
        changes.newModifications.push(to);
        changes.oldModifications.push(from);
      } else {
        changes.insertions.push(to);
        if (from >= 0) deletions.add(from);
      }
    });
    changes.deletions = [...deletions].sort((a, b) => a - b);
    changes.oldModifications.sort((a, b) => a - b);
    if (changes.insertions.length || changes.deletions.length || changes.newModifications.length) deliver(() => this.#tell(changes));
  }
}

/** One listener of a dictionary. */
export class DictionaryObserver {
  #world;
  #place;
  #tell;
  #paths;
  /** @type {Record<string, any> | null} */
  #seen = null;
  #isOver = false;
  #linked;

  /** @param {World} world @param {import('./live.js').Place} place @param {(changes: DictionaryChanges) => void} tell @param {string[][] | null} paths */
  constructor(world, place, tell, paths) {
    this.#world = world;
    this.#place = place;
    this.#tell = tell;
    this.#paths = paths;
    this.#linked = targetsOf(world, place.prop, DEPTH + 1);
  }

  /** @param {Touched} touched */
  look(touched) {
    const place = this.#place;
    if (this.#isOver) return;
    const now = place.isValid ? place.wire() : null;
    const before = this.#seen;
    const isDeep = [...this.#linked].some((name) => touched.get(name)?.size);
    if (before && before === now && !isDeep) return;
    this.#isOver = now === null;
    this.#seen = now ?? {};
    if (!before) return deliver(() => this.#tell({ insertions: [], deletions: [], modifications: [] }));
    const element = place.prop.type === "mixed" ? MIXED : elementOf(place.prop);
    const keys = Object.keys(now ?? {});
    const isChanged = (/** @type {string} */ key) => isElementModified(this.#world, element, before[key], now[key], touched, this.#paths);
    const changes = {
      insertions: keys.filter((key) => !Object.hasOwn(before, key)),
      deletions: Object.keys(before).filter((key) => !now || !Object.hasOwn(now, key)),
      modifications: keys.filter((key) => Object.hasOwn(before, key) && isChanged(key)),
    };
    if (changes.insertions.length || changes.deletions.length || changes.modifications.length) deliver(() => this.#tell(changes));
  }
}

/** One listener of an object. */
export class ObjectObserver {
  #read;
  #tell;
  #paths;
  #names;
  /** @type {Image | undefined | null} */
  #image = null;

  /** @param {() => Image | undefined} read what is there now @param {(changes: ObjectChanges) => void} tell @param {string[][] | null} paths
   * @param {[string, string][]} names [wire name, name in JavaScript] of every property */
  constructor(read, tell, paths, names) {
    this.#read = read;
    this.#tell = tell;
    this.#names = names;
    this.#paths = paths;
  }

  look() {
    const before = this.#image;
    const now = this.#read();
    if (before === now) return;
    this.#image = now;
    if (before === null) return deliver(() => this.#tell({ deleted: !now, changedProperties: [] }));
    if (!now) return deliver(() => this.#tell({ deleted: true, changedProperties: [] }));
    const wanted = this.#paths && new Set(this.#paths.map(([name]) => name));
    const changedProperties = this.#names
      .filter(([wire]) => (before?.[wire] ?? null) !== (now[wire] ?? null) && (!wanted || wanted.has(wire) || wanted.has("*")))
      .map(([, name]) => name);
    if (changedProperties.length) deliver(() => this.#tell({ deleted: false, changedProperties }));
  }
}

/** One per open file: lets the observers look, once per turn of the event loop in which something changed. */
export class Notifier {
  #store;
  /** @type {Set<{look: (touched: Touched) => void}>} */
  #observers = new Set();
  #isDue = false;
  #channel = new MessageChannel(); // a task without the delay that timers have

  /** @param {{tables: Map<string, Table>}} store */
  constructor(store) {
    this.#store = store;
    this.#channel.port1.onmessage = () => this.deliver();
  }

  changed() {
    if (this.#isDue || !this.#observers.size) return;
    this.#isDue = true;
    this.#channel.port2.postMessage(null);
  }

  /** @param {{look: (touched: Touched) => void}} observer @param {boolean} isFirst it looks before those that are there */
  add(observer, isFirst) {
    this.#observers = new Set(isFirst ? [observer, ...this.#observers] : [...this.#observers, observer]);
    for (const table of this.#store.tables.values()) table.touched ??= new Map();
    this.changed();
  }

  /** @param {{look: (touched: Touched) => void}} observer */
  remove(observer) {
    this.#observers.delete(observer);
    if (!this.#observers.size) for (const table of this.#store.tables.values()) table.touched = null;
  }

  /** What is due is told now. */
  deliver() {
    if (!this.#isDue) return;
    this.#isDue = false;
    /** @type {Touched} */
    const touched = new Map();
    for (const table of this.#store.tables.values()) {
      if (table.touched?.size) touched.set(table.name, table.touched);
      table.touched = new Map();
    }
    for (const observer of [...this.#observers]) if (this.#observers.has(observer)) deliver(() => observer.look(touched));
  }

  close() {
    this.#observers.clear();
    this.#channel.port1.close();
  }
}
