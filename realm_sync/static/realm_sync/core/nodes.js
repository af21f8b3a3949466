/**
 * The query tree: what a query says, as plain objects told apart by `kind`, never changed once made.
 *
 * Decides which sentences there can be, and keeps them flat: build conditions with `and`, `or` and `not`. A tree is made
 * and used in this order: query.parse, binding.bind, lowering.lower, predicate.compilePredicate; text.toText writes it at
 * any stage. Knows neither text nor classes.
 */

/**
 * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
 * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
 * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
 * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
 * @typedef {{kind: "Constant", type: string, value: any, argument: number | null, position: number | null}} Constant
 * @typedef {{kind: "Index", value: Constant | string}} Index
 *
 * `bind` fills in what follows the quantifier: the type of the value (a link has that of its key, and names its class in
 * `target`; an embedded object is `embedded`); `hops`, the way to it; and `many`, whether that leads to any number of
 * values: through a collection, a backlink or a link of many. An own property is one hop.
 * @typedef {{kind: "Path", steps: (string | Index)[], quantifier: string, type: string, target: string, hops: Hop[],
 *   many: boolean, optional: boolean, position: number | null}} Path
 *
 * One step of a bound path, from an object or a value to the next; paths.js lists what `via` can be. `type` is what it
 * reads, `cls` the class it leads to, `name` a stored property or a key.
 * @typedef {{via: string, type?: string, name?: string, cls?: string, index?: number, key?: string, isFullText?: boolean, hides?: boolean,
 *   inner?: Hop[], origins?: [string, string][]}} Hop
 * @typedef {{kind: "ListValue", items: Constant[], quantifier: string, position: number | null}} ListValue
 * @typedef {{kind: "Arithmetic", operator: string, left: Operand, right: Operand, type: string}} Arithmetic
 * @typedef {{kind: "Subquery", path: Path, variable: string, predicate: Node, word: string, type: string,
 *   many?: boolean}} Subquery
 * @typedef {{kind: "Geometry", shape: string, rings: import('./decimal.js').Decimal[][][], radius: any}} Geometry
 * @typedef {Constant | Path | ListValue | Arithmetic | Subquery | Geometry} Operand
 *
 * @typedef {{kind: "Truth", value: boolean}} Truth
 * @typedef {{kind: "And", nodes: Node[]}} And
 * @typedef {{kind: "Or", nodes: Node[]}} Or
 * @typedef {{kind: "Not", node: Node}} Not
 * @typedef {{kind: "Comparison", operator: string, left: Operand, right: Operand, fold: boolean,
 *   position: number | null}} Comparison
 * @typedef {Truth | And | Or | Not | Comparison} Node
 *
 * @typedef {{kind: "Sort", keys: [Path, boolean][]}} Sort Paths, each with whether it ascends.
 * @typedef {{kind: "Distinct", paths: Path[]}} Distinct
 * @typedef {{kind: "Limit", count: number | bigint}} Limit
 * @typedef {Sort | Distinct | Limit} Clause
 * @typedef {{kind: "Query", predicate: Node, clauses: Clause[], text: string}} Query `text` is the source, for errors.
 */

export const STRING_OPERATORS = ["BEGINSWITH", "ENDSWITH", "CONTAINS", "LIKE"];

/** @type {Truth} */
export const TRUE = Object.freeze({ kind: "Truth", value: true });
/** @type {Truth} */
export const FALSE = Object.freeze({ kind: "Truth", value: false });

/** All of the conditions. @param {...Node} nodes */
export function and(...nodes) {
  return joined("And", nodes);
}

/** Any of the conditions. @param {...Node} nodes */
export function or(...nodes) {
  return joined("Or", nodes);
}

/** The exact complement. @param {Node} node @returns {Node} */
export function not(node) {
  if (node.kind === "Truth") return node.value ? FALSE : TRUE;
  return node.kind === "Not" ? node.node : { kind: "Not", node };
}

/** `and` or `or` of a list, which may be long. @param {"And" | "Or"} kind @param {Node[]} nodes @returns {Node} */
export function joined(kind, nodes) {
  /** @type {Node[]} */
  const flat = [];
  for (const node of nodes) {
    if (node.kind === "Truth") {
      if (node.value === (kind === "Or")) return node.value ? TRUE : FALSE;
    } else if (node.kind === kind) {
      for (const inner of node.nodes) flat.push(inner);
    } else {
      flat.push(node);
    }
  }
  return flat.length > 1 ? { kind, nodes: flat } : flat[0] ?? (kind === "And" ? TRUE : FALSE);
}

/** @param {string} type @param {any} value @param {number | null} argument @param {number | null} position
 * @returns {Constant} */
export function constant(type, value, argument = null, position = null) {
  return { kind: "Constant", type, value, argument, position };
}

/** The type of a constant, and of what `bind` has typed; "" for the rest. @param {Operand} operand */
export function typeOf(operand) {
  return "type" in operand ? operand.type : "";
}

/** Whether it stands for any number of values. @param {Operand} operand @returns {boolean} */
export function isMany(operand) {
  if (operand.kind === "Arithmetic") return isMany(operand.left) || isMany(operand.right);
  return operand.kind === "ListValue" || (operand.kind === "Path" && operand.many);
}

/** Whether a bound comparison, or one side of it, needs more than the object's own scalars. @param {Comparison | Operand} item
 * @returns {boolean} */
export function isDeep(item) {
  if (item.kind === "Path") return !ownName(item) || item.type === "mixed" || item.type === "embedded";
  if (item.kind === "Comparison" && (item.operator === "TEXT" || item.operator === "GEOWITHIN")) return true;
  return "left" in item ? isDeep(item.left) || isDeep(item.right) : item.kind === "Subquery";
}

/** The stored name, where all that a bound path reads is a property of the object itself; "" for other paths.
 * @param {Operand} operand */
export function ownName(operand) {
  if (operand.kind !== "Path" || operand.many || operand.hops.length > 1) return "";
  return operand.hops[0].name ?? "";
}

/** Every path, from left to right, but for those inside subqueries: they start at other objects.
 * @param {Node | Operand} item @returns {Iterable<Path>} */
export function* paths(item) {
  if (item.kind === "Path") yield item;
  else if (item.kind === "And" || item.kind === "Or") for (const inner of item.nodes) yield* paths(inner);
  else if (item.kind === "Not") yield* paths(item.node);
  else if (item.kind === "Subquery") yield item.path;
  else if ("left" in item) {
    yield* paths(item.left);
    yield* paths(item.right);
  }
}

/** Every comparison, from left to right. @param {Node} node @returns {Iterable<Comparison>} */
export function* comparisons(node) {
  if (node.kind === "Comparison") yield node;
  else if (node.kind === "Not") yield* comparisons(node.node);
  else if (node.kind !== "Truth") for (const inner of node.nodes) yield* comparisons(inner);
}
