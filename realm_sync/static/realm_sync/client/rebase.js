// Rebase: what a local transaction says, and what it makes of an object.
//
// Decides how the writes of one transaction fold into instructions, and what an object looks like when pending
// instructions are replayed on the server's image of it (R8). Pure: no storage, no clock; store.js calls it.

/** @typedef {Record<string, any>} Image an object's wire values by property, its key included */
/** @typedef {{op: "create" | "update" | "delete", class: string, _id: any, values?: Image}} Instruction */
/** @typedef {{clientVersion: number | null, baseVersion: number, timestamp: number, bytes: number, instructions: Instruction[]}} Changeset
 *   `clientVersion` is null until it is durable */

/** The instructions of one transaction, in order, folded per object where the meaning stays.
 *
 * Updates fold into the create or update before them, and an object that was created and deleted in one transaction
 * leaves nothing. An update stays apart where folding would let an object link to one that is created only later: the
 * server applies the steps in order. */
export class Fold {
  /** @type {(Instruction | null)[]} */
  #steps = [];
  /** @type {Map<string, Map<any, number[]>>} */
  #places = new Map();

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
    this.#add({ op: "create", class: name, _id: key, values });
  }

  /** @param {string} name @param {any} key @param {Image} values @param {[string, any][]} links what `values` link to */
  update(name, key, values, links) {
    const places = this.#placesOf(name, key);
    const at = places?.at(-1) ?? -1;
    const last = at < 0 ? null : this.#steps[at];
    if (!last || links.some(([target, id]) => this.#createdAt(target, id) > at)) {
      this.#add({ op: "update", class: name, _id: key, values: { ...values } });
    } else {
      Object.assign(/** @type {Image} */ (last.values), values);
    }
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

/** The object after `steps`, null if there is none. An update of an absent object does nothing (R8); the values of a
 * create win over an object that is there already.
 * @param {Image | null} image @param {Iterable<Instruction>} steps @param {string} keyName */
export function replay(image, steps, keyName) {
  for (const { op, _id, values } of steps) {
    if (op === "delete") image = null;
    else if (op === "create") image = { [keyName]: _id, ...image, ...values };
    else if (image) image = { ...image, ...values };
  }
  return image;
}
