/**
 * Queries bound to a class: names resolved, operands type-checked, and every constant a value of the type it meets.
 *
 * Decides what a parsed query means for one class, and refuses what means nothing, in Realm's words; where paths lead is
 * for paths.js. An extension of ours: a link may be compared with a plain value of the target's key type. Knows no text
 * and no images.
 */

import { Decimal, MAX_EXPONENT } from "./decimal.js"
import { QueryError } from "./errors.js"
import { excerpt, fromBytes, narrow, readNumber, toBytes } from "./literals.js"
import { searchProblem } from "./fullText.js"
import { geometryProblem } from "./geometry.js"
import { STRING_OPERATORS, constant, isMany, joined, not, paths, typeOf } from "./nodes.js"
import { TYPE_NAMES } from "./operators.js"
import { NUMERIC, elementClass, isCollection, keyType, propertyOf, resolve } from "./paths.js"
import { toText } from "./text.js"

/** @typedef {import('./nodes.js').Node} Node */
/** @typedef {import('./nodes.js').Operand} Operand */
/** @typedef {import('./nodes.js').Constant} Constant */
/** @typedef {import('./nodes.js').Comparison} Comparison */
/** @typedef {import('./nodes.js').Path} Path */
/** @typedef {import('./nodes.js').Query} Query */
/** @typedef {import('./paths.js').Class} Class */
/** @typedef {import('./paths.js').Schema} Schema */

const ORDERINGS = ["<", "<=", ">", ">=", "BETWEEN"];

/**
 * The query for one class. Required before any back end; binding a bound query again changes nothing. Throws a
 * QueryError, worded as Realm does.
 * @param {Query} query @param {Class} cls @param {Schema} schema @returns {Query}
 */
export function bind(query, cls, schema) {
  const binder = new Binder(cls, schema);
  try {
    const predicate = binder.node(query.predicate);
    return { kind: "Query", predicate, clauses: query.clauses.map((clause) => binder.clause(clause)), text: query.text };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(error.problem, query.text, error.position, error.code);
  }
}

/** Resolves names in one class; what needs no class is in the functions below. */
class Binder {
  /** @param {Class} cls @param {Schema} schema @param {string[]} variables of the subqueries that this is inside of */
  constructor(cls, schema, variables = []) {
    this.cls = cls;
    this.schema = schema;
    this.variables = variables;
  }

  /** @param {Node} node @returns {Node} */
  node(node) {
    switch (node.kind) {
      case "And":
      case "Or":
        return joined(node.kind, node.nodes.map((inner) => this.node(inner)));
      case "Not":
        return not(this.node(node.node));
      case "Comparison":
        return this.comparison(node);
    }
    return node;
  }

  /** @param {Comparison} node @returns {Comparison} */
  comparison(node) {
    const [left, right] = [this.operand(node.left), this.operand(node.right)];
    if (node.operator === "TEXT") return fullText(node, left, right);
    if (node.operator === "GEOWITHIN") return this.geoWithin(node, left, right);
    checkForm(node, left, right);
    const bound = { ...node, left: this.fitted(node, left, right), right: this.fitted(node, right, left) };
    if (!isValue(left) && !isValue(right)) checkPair(node, left, right);
    return bound;
  }

  /** @param {Operand} operand @returns {Operand} */
  operand(operand) {
    if (operand.kind === "Path") return this.path(operand);
    if (operand.kind === "Arithmetic") return this.arithmetic(operand);
    if (operand.kind === "Subquery") return this.subquery(operand);
    if (operand.kind === "ListValue") operand.items.forEach((item) => this.operand(item));
    if (operand.kind === "Constant" && operand.type === "internal") {
      const problem = `Internal object keys (${operand.value}) mean nothing here: write obj("Class", key).`;
      throw new QueryError(problem, "", operand.position);
    }
    return operand;
  }

  /** In a subquery `$d.age` is `age`. @param {Path} path @returns {Path} */
  path(path) {
    const [variable] = this.variables;
    if (!variable) return resolve(path, this.cls, this.schema);
    if (path.steps[0] !== variable) return resolve(path, this.cls, this.schema);
    const bound = resolve({ ...path, steps: path.steps.slice(1) }, this.cls, this.schema);
    return { ...bound, steps: [variable, ...bound.steps] };
  }

