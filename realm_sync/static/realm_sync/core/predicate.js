/**
 * Queries as JavaScript: one compiled closure per predicate, and the clauses over images.
 *
 * Decides how an operand is read from an image, and turns a tree of operators.js into closures that select the rows that
 * the other back ends select (R4). An image is an object of wire values by stored name, as JSON decodes it; a missing key
 * is null. Equality compares wire values as they are, because one value has one wire image (R12); only where that would
 * be wrong (order of large integers, decimals, data, NaN) is a value decoded. Takes bound nodes only.
 */

import { toBase64 } from "./bson.js"
import { Decimal } from "./decimal.js"
import { toBytes } from "./literals.js"
import { lower, wire } from "./lowering.js"
import { typeOf } from "./nodes.js"
import { HIGH, OPERATORS, arithmetic, compare, equal, fold, foldBytes, isNaNValue, likePattern } from "./operators.js"

/** @typedef {import('./nodes.js').Node} Node */
/** @typedef {import('./nodes.js').Operand} Operand */
/** @typedef {import('./nodes.js').Path} Path */
/** @typedef {Record<string, any>} Image */
/** @typedef {(image: Image) => boolean} Predicate */
/** @typedef {(image: Image) => any} Getter */

/** A function from images to whether the bound `node` selects them. Never throws for images that fit the class.
 * @param {Node} node */
export function compilePredicate(node) {
  return compile(lower(node));
}

/** @param {Node} node @returns {Predicate} */
function compile(node) {
  switch (node.kind) {
    case "Truth":
      return () => node.value;
    case "Not": {
      const negated = compile(node.node);
      return (image) => !negated(image);
    }
    case "And": {
      const [first, second, ...others] = node.nodes.map(compile);
      if (!others.length) return (image) => first(image) && second(image);
      return (image) => first(image) && second(image) && others.every((part) => part(image));
    }
    case "Or": {
      const [first, second, ...others] = node.nodes.map(compile);
      if (!others.length) return (image) => first(image) || second(image);
      return (image) => first(image) || second(image) || others.some((part) => part(image));
    }
  }
  return compileComparison(node);
}

/** @param {import('./nodes.js').Comparison} node @returns {Predicate} */
function compileComparison(node) {
  const { operator, left, right } = node;
  if (left.kind === "Path" && !left.counted && !node.fold) {
    const name = String(left.steps[0]);
    if (operator === "IN" && right.kind === "ListValue") {
      const values = new Set(right.items.map(wire));
      return (image) => values.has(image[name] ?? null);
    }
    if (right.kind === "Constant") {
      const value = wire(right);
      if (operator === "==") return value === null ? (image) => image[name] == null : (image) => image[name] === value;
      if (operator === "!=") return value === null ? (image) => image[name] != null : (image) => image[name] !== value;
      const isOrder = operator.startsWith("<") || operator.startsWith(">");
      const ordered = isOrder && value !== null && compileOrder(operator, left.type, name, value, right.value);
      if (ordered) return ordered;
    }
  }
  return compileGeneral(node);
}

/** Order against a constant without decoding what needs none; null if the constant itself does.
 * @param {string} operator @param {string} type @param {string} name @param {any} value @param {any} decoded
 * @returns {Predicate | null} */
function compileOrder(operator, type, name, value, decoded) {
  const test = OPERATORS[operator];
  const read = READERS[type];
  if (typeof value === "number") return NUMBERS[operator](name, value, (other) => test(read(other), decoded));
  if (type === "decimal128") {
    const near = decoded.toNumber();
    const [isBelow, isAbove] = [operator.startsWith("<"), operator.startsWith(">")];
    return (image) => {
      const text = image[name] ?? null;
      if (text === null) return false;
      const number = Number(text); // rounding keeps order, and leaves only what is nearly equal to compare exactly
      return number < near ? isBelow : number > near ? isAbove : test(read(text), decoded);
    };
  }
  return !read && typeof value === "string" && !HIGH.test(value) ? TEXTS[operator](name, value) : null;
}

/** Orders of properties whose values are numbers, but for those that `slow` decodes.
 * @type {Record<string, (name: string, bound: number, slow: (value: any) => boolean) => Predicate>} */
const NUMBERS = {
  "<": (name, bound, slow) => (image) => {
    const value = image[name];
    return typeof value === "number" ? value < bound : slow(value);
  },
  "<=": (name, bound, slow) => (image) => {
    const value = image[name];
    return typeof value === "number" ? value <= bound : slow(value);
  },
  ">": (name, bound, slow) => (image) => {
    const value = image[name];
    return typeof value === "number" ? value > bound : slow(value);
  },
  ">=": (name, bound, slow) => (image) => {
    const value = image[name];
    return typeof value === "number" ? value >= bound : slow(value);
  },
};

