/**
 * Schema: what a class declaration means, in Realm's grammar and words.
 *
 * A class has two faces: `properties`, by JavaScript name, in Realm's canonical form, and `wire`, by stored name and key
 * first, in the form that `bind` and `bound` carry. Knows neither RealmObject nor the store. The object itself is what an
 * `object` property of an embedded class holds; of any other class it is a link, held as the key of its target.
 */

import { AssertionError, ObjectSchemaParseError, PropertySchemaParseError, TypeAssertionError } from "./errors.js"
import { SCALARS } from "./values.js"

/** The wire name of every primary key of a synced class. */
export const PRIMARY_KEY = "_id";
/** The stored name of the key of a local class without primary key; its values are ObjectIds. */
export const HIDDEN_KEY = "_key";
export const KEY_TYPES = ["int", "string", "objectId", "uuid"];
export const INDEXABLE = ["bool", "int", "date", "string", "objectId", "uuid", "mixed"];

/** @type {Record<string, string>} */
const COLLECTIONS = { "[]": "list", "<>": "set", "{}": "dictionary" };
/** @param {string} type */
export const isCollection = (type) => type === "list" || type === "set" || type === "dictionary";
const TYPES = [...SCALARS, "mixed", "object", "linkingObjects", ...Object.values(COLLECTIONS)];

/**
 * @typedef {{name: string, type: string, objectType?: string, property?: string, optional: boolean,
 *   indexed: boolean | "full-text", mapTo: string, default?: unknown, presentation?: "counter"}} Property
 * @typedef {{type: string, objectType?: string, optional?: boolean, indexed?: boolean | "full-text", readOnly?: boolean,
 *   hasDefault?: boolean, maxLength?: number, presentation?: "counter"}} WireProperty
 * @typedef {{name: string, primaryKey?: string, keyName: string, embedded: boolean, asymmetric: boolean,
 *   properties: Record<string, Property>, wire: Record<string, WireProperty>, aliases: Record<string, string>,
 *   readOnly: boolean, declared: boolean, synced: boolean, ctor?: Function}} ClassSchema
 * @typedef {{name: string, properties: Record<string, WireProperty>, primaryKey?: string, readOnly?: boolean,
 *   embedded?: boolean, asymmetric?: boolean}} WireClass
 * @typedef {(holds: unknown, problem: string) => void} Must
 * @typedef {Pick<Property, "type" | "objectType" | "property" | "presentation">
 *   & {optional: boolean, indexed?: Property["indexed"]}} Parsed
 */

/** The classes by name; iterates over them in order of declaration. */
export class Schema {
  /** @type {Map<string, ClassSchema>} */
  #classes = new Map();

