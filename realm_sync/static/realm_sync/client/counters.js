// Counters: integers that several people count up at once; their increments add up (reference 9.6).

import { AssertionError, IllegalConstructorError, realmError, TypeAssertionError } from "../core/errors.js"
import { WIRE } from "../core/mixed.js"
import { decode, encode } from "../core/values.js"
import { PLACE } from "./live.js"

/** @typedef {import('./live.js').Place} Place */

export class Counter {
  /** @param {Place} place */
  constructor(place) {
    if (!(/** @type {any} */ (place)?.realm)) throw new IllegalConstructorError("Counter");
    Object.defineProperty(this, PLACE, { value: place });
  }

  /** A bigint past ±2^53. @returns {any} */
  get value() {
    return decode("int", placeOf(this).wire());
  }

  set value(_) {
    throw new AssertionError("To update the value, use the methods on the Counter.");
  }

  /** @param {number | bigint} [by] */
  increment(by = 1) {
    const wire = integer(by, "by");
    const place = placeOf(this);
    if (place.writing() === null) throw realmError("The counter is null: set it first.", "IllegalOperation");
    if (wire !== 0) place.edit("add", [], { by: wire });
  }

  /** @param {number | bigint} [by] */
  decrement(by = 1) {
    const wire = integer(by, "by");
    this.increment(-BigInt(wire));
  }

  /** Others' increments that are not here yet are lost. @param {number | bigint} value */
  set(value) {
    const wire = integer(value, "value");
    const place = placeOf(this);
    place.writing();
    place.realm._write(place, wire);
  }

  toJSON() {
    return this.value;
  }

  toString() {
    return `${this.value}`;
  }

  /** @returns {never} */
  [WIRE]() {
    throw new AssertionError("Using a Counter as a Mixed value is not supported.");
  }
}

/** @param {any} counter @returns {Place} */
const placeOf = (counter) => counter[PLACE];

/** @param {any} value @param {string} target */
function integer(value, target) {
  if (typeof value !== "bigint" && !Number.isInteger(value)) throw new TypeAssertionError("an integer", value, target);
  return encode("int", value, target);
}
