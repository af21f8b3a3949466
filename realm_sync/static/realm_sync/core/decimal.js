/**
 * no Python twin: `decimal.Decimal`, as far as decimal128 and the numbers of queries need it.
 *
 * A Decimal is exact and immutable: a sign, figures without zeros at either end, and the exponent of the last figure; or
 * NaN or ±Infinity. Arithmetic never throws and rounds to what decimal128 holds: 34 digits, half to even, exponents from
 * -6176 to 6144. Knows no properties and no queries.
 */

import { TypeAssertionError } from "./errors.js"

/** The exponent of the first figure of the largest decimal128s. */
export const MAX_EXPONENT = 6144;
const MIN_EXPONENT = -6176;
const PRECISION = 34;
const FINITE = /^([+-]?)(?=\.?\d)(\d*)\.?(\d*)(?:e([+-]?\d{1,15}))?$/i;
const SPECIAL = /^([+-]?)(?:(nan)|inf(?:inity)?)$/i;

export class Decimal {
  /** @param {boolean} negative @param {string} figures "" for zero. @param {number} exponent
   * @param {number | null} special NaN, Infinity or -Infinity, where it is no finite number. */
  constructor(negative, figures, exponent, special = null) {
    this.negative = negative;
    this.figures = figures;
    this.exponent = exponent;
    this.special = special;
  }

  /** The decimal128 that a text says, plain or with an exponent; beyond its range a TypeAssertionError.
   * @param {string} text */
  static parse(text) {
    const exact = Decimal.exact(text);
    const rounded = exact.rounded();
    if (exact.isFinite && !rounded.isFinite) throw new TypeAssertionError("a decimal within the range of decimal128", text);
    return rounded;
  }

  /** The same with every digit, whatever their number. @param {string} text */
  static exact(text) {
    const finite = FINITE.exec(text);
    if (finite) return scaled(finite[1] === "-", finite[2] + finite[3], Number(finite[4] ?? 0) - finite[3].length);
    const special = SPECIAL.exec(text);
    if (!special) throw new TypeAssertionError("the text of a decimal", text);
    return ofSpecial(special[2] ? NaN : special[1] === "-" ? -Infinity : Infinity);
  }

  /** Exact for integers; of other numbers, the decimal with the fewest digits that reads back as the number.
   * @param {number | bigint} value */
  static from(value) {
    return Decimal.exact(Object.is(value, -0) ? "-0" : String(value));
  }

  get isNaN() {
    return this.special !== null && this.special !== this.special;
  }

  get isFinite() {
    return this.special === null;
  }

  get isInteger() {
    return this.special === null && this.exponent >= 0;
  }

  /** The exponent of the first figure. */
  get adjusted() {
    return this.exponent + this.figures.length - 1;
  }

  /** -1, 0 or 1; NaN where a side is NaN. @param {Decimal} other */
  compare(other) {
    if (this.special !== null || other.special !== null) {
      const [a, b] = [this.sketch(), other.sketch()];
      return a === b ? 0 : a < b ? -1 : a > b ? 1 : NaN;
    }
    const [a, b] = [this.sketch(), other.sketch()];
    if (a !== b || !a) return Math.sign(a - b);
    const size = this.adjusted - other.adjusted || (this.figures < other.figures ? -1 : Number(this.figures > other.figures));
    return Math.sign(size) * a;
  }

  /** @param {Decimal} other */
  add(other) {
    if (!this.isFinite || !other.isFinite) return ofSpecial(this.sketch() + other.sketch());
    const exponent = Math.min(this.exponent, other.exponent);
    const sum = this.#integer(exponent) + other.#integer(exponent);
    return ofInteger(sum || !this.negative || !other.negative ? sum < 0n : true, sum, exponent);
  }

  /** @param {Decimal} other */
  subtract(other) {
    return this.add(new Decimal(!other.negative, other.figures, other.exponent, other.special && -other.special));
  }