  /** @param {import('./nodes.js').Subquery} node @returns {Operand} */
  subquery(node) {
    const { variable, path: { position } } = node;
    if (this.variables.includes(variable)) {
      const problem = `Unable to create a subquery expression with variable '${variable}' since an identical variable already exists in this context`;
      throw new QueryError(problem, "", position);
    }
    const path = this.path({ ...node.path, quantifier: "" });
    const cls = path.many ? this.schema.get(elementClass(path)) : undefined;
    if (!cls) {
      const shown = toText(path);
      const problem = path.many
        ? `A subquery can not operate on a list of primitive values (property '${shown}')`
        : `A subquery must operate on a list property, but '${shown}' is type '${typeText(path)}'`;
      throw new QueryError(problem, "", position);
    }
    const predicate = new Binder(cls, this.schema, [variable, ...this.variables]).node(node.predicate);
    return { ...node, path, predicate, type: "int" };
  }

  /** @param {Comparison} node @param {Operand} left @param {Operand} right @returns {Comparison} */
  geoWithin(node, left, right) {
    const { position } = node;
    const cls = left.kind === "Path" && left.type === "embedded" ? this.schema.get(elementClass(left)) : undefined;
    const [type, coordinates] = ["type", "coordinates"].map((name) => cls && propertyOf(cls, name)[1]);
    if (type?.type !== "string" || coordinates?.type !== "list" || coordinates.objectType !== "double") {
      throw new QueryError("The left hand side of 'geoWithin' must be a link to geoJSON formatted data.", "", position);
    }
    if (right.kind !== "Geometry") {
      const problem = `The right hand side of 'geoWithin' must be a geospatial constant value. But the provided type is '${typeText(right)}'`;
      throw new QueryError(problem, "", position);
    }
    const problem = geometryProblem(right);
    if (problem) throw new QueryError(`The Geospatial query argument region is invalid: '${problem}'`, "", position);
    return { ...node, left, right };
  }

  /** @param {import('./nodes.js').Arithmetic} node @returns {Operand} */
  arithmetic(node) {
    const sides = [this.operand(node.left), this.operand(node.right)];
    const types = sides.map(numberType);
    if (types.includes("")) {
      const [a, b] = sides.map(typeText);
      const problem = `Cannot perform '${node.operator}' operation on '${a}' and '${b}'`;
      throw new QueryError(problem, "", findPosition(sides));
    }
    if (sides.every(isMany)) throw new QueryError("Operations involving two lists are not supported", "", findPosition(sides));
    const widest = ["mixed", "decimal128"].find((type) => types.includes(type));
    const type = widest ?? (types.every((each) => each === "int") ? "int" : "double");
    const [left, right] = sides.map((side) => this.number(side, type));
    return { ...node, left, right, type };
  }

  /** A side of arithmetic: constants become numbers of the result's type. @template {Operand} T @param {T} side
   * @param {string} type @returns {T} */
  number(side, type) {
    if (side.kind === "ListValue") return { ...side, items: side.items.map((item) => this.number(item, type)) };
    if (side.kind !== "Constant") return side;
    return /** @type {any} */ (type === "mixed" ? this.loose(side) : convert(side, type));
  }

  /** One side of a comparison: constants become values of the other side's type, what has a type must suit the operator.
   * @param {Comparison} node @param {Operand} side @param {Operand} other @returns {Operand} */
  fitted(node, side, other) {
    if (side.kind === "ListValue") return { ...side, items: side.items.map((item) => this.fit(node, item, other)) };
    if (side.kind === "Constant") return this.fit(node, side, other);
    checkOperator(node, side);
    return side;
  }

  /** @param {Comparison} node @param {Constant} constant @param {Operand} other @returns {Constant} */
  fit(node, constant, other) {
    const type = typeOf(other);
    if (constant.type === "null") {
      if (other.kind === "Path" && other.target && isCollection(other)) throw new QueryError(`Cannot compare linklist ('${toText(other)}') with NULL`, "", constant.position);
      return constant;
    }
    const target = targetOf(other);
    if (target) return this.link(constant, target, type);
    if (STRING_OPERATORS.includes(node.operator)) {
      if (["string", "text", "data"].includes(constant.type)) return stringOperand(constant, type === "mixed" ? "string" : type);
      checkOperator(node, constant);
    }
    if (type === "mixed") return this.loose(constant);
    if (type === "embedded") throw mismatch(constant, "link");
    return type === "@type" ? checkedType(constant) : convert(constant, type);
  }

