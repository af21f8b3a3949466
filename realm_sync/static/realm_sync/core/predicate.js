/**
 * Queries as JavaScript: one compiled closure per predicate, and the clauses over images.
 *
 * Decides how an operand is read from an image, and turns a tree of operators.js into closures that select the rows that
 * the other back ends select (R4). An image is an object of wire values by stored name, as JSON decodes it; a missing key
 * is null. Equality compares wire values as they are, because one value has one wire image (R12); only where that would
 * be wrong (order of large integers, decimals, data, NaN) is a value decoded. Takes bound nodes only.
 */

import { Decimal } from "./decimal.js"
import { compileSearch } from "./fullText.js"
import { compileGeometry } from "./geometry.js"
import { COMPARED_AS_WIRE, lower, wire } from "./lowering.js"
import { isMany, ownName, typeOf } from "./nodes.js"
import { HIGH, MIXED_OPERATORS, OPERATORS, TYPE_NAMES, Typed, arithmetic, binary, compare, compareMixed, fold, foldBytes, isNaNValue, likePattern, mixedFold, mixedIdentity, mixedRank } from "./operators.js"
import { READERS, asMixed, reader } from "./reading.js"

/** @typedef {import('./nodes.js').Node} Node */
/** @typedef {import('./nodes.js').Operand} Operand */
/** @typedef {import('./nodes.js').Path} Path */
/** @typedef {import('./reading.js').Image} Image */
/** @typedef {import('./reading.js').Objects} Objects */
/** @typedef {import('./reading.js').Getter} Getter */
/** @typedef {(image: Image) => boolean} Predicate */

/** Where there are no other objects. @type {Objects} */
const ALONE = { get: () => undefined, linksTo: () => [] };

/** A function from images to whether the bound `node` selects them. Never throws for images that fit the class.
 * @param {Node} node @param {Objects} objects which links and backlinks lead to; needed by no other query */
export function compilePredicate(node, objects = ALONE) {
  return compile(lower(node), objects);
}

/** @param {Node} node @param {Objects} objects @returns {Predicate} */
function compile(node, objects) {
  switch (node.kind) {
    case "Truth":
      return () => node.value;
    case "Not": {
      const negated = compile(node.node, objects);
      return (image) => !negated(image);
    }
    case "And": {
      const [first, second, ...others] = node.nodes.map((each) => compile(each, objects));
      if (!others.length) return (image) => first(image) && second(image);
      return (image) => first(image) && second(image) && others.every((part) => part(image));
    }
    case "Or": {
      const [first, second, ...others] = node.nodes.map((each) => compile(each, objects));
      if (!others.length) return (image) => first(image) || second(image);
      return (image) => first(image) || second(image) || others.some((part) => part(image));
    }
  }
  return compileComparison(node, objects);
}

