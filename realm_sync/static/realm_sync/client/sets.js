// Sets: values that are there once, in no order that anybody promises (reference 9.5). Adding and removing merge per value.

import { memberIndex } from "../core/edits.js"
import { checkMember } from "../core/encoding.js"
import { AssertionError } from "../core/errors.js"
import { WIRE } from "../core/mixed.js"
import { Elements } from "./elements.js"

/** A set property. @template [T=any] @extends {Elements<T>} */
export class RealmSet extends Elements {
  get size() {
    return this.length;
  }

  /** Where elements stand is nobody's to say: it does nothing. @param {number} _index @param {any} _value */
  _setAt(_index, _value) {}

  /** @param {T} value @returns {this} */
  add(value) {
    const present = this._place.writing();
    const wire = checkMember(this._encode(value, this.length));
    if (memberIndex(present, wire) < 0) this._place.edit("setInsert", [], { value: wire });
    return this;
  }

  /** Whether it was there. @param {T} value */
  delete(value) {
    const present = this._place.writing();
    const wire = this._wireOf(value);
    const at = wire === undefined ? -1 : memberIndex(present, wire);
    if (at >= 0) this._place.edit("setRemove", [], { value: present[at] });
    return at >= 0;
  }

  /** @param {T} value */
  has(value) {
    const wire = this._wireOf(value);
    return wire !== undefined && memberIndex(this._place.wire(), wire) >= 0;
  }

  /** @param {any} value */
  _wireOf(value) {
    try {
      return this._encode(value, null);
    } catch {
      return undefined; // what does not fit is not in it
    }
  }

  clear() {
    if (this._place.writing().length) this._place.edit("clear");
  }

  /** @returns {never} */
  [WIRE]() {
    throw new AssertionError("Using a Set as a Mixed value is not supported.");
  }

  toString() {
    return "[object Realm.Set]";
  }
}
Object.defineProperty(RealmSet, "name", { value: "Set" });