  /** A constant that meets a mixed value keeps the type it was written with. @param {Constant} given @returns {Constant} */
  loose(given) {
    const { type, value } = given;
    if (type === "object") {
      const name = this.named(value[0]);
      const cls = this.schema.get(name);
      if (!cls) throw new QueryError(`Unknown object type '${name}'`, "", given.position);
      return this.link(given, name, keyType(cls));
    }
    if (type === "text") return stringOperand(given, "string");
    if (type !== "number") return convert(given, type);
    const [, number] = /** @type {[string, any]} */ (convertNumber("", value, "double"));
    return Decimal.from(number).compare(value) === 0 || value.isNaN ? { ...given, type: "double", value: number } : convert(given, "decimal128");
  }

  /** The class that an `obj()` names: the official SDKs print it as its table is called in their files.
   * @param {string} className */
  named(className) {
    const plain = className.replace(/^class_/, "");
    return !this.schema.has(className) && this.schema.has(plain) ? plain : className;
  }

  /** A link's constant: `obj()`, an object, or a key of the target's key type.
   * @param {Constant} given @param {string} target @param {string} keyType @returns {Constant} */
  link(given, target, keyType) {
    const { argument, position } = given;
    let key = given;
    if (given.type === "object") {
      const [named, inner] = given.value;
      const name = this.named(named);
      const known = this.schema.has(name);
      if (argument === null && !known) throw new QueryError(`Unknown object type '${name}'`, "", position);
      if (known && name !== target) {
        const link = `The relationship which links to type '${target}'`;
        throw new QueryError(`${link} cannot be compared to an argument of type '${name}'`, "", position);
      }
      key = { ...inner, position };
    }
    if (key.type === "string" && argument !== null && (keyType === "uuid" || keyType === "objectId")) {
      key = parsedKey(key, keyType);
    }
    const converted = convert(key, keyType);
    if (converted.type !== keyType) throw mismatch(key, keyType);
    return constant("object", [target, converted], argument, position);
  }

  // Clauses

  /** @param {import('./nodes.js').Clause} clause @returns {import('./nodes.js').Clause} */
  clause(clause) {
    if (clause.kind === "Sort") {
      return { ...clause, keys: clause.keys.map(([path, ascending]) => [this.column(path, "sort"), ascending]) };
    }
    if (clause.kind === "Distinct") {
      return { ...clause, paths: clause.paths.map((path) => this.column(path, "distinct")) };
    }
    return clause;
  }

  /** What is sorted by, or told apart by: a value of the object, or of one that it links to.
   * @param {Path} path @param {string} clause */
  column(path, clause) {
    const { position = null, steps: [name] } = path;
    /** @type {(problem: string) => never} */
    const fail = (problem) => {
      throw new QueryError(problem, "", position);
    };
    const [, prop] = propertyOf(this.cls, name);
    if (!prop) {
      fail(`No property '${name}' found on object type '${this.cls.name}' specified in '${clause}' clause`);
    }
    const bound = this.path(path);
    const { via } = bound.hops[bound.hops.length - 1];
    const where = `Cannot sort on key path '${toText(path)}': property '${this.cls.name}.${name}'`;
    if (bound.many) fail(`${where} is of unsupported type '${prop?.type}'`);
    const isWhole = clause === "distinct" && bound.type === "embedded";
    if (isWhole || !["property", "entry", "element"].includes(via)) fail(`'${clause}' takes properties, not '${bound.steps.at(-1)}'`);
    if (clause !== "sort") return bound;
    if (bound.target || bound.type === "embedded") fail(`${where} of type 'object' cannot be the final property in the key path`);
    if (bound.type === "data") fail(`${where} is of unsupported type 'data'`);
    return bound;
  }
}

// --- Checks of comparisons ---

/** @param {Comparison} node @param {Operand} left @param {Operand} right @returns {Comparison} */
function fullText(node, left, right) {
  const { position } = node;
  const isIndexed = left.kind === "Path" && left.hops[left.hops.length - 1].isFullText;
  if (!isIndexed) throw new QueryError("Column has no fulltext index", "", position);
  if (right.kind !== "Constant" || !["string", "text"].includes(right.type)) {
    throw new QueryError(`Unsupported comparison between type 'string' and type '${typeText(right)}'`, "", position);
  }
  const words = convert(right, "string");
  const problem = searchProblem(words.value);
  if (problem) throw new QueryError(problem, "", right.position);
  return { ...node, left, right: words };
}

/** IN and BETWEEN want lists, and something must be there to compare with.
 * @param {Comparison} node @param {Operand} left @param {Operand} right */