  /** @param {Iterable<ClassSchema>} classes */
  constructor(classes = []) {
    for (const cls of classes) {
      if (this.#classes.has(cls.name)) throw invalid([`Type '${cls.name}' appears more than once in the schema.`]);
      this.#classes.set(cls.name, cls);
    }
  }

  /** The server's classes, of its `bound` message. @param {WireClass[]} list */
  static fromWire(list) {
    return new Schema(list.map(classFromWire));
  }

  /** What `bind` sends: the classes that the app declares, under their wire names. @returns {WireClass[]} */
  toWire() {
    return [...this]
      .filter((cls) => cls.declared)
      .map(({ name, wire, keyName, embedded, asymmetric }) => ({
        name,
        properties: wire,
        ...(!embedded && keyName !== PRIMARY_KEY && { primaryKey: keyName }),
        ...(embedded && { embedded }),
        ...(asymmetric && { asymmetric }),
      }));
  }

  [Symbol.iterator]() {
    return this.#classes.values();
  }

  /** @param {string} name */
  get(name) {
    return this.#classes.get(name);
  }

  /** @param {string} name */
  has(name) {
    return this.#classes.has(name);
  }

  names() {
    return [...this.#classes.keys()];
  }

  /** Whether this is an embedded class of the schema. @param {string | undefined} name */
  isEmbedded(name) {
    return Boolean(this.#classes.get(name ?? "")?.embedded);
  }

  /** How a property's wire value is made: a scalar type (a link's is that of the key it holds), `mixed`, a collection's
   * type, or `embedded`. @param {Property | WireProperty} prop */
  wireType(prop) {
    if (prop.type !== "object") return prop.type;
    const target = this.#classes.get(prop.objectType ?? "");
    if (!target) throw new AssertionError(`Object type '${prop.objectType}' not found in schema.`);
    return target.embedded ? "embedded" : target.wire[target.keyName].type;
  }

  /** The property that one element of a collection would be. @param {Property | WireProperty} prop */
  element(prop) {
    return elementOf(prop);
  }

  /** Throws one error that lists whatever of the declared classes cannot be; returns the schema. */
  check() {
    const problems = [...this].filter((cls) => cls.declared).flatMap((cls) => [...problemsOf(cls, this)]);
    problems.push(...embeddedProblems(this));
    if (problems.length) throw invalid(problems);
    return this;
  }
}

/**
 * A class from a Realm object schema or from a class model (`static schema`).
 * @param {any} declaration
 * @param {{synced?: boolean, base?: Function}} options `base`: what a class model must extend.
 * @returns {ClassSchema}
 */
export function parseClass(declaration, { synced = false, base } = {}) {
  const isClass = typeof declaration === "function";
  const given = isClass ? declaration.schema : declaration;
  const name = typeof given?.name === "string" ? given.name : "";
  /** @type {Must} */
  const must = (holds, problem) => {
    if (!holds) throw new ObjectSchemaParseError(problem, name || (isClass ? declaration.name : ""));
  };
  must(!isClass || !base || declaration.prototype instanceof base, `Class '${declaration?.name}' must extend Realm.Object`);
  must(isObject(given), new TypeAssertionError("an object", given, isClass ? "schema static" : "object schema").message);
  must(given.name !== "", "'name' must be specified.");
  const unknown = unexpected(given, ["name", "primaryKey", "embedded", "asymmetric", "properties", "ctor"]);
  must(!unknown, `Unexpected field(s) found on the schema for object '${name}': ${unknown}.`);
  must(!Array.isArray(given.properties), "Array of properties are no longer supported. Use an object instead.");
  mustBe("string", given, ["name"], must);
  mustBe("object", given, ["properties"], must);
  mustBe("string", given, ["primaryKey"], must, true);
  mustBe("boolean", given, ["embedded", "asymmetric"], must, true);
  const { primaryKey } = given;
  const found = primaryKey === undefined || Object.hasOwn(given.properties, primaryKey);
  must(found, `'${primaryKey}' is set as the primary key field but was not found in 'properties'.`);
  const embedded = Boolean(given.embedded);
  const asymmetric = Boolean(given.asymmetric);
  must(!embedded || !asymmetric, "A class cannot be both embedded and asymmetric.");

  /** @type {Record<string, Property>} */
  const properties = {};
  for (const [key, value] of Object.entries(given.properties)) {
    properties[key] = parseProperty(name, key, value, key === primaryKey);
  }
  const keyName = primaryKey !== undefined ? properties[primaryKey].mapTo : synced && !embedded ? PRIMARY_KEY : HIDDEN_KEY;
  /** @type {ClassSchema["wire"]} */
  const wire = primaryKey !== undefined || synced || embedded ? {} : { [HIDDEN_KEY]: { type: "objectId" } };
  const keyFirst = Object.values(properties).sort((a, b) => Number(b.mapTo === keyName) - Number(a.mapTo === keyName));
  for (const prop of keyFirst) {
    if (prop.type !== "linkingObjects") wire[prop.mapTo] = wireProperty(prop, prop.name === primaryKey);
  }
  return {
    name,
    primaryKey,
    keyName,
    embedded,
    asymmetric,
    properties,
    wire,
    aliases: Object.fromEntries(keyFirst.filter((p) => p.mapTo !== p.name).map((p) => [p.name, p.mapTo])),
    readOnly: false,
    declared: true,
    synced,
    ...(isClass && { ctor: declaration }),
  };
}

/**
 * A canonical property from a shorthand or an object form.
 * @param {string} className @param {string} name @param {any} declaration @param {boolean} isKey
 * @returns {Property}
 */
export function parseProperty(className, name, declaration, isKey = false) {
  /** @type {Must} */
  const must = (holds, problem) => {
    if (!holds) throw new PropertySchemaParseError(problem, className, name);
  };
  const short = typeof declaration === "string";
  must(short || isObject(declaration), new TypeAssertionError("a string or an object", declaration, name).message);
  const parsed = short ? parseShorthand(declaration, must) : parseObjectForm(declaration, must);
  if (isKey) {
    must(parsed.indexed !== false, "Primary keys must always be indexed.");
    must(parsed.indexed !== "full-text", "Primary keys cannot be full-text indexed.");
    must(!parsed.presentation, "Counters cannot be primary keys.");
  }
  const given = short ? {} : declaration;
  return {
    name,
    ...parsed,
    indexed: isKey || (parsed.indexed ?? false),
    mapTo: given.mapTo || name,
    ...(given.default !== undefined && { default: given.default }),
  };
}

/** What `realm.schema` and `objectSchema()` show of a class. @param {ClassSchema} cls */
export function canonical({ name, primaryKey, embedded, asymmetric, properties, ctor }) {
  const copies = Object.entries(properties).map(([key, prop]) => [key, { ...prop }]);
  return { name, primaryKey, embedded, asymmetric, properties: Object.fromEntries(copies), ...(ctor && { ctor }) };
}

/** The property that one element of a collection would be. @param {Property | WireProperty} prop @returns {WireProperty} */
export function elementOf({ type, objectType = "", optional }) {
  if (SCALARS.includes(objectType)) return { type: objectType, ...(optional && { optional }) };
  if (objectType === "mixed") return { type: "mixed", optional: true };
  return { type: "object", objectType, optional: type === "dictionary" };
}

/** The shorthand of a type, as people write it: `int?`, `string[]`, `counter`, `Team`. Whether links and mixed are
 * optional is no choice, so it is not said. @param {Property | WireProperty} prop */
export function typeText({ type, objectType = "", optional, presentation }) {
  const suffix = Object.keys(COLLECTIONS).find((each) => COLLECTIONS[each] === type) ?? "";
  const base = type === "object" || suffix ? objectType : presentation ?? type;
  return base + (optional && (SCALARS.includes(base) || base === "counter") ? "?" : "") + suffix;
}

/** @param {string} text @param {Must} must @returns {Parsed} */
function parseShorthand(text, must) {
  const collection = COLLECTIONS[text.slice(-2)];
  let element = collection ? text.slice(0, -2) : text;
  const optional = element.endsWith("?");
  if (optional) element = element.slice(0, -1);
  must(element, `The ${collection ? "element " : ""}type must be specified.`);
  if (COLLECTIONS[element.slice(-2)]) {
    must(collection, "Collections cannot be optional. To allow null elements, put '?' after the element type.");
    must(false, "Nested collections are not supported. Use 'mixed' as the element type.");
  }
  must(!/[?[\]<>{}]/.test(element), `'${text}' is not a type. Write for example 'int', 'string?' or a class name.`);
  must(!isCollection(element), `Cannot use the collection name '${element}'. Write for example 'int[]'.`);
  const needsForm = element === "object" || element === "linkingObjects";
  must(!needsForm, `To define a relationship, use the class name or the object form { type: '${element}', … }.`);
  must(element !== "counter" || !collection, "Counters cannot be used in collections.");
  if (element === "counter") return { type: "int", optional, presentation: "counter" };
  const isLink = !TYPES.includes(element);
  const neverNull = isLink && isCollection(collection) && collection !== "dictionary";
  must(!neverNull || !optional, `Elements of type '${element}' in a ${collection} are never null: leave out '?'.`);
  const nullable = optional || element === "mixed" || (isLink && !neverNull);
  if (collection) return { type: collection, objectType: element, optional: nullable };
  return isLink ? { type: "object", objectType: element, optional: true } : { type: element, optional: nullable };
}

/** @param {any} given @param {Must} must @returns {Parsed} */
function parseObjectForm(given, must) {
  const { type, objectType, property, optional, indexed, presentation } = given;
  const strings = ["type", "objectType", "property", "mapTo"];
  const unknown = unexpected(given, [...strings, "name", "optional", "indexed", "presentation", "default"]);
  must(!unknown, `Unexpected field(s) found: ${unknown}.`);
  mustBe("string", given, strings, must, true);
  mustBe("boolean", given, ["optional"], must, true);
  must(type, "'type' must be specified.");
  must([undefined, true, false, "full-text"].includes(indexed), "'indexed' must be true, false or 'full-text'.");
  const symbol = /\?|\[\]|<>|\{\}/.exec(type + (objectType ?? ""))?.[0];
  must(!symbol, `Cannot use shorthand '${symbol}' in 'type' or 'objectType' when defining property objects.`);
  const hint = `If you meant to define a relationship, use { type: 'object', objectType: '${type}' }.`;
  must(TYPES.includes(type), `'${type}' is not a type. ${hint}`);
  const when = `when 'type' is '${type}'.`;
  const computed = type === "linkingObjects";
  if (isCollection(type) || computed || type === "object") {
    must(objectType, `'objectType' must be specified ${when}`);
    const isClass = !TYPES.includes(objectType);
    const fits = isClass || (isCollection(type) && (SCALARS.includes(objectType) || objectType === "mixed"));
    must(fits, `'${objectType}' cannot be the 'objectType' ${when}`);
  } else {
    must(objectType === undefined, `'objectType' cannot be defined ${when}`);
  }
  must(!computed || property, `'property' must be specified ${when}`);
  must(computed || property === undefined, `'property' cannot be defined ${when}`);
  must(!presentation || presentation === "counter", "'presentation' can only be 'counter'.");
  must(!presentation || type === "int", `'presentation' cannot be defined ${when}`);

  const mixed = type === "mixed" || objectType === "mixed";
  const ofObjects = objectType !== undefined && !TYPES.includes(objectType);
  const always = mixed || (ofObjects && (type === "object" || type === "dictionary"));
  const subject = mixed ? "'mixed' values" : "Links to objects";
  must(!always || optional !== false, `${subject} are always optional and cannot be made non-optional.`);
  must(always || !ofObjects || !optional, `'${type}' of objects is never optional and cannot be made optional.`);
  return {
    type,
    optional: always || Boolean(optional),
    indexed,
    ...(objectType && { objectType }),
    ...(property && { property }),
    ...(presentation && { presentation }),
  };
}

/** What core validation finds in one class. @param {ClassSchema} cls @param {Schema} schema @returns {Iterable<string>} */
function* problemsOf(cls, schema) {
  const { name, properties, primaryKey, keyName } = cls;
  const stored = new Map();
  for (const prop of Object.values(properties)) {
    const where = `roperty '${name}.${prop.name}'`;
    const typed = `P${where} of type '${typeText(prop)}'`;
    const isClass = prop.objectType !== undefined && !TYPES.includes(prop.objectType);
    const target = schema.get(prop.objectType ?? "");
    const indexable = INDEXABLE.includes(prop.type) || (prop.type === "list" && prop.objectType === "string");
    if (prop.indexed === "full-text" ? prop.type !== "string" : prop.indexed && !indexable) {
      if (prop.name !== primaryKey) yield `${typed} cannot be indexed.`;
    }
    if (prop.name === primaryKey && (!KEY_TYPES.includes(prop.type) || prop.optional)) {
      yield `${typed} cannot be made the primary key.`;
    }
    if (isClass && !target) yield `${typed} has unknown object type '${prop.objectType}'`;
    if (target?.asymmetric) yield `${typed} cannot be a link to an asymmetric object.`;
    if (prop.type === "set" && target?.embedded) {
      yield `Set property '${name}.${prop.name}' cannot contain embedded object type '${prop.objectType}'. Use a list.`;
    }
    if (prop.type === "linkingObjects" && target) {
      const origin = target.properties[prop.property ?? ""];
      const link = `Property '${prop.objectType}.${prop.property}' declared as origin of linking objects p${where}`;
      if (!origin) yield `${link} does not exist`;
      else if (origin.objectType === undefined || TYPES.includes(origin.objectType) || origin.type === "linkingObjects") yield `${link} is not a link`;
      else if (origin.objectType !== name) yield `${link} links to type '${origin.objectType}'`;
    }
    if (prop.mapTo !== prop.name && Object.hasOwn(properties, prop.mapTo)) {
      yield `P${where} has an alias '${prop.mapTo}' that conflicts with a property of the same name.`;
    } else if (stored.has(prop.mapTo)) {
      yield `Alias '${prop.mapTo}' appears more than once in the schema for type '${name}'.`;
    }
    stored.set(prop.mapTo, prop);
  }
  if (cls.embedded && primaryKey !== undefined) yield `Embedded object type '${name}' cannot have a primary key.`;
  if (cls.asymmetric && !cls.synced) yield `Asymmetric table '${name}' not allowed in a local Realm`;
  if (cls.synced && !cls.embedded && (primaryKey === undefined || keyName !== PRIMARY_KEY)) {
    yield `There must be a primary key property named '_id' on a synchronized Realm but none was found for type '${name}'`;
  }
}

/** Embedded classes that nothing contains, or that contain themselves. @param {Schema} schema @returns {Iterable<string>} */
function* embeddedProblems(schema) {
  const reached = new Set();
  /** @param {ClassSchema} cls @param {string[]} path @returns {Iterable<string>} */
  function* visit(cls, path) {
    for (const prop of Object.values(cls.properties)) {
      const inner = prop.type === "linkingObjects" ? undefined : schema.get(prop.objectType ?? "");
      if (!inner?.embedded) continue;
      if (path.includes(inner.name)) {
        yield `Cycles containing embedded objects are not currently supported: '${[...path, inner.name].join(" -> ")}'`;
        continue;
      }
      reached.add(inner.name);
      yield* visit(inner, [...path, inner.name]);
    }
  }
  const found = new Set([...schema].flatMap((cls) => [...visit(cls, cls.embedded ? [cls.name] : [])]));
  yield* found;
  for (const { name, embedded, declared } of schema) {
    if (embedded && declared && !reached.has(name)) yield `Embedded object '${name}' is unreachable by any link path from top level objects.`;
  }
}

/** @param {string[]} problems */
function invalid(problems) {
  const lines = problems.map((problem) => `\n- ${problem}`).join("");
  return new AssertionError(`Schema validation failed due to the following errors:${lines}`);
}

/** @param {Property} prop @param {boolean} isKey */
function wireProperty(prop, isKey) {
  /** @type {WireProperty} */
  const wire = { type: prop.type };
  if (prop.objectType) wire.objectType = prop.objectType;
  if (prop.optional) wire.optional = true;
  if (prop.indexed && !isKey) wire.indexed = prop.indexed;
  if (prop.presentation) wire.presentation = prop.presentation;
  if ("default" in prop) wire.hasDefault = true;
  return wire;
}

/** @param {WireClass} given @returns {ClassSchema} */
function classFromWire({ name, properties, readOnly = false, embedded = false, asymmetric = false }) {
  const entries = Object.entries(properties).map(([key, { type, objectType, optional = false, indexed = false, presentation }]) => {
    const rest = { optional, indexed: key === PRIMARY_KEY || indexed, mapTo: key, ...(presentation && { presentation }) };
    return [key, { name: key, type, ...(objectType && { objectType }), ...rest }];
  });
  return {
    name,
    primaryKey: embedded ? undefined : PRIMARY_KEY,
    keyName: PRIMARY_KEY,
    embedded,
    asymmetric,
    properties: Object.fromEntries(entries),
    wire: properties,
    aliases: {},
    readOnly,
    declared: false,
    synced: true,
  };
}

/** The quoted keys that are not `known`. @param {object} given @param {string[]} known */
function unexpected(given, known) {
  return Object.keys(given).filter((key) => !known.includes(key)).map((key) => `'${key}'`).join(", ");
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {"string" | "boolean" | "object"} type @param {any} given @param {string[]} keys @param {Must} must */
function mustBe(type, given, keys, must, optional = false) {
  for (const key of keys) {
    const value = given[key];
    const fits = (optional && value === undefined) || (type === "object" ? isObject(value) : typeof value === type);
    must(fits, new TypeAssertionError(`${type === "object" ? "an" : "a"} ${type}`, value, key).message);
  }
}
