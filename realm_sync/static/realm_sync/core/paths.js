/**
 * Key paths: where a path of names, words and indexes leads, from the objects of a class.
 *
 * Decides what each step means, and refuses, in Realm's words, those that lead nowhere. The steps become hops:
 *
 *     property   of an object, the wire value of `name`      link       of a key, the object of `cls`
 *     items      of a list or set, each element              values     of a dictionary, each value
 *     all        of a mixed value, each element or value     keys       of a dictionary, each key
 *     element    of a list, the one at `index` (-1: last)    entry      of a dictionary, the value of `name`
 *     backlinks  of an object, the objects of `cls` whose `name` links to it, as a list
 *     incoming   of an object, how many links lead to it: those of `origins`
 *     exists     of a link, 0 or 1                           kind       of a mixed value, the name of its type
 *     size       elements, or bytes, by `type`: of `objects` together, of other collections one by one
 *     min max sum avg    of the numbers (or dates) of `type` that `inner` finds in collections: of objects together
 *
 * A name is that of JavaScript (`mapTo`) or the stored one; bound paths have the stored ones. The key of a link's target
 * is what the link holds, so `team._id` needs no hop. Knows no values and no operators.
 */

import { QueryError } from "./errors.js"
import { fromBytes } from "./literals.js"
import { indexText } from "./text.js"
import { SCALARS } from "./values.js"

/** @typedef {import('./nodes.js').Path} Path */
/** @typedef {import('./nodes.js').Hop} Hop */
/** @typedef {import('./nodes.js').Index} Index */
/** @typedef {import('./nodes.js').Node} Node */
/** @typedef {import('./nodes.js').Operand} Operand */
/** @typedef {import('./nodes.js').Clause} Clause */
/** @typedef {{type: string, objectType?: string, property?: string, optional?: boolean, indexed?: boolean | "full-text"}} Property */
/** @typedef {{name: string, properties: Record<string, Property>, wire?: Record<string, Property>, keyName?: string,
 *   aliases?: Record<string, string>, embedded?: boolean}} Class `wire`, where given, has the properties by stored name
 *   (but for linkingObjects, which have none), else `properties`. */
/** @typedef {{get: (name: string) => Class | undefined, has: (name: string) => boolean,
 *   [Symbol.iterator]: () => Iterator<Class>}} Schema */

export const NUMERIC = ["int", "float", "double", "decimal128"];
const AGGREGATES = ["@min", "@max", "@sum", "@avg"];
const INT = { type: "int" };

/** Whether the words of a path that end it mean a number of things. @param {unknown} step */
const isSize = (step) => step === "@count" || step === "@size";

/** The path bound to a class. Throws a QueryError. @param {Path} path @param {Class} cls @param {Schema} schema */
export function resolve(path, cls, schema) {
  return new Walk(path, cls, schema).path();
}

/** The class of the objects that a path leads to; "" if it leads to values. @param {Path} path */
export function elementClass({ type, target, hops }) {
  return type === "embedded" ? hops[hops.length - 1].cls ?? "" : target;
}

/** Whether a bound path ends in a collection itself, each of whose elements is compared. @param {Path} path */
export function isCollection({ many, hops }) {
  const { via, key } = hops[hops.length - 1];
  return many && (via === "items" || via === "values" || (via === "property" && key !== undefined));
}

/** The classes whose objects decide what a bound query selects, besides the one it is asked of.
 * @param {Node | Operand | Clause} item @param {Set<string>} [found] @returns {Set<string>} */
export function classesRead(item, found = new Set()) {
  /** @param {Hop[]} hops */
  const follow = (hops) => {
    for (const { via, cls, inner, origins } of hops) {
      if (cls && via !== "property") found.add(cls);
      for (const [origin] of origins ?? []) found.add(origin);
      if (inner) follow(inner);
    }
  };
  switch (item.kind) {
    case "And":
    case "Or":
      for (const node of item.nodes) classesRead(node, found);
      break;
    case "Not":
      classesRead(item.node, found);
      break;
    case "Comparison":
    case "Arithmetic":
      classesRead(item.left, found);
      classesRead(item.right, found);
      break;
    case "Path":
      follow(item.hops);
      break;
    case "Subquery":
      follow(item.path.hops);
      if (item.path.target) found.add(item.path.target);
      classesRead(item.predicate, found);
      break;
    case "Sort":
      for (const [path] of item.keys) follow(path.hops);
      break;
    case "Distinct":
      for (const path of item.paths) follow(path.hops);
  }
  return found;
}