/** Orders of text against a bound that has no character where UTF-16 sorts differently.
 * @type {Record<string, (name: string, bound: string) => Predicate>} */
const TEXTS = {
  "<": (name, bound) => (image) => typeof image[name] === "string" && image[name] < bound,
  "<=": (name, bound) => (image) => typeof image[name] === "string" && image[name] <= bound,
  ">": (name, bound) => (image) => typeof image[name] === "string" && image[name] > bound,
  ">=": (name, bound) => (image) => typeof image[name] === "string" && image[name] >= bound,
};

/** @param {import('./nodes.js').Comparison} node @returns {Predicate} */
function compileGeneral({ operator, left, right, fold: folding }) {
  const hasData = typeOf(left) === "data" || typeOf(right) === "data";
  /** @type {(side: Operand) => Getter} */
  const reader = (side) => {
    const get = getter(side);
    const bytes = hasData && typeOf(side) === "string" ? (/** @type {Image} */ image) => binary(get(image)) : get;
    const lowered = hasData ? foldBytes : fold;
    return folding ? (image) => lowered(bytes(image)) : bytes;
  };
  const read = reader(left);
  if (operator === "IN" && right.kind === "ListValue") {
    const values = right.items.map((item) => reader(item)({}));
    return (image) => {
      const value = read(image);
      return values.some((each) => equal(value, each));
    };
  }
  const test = OPERATORS[operator];
  const readRight = reader(right);
  if (right.kind !== "Constant") return (image) => test(read(image), readRight(image));
  const constant = readRight({});
  if (operator !== "LIKE" || constant === null) return (image) => test(read(image), constant);
  const matches = likePattern(constant);
  return (image) => {
    const value = read(image);
    return value !== null && matches(value);
  };
}

// --- Values: comparable ones out of images ---

/** From wire value to comparable value, for the types whose wire values do not compare as they should.
 * @type {Record<string, (value: any) => any>} */
const READERS = {
  int: (value) => (typeof value === "string" ? BigInt(value) : value ?? null),
  float: (value) => (typeof value === "string" ? Number(value) : value ?? null),
  double: (value) => (typeof value === "string" ? Number(value) : value ?? null),
  decimal128: (value) => (typeof value === "string" ? Decimal.exact(value) : null),
  data: (value) => (typeof value === "string" ? atob(value) : null),
};

/** @param {Operand} operand @returns {Getter} */
function getter(operand) {
  if (operand.kind === "Constant") {
    const { type, value } = operand;
    const constant = type === "data" ? atob(wire(operand)) : value;
    return () => constant;
  }
  if (operand.kind === "Arithmetic") {
    const { operator, type } = operand;
    const [left, right] = [getter(operand.left), getter(operand.right)];
    return (image) => arithmetic(operator, type, left(image), right(image));
  }
  if (operand.kind !== "Path") throw new TypeError("bind the query first");
  const name = String(operand.steps[0]);
  if (operand.counted === "link") return (image) => Number((image[name] ?? null) !== null);
  const read = READERS[operand.counted || operand.type] ?? ((/** @type {any} */ value) => value ?? null);
  if (!operand.counted) return (image) => read(image[name]);
  return (image) => {
    const value = read(image[name]);
    return value && operand.counted === "string" ? toBytes(value).length : value?.length ?? null;
  };
}

/** A string as data is: one character per byte of its UTF-8. @param {string | null} value */
function binary(value) {
  return value && atob(toBase64(toBytes(value)));
}

// --- SORT, DISTINCT, LIMIT over images ---

/** The images sorted, thinned and cut as the bound clauses say, in written order; stable, so that of two adjacent SORTs
 * the later is the primary one. Ascending: null, then NaN, then values; strings by code point.
 * @param {Iterable<Image>} images @param {import('./nodes.js').Clause[]} clauses @returns {Image[]} A new array. */
export function applyClauses(images, clauses) {
  let rows = Array.from(images);
  for (const clause of clauses) {
    if (clause.kind === "Sort") rows = sorted(rows, clause.keys);
    else if (clause.kind === "Distinct") rows = distinct(rows, clause.paths.map((path) => String(path.steps[0])));
    else rows = rows.slice(0, Number(clause.count));
  }
  return rows;
}

