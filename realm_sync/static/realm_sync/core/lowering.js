/**
 * Bound queries in the fewest words: what the back end compiles, and what an index can look up.
 *
 * Decides what lists, quantifiers and BETWEEN mean, by spelling them out as And, Or and Not of plain comparisons (R4); lists
 * that deep paths are compared with stay lists. Knows nothing of what the operators select.
 */

import { toBase64 } from "./bson.js"
import { STRING_OPERATORS, isDeep, joined, not, ownName, typeOf } from "./nodes.js"

/** @typedef {import('./nodes.js').Node} Node */
/** @typedef {import('./nodes.js').Operand} Operand */
/** @typedef {import('./nodes.js').Constant} Constant */
/** @typedef {import('./nodes.js').ListValue} ListValue */

/** Types whose values are equal exactly when their wire values are. */
export const COMPARED_AS_WIRE = /^(?!mixed|embedded)/;

/** @type {Record<string, string>} */
const MIRRORED = { "<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!=" };

/** A bound node in the words that a back end must know: Truth, And, Or, Not, and Comparison of scalars (a constant never
 * stands left of a property, except in string operators), or IN with a list without quantifier. Links are their keys.
 * @param {Node} node @returns {Node} */
export function lower(node) {
  switch (node.kind) {
    case "And":
    case "Or":
      return joined(node.kind, node.nodes.map(lower));
    case "Not":
      return not(lower(node.node));
    case "Comparison":
      return lowerComparison(node);
  }
  return node;
}

/** @param {import('./nodes.js').Comparison} node @returns {Node} */
function lowerComparison({ operator, left, right, fold }) {
  if (operator === "BETWEEN") {
    const [low, high] = /** @type {ListValue} */ (right).items;
    return joined("And", [plain(">=", left, low), plain("<=", left, high)]);
  }
  if ((left.kind === "ListValue" || right.kind === "ListValue") && (isDeep(left) || isDeep(right))) {
    const [a, b] = [keys(left, typeOf(right)), keys(right, typeOf(left))];
    return { kind: "Comparison", operator, left: a, right: b, fold, position: null };
  }
  if (left.kind === "ListValue") return spelledOut(left, (item) => plain(operator, item, right, fold));
  if (right.kind !== "ListValue") return plain(operator, left, right, fold);
  const each = operator === "IN" ? "==" : operator;
  if (each === "==" && right.quantifier !== "ALL" && right.quantifier !== "NONE" && right.items.length) {
    const items = /** @type {Constant[]} */ (right.items.map((item) => keyed(item, typeOf(left))));
    return { kind: "Comparison", operator: "IN", left, right: { ...right, items, quantifier: "" }, fold, position: null };
  }
  return spelledOut(right, (item) => plain(each, left, item, fold));
}

/** @param {ListValue} list @param {(item: Constant) => Node} compare @returns {Node} */
function spelledOut({ items, quantifier }, compare) {
  const nodes = items.map(compare);
  if (quantifier === "ALL") return joined("And", nodes);
  return quantifier === "NONE" ? not(joined("Or", nodes)) : joined("Or", nodes);
}

/** @param {string} operator @param {Operand} a @param {Operand} b @returns {Node} */
function plain(operator, a, b, fold = false) {
  const [left, right] = [keyed(a, typeOf(b)), keyed(b, typeOf(a))];
  const position = null;
  if (STRING_OPERATORS.includes(operator) && typeOf(left) === "null") {
    return { kind: "Comparison", operator: "==", left: right, right: left, fold: false, position }; // only null is in null
  }
  if (left.kind === "Constant" && MIRRORED[operator]) {
    return { kind: "Comparison", operator: MIRRORED[operator], left: right, right: left, fold, position };
  }
  return { kind: "Comparison", operator, left, right, fold, position };
}

/** @template {Operand} T @param {T} operand @param {string} type @returns {T} */
function keys(operand, type) {
  return operand.kind === "ListValue" ? { ...operand, items: operand.items.map((item) => keyed(item, type)) } : operand;
}

/** A link's constant is its key, unless it meets a mixed value. @template {Operand} T @param {T} operand @param {string} type
 * @returns {T} */
function keyed(operand, type) {
  return operand.kind === "Constant" && operand.type === "object" && type !== "mixed" ? operand.value[1] : operand;
}

/** The wire value of a constant of a lowered node; of null, null. @param {Constant} constant @returns {any} */
export function wire({ type, value }) {
  if (type === "data") return toBase64(value);
  const asText = type === "decimal128" || typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value));
  return asText ? String(value) : value;
}

/** Every property for which the node implies that its wire value is one of these (null: null), by stored name.
 * @param {Node} node @returns {Map<string, Set<any>>} */
export function equalityKeys(node) {
  return keysOf(lower(node));
}

/** @param {Node} node @returns {Map<string, Set<any>>} */
function keysOf(node) {
  /** @type {Map<string, Set<any>>} */
  const found = new Map();
  const name = node.kind === "Comparison" && !node.fold && ownName(node.left);
  if (name && COMPARED_AS_WIRE.test(typeOf(node.left))) {
    const { operator, right } = node;
    const items = operator === "IN" && right.kind === "ListValue" ? right.items : operator === "==" ? [right] : [];
    const constants = items.flatMap((item) => (item.kind === "Constant" ? [wire(item)] : []));
    if (constants.length) found.set(name, new Set(constants));
  } else if (node.kind === "And") {
    for (const inner of node.nodes) {
      for (const [name, values] of keysOf(inner)) {
        const before = found.get(name);
        found.set(name, before ? new Set([...before].filter((value) => values.has(value))) : values);
      }
    }
  } else if (node.kind === "Or") {
    const [first, ...others] = node.nodes.map(keysOf);
    for (const [name, values] of first) {
      if (!others.every((branch) => branch.has(name))) continue;
      const all = new Set(values);
      for (const branch of others) for (const value of branch.get(name) ?? []) all.add(value);
      found.set(name, all);
    }
  }
  return found;
}