/** The property of a class that a step names, and the name it is stored under.
 * @param {Class} cls @param {unknown} step @returns {[string, Property | undefined]} */
export function propertyOf({ aliases = {}, wire, properties }, step) {
  const name = String(step);
  const stored = Object.hasOwn(aliases, name) ? aliases[name] : name;
  const known = wire && Object.hasOwn(wire, stored) ? wire : properties;
  const prop = Object.hasOwn(known, stored) ? known[stored] : undefined;
  return [stored, prop && known === properties && wire && prop.type !== "linkingObjects" ? undefined : prop];
}

/** One path on its way: at objects of `cls`, or, where there is a `prop`, at what that property holds. */
class Walk {
  /** @type {Property | null} */
  prop = null;
  /** @type {Hop[]} */
  hops = [];
  /** @type {Path["steps"]} */
  steps = [];
  many = false;
  optional = false;
  at = 0;
  /** What errors name: the last property passed. */
  name = "";
  where = "";

  /** @param {Path} given @param {Class} cls @param {Schema} schema */
  constructor(given, cls, schema) {
    this.given = given;
    this.cls = cls;
    this.schema = schema;
  }

  /** @returns {Path} */
  path() {
    while (this.at < this.given.steps.length) this.step(this.next());
    if (this.prop && isContainer(this.prop)) this.spread();
    const { given, steps, hops, many, schema } = this;
    if (given.quantifier && !many) this.fail(`The keypath following '${given.quantifier}' must contain a list`);
    if (!this.prop) {
      const keyName = this.cls.keyName ?? "_id"; // objects themselves, of a subquery or linkingObjects, by their keys
      this.hops.push({ via: "property", name: keyName, key: keyName });
      const { type } = /** @type {Property} */ (propertyOf(this.cls, keyName)[1]);
      return { ...given, steps, hops, many, type, target: this.cls.name, optional: false };
    }
    const { type, objectType = "", optional } = this.prop;
    const bound = { ...given, steps, hops, many, type, target: "", optional: this.optional || Boolean(optional) };
    if (type !== "object") return bound;
    const target = this.classOf(objectType);
    if (target.embedded) {
      hops[hops.length - 1] = { ...hops[hops.length - 1], cls: objectType };
      return { ...bound, type: "embedded" };
    }
    return { ...bound, type: keyType(target), target: schema && objectType };
  }

  next() {
    return this.given.steps[this.at++];
  }

  /** @param {string} problem @returns {never} */
  fail(problem) {
    throw new QueryError(problem, "", this.given.position ?? null);
  }

  /** @param {string} name */
  classOf(name) {
    return this.schema.get(name) ?? this.fail(`Object type '${name}' not found in schema.`);
  }

  /** @param {Path["steps"][0]} step */
  step(step) {
    if (!this.prop) this.fromObject(step);
    else if (isContainer(this.prop)) this.fromContainer(step, this.prop);
    else if (this.prop.type === "object") this.fromLink(step, this.prop);
    else if (this.prop.type === "mixed") this.fromMixed(step);
    else this.fromScalar(step, this.prop);
  }

  /** @param {Path["steps"][0]} step */
  fromObject(step) {
    if (step === "@links") return this.links();
    if (typeof step !== "string" || step.startsWith("@")) return this.refuse(step, this.cls.name);
    const [stored, prop] = propertyOf(this.cls, step);
    if (!prop) this.fail(this.where ? `Property '${this.where}' has no property '${step}'` : `'${this.cls.name}' has no property '${step}'`);
    this.steps.push(stored);
    this.name = step;
    this.where = `${this.cls.name}.${step}`;
    if (prop.type === "linkingObjects") return this.backlinks(prop.objectType ?? "", prop.property ?? "");
    this.hops.push({ via: "property", name: stored, ...(prop.indexed === "full-text" && { isFullText: true }) });
    this.prop = prop;
  }

