/**
 * Canonical text: the one RQL spelling of a query tree.
 *
 * Decides that two texts are equal exactly when the queries are, and that each parses to an equal query. Strings that
 * need more than plain ASCII are written in base64, and numbers with a fraction always in the same spelling. Works on
 * parsed and on bound trees alike. Knows no classes.
 */

import { toBase64 } from "./bson.js"
import { Decimal } from "./decimal.js"
import { isPlain, toBytes } from "./literals.js"

/** @typedef {import('./nodes.js').Constant} Constant */
/** @typedef {import('./nodes.js').Path} Path */

/** The canonical text of a query or of a part of one.
 * @param {import('./nodes.js').Query | import('./nodes.js').Node | import('./nodes.js').Clause | import('./nodes.js').Operand} item
 * @returns {string} */
export function toText(item) {
  switch (item.kind) {
    case "Comparison":
      return `${toText(item.left)} ${item.operator}${item.fold ? "[c]" : ""} ${toText(item.right)}`;
    case "Path":
      return pathText(item);
    case "Constant":
      return constantText(item);
    case "And":
      return item.nodes.map((node) => (node.kind === "Or" ? `(${toText(node)})` : toText(node))).join(" and ");
    case "Or":
      return item.nodes.map(toText).join(" or ");
    case "Not":
      return `!(${toText(item.node)})`;
    case "Truth":
      return item.value ? "TRUEPREDICATE" : "FALSEPREDICATE";
    case "Query":
      return [item.predicate, ...item.clauses].map(toText).join(" ");
    case "ListValue":
      return `${quantified(item)}{${listed(item.items)}}`;
    case "Arithmetic": {
      const [left, right] = [item.left, item.right].map((side) =>
        side.kind === "Arithmetic" ? `(${toText(side)})` : toText(side),
      );
      return `${left} ${item.operator} ${right}`;
    }
    case "Sort":
      return `SORT(${item.keys.map(([path, up]) => `${pathText(path)} ${up ? "ASC" : "DESC"}`).join(", ")})`;
    case "Distinct":
      return `DISTINCT(${listed(item.paths)})`;
    case "Limit":
      return `LIMIT(${item.count})`;
    case "Subquery":
      return `SUBQUERY(${pathText(item.path)}, ${item.variable}, ${toText(item.predicate)}).${item.word}`;
    case "Geometry":
      return geometryText(item);
  }
}

/** What stands between the brackets of a path's index. @param {import('./nodes.js').Index} index */
export function indexText(index) {
  return typeof index.value === "string" ? index.value : toText(index.value);
}

/** @param {import('./nodes.js').Operand[]} items */
function listed(items) {
  return items.map(toText).join(", ");
}

/** @param {{quantifier: string}} item */
function quantified(item) {
  return item.quantifier && `${item.quantifier} `;
}

/** @type {Record<string, string>} */
const ESCAPES = { " ": "\\ ", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** @param {Path} path */
function pathText(path) {
  const steps = path.steps.map((step, at) => {
    if (typeof step !== "string") return `[${indexText(step)}]`;
    return (at ? "." : "") + step.replace(/[ \n\r\t]/g, (blank) => ESCAPES[blank]);
  });
  return quantified(path) + steps.join("");
}

/** @param {import('./nodes.js').Geometry} geometry */
function geometryText({ shape, rings, radius }) {
  const texts = rings.map((ring) => ring.map((point) => `[${point.map(numberText).join(", ")}]`).join(", "));
  if (shape === "geoPolygon") return `geoPolygon(${texts.map((ring) => `{${ring}}`).join(", ")})`;
  if (shape === "geoBox") return `geoBox(${texts[0]})`;
  return `geoCircle(${texts[0]}, ${numberText(radius)})`;
}

/** @param {Constant} constant @returns {string} */
function constantText({ type, value }) {
  switch (type) {
    case "null":
      return "NULL";
    case "number":
    case "decimal128":
      return numberText(value);
    case "float":
    case "double":
      return numberText(Decimal.from(value));
    case "string":
      return isPlain(value) ? `"${value}"` : base64Text(toBytes(value));
    case "text":
      return base64Text(value);
    case "data":
      return `binary(${base64Text(value)})`;
    case "date":
      return `T${Date.parse(`${value.slice(0, 19)}Z`) / 1000}:${Number(value.slice(20, 26)) * 1000}`;
    case "objectId":
      return `oid(${value})`;
    case "uuid":
      return `uuid(${value})`;
    case "object":
      return `obj("${value[0]}", ${constantText(value[1])})`;
  }
  return String(value); // bool, int, internal
}

/** @param {Uint8Array} bytes */
function base64Text(bytes) {
  return `B64"${toBase64(bytes)}"`;
}

/** A number with a fraction or an exponent, always in the same spelling: 0.1, 5.0, 1.5e+30. @param {Decimal} value */
function numberText(value) {
  const { special, figures } = value;
  if (special !== null) return value.isNaN ? "NaN" : special > 0 ? "inf" : "-inf";
  const prefix = value.negative ? "-" : "";
  if (!figures) return `${prefix}0.0`;
  const point = value.adjusted + 1; // digits before the point
  if (point <= -6 || point > 17) {
    return `${prefix}${figures[0]}.${figures.slice(1) || 0}e${point > 0 ? "+" : ""}${point - 1}`;
  }
  if (point <= 0) return `${prefix}0.${"0".repeat(-point)}${figures}`;
  return `${prefix}${figures.slice(0, point).padEnd(point, "0")}.${figures.slice(point) || 0}`;
}