function checkForm({ operator, position }, left, right) {
  if (operator === "IN" && !isMany(right)) {
    const problem = `The keypath following 'IN' must contain a list. Found '${toText(right)}'`;
    throw new QueryError(problem, "", "position" in right ? right.position : position);
  }
  if (operator === "BETWEEN" && right.kind === "ListValue") {
    if (right.items.length !== 2) throw new QueryError("Operator 'BETWEEN' requires list with 2 elements.", "", right.position);
    if (right.quantifier) throw new QueryError("ANY/ALL/NONE have no meaning for 'BETWEEN'.", "", right.position);
    if (isMany(left) && !("quantifier" in left && left.quantifier === "ALL")) {
      throw new QueryError("Only 'ALL' supported for operator 'BETWEEN' when applied to lists.", "", position);
    }
  }
  if (isList(left) && isList(right)) {
    const [a, b] = [left, right].map(toText);
    throw new QueryError(`Ordered comparison between two primitive lists is not implemented yet ('${a}' and '${b}')`, "", position);
  }
  for (const side of [left, right]) for (const _ of paths(side)) return;
  throw new QueryError("Cannot compare two constants", "", position);
}

/** The operator must make sense for the type of this property, arithmetic or constant.
 * @param {Comparison} node @param {Operand} side */
function checkOperator({ operator, fold }, side) {
  const position = "position" in side ? side.position : null;
  const type = typeOf(side);
  const onlyEqual = targetOf(side) || type === "@type" || type === "embedded";
  if (ORDERINGS.includes(operator) && onlyEqual) {
    const shown = operator === "BETWEEN" ? ">=" : operator;
    const supported = "Only equal (==) and not equal (!=) are supported for this type.";
    throw new QueryError(`Unsupported operator ${shown} in query. ${supported}`, "", position);
  }
  const isText = ["string", "data", "mixed"].includes(type) && !targetOf(side);
  if ((STRING_OPERATORS.includes(operator) || fold) && !isText) {
    const shown = `${operator.toLowerCase()}${fold ? "[c]" : ""}`;
    const found = `Unsupported comparison operator '${shown}' against type '${typeText(side)}'`;
    throw new QueryError(`${found}, right side must be a string or binary type`, "", position);
  }
}

/** Two properties, or arithmetic: of one type, both numbers, or links to one class.
 * @param {Comparison} node @param {Operand} left @param {Operand} right */
function checkPair({ operator, position }, left, right) {
  const [a, b] = [typeOf(left), typeOf(right)];
  const isLoose = (a === "mixed" && b !== "@type") || (b === "mixed" && a !== "@type");
  const comparable = STRING_OPERATORS.includes(operator) || a === b || (NUMERIC.includes(a) && NUMERIC.includes(b));
  if (a !== "embedded" && b !== "embedded" && (isLoose || (targetOf(left) === targetOf(right) && comparable))) return;
  const problem = `Unsupported comparison between type '${typeText(left)}' and type '${typeText(right)}'`;
  throw new QueryError(problem, "", position);
}

/** @param {Operand} operand */
function isValue({ kind }) {
  return kind === "Constant" || kind === "ListValue";
}

/** Whether it is a collection of scalars itself, without a quantifier. @param {Operand} operand */
function isList(operand) {
  return operand.kind === "Path" && !operand.quantifier && !operand.target && isCollection(operand);
}

/** The type that arithmetic computes with; "" if it cannot. @param {Operand} side @returns {string} */
function numberType(side) {
  if (side.kind === "ListValue") {
    const types = side.items.length ? side.items.map(numberType) : ["int"];
    return ["", "mixed", "decimal128", "number", "int"].find((type) => types.includes(type)) ?? "double";
  }
  const type = side.kind === "Subquery" ? "int" : typeOf(side);
  return [...NUMERIC, "number", "mixed"].includes(type) && !targetOf(side) ? type : "";
}

/** @param {Operand} operand */
function targetOf(operand) {
  return operand.kind === "Path" ? operand.target : "";
}

/** A type as errors name it: Realm calls `link` what holds an object. @param {Operand} operand */
function typeText(operand) {
  const type = typeOf(operand);
  if (targetOf(operand) || type === "object" || type === "embedded") return "link";
  if (operand.kind === "ListValue") return "list";
  return type === "number" ? "double" : type === "text" ? "string" : type;
}

/** @param {Operand[]} operands @returns {number | null} */
function findPosition(operands) {
  for (const operand of operands) {
    const position =
      operand.kind === "Arithmetic"
        ? findPosition([operand.left, operand.right])
        : "position" in operand ? operand.position : null;
    if (position !== null) return position;
  }
  return null;
}