  /** `@links.Class.property`, `@links.@count`. */
  links() {
    this.steps.push("@links");
    const name = this.next();
    if (isSize(name)) {
      const target = this.cls.name;
      const origins = Array.from(this.schema).filter((cls) => !cls.embedded).flatMap((cls) =>
        Object.entries(cls.wire ?? cls.properties)
          .filter(([, prop]) => prop.objectType === target && prop.type !== "linkingObjects")
          .map(([stored]) => /** @type {[string, string]} */ ([cls.name, stored])),
      );
      return this.end(name, { via: "incoming", key: this.cls.keyName ?? "_id", origins });
    }
    const step = this.next();
    if (typeof name !== "string" || typeof step !== "string") return this.fail("@links is followed by a class and one of its properties.");
    this.steps.push(name, step);
    this.name = step;
    this.where = `${name}.${step}`;
    this.backlinks(name, step);
  }

  /** @param {string} name @param {string} step */
  backlinks(name, step) {
    const origin = this.schema.get(name);
    const [stored, prop] = origin && !origin.embedded ? propertyOf(origin, step) : [step, undefined];
    if (!prop || prop.objectType !== this.cls.name || prop.type === "linkingObjects") {
      this.fail(`No property '${step}' found in type '${name}' which links to type '${this.cls.name}'`);
    }
    if (this.steps[this.steps.length - 2] === name) this.steps[this.steps.length - 1] = stored;
    this.hops.push({ via: "backlinks", cls: name, name: stored, key: this.cls.keyName ?? "_id" });
    this.prop = { type: "linkingObjects", objectType: name };
  }

  /** @param {Path["steps"][0]} step @param {Property} prop */
  fromContainer(step, prop) {
    const element = elementOf(prop);
    if (isSize(step)) {
      const isOfObjects = element.type === "object";
      if (isOfObjects) this.many = false;
      return this.end(step, { via: "size", type: isOfObjects ? "objects" : prop.type });
    }
    if (AGGREGATES.includes(String(step))) return this.aggregate(String(step), element);
    if (typeof step !== "string") return this.index(step, prop, element);
    if (prop.type === "dictionary") {
      if (step === "@keys") {
        this.many = true;
        this.prop = { type: "string" };
        this.hops.push({ via: "keys" });
        this.steps.push(step);
        return;
      }
      if (step === "@values") {
        this.steps.push(step);
        return this.spread();
      }
      if (!step.startsWith("@") && element.type !== "object") return this.entry(step, step, element);
    }
    const isLength = step === "length" && (element.type === "string" || element.type === "data");
    if (!isLength && element.type !== "object" && !(element.type === "mixed" && step === "@type")) return this.refuse(step, prop.type);
    this.spread();
    if (isLength) this.end(step, { via: "size", type: element.type });
    else this.step(step);
  }

  /** @param {Index} step @param {Property} prop @param {Property} element */
  index(step, prop, element) {
    const key = keyOf(step.value);
    if (step.value === "*" || (key === "*" && prop.type === "dictionary")) {
      this.steps.push(step);
      this.spread();
    } else if (prop.type === "dictionary" && typeof key === "string") this.entry(step, key, element);
    else if (prop.type === "list" && typeof key === "number") {
      this.steps.push(step);
      this.hops.push({ via: "element", index: key });
      this.prop = element;
    } else this.refuse(step, prop.type);
  }

  /** @param {string | Index} step @param {string} name @param {Property} element */
  entry(step, name, element) {
    this.steps.push(step);
    this.hops.push({ via: "entry", name });
    this.prop = { ...element, optional: true };
  }

  /** From a collection to each of its elements. */
  spread() {
    const prop = /** @type {Property} */ (this.prop);
    this.many = true;
    this.hops.push({ via: prop.type === "dictionary" ? "values" : "items" });
    this.prop = elementOf(prop);
    if (prop.type !== "linkingObjects") return;
    this.cls = this.classOf(prop.objectType ?? "");
    this.prop = null;
  }

  /** @param {Path["steps"][0]} step @param {Property} prop */
  fromLink(step, prop) {
    const target = this.classOf(prop.objectType ?? "");
    if (isSize(step)) return this.end(step, { via: "exists" });
    if (typeof step !== "string" || (step.startsWith("@") && step !== "@links")) return this.refuse(step, "object");
    const keyName = target.keyName ?? "_id";
    if (!target.embedded) {
      if (propertyOf(target, step)[0] === keyName) {
        this.steps.push(keyName);
        this.prop = { type: keyType(target), optional: true };
        return;
      }
      this.hops.push({ via: "link", cls: target.name, hides: ["items", "values"].includes(this.hops[this.hops.length - 1].via) });
    }
    this.optional = true;
    this.cls = target;
    this.prop = null;
    this.fromObject(step);
  }

