// Lists: ordered, with duplicates (reference 9.4). Every change is an edit, so that those of several people merge.

import { AssertionError, realmError, TypeAssertionError } from "../core/errors.js"
import { Elements } from "./elements.js"

/** A list property, or a list inside a mixed value. @template [T=any] @extends {Elements<T>} */
export class List extends Elements {
  /** Replaces an element. @param {number} index @param {any} value */
  _setAt(index, value) {
    this._place.writing();
    if (index < 0) throw realmError(`Cannot set item at negative index ${index}.`, "OutOfBounds");
    const { length } = this;
    if (index >= length) {
      const name = `${this._place.table.name}.${this._place.where}`;
      throw realmError(`Requested index ${index} calling set() on list '${name}' when ${length ? `max is ${length - 1}` : "empty"}`, "OutOfBounds");
    }
    this._place.realm._assign(this._place, this._wireIndex(index), this._element, this._encode(value, index));
  }

  /** @param {number} index @param {any[]} values */
  _insert(index, values) {
    this._place.writing();
    const at = this._wireIndex(index);
    this._place.editList(values.map((value, offset) => ({ op: "insert", at: at + offset, value: this._encode(value, index + offset) })));
  }

  /** Appends; gives the new length. @param {...T} values */
  push(...values) {
    this._insert(this.length, values);
    return this.length;
  }

  /** Removes the last element and gives it; undefined if there is none. @returns {T | undefined} */
  pop() {
    return this._take(this.length - 1);
  }

  /** Removes the first element and gives it. @returns {T | undefined} */
  shift() {
    return this._take(0);
  }

  /** @param {number} index */
  _take(index) {
    this._place.writing();
    const value = this._at(index);
    if (index >= 0 && index < this.length) this._place.edit("remove", [this._wireIndex(index)]);
    return value;
  }

  /** Inserts at the beginning; gives the new length. @param {...T} values */
  unshift(...values) {
    this._insert(0, values);
    return this.length;
  }

  /** Removes and inserts; gives the removed elements. @param {number} start @param {number} [deleteCount] @param {...T} values @returns {T[]} */
  splice(start, deleteCount, ...values) {
    this._place.writing();
    const { length } = this;
    const first = Math.trunc(start) || 0;
    const from = first < 0 ? Math.max(0, length + first) : Math.min(first, length);
    const count = deleteCount === undefined ? length - from : Math.max(0, Math.min(Math.trunc(deleteCount) || 0, length - from));
    const removed = this.slice(from, from + count);
    const places = Array.from({ length: count }, (_, at) => this._wireIndex(from + at));
    this._place.editList(places.reverse().map((at) => ({ op: "remove", at })));
    if (values.length) this._insert(from, values);
    return removed;
  }

  /** @param {number} index */
  remove(index) {
    this._place.writing();
    mustBeIn([index], this.length, "Index");
    this._place.edit("remove", [this._wireIndex(index)]);
  }

  /** @param {number} from @param {number} to where it is afterwards */
  move(from, to) {
    this._place.writing();
    mustBeIn([from, to], this.length, "Indexes");
    if (from !== to) this._place.edit("move", [this._wireIndex(from)], { to: this._wireIndex(to) });
  }

  /** @param {number} first @param {number} second */
  swap(first, second) {
    this._place.writing();
    mustBeIn([first, second], this.length, "Indexes");
    if (first === second) return;
    const [low, high] = [this._wireIndex(first), this._wireIndex(second)].sort((a, b) => a - b);
    this._place.edit("move", [high], { to: low });
    if (high - low > 1) this._place.edit("move", [low + 1], { to: high });
  }

  toString() {
    return this.join();
  }
}

/** @param {number[]} indexes @param {number} length @param {"Index" | "Indexes"} what */
function mustBeIn(indexes, length, what) {
  for (const index of indexes) {
    if (!Number.isInteger(index)) throw new TypeAssertionError("an integer", index, "index");
    if (index < 0) throw new AssertionError(`${what} cannot be smaller than 0`);
    if (index >= length) throw new AssertionError(`${what} cannot be greater than the size of the list`);
  }
}