/** @param {import('./nodes.js').Comparison} node @param {Objects} objects @returns {Predicate} */
function compileComparison(node, objects) {
  const { operator, left, right } = node;
  const name = !node.fold && COMPARED_AS_WIRE.test(typeOf(left)) && ownName(left);
  if (name) {
    if (operator === "IN" && right.kind === "ListValue") {
      const values = new Set(right.items.map(wire));
      return (image) => values.has(image[name] ?? null);
    }
    if (right.kind === "Constant") {
      const value = wire(right);
      if (operator === "==") return value === null ? (image) => image[name] == null : (image) => image[name] === value;
      if (operator === "!=") return value === null ? (image) => image[name] != null : (image) => image[name] !== value;
      const isOrder = operator.startsWith("<") || operator.startsWith(">");
      const ordered = isOrder && value !== null && compileOrder(operator, typeOf(left), name, value, right.value);
      if (ordered) return ordered;
    }
  }
  if (operator === "TEXT") {
    const matches = compileSearch(/** @type {any} */ (right).value);
    const read = getter(left, objects);
    return quantified(left, (image) => read(image), matches);
  }
  if (operator === "GEOWITHIN") {
    const contains = compileGeometry(/** @type {import('./nodes.js').Geometry} */ (right));
    return quantified(left, getter(left, objects), contains);
  }
  return compileGeneral(node, objects);
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

/** @param {import('./nodes.js').Comparison} node @param {Objects} objects @returns {Predicate} */
function compileGeneral(node, objects) {
  const { operator, left, right, fold: folding } = node;
  const types = [typeOf(left), typeOf(right)];
  for (const side of [left, right]) if (side.kind === "ListValue") types.push(...side.items.map(typeOf));
  const hasTypes = types.includes("@type");
  const hasMixed = types.includes("mixed");
  const hasData = !hasMixed && types.includes("data");
  /** @type {(side: Operand) => (value: any) => any} */
  const adapter = (side) => {
    /** @type {((value: any) => any)[]} */
    const steps = [];
    if (hasTypes && side.kind === "Constant") steps.push((word) => TYPE_NAMES.get(word?.toLowerCase()) ?? []);
    if (hasMixed && typeOf(side) !== "mixed") steps.push(asMixed(typeOf(side), "target" in side ? side.target : ""));
    if (hasData && typeOf(side) === "string") steps.push(binary);
    if (folding) steps.push(hasMixed ? mixedFold : hasData ? foldBytes : fold);
    return steps.length === 1 ? steps[0] : (value) => steps.reduce((each, step) => step(each), value);
  };
  const isPlain = !hasTypes && !hasMixed && !hasData && !folding;
  const each = operator === "IN" ? "==" : operator;
  const test = hasTypes ? TYPE_OPERATORS[each] : (hasMixed ? MIXED_OPERATORS : OPERATORS)[each];
  /** @type {(side: Operand) => Getter} */
  const side = (operand) => {
    if (operand.kind === "ListValue") {
      const values = operand.items.map((item) => adapter(item)(getter(item, objects)({})));
      return () => values;
    }
    const get = getter(operand, objects);
    if (isPlain) return get;
    const adapt = adapter(operand);
    if (isMany(operand)) return (image) => get(image).map(adapt);
    return (image) => {
      const value = get(image);
      return value === undefined ? value : adapt(value);
    };
  };
  const [readLeft, readRight] = [side(left), side(right)];
  if (isMany(left) || isMany(right)) return compileMany(left, right, readLeft, readRight, test, each === "!=");
  if (right.kind !== "Constant") {
    return (image) => {
      const [a, b] = [readLeft(image), readRight(image)];
      return a !== undefined && b !== undefined && test(a, b);
    };
  }
  const constant = readRight({});
  if (operator === "LIKE" && constant !== null && !hasMixed) {
    const matches = likePattern(constant);
    return (image) => {
      const value = readLeft(image);
      return typeof value === "string" && matches(value);
    };
  }
  return (image) => {
    const value = readLeft(image);
    return value !== undefined && test(value, constant);
  };
}

/** Collections: pair by pair if both sides are and neither has a quantifier, otherwise by the quantifiers, left one outside.
 * @param {Operand} left @param {Operand} right @param {Getter} readLeft @param {Getter} readRight
 * @param {(left: any, right: any) => boolean} test @param {boolean} isUnequal @returns {Predicate} */
function compileMany(left, right, readLeft, readRight, test, isUnequal) {
  if (isMany(left) && isMany(right) && !quantifierOf(left) && !quantifierOf(right)) {
    return (image) => {
      const [ours, theirs] = [readLeft(image), readRight(image)];
      if (ours.length !== theirs.length) return isUnequal;
      return ours.every((/** @type {any} */ value, /** @type {number} */ at) => test(value, theirs[at]));
    };
  }
  if (right.kind === "Constant") {
    const constant = readRight({});
    return quantified(left, readLeft, (value) => test(value, constant));
  }
  return (image) => {
    const theirs = readRight(image);
    return quantified(left, readLeft, (value) => quantified(right, () => theirs, (other) => test(value, other))(image))(image);
  };
}

/** @param {Operand} operand @returns {string} */
function quantifierOf(operand) {
  if (operand.kind === "Arithmetic") return quantifierOf(isMany(operand.left) ? operand.left : operand.right);
  return "quantifier" in operand ? operand.quantifier : "";
}

/** Whether any, all or none of an operand's values hold. @param {Operand} operand @param {Getter} read
 * @param {(value: any) => boolean} holds @returns {Predicate} */
function quantified(operand, read, holds) {
  if (!isMany(operand)) {
    return (image) => {
      const value = read(image);
      return value !== undefined && holds(value);
    };
  }
  const quantifier = quantifierOf(operand);
  if (quantifier === "ALL") return (image) => read(image).every(holds);
  return quantifier === "NONE" ? (image) => !read(image).some(holds) : (image) => read(image).some(holds);
}

/** What `@type` says: a side is the name of a type, or those that a word means. @type {Record<string, (left: any, right: any) => boolean>} */
const TYPE_OPERATORS = { "==": sameType, "!=": (left, right) => !sameType(left, right) };

/** @param {any} left @param {any} right */
function sameType(left, right) {
  return left === right || (Array.isArray(left) && left.includes(right)) || (Array.isArray(right) && right.includes(left));
}

// --- Values: comparable ones out of images ---

/** @param {Operand} operand @param {Objects} objects @returns {Getter} */
function getter(operand, objects) {
  switch (operand.kind) {
    case "Constant": {
      const { type, value } = operand;
      const constant = type === "data" ? atob(wire(operand)) : type === "object" ? new Typed("object", JSON.stringify([value[0], wire(value[1])])) : value;
      return () => constant;
    }
    case "ListValue": {
      const values = operand.items.map((item) => getter(item, objects)({}));
      return () => values;
    }
    case "Path":
      return reader(operand, objects);
    case "Arithmetic":
      return compute(operand, objects);
    case "Subquery": {
      const { path } = operand;
      const members = reader({ ...path, type: "" }, objects);
      const matches = compilePredicate(operand.predicate, objects);
      return (image) => {
        let count = 0;
        for (const member of members(image)) {
          const found = path.target ? objects.get(path.target, member) : member;
          if (found && matches(found)) count += 1;
        }
        return count;
      };
    }
  }
  throw new TypeError("bind the query first");
}

/** @param {import('./nodes.js').Arithmetic} node @param {Objects} objects @returns {Getter} */
function compute(node, objects) {
  const { operator, type } = node;
  const [left, right] = [node.left, node.right].map((side) => {
    const get = getter(side, objects);
    if (type !== "mixed" || typeOf(side) === "mixed") return get;
    const adapt = asMixed(typeOf(side) || "int", "");
    return isMany(side) ? (/** @type {Image} */ image) => get(image).map(adapt) : (/** @type {Image} */ image) => adapt(get(image));
  });
  const once = (/** @type {any} */ a, /** @type {any} */ b) => (a === undefined || b === undefined ? undefined : arithmetic(operator, type, a, b));
  const found = (/** @type {any} */ value) => value !== undefined;
  if (isMany(node.left)) return (image) => left(image).map((/** @type {any} */ value) => once(value, right(image))).filter(found);
  if (isMany(node.right)) return (image) => right(image).map((/** @type {any} */ value) => once(left(image), value)).filter(found);
  return (image) => once(left(image), right(image));
}

// --- SORT, DISTINCT, LIMIT over images ---

/** The images sorted, thinned and cut as the bound clauses say, in written order; stable, so that of two adjacent SORTs
 * the later is the primary one. Ascending: null, then NaN, then values, and at the end objects with a null link on the way to
 * the value; strings by code point. DISTINCT leaves those out. @param {Iterable<Image>} images @param {import('./nodes.js').Clause[]} clauses @param {Objects} objects
 * @returns {Image[]} A new array. */
export function applyClauses(images, clauses, objects = ALONE) {
  let rows = Array.from(images);
  for (const clause of clauses) {
    if (clause.kind === "Sort") rows = sorted(rows, clause.keys, objects);
    else if (clause.kind === "Distinct") rows = distinct(rows, clause.paths, objects);
    else rows = rows.slice(0, Number(clause.count));
  }
  return rows;
}

/** What objects are sorted by or told apart by: a wire value, or a mixed value; undefined behind a null link or embedded
 * object. @param {Path} path @param {Objects} objects */
function columnReader(path, objects) {
  return reader(path, objects, path.type === "mixed" ? READERS.mixed : (value) => value, true);
}

/** @param {Image[]} rows @param {Path[]} paths @param {Objects} objects */
function distinct(rows, paths, objects) {
  const getters = paths.map((path) => {
    const get = columnReader(path, objects);
    return path.type === "mixed" ? (/** @type {Image} */ image) => identified(get(image)) : get;
  });
  const seen = new Set();
  const isNew = (/** @type {any} */ key) => !seen.has(key) && Boolean(seen.add(key));
  const [first] = getters;
  if (getters.length === 1) {
    return rows.filter((image) => {
      const value = first(image);
      return value !== undefined && isNew(value);
    });
  }
  return rows.filter((image) => {
    const values = getters.map((get) => get(image));
    return !values.includes(undefined) && isNew(JSON.stringify(values));
  });
}

/** @param {any} value */
function identified(value) {
  return value === undefined ? value : mixedIdentity(value);
}

/**
 * One key of a SORT for all rows: `sketch` has numbers in the same order, which may be equal where values are not; then
 * `exact` decides.
 * @typedef {{sketch: Float64Array, exact: (a: number, b: number) => number}} Column
 */

/** A stable merge sort of row numbers: an order of numbers is far cheaper than a call for each comparison.
 * @param {Image[]} rows @param {[Path, boolean][]} keys @param {Objects} objects */
function sorted(rows, keys, objects) {
  const [{ sketch, exact }, ...others] = keys.map(([path, ascending]) => column(rows, path, ascending, objects));
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

/** @param {Image[]} rows @param {Path} path @param {boolean} ascending @param {Objects} objects @returns {Column} */
function column(rows, path, ascending, objects) {
  const sign = ascending ? 1 : -1;
  const { type } = path;
  const isMixed = type === "mixed";
  const values = rows.map(columnReader(path, objects));
  const measure = isMixed ? mixedRank : type === "date" ? measureDate : READERS[type] || type === "bool" ? Number : textMeasure(values);
  const sketch = new Float64Array(rows.length);
  for (let at = 0; at < rows.length; at++) {
    const value = values[at];
    const number = value === undefined || value === null ? NaN : measure(value);
    sketch[at] = value === undefined ? sign * Infinity : number === number ? sign * number : sign * -Infinity;
  }
  const read = (!isMixed && READERS[type]) || ((/** @type {any} */ value) => value);
  /** @param {any} value */
  const place = (value) => (value === undefined ? 3 : value === null ? 0 : isNaNValue(value) ? 1 : 2);
  const exact = (/** @type {number} */ a, /** @type {number} */ b) => {
    if (values[a] === values[b]) return 0;
    if (isMixed && values[a] !== undefined && values[b] !== undefined) return sign * compareMixed(values[a], values[b]);
    const [left, right] = [values[a], values[b]].map((value) => value && read(value));
    return sign * (place(left) - place(right) || (place(left) === 2 ? compare(left, right) : 0));
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
    if (value === null || value === undefined) continue;
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
