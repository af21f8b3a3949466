// Rebase: what a local transaction says, and what it makes of an object.
//
// Decides how the writes of one transaction fold into instructions, and what an object looks like when pending
// instructions are replayed on the server's image of it (R8). Pure: no storage, no clock; writer.js and replica.js call it.

import { editValue } from "../core/edits.js"
import * as core from "../core/merge.js"
import { encode } from "../core/values.js"

/** @typedef {Record<string, any>} Image an object's wire values by property, its key included */
/** @typedef {{op: "create" | "update" | "delete" | "set" | "add" | "insert" | "move" | "remove" | "clear" | "setInsert" | "setRemove",
 *   class: string, _id: any, values?: Image, path?: (string | number)[], base?: number, value?: any, by?: any, to?: number}} Instruction */
/** @typedef {{clientVersion: number | null, baseVersion: number, timestamp: number, bytes: number, instructions: Instruction[]}} Changeset
 *   `clientVersion` is null until it is durable */

/** The instructions of one transaction, in order, folded per object where the meaning stays.
 *
 * Updates and edits fold into the create or update before them, and an object that was created and deleted in one
 * transaction leaves nothing. One stays apart where folding would let an object link to one that is created only later:
 * the server applies the steps in order. */
export class Fold {
  /** @type {(Instruction | null)[]} */
  #steps = [];
  /** @type {Map<string, Map<any, number[]>>} */
  #places = new Map();
  #lastCreate = -1;

  /** @param {string} name @param {any} key */
  #placesOf(name, key) {
    return this.#places.get(name)?.get(key);
  }

  /** @param {Instruction} step */
  #add(step) {
    let places = this.#places.get(step.class);
    if (!places) this.#places.set(step.class, (places = new Map()));
    const at = places.get(step._id);
    if (at) at.push(this.#steps.length);
    else places.set(step._id, [this.#steps.length]);
    this.#steps.push(step);
  }

  /** @param {string} name @param {any} key @param {Image} values without the key */
  create(name, key, values) {
    this.#lastCreate = this.#steps.length;
    this.#add({ op: "create", class: name, _id: key, values });
  }

  /** @param {string} name @param {any} key @param {Image} values @param {[string, any][] | null} links what `values` link to;
   * null: perhaps anything */
  update(name, key, values, links) {
    const at = this.#placesOf(name, key)?.at(-1) ?? -1;
    const last = at < 0 ? null : this.#steps[at];
    const isEarly = links ? links.some(([target, id]) => this.#createdAt(target, id) > at) : this.#lastCreate > at;
    if (!last?.values || isEarly) this.#add({ op: "update", class: name, _id: key, values: { ...values } });
    else Object.assign(last.values, values);
  }

  /** @param {Instruction} step @param {any} shape of its property (core/edits.js) @param {boolean} mayLink */
  edit(step, shape, mayLink) {
    const at = this.#placesOf(step.class, step._id)?.at(-1) ?? -1;
    const last = at < 0 ? null : this.#steps[at];
    const path = /** @type {(string | number)[]} */ (step.path);
    const [name] = /** @type {string[]} */ (path);
    const isFree = last && !(mayLink && this.#lastCreate > at);
    if (isFree && last.values && (last.op === "create" || name in last.values)) {
      last.values[name] = editValue(shape, last.values[name] ?? null, /** @type {any} */ (step));
    } else if (isFree && last.op === step.op && (step.op === "add" || step.op === "set") && JSON.stringify(last.path) === JSON.stringify(path)) {
      if (step.op === "add") last.by = encode("int", BigInt.asIntN(64, BigInt(last.by) + BigInt(step.by)));
      else last.value = step.value;
    } else this.#add({ ...step });
  }

  /** Edits that together make `value` of a property. @param {Instruction[]} steps @param {string} property @param {any} value @param {boolean} mayLink */
  assign(steps, property, value, mayLink) {
    const [{ class: name, _id: key }] = steps;
    const at = this.#placesOf(name, key)?.at(-1) ?? -1;
    const last = at < 0 ? null : this.#steps[at];
    const isFree = last?.values && !(mayLink && this.#lastCreate > at);
    if (isFree && (last.op === "create" || property in /** @type {Image} */ (last.values))) /** @type {Image} */ (last.values)[property] = value;
    else for (const step of steps) this.#add(step);
  }

  /** @param {string} name @param {any} key */
  delete(name, key) {
    const places = this.#placesOf(name, key) ?? [];
    const created = places.some((at) => this.#steps[at]?.op === "create");
    const kept = places.filter((at) => this.#steps[at]?.op === "delete");
    for (const at of places) if (!kept.includes(at)) this.#steps[at] = null;
    this.#places.get(name)?.set(key, kept);
    if (!kept.length && !created) this.#add({ op: "delete", class: name, _id: key });
  }

  /** @param {string} name @param {any} key */
  #createdAt(name, key) {
    return this.#placesOf(name, key)?.find((at) => this.#steps[at]?.op === "create") ?? -1;
  }

  steps() {
    return /** @type {Instruction[]} */ (this.#steps.filter(Boolean));
  }
}

/** The object after `steps`, null if there is none. An update or edit of an absent object does nothing (R8); a create of an
 * object that is there joins it. @param {any} schema @param {any} table @param {Image | null} image @param {Instruction[]} steps
 * @returns {Image | null} */
export function replay(schema, { name, keyName }, image, steps) {
  for (const [at, step] of steps.entries()) {
    const { op, _id, values } = step;
    if (op === "delete") image = null;
    else if (op === "create" && !image) image = { [keyName]: _id, ...values };
    else if (op === "update" && image) image = { ...image, ...values };
    else if (image) return core.replay(schema, schema.get(name), image, /** @type {any} */ (at ? steps.slice(at) : steps));
  }
  return image;
}