  /** @param {Decimal} other */
  multiply(other) {
    if (!this.isFinite || !other.isFinite) return ofSpecial(this.sketch() * other.sketch());
    const product = this.#integer(this.exponent) * other.#integer(other.exponent);
    return ofInteger(this.negative !== other.negative, product, this.exponent + other.exponent);
  }

  /** @param {Decimal} other */
  divide(other) {
    if (!this.isFinite || !other.isFinite || !other.figures) return ofSpecial(this.sketch() / other.sketch());
    const shift = Math.max(0, PRECISION + 2 + other.figures.length - this.figures.length);
    const dividend = this.#integer(this.exponent - shift);
    const divisor = other.#integer(other.exponent);
    // What is left over becomes one more digit, which only rounding looks at.
    const quotient = (dividend / divisor) * 10n + (dividend % divisor ? (this.negative === other.negative ? 1n : -1n) : 0n);
    return ofInteger(this.negative !== other.negative, quotient, this.exponent - shift - other.exponent - 1);
  }

  /** The nearest decimal128; beyond its range, an infinity. */
  rounded() {
    const cut = Math.max(this.figures.length - PRECISION, MIN_EXPONENT - this.exponent);
    if (!this.isFinite || (cut <= 0 && this.adjusted <= MAX_EXPONENT)) return this;
    const kept = Math.max(0, this.figures.length - cut);
    let head = BigInt(this.figures.slice(0, kept));
    const tail = cut > this.figures.length ? "0" : this.figures.slice(kept);
    if (cut > 0 && (tail > "5" || (tail === "5" && head & 1n))) head += 1n;
    const result = scaled(this.negative, cut > 0 ? String(head) : this.figures, this.exponent + Math.max(cut, 0));
    return result.adjusted > MAX_EXPONENT ? ofSpecial(this.negative ? -Infinity : Infinity) : result;
  }

  /** The nearest double. */
  toNumber() {
    return this.special ?? Number(`${this.negative ? "-" : ""}${this.figures || 0}e${this.exponent}`);
  }

  /** Of an integer: its value. */
  toBigInt() {
    return this.#integer(0);
  }

  /** Plain notation without trailing zeros, as on the wire; zero has no sign. */
  toString() {
    if (this.special !== null) return String(this.special);
    if (!this.figures) return "0";
    const point = this.adjusted + 1;
    const whole = point > 0 ? this.figures.slice(0, point).padEnd(point, "0") : "0";
    const fraction = "0".repeat(Math.max(0, -point)) + this.figures.slice(Math.max(0, point));
    return `${this.negative ? "-" : ""}${whole}${fraction && `.${fraction}`}`;
  }

  /** A double of the same sign that is zero, infinite or NaN when the decimal is; otherwise ±1. */
  sketch() {
    return this.special ?? (this.figures ? 1 : 0) * (this.negative ? -1 : 1);
  }

  /** Its multiple of 10^exponent. @param {number} exponent */
  #integer(exponent) {
    const magnitude = BigInt(this.figures) * 10n ** BigInt(this.exponent - exponent);
    return this.negative ? -magnitude : magnitude;
  }
}

/** @param {boolean} negative @param {string} digits @param {number} exponent */
function scaled(negative, digits, exponent) {
  const bare = digits.replace(/^0+/, "");
  const figures = bare.replace(/0+$/, "");
  return new Decimal(negative, figures, figures ? exponent + bare.length - figures.length : 0);
}

/** @param {boolean} negative @param {bigint} value @param {number} exponent */
function ofInteger(negative, value, exponent) {
  return scaled(negative, String(value < 0n ? -value : value), exponent).rounded();
}

/** The same decimal as a double that is zero, infinite or NaN. @param {number} value */
function ofSpecial(value) {
  return Number.isFinite(value) ? new Decimal(Object.is(value, -0), "", 0) : new Decimal(value < 0, "", 0, value);
}
