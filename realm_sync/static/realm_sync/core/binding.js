/**
 * Queries bound to a class: names resolved, operands type-checked, and every constant a value of the type it meets.
 *
 * Decides what a parsed query means for one class, and refuses what means nothing, or has nodes but no back end yet, in
 * Realm's words. A name is that of JavaScript (`mapTo`) or the stored one; bound paths have the stored ones. An extension
 * of ours: a link may be compared with a plain value of the target's key type. Knows no text and no images.
 */

import { Decimal, MAX_EXPONENT } from "./decimal.js"
import { QueryError } from "./errors.js"
import { excerpt, fromBytes, narrow, readNumber, toBytes } from "./literals.js"
import { STRING_OPERATORS, constant, joined, not, paths, typeOf } from "./nodes.js"
import { indexText, toText } from "./text.js"

/** @typedef {import('./nodes.js').Node} Node */
/** @typedef {import('./nodes.js').Operand} Operand */
/** @typedef {import('./nodes.js').Constant} Constant */
/** @typedef {import('./nodes.js').Comparison} Comparison */
/** @typedef {import('./nodes.js').Path} Path */
/** @typedef {import('./nodes.js').Query} Query */
/** @typedef {{type: string, objectType?: string, optional?: boolean}} Property */
/** @typedef {{name: string, properties: Record<string, Property>, wire?: Record<string, Property>, keyName?: string,
 *   aliases?: Record<string, string>}} Class `wire`, where given, has the properties by stored name, else `properties`. */
/** @typedef {{get: (name: string) => Class | undefined, has: (name: string) => boolean,
 *   wireType: (prop: any) => string}} Schema */