/** @param {Image[]} rows @param {string[]} names */
function distinct(rows, names) {
  const seen = new Set();
  return rows.filter((image) => {
    const values = names.map((name) => image[name] ?? null);
    const key = values.length === 1 ? values[0] : JSON.stringify(values);
    return !seen.has(key) && seen.add(key);
  });
}

/**
 * One key of a SORT for all rows: `sketch` has numbers in the same order, which may be equal where values are not; then
 * `exact` decides.
 * @typedef {{sketch: Float64Array, exact: (a: number, b: number) => number}} Column
 */

/** A stable merge sort of row numbers: an order of numbers is far cheaper than a call for each comparison.
 * @param {Image[]} rows @param {[Path, boolean][]} keys */
function sorted(rows, keys) {
  const [{ sketch, exact }, ...others] = keys.map(([path, ascending]) => column(rows, path, ascending));
  /** @type {(a: number, b: number) => boolean} */
  const isAfter = (a, b) => {
    let order = exact(a, b);
    for (let at = 0; order === 0 && at < others.length; at++) {
      order = others[at].sketch[a] - others[at].sketch[b] || others[at].exact(a, b);
    }
    return order > 0;
  };
  const count = rows.length;
  let from = new Uint32Array(count);
  let to = new Uint32Array(count);
  for (let at = 0; at < count; at++) from[at] = at;
  for (let width = 1; width < count; width *= 2) {
    for (let start = 0; start < count; start += 2 * width) {
      const middle = Math.min(start + width, count);
      const end = Math.min(middle + width, count);
      let at = start;
      let left = start;
      let right = middle;
      while (left < middle && right < end) {
        const a = from[left];
        const b = from[right];
        if (sketch[a] < sketch[b] || (sketch[a] === sketch[b] && !isAfter(a, b))) {
          to[at++] = a;
          left++;
        } else {
          to[at++] = b;
          right++;
        }
      }
      while (left < middle) to[at++] = from[left++];
      while (right < end) to[at++] = from[right++];
    }
    [from, to] = [to, from];
  }
  const result = new Array(count);
  for (let at = 0; at < count; at++) result[at] = rows[from[at]];
  return result;
}

/** @param {Image[]} rows @param {Path} path @param {boolean} ascending @returns {Column} */
function column(rows, path, ascending) {
  const name = String(path.steps[0]);
  const sign = ascending ? 1 : -1;
  const values = rows.map((image) => image[name] ?? null);
  const measure = path.type === "date" ? measureDate : READERS[path.type] || path.type === "bool" ? Number : textMeasure(values);
  const sketch = new Float64Array(rows.length);
  for (let at = 0; at < rows.length; at++) {
    const number = values[at] === null ? NaN : measure(values[at]);
    sketch[at] = number === number ? sign * number : sign * -Infinity;
  }
  const read = READERS[path.type] ?? ((/** @type {any} */ value) => value);
  /** @param {any} value */
  const rank = (value) => (value === null ? 0 : isNaNValue(value) ? 1 : 2);
  const exact = (/** @type {number} */ a, /** @type {number} */ b) => {
    if (values[a] === values[b]) return 0;
    const [left, right] = [read(values[a]), read(values[b])];
    return sign * (rank(left) - rank(right) || (rank(left) === 2 ? compare(left, right) : 0));
  };
  return { sketch, exact };
}

const DATE_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20];

/** The digits of a date, but for the last ones, as a number. @param {string} text */
function measureDate(text) {
  let number = 0;
  for (const at of DATE_DIGITS) number = number * 10 + text.charCodeAt(at) - 48;
  return number;
}

/** A measure of texts: seven ASCII characters, after those that all the texts begin with.
 * @param {(string | null)[]} values @returns {(text: string) => number} */
function textMeasure(values) {
  /** @type {string | null} */
  let first = null;
  let shared = 0;
  for (const value of values) {
    if (value === null) continue;
    if (first === null) {
      first = value;
      shared = value.length;
    }
    let at = 0;
    while (at < shared && value.charCodeAt(at) === first.charCodeAt(at)) at++;
    shared = at;
  }
  return (text) => {
    let number = 0;
    let end = shared + 7;
    for (let at = shared; at < shared + 7; at++) {
      const unit = at < end && at < text.length ? text.charCodeAt(at) : 0;
      if (unit >= 127) end = 0; // what is not ASCII counts as one character above it, with nothing after it
      number = number * 128 + Math.min(unit, 127);
    }
    return number;
  };
}
