// Listeners: who is told what when a realm changes, and when.
//
// Decides the change sets (reference 9.7): insertions, deletions and modifications by index, found by comparing what a
// collection holds now with what it held, so that it does not matter who wrote: this tab, another tab or the server.
// Several commits may be told as one. Callbacks run in a task of their own, and before the next local write begins; what
// they throw is an uncaught error of the page. Realm's own `change` listeners are called by the realm.

import { AssertionError } from "../core/errors.js"

/** @typedef {import('./tables.js').Table} Table */
/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {Map<string, Map<any, Image | undefined>>} Touched class → key → the object as it was */
/** @typedef {{insertions: number[], deletions: number[], newModifications: number[], oldModifications: number[]}} CollectionChanges
 *   `deletions` and `oldModifications` are indices in the previous state, the others in the new one; ascending */
/** @typedef {{deleted: boolean, changedProperties: string[]}} ObjectChanges */

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
      const links = properties.filter(({ type }) => type === "object");
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
 * @param {Map<string, Table>} tables @param {Table} table @param {Image | undefined} old @param {Image | undefined} now
 * @param {Touched} touched @param {string[][] | null} paths @param {number} depth @returns {boolean} */
function isModified(tables, table, old, now, touched, paths, depth) {
  if (old !== now) {
    if (!paths) return true;
    const names = paths.flatMap(([name, ...rest]) => (name !== "*" ? [name] : rest.length ? table.links.map(([link]) => link) : Object.keys(table.cls.properties)));
    if (names.some((name) => (old?.[name] ?? null) !== (now?.[name] ?? null))) return true;
  }
  if (!depth || !now) return false;
  return table.links.some(([name, targetName]) => {
    const target = tables.get(targetName);
    const key = now[name] ?? null;
    const rest = paths && paths.filter((path) => path.length > 1 && [name, "*"].includes(path[0])).map((path) => path.slice(1));
    if (!target || key === null || (rest && !rest.length)) return false;
    const changed = touched.get(targetName);
    const image = target.objects.get(key);
    return isModified(tables, target, changed?.has(key) ? changed.get(key) : image, image, touched, rest, depth - 1);
  });
}

/** One listener of a collection. */
export class CollectionObserver {
  #tables;
  #results;
  #callback;
  #paths;
  /** @type {Image[] | null} */
  #members = null;
  #revision = -1;
  #linked;

  /** @param {Map<string, Table>} tables @param {any} results live @param {(collection: any, changes: any) => void} callback
   * @param {string[][] | null} paths */
  constructor(tables, results, callback, paths) {
    this.#tables = tables;
    this.#results = results;
    this.#callback = callback;
    this.#paths = paths;
    /** @type {Set<string>} */
    this.#linked = new Set();
    for (let names = [results.type], depth = 0; depth < DEPTH; depth += 1) {
      names = names.flatMap((name) => tables.get(name)?.links.map(([, target]) => target) ?? []);
      for (const name of names) this.#linked.add(name);
    }
  }

  /** @param {Touched} touched */
  look(touched) {
    const table = /** @type {Table} */ (this.#tables.get(this.#results.type));
    const isFirst = this.#members === null;
    const isDeep = [...this.#linked].some((name) => touched.get(name)?.size);
    const revision = this.#results._stamp();
    if (!isFirst && revision === this.#revision && !isDeep) return;
    const old = this.#members ?? [];
    const next = this.#results._images();
    this.#members = next;
    this.#revision = revision;
    const modified = (/** @type {Image} */ before, /** @type {Image} */ now) =>
      (before !== now || isDeep) && isModified(this.#tables, table, before, now, touched, this.#paths, DEPTH);
    const changes = isFirst ? collectionChanges([], [], "", modified) : collectionChanges(old, next, table.keyName, modified);
    const { insertions, deletions, newModifications } = changes;
    if (isFirst || insertions.length || deletions.length || newModifications.length) {
      deliver(() => this.#callback(this.#results, changes));
    }
  }
}

/** One listener of an object. */
export class ObjectObserver {
  #table;
  #key;
  #tell;
  #paths;
  #names;
  /** @type {Image | undefined | null} */
  #image = null;

  /** @param {Table} table @param {any} key @param {(changes: ObjectChanges) => void} tell @param {string[][] | null} paths
   * @param {[string, string][]} names [wire name, name in JavaScript] of every property */
  constructor(table, key, tell, paths, names) {
    this.#table = table;
    this.#key = key;
    this.#tell = tell;
    this.#names = names;
    this.#paths = paths;
  }

  look() {
    const before = this.#image;
    const now = this.#table.objects.get(this.#key);
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