  /** @param {Path["steps"][0]} step */
  fromMixed(step) {
    if (isSize(step)) return this.end(step, { via: "size", type: "mixed" });
    if (step === "@type") return this.type();
    const key = typeof step === "string" ? (step.startsWith("@") ? null : step) : keyOf(step.value);
    if (typeof step !== "string" && key === "*") {
      this.many = true;
      this.hops.push({ via: "all" });
    } else if (typeof key === "string") this.hops.push({ via: "entry", name: key });
    else if (typeof key === "number") this.hops.push({ via: "element", index: key });
    else return this.refuse(step, "mixed");
    this.steps.push(step);
  }

  /** @param {Path["steps"][0]} step @param {Property} prop */
  fromScalar(step, { type }) {
    if (isSize(step) && (type === "string" || type === "data")) return this.end(step, { via: "size", type });
    this.refuse(step, type);
  }

  type() {
    this.steps.push("@type");
    this.hops.push({ via: "kind" });
    this.prop = { type: "@type" };
  }

  /** @param {Path["steps"][0]} step @param {Hop} hop */
  end(step, hop) {
    this.steps.push(step);
    this.hops.push(hop);
    this.optional ||= Boolean(this.prop?.optional);
    this.prop = INT;
  }

  /** `scores.@avg`, `dogs.@max.age`. @param {string} word @param {Property} element */
  aggregate(word, element) {
    this.steps.push(word);
    const inner = new Walk({ ...this.given, steps: [], quantifier: "" }, this.cls, this.schema);
    Object.assign(inner, { name: this.name, where: this.where, prop: this.prop });
    inner.spread();
    if (element.type === "object") {
      const step = this.next();
      if (step === undefined) this.fail(`Operation '${word}' needs a property: '${this.name}.${word}.age', for example.`);
      inner.step(step);
      this.steps.push(...inner.steps);
    }
    const { type = "" } = inner.prop ?? {};
    const isOrder = word === "@min" || word === "@max";
    if (!(NUMERIC.includes(type) || type === "mixed" || (isOrder && type === "date"))) {
      this.fail(`Operation '${word}' is not supported on property '${inner.where}' of type '${type}'`);
    }
    const sum = type === "float" ? "double" : type === "mixed" ? "decimal128" : type;
    const result = isOrder ? type : word === "@sum" ? sum : sum === "int" ? "double" : sum;
    const isOfObjects = element.type === "object";
    if (isOfObjects) this.many = false;
    this.hops.push({ via: word.slice(1), type, name: isOfObjects ? "objects" : "", inner: inner.hops });
    this.prop = { type: result, optional: word !== "@sum" };
  }

  /** @param {Path["steps"][0]} step @param {string} type @returns {void} */
  refuse(step, type) {
    const { where, name } = this;
    if (typeof step !== "string") this.fail(`Property '${where}' does not support index '${indexText(step)}'`);
    if (AGGREGATES.includes(step)) this.fail(`Operation '${step}' cannot apply to property '${name}' because it is not a list`);
    if (step.startsWith("@")) this.fail(`Operation '${step}' is not supported on property '${where}' of type '${type}'`);
    this.fail(`Property '${where}' has no property '${step}'`);
  }
}

/** @param {Property} prop */
function isContainer({ type }) {
  return type === "list" || type === "set" || type === "dictionary" || type === "linkingObjects";
}

/** What one element of a collection, or of linkingObjects, would be. @param {Property} prop @returns {Property} */
function elementOf({ type, objectType = "", optional }) {
  if (objectType === "mixed") return { type: "mixed", optional: true };
  if (SCALARS.includes(objectType)) return { type: objectType, optional };
  return { type: "object", objectType, optional: type === "dictionary" };
}

/** The key of a dictionary, or the place in a list, that an index names; null for neither.
 * @param {import('./nodes.js').Constant | string} value */
function keyOf(value) {
  if (typeof value === "string") return value === "FIRST" ? 0 : value === "LAST" ? -1 : value;
  if (value.type === "text") return fromBytes(value.value);
  if (value.type === "int") return typeof value.value === "number" && value.value >= 0 ? value.value : null;
  return value.type === "string" ? value.value : null;
}

/** The type of a class's keys. @param {Class} cls */
export function keyType(cls) {
  return propertyOf(cls, cls.keyName ?? "_id")[1]?.type ?? "string";
}