const NUMERIC = ["int", "float", "double", "decimal128"];
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
  /** @param {Class} cls @param {Schema} schema */
  constructor(cls, schema) {
    this.cls = cls;
    this.schema = schema;
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
    checkSupported(node);
    const [left, right] = [this.operand(node.left), this.operand(node.right)];
    checkForm(node, left, right);
    const bound = { ...node, left: this.fitted(node, left, right), right: this.fitted(node, right, left) };
    if (!isValue(left) && !isValue(right)) checkPair(node, left, right);
    return bound;
  }

  /** @param {Operand} operand @returns {Operand} */
  operand(operand) {
    if (operand.kind === "Path") return this.path(operand);
    if (operand.kind === "Arithmetic") return this.arithmetic(operand);
    if (operand.kind === "Subquery") throw new QueryError("Subqueries are not supported yet.", "", operand.path.position);
    if (operand.kind === "Constant" && operand.type === "internal") {
      const problem = `Internal object keys (${operand.value}) mean nothing here: write obj("Class", key).`;
      throw new QueryError(problem, "", operand.position);
    }
    return operand;
  }

  /** @param {Path} path @returns {Path} */
  path(path) {
    const { position = null } = path;
    const [name, ...rest] = path.steps;
    const { stored, prop } = this.find(path);
    if (String(name).startsWith("@")) throw new QueryError("Backlinks (@links) are not supported yet.", "", position);
    if (!prop) throw new QueryError(`'${this.cls.name}' has no property '${name}'`, "", position);
    if (path.quantifier) {
      throw new QueryError(`The keypath following '${path.quantifier}' must contain a list`, "", position);
    }
    const type = this.schema.wireType(prop);
    const target = prop.type === "object" ? prop.objectType ?? "" : "";
    const optional = prop.optional ?? false;
    const bound = { ...path, steps: [stored, ...rest], type, target, counted: "", optional, position };
    if (rest.length === 0) return bound;
    const [step] = rest;
    if (rest.length === 1 && typeof step === "string") {
      const cls = target ? this.schema.get(target) : undefined;
      const key = cls?.keyName ?? "_id";
      // The key of the target is what a link holds.
      if (target && (cls?.aliases?.[step] ?? step) === key) return { ...bound, steps: [stored, key], target: "" };
      if ((step === "@count" || step === "@size") && (target || type === "string" || type === "data")) {
        const counted = target ? "link" : type;
        return { ...bound, type: "int", target: "", counted, optional: optional && !target };
      }
    }
    throw new QueryError(this.pathProblem(String(name), prop, step), "", position);
  }

  /** The property that a path starts with, and the name it is stored under. @param {Path} path */
  find({ steps: [name] }) {
    const { aliases = {}, wire, properties } = this.cls;
    const stored = Object.hasOwn(aliases, String(name)) ? aliases[String(name)] : String(name);
    return { stored, prop: propertyOf({ wire, properties }, stored) };
  }

  /** @param {string} name @param {Property} prop @param {Path["steps"][0]} step */
  pathProblem(name, prop, step) {
    const where = `${this.cls.name}.${name}`;
    if (typeof step !== "string") return `Property '${where}' does not support index '${indexText(step)}'`;
    if (["@min", "@max", "@sum", "@avg"].includes(step)) {
      return `Operation '${step}' cannot apply to property '${name}' because it is not a list`;
    }
    if (step.startsWith("@")) return `Operation '${step}' is not supported on property '${where}' of type '${prop.type}'`;
    const target = prop.type === "object" && this.schema.get(prop.objectType ?? "");
    if (!target || !(propertyOf(target, step) || Object.hasOwn(target.aliases ?? {}, step))) {
      return `Property '${where}' has no property '${step}'`;
    }
    return `Key paths through links ('${name}.${step}') are not supported yet; only '${name}' and '${name}._id' are.`;
  }

  /** @param {import('./nodes.js').Arithmetic} node @returns {Operand} */
  arithmetic(node) {
    const sides = [this.operand(node.left), this.operand(node.right)];
    for (const side of sides) {
      if (side.kind === "ListValue") throw new QueryError("Arithmetic on lists is not supported yet.", "", side.position);
    }
    const types = sides.map(typeOf);
    if (sides.some((side) => ![...NUMERIC, "number"].includes(typeOf(side)) || targetOf(side))) {
      const [a, b] = sides.map(typeText);
      const problem = `Cannot perform '${node.operator}' operation on '${a}' and '${b}'`;
      throw new QueryError(problem, "", findPosition(sides));
    }
    const type = types.includes("decimal128") ? "decimal128" : types.every((each) => each === "int") ? "int" : "double";
    const [left, right] = sides.map((side) => (side.kind === "Constant" ? convert(side, type) : side));
    return { ...node, left, right, type };
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
    if (constant.type === "null") return constant;
    const target = targetOf(other);
    if (target) return this.link(constant, target, typeOf(other));
    if (STRING_OPERATORS.includes(node.operator)) {
      if (["string", "text", "data"].includes(constant.type)) return stringOperand(constant, typeOf(other));
      checkOperator(node, constant);
    }
    return convert(constant, typeOf(other));
  }

  /** A link's constant: `obj()`, an object, or a key of the target's key type.
   * @param {Constant} given @param {string} target @param {string} keyType @returns {Constant} */
  link(given, target, keyType) {
    const { argument, position } = given;
    let key = given;
    if (given.type === "object") {
      const [name, inner] = given.value;
      const known = this.schema.has(name);
      if (argument === null && !known) throw new QueryError(`Unknown object type '${name}'`, "", position);
      if (known && name !== target) {
        const link = `The relationship which links to type '${target}'`;
        throw new QueryError(`${link} cannot be compared to an argument of type '${name}'`, "", position);
      }
      key = { ...inner, position };
    }
    if (key.type === "string" && key.argument !== null && (keyType === "uuid" || keyType === "objectId")) {
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

  /** @param {Path} path @param {string} clause */
  column(path, clause) {
    const [name] = path.steps;
    const { position = null } = path;
    if (!this.find(path).prop) {
      const problem = `No property '${name}' found on object type '${this.cls.name}' specified in '${clause}' clause`;
      throw new QueryError(problem, "", position);
    }
    const bound = this.path(path);
    if (bound.counted) throw new QueryError(`'${clause}' takes properties, not '${bound.steps.at(-1)}'`, "", position);
    const where = `Cannot sort on key path '${toText(path)}': property '${this.cls.name}.${name}'`;
    if (clause === "sort" && bound.target) {
      const problem = `${where} of type 'object' cannot be the final property in the key path`;
      throw new QueryError(problem, "", position);
    }
    if (clause === "sort" && bound.type === "data") {
      throw new QueryError(`${where} is of unsupported type 'data'`, "", position);
    }
    return bound;
  }
}

/** @param {Pick<Class, "wire" | "properties">} cls @param {string} stored */
function propertyOf({ wire, properties }, stored) {
  const known = wire ?? properties;
  return Object.hasOwn(known, stored) ? known[stored] : undefined;
}

// --- Checks of comparisons ---

/** @param {Comparison} node */
function checkSupported({ operator, position }) {
  if (operator === "TEXT") {
    const problem = "Column has no fulltext index: full-text search (TEXT) is not supported yet.";
    throw new QueryError(problem, "", position);
  }
  if (operator === "GEOWITHIN") {
    const problem = "The left hand side of 'geoWithin' must be a link to geoJSON formatted data.";
    throw new QueryError(`${problem} Geospatial queries are not supported yet.`, "", position);
  }
}

/** IN and BETWEEN want lists, and something must be there to compare with.
 * @param {Comparison} node @param {Operand} left @param {Operand} right */
function checkForm({ operator, position }, left, right) {
  if (operator === "IN" && right.kind !== "ListValue") {
    const problem = `The keypath following 'IN' must contain a list. Found '${toText(right)}'`;
    throw new QueryError(problem, "", "position" in right ? right.position : position);
  }
  if (operator === "BETWEEN" && right.kind === "ListValue") {
    if (right.items.length !== 2) throw new QueryError("Operator 'BETWEEN' requires list with 2 elements.", "", right.position);
    if (right.quantifier) throw new QueryError("ANY/ALL/NONE have no meaning for 'BETWEEN'.", "", right.position);
  }
  for (const side of [left, right]) for (const _ of paths(side)) return;
  throw new QueryError("Cannot compare two constants", "", position);
}

/** The operator must make sense for the type of this property, arithmetic or constant.
 * @param {Comparison} node @param {Operand} side */
function checkOperator({ operator, fold }, side) {
  const position = "position" in side ? side.position : null;
  if (ORDERINGS.includes(operator) && targetOf(side)) {
    const shown = operator === "BETWEEN" ? ">=" : operator;
    const supported = "Only equal (==) and not equal (!=) are supported for this type.";
    throw new QueryError(`Unsupported operator ${shown} in query. ${supported}`, "", position);
  }
  const isText = ["string", "data"].includes(typeOf(side)) && !targetOf(side);
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
  const comparable = STRING_OPERATORS.includes(operator) || a === b || (NUMERIC.includes(a) && NUMERIC.includes(b));
  if (targetOf(left) === targetOf(right) && comparable) return;
  const problem = `Unsupported comparison between type '${typeText(left)}' and type '${typeText(right)}'`;
  throw new QueryError(problem, "", position);
}

/** @param {Operand} operand */
function isValue({ kind }) {
  return kind === "Constant" || kind === "ListValue";
}

/** @param {Operand} operand */
function targetOf(operand) {
  return operand.kind === "Path" ? operand.target : "";
}

/** A type as errors name it: Realm calls `link` what holds an object. @param {Operand} operand */
function typeText(operand) {
  const type = typeOf(operand);
  if (targetOf(operand) || type === "object") return "link";
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