// --- Constants ---

/** The constant as a `type`. A number that an int property cannot hold stays a double, and just never equals it.
 * @param {Constant} given @param {string} type @returns {Constant} */
function convert(given, type) {
  if (NUMERIC.includes(type)) return asNumber(given, type);
  if (given.type === "text" && type === "data") return { ...given, type };
  const text = given.type === "text" && type === "string" ? fromBytes(given.value) : null;
  if (text !== null) return checked({ ...given, type, value: text });
  if (given.type !== type) throw mismatch(given, type);
  return checked(given);
}

/** @param {Constant} given @param {string} type @returns {Constant} */
function asNumber(given, type) {
  /** @type {[string, any] | null} */
  let number = null;
  if (given.type === "string") number = readNumber(given.value);
  else if (given.type === "text") number = readNumber(fromBytes(given.value) ?? "");
  else if ([...NUMERIC, "number"].includes(given.type)) number = [given.type, given.value];
  if (number === null) throw mismatch(given, type);
  const converted = convertNumber(number[0], number[1], type);
  if (converted === null) {
    throw new QueryError(`Cannot convert '${excerpt(toText(given), 40)}' to a ${type}`, "", given.position);
  }
  return { ...given, type: converted[0], value: converted[1] };
}

/** A number as [type, value] for comparison with a `type`; null if it does not fit.
 * @param {string} from @param {any} value @param {string} type @returns {[string, any] | null} */
function convertNumber(from, value, type) {
  const exact = value instanceof Decimal ? value : Decimal.from(value);
  if (type === "decimal128") {
    const rounded = exact.rounded();
    return exact.isFinite && !rounded.isFinite ? null : [type, rounded];
  }
  if (type === "int") {
    const whole = exact.isInteger && exact.adjusted < 20 ? exact.toBigInt() : null;
    if (whole !== null && BigInt.asIntN(64, whole) === whole) return [type, narrow(whole)];
    return from === "int" ? null : ["double", exact.toNumber()];
  }
  return [type, type === "float" ? Math.fround(exact.toNumber()) : exact.toNumber()];
}

/** A string where it can be one; bytes that are no text may still be the end or the start of a string.
 * @param {Constant} given @param {string} type */
function stringOperand(given, type) {
  const { value } = given;
  if (typeof value === "string") return type === "data" ? { ...given, type, value: toBytes(value) } : checked(given);
  const text = type === "string" ? fromBytes(value) : null;
  return text === null || text.includes("\0") ? { ...given, type: "data" } : { ...given, type: "string", value: text };
}

/** Arguments may hold a key as it travels: the text of a UUID or an ObjectId.
 * @param {Constant} key @param {string} keyType @returns {Constant} */
function parsedKey(key, keyType) {
  const isUuid = keyType === "uuid";
  const hex = (isUuid ? key.value.replace(/^urn:uuid:|[{}-]/g, "") : key.value).toLowerCase();
  if (!(isUuid ? /^[0-9a-f]{32}$/ : /^[0-9a-f]{24}$/).test(hex)) throw mismatch(key, keyType);
  const value = isUuid ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") : hex;
  return { ...key, type: keyType, value };
}

/** A name that `@type` is compared with. @param {Constant} given */
function checkedType(given) {
  const name = given.type === "string" ? given.value : toText(given);
  if (given.type === "string" && TYPE_NAMES.has(name.toLowerCase())) return given;
  const listed = [...TYPE_NAMES.keys()].map((each) => `'${each}'`).join(", ");
  const supported = "supported case insensitive values are:";
  const problem = `Unable to parse the type attribute string '${name}', ${supported} [${listed}]`;
  throw new QueryError(problem, "", given.position);
}

/** Only values that a property could hold. @param {Constant} given */
function checked(given) {
  if (given.type === "string" && given.value.includes("\0")) {
    throw new QueryError("Expected a string without U+0000 in the query.", "", given.position);
  }
  return given;
}

/** @param {Constant} given @param {string} type */
function mismatch(given, type) {
  let problem = `Unsupported comparison between type '${type}' and type '${typeText(given)}'`;
  if (given.argument !== null) {
    const { value } = given;
    const bytes = value instanceof Uint8Array;
    const shown = bytes ? fromBytes(value) ?? toText(given) : given.type === "object" ? toText(given) : String(value);
    problem = `Cannot compare argument $${given.argument} with value '${excerpt(shown, 40)}' to a ${type}`;
  }
  return new QueryError(problem, "", given.position);
}
