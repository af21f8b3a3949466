// Writer: one local write transaction: the tables change at once, and what was done becomes a changeset at its end.
//
// Knows no storage: the store is told the changeset and what the objects were before.

import { applyEdit, Shape } from "../core/edits.js"
import { realmError } from "../core/errors.js"
import { mayLink } from "./links.js"
import { restore, succeed } from "./live.js"
import { Fold } from "./rebase.js"
import { sameWire } from "./tables.js"

/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {import('./rebase.js').Changeset} Changeset */
/** @typedef {import('./tables.js').Table} Table */
/** What a transaction needs of its store. `limit`: bytes that one changeset may have, null: any number.
 * @typedef {{baseVersion: number, limit: number | null, commit: (changeset: Changeset, originals: Map<Table, Map<any, Image | null>>) => void, end: () => void}} Commit */

const encoder = new TextEncoder();

export class Writer {
  #commit;
  #schema;
  /** What was replaced, for `restore`. @type {object[]} */
  replaced = [];
  #fold = new Fold();
  /** @type {Map<Table, Map<any, Image | null>>} the objects before this transaction, by first touch */
  #originals = new Map();

  /** @param {any} schema @param {() => Commit} commit asked at the end */
  constructor(schema, commit) {
    this.#schema = schema;
    this.#commit = commit;
  }

  /** @param {Table} table @param {any} key */
  #remember(table, key) {
    let originals = this.#originals.get(table);
    if (!originals) this.#originals.set(table, (originals = new Map()));
    if (!originals.has(key)) originals.set(key, table.objects.get(key) ?? null);
  }

  /** @param {Table} table @param {Image} image */
  create(table, image) {
    const { [table.keyName]: key, ...values } = image;
    this.#remember(table, key);
    table.set(key, image);
    this.#fold.create(table.name, key, values);
  }

  /** @param {Table} table @param {any} key @param {Image} values */
  update(table, key, values) {
    this.#remember(table, key);
    table.set(key, { ...table.objects.get(key), ...values });
    const links = table.links.filter(([name]) => values[name] != null);
    const isSimple = Object.keys(values).every((name) => values[name] === null || typeof values[name] !== "object");
    this.#fold.update(table.name, key, values, isSimple ? links.map(([name, target]) => [target, values[name]]) : null);
  }

  /** A step inside a property. Throws an EditError, and changes nothing, where it leads nowhere.
   * @param {Table} table @param {any} key @param {import('./rebase.js').Instruction & {path: (string | number)[]}} step */
  edit(table, key, step) {
    const image = applyEdit(this.#schema, this.#schema.get(table.name), table.objects.get(key) ?? {}, /** @type {any} */ (step));
    this.#remember(table, key);
    const [name, ...steps] = step.path;
    const isPlace = ["set", "insert", "move", "remove"].includes(step.op);
    succeed(table.objects.get(key)?.[name], image[name], isPlace ? steps.slice(0, -1) : steps);
    // What came or went differs for sure: a large dictionary need not be compared.
    const isSurely = step.op === "set" && !sameWire(step.path.reduce((/** @type {any} */ value, each) => value?.[each], table.objects.get(key)), step.value);
    isSurely ? table.put(key, image) : table.set(key, image);
    const prop = table.cls.properties[step.path[0]];
    this.#fold.edit(step, new Shape(this.#schema, prop), mayLink(this.#schema, prop));
  }

  /** Steps that together make `value` of a property. @param {Table} table @param {any} key @param {import('./rebase.js').Instruction[]} steps
   * @param {string} name @param {any} value */
  assign(table, key, steps, name, value) {
    if (!steps.length) return;
    this.#remember(table, key);
    table.set(key, { ...table.objects.get(key), [name]: value });
    this.#fold.assign(steps, name, value, mayLink(this.#schema, table.cls.properties[name]));
  }

  /** @param {Table} table @param {any} key */
  delete(table, key) {
    this.#remember(table, key);
    table.delete(key);
    this.#fold.delete(table.name, key);
  }

  /** Makes the changeset pending. Throws if it is larger than the server takes; `cancel` then. @param {number} timestamp */
  finish(timestamp) {
    const instructions = this.#fold.steps();
    const { baseVersion, limit, commit, end } = this.#commit();
    if (!instructions.length) return end();
    const bytes = encoder.encode(JSON.stringify(instructions)).length;
    if (limit !== null && bytes > limit) {
      throw realmError(
        `This write transaction is ${bytes} bytes large and the server takes at most ${limit} at once: write it in several transactions.`,
        "LimitExceeded",
      );
    }
    commit({ clientVersion: null, baseVersion, timestamp, bytes, instructions }, this.#originals);
    end();
  }

  /** Undoes everything. */
  cancel() {
    restore(this.replaced);
    for (const [table, originals] of this.#originals) {
      for (const [key, image] of originals) image ? table.set(key, image) : table.delete(key);
    }
    this.#commit().end();
  }
}
