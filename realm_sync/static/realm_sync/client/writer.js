// Writer: one local write transaction: the tables change at once, and what was done becomes a changeset at its end.
//
// Knows no storage: the store is told the changeset and what the objects were before.

import { realmError } from "../core/errors.js"
import { Fold } from "./rebase.js"

/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {import('./rebase.js').Changeset} Changeset */
/** @typedef {import('./tables.js').Table} Table */
/** What a transaction needs of its store. `limit`: bytes that one changeset may have, null: any number.
 * @typedef {{baseVersion: number, limit: number | null, commit: (changeset: Changeset, originals: Map<Table, Map<any, Image | null>>) => void, end: () => void}} Commit */

const encoder = new TextEncoder();

export class Writer {
  #commit;
  #fold = new Fold();
  /** @type {Map<Table, Map<any, Image | null>>} the objects before this transaction, by first touch */
  #originals = new Map();

  /** @param {() => Commit} commit asked at the end */
  constructor(commit) {
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
    this.#fold.update(table.name, key, values, links.map(([name, target]) => [target, values[name]]));
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
    for (const [table, originals] of this.#originals) {
      for (const [key, image] of originals) image ? table.set(key, image) : table.delete(key);
    }
    this.#commit().end();
  }
}
