// no Python twin: realm.py does this there. Writing: what an app gives becomes wire values, and these become steps.
//
// Plain objects given for links are created on the way; given for embedded objects they are copied. Assigning a list, set
// or dictionary becomes the edits that lead from what is there to what is given, so that others' edits of it survive;
// anything else is written as a whole.

import { derive } from "../core/edits.js"
import { empty, checkMember, sortWire } from "../core/encoding.js"
import { AssertionError, realmError, TypeAssertionError } from "../core/errors.js"
import { checkKey, encodeMixed } from "../core/mixed.js"
import { elementOf, isCollection } from "../core/schema.js"
import { encode, EXPECTED } from "../core/values.js"
import { Counter } from "./counters.js"
import { INVALID, PLACE, replace, succeed } from "./live.js"
import { encodeKey, identityOf } from "./objects.js"

/** @typedef {import('./tables.js').Table} Table */
/** @typedef {import('../core/schema.js').WireProperty} WireProperty */
/** How nested plain objects are created; null: they are not, a value is only looked for. @typedef {"never" | "modified" | "all" | null} Mode */

/** The wire value of what an app gives for a property; `where` names it in errors.
 * @param {any} realm @param {string} where @param {WireProperty} prop @param {any} value @param {Mode} mode @returns {any} */
export function toWire(realm, where, prop, value, mode) {
  const { type, objectType, optional, presentation } = prop;
  if (type in EXPECTED) {
    const wire = encode(type, presentation && value instanceof Counter ? value.value : value, where);
    if (wire === null && !optional) throw new TypeAssertionError(EXPECTED[type], value, where);
    return wire;
  }
  if (type === "mixed") return encodeMixed(value, where, realm);
  if (type === "linkingObjects") throw new AssertionError("Not supported");
  if (isCollection(type)) return collectionToWire(realm, where, prop, value, mode);
  const isEmbedded = realm._store.schema.isEmbedded(objectType);
  if (value === null || value === undefined) {
    if (!optional) throw new TypeAssertionError(`an instance of ${objectType}`, value, where);
    return null;
  }
  return isEmbedded ? embeddedToWire(realm, where, prop, value, mode) : linkToWire(realm, where, prop, value, mode);
}

/** @param {any} realm @param {string} where @param {WireProperty} prop @param {any} value @param {Mode} mode */
function collectionToWire(realm, where, prop, value, mode) {
  const element = elementOf(prop);
  const each = (/** @type {any} */ item, /** @type {number | string} */ at) => toWire(realm, typeof at === "number" ? `${where}[${at}]` : `${where}["${at}"]`, element, item, mode);
  if (prop.type === "dictionary") {
    const isFit = typeof value === "object" && value !== null && !Array.isArray(value) && (value[PLACE] ? isDictionary(value[PLACE]) : isPlain(value));
    if (!isFit) throw new TypeAssertionError("an object", value, `values of ${where}`);
    const entries = value[PLACE] ? [...value.entries()] : Object.entries(value);
    return Object.fromEntries(entries.map(([key, item]) => [checkKey(key), each(item, key)]));
  }
  const isArray = Array.isArray(value) || Boolean(value?.[PLACE] && typeof value._list === "function");
  if (prop.type === "set") {
    if (!isArray) throw new TypeAssertionError("an array", value, "values");
    return sortWire([...value].map((item, at) => checkMember(each(item, at))));
  }
  if (!isArray && (typeof value === "string" || typeof value?.[Symbol.iterator] !== "function")) throw new TypeAssertionError("an iterable object", value, where);
  return [...value].map(each);
}

/** @param {import('./live.js').Place} place */
function isDictionary({ prop, isValid }) {
  return isValid && (prop.type === "dictionary" || prop.type === "mixed");
}

/** @param {any} realm @param {string} where @param {WireProperty} prop @param {any} value @param {Mode} mode */
function embeddedToWire(realm, where, { objectType }, value, mode) {
  const cls = realm._classOf(objectType);
  const identity = identityOf(value);
  if (!identity && !isPlain(value)) throw new TypeAssertionError(`an instance of ${objectType}`, value, where);
  if (identity?.place && identity.cls.name === objectType && identity.realm._store === realm._store) return structuredClone(identity.place.wire());
  /** @type {Record<string, any>} */
  const wire = {};
  for (const prop of /** @type {import('../core/schema.js').Property[]} */ (Object.values(cls.properties))) {
    if (prop.type === "linkingObjects") continue;
    wire[prop.mapTo] = withDefault(realm, `${where}.${prop.name}`, prop, value[prop.name], mode);
  }
  return wire;
}

/** The wire value of a property of a new object. @param {any} realm @param {string} where @param {import('../core/schema.js').Property} prop
 * @param {any} given undefined: the default @param {Mode} mode */
export function withDefault(realm, where, prop, given, mode) {
  const value = given === undefined ? defaultOf(prop) : given;
  if (value !== undefined) return toWire(realm, where, prop, value, mode);
  if (!prop.optional && !isCollection(prop.type)) throw realmError(`Missing value for property '${prop.name}'`, "MissingPropertyValue");
  return empty(prop);
}

/** @param {any} property */
export const defaultOf = ({ default: given }) => (typeof given === "function" ? given() : given);

/** @param {any} realm @param {string} where @param {WireProperty} prop @param {any} value @param {Mode} mode */
function linkToWire(realm, where, { objectType }, value, mode) {
  const identity = identityOf(value);
  const target = realm._classOf(objectType);
  if (identity && !identity.place && identity.realm._store === realm._store) {
    if (identity.table.name !== objectType) throw new TypeAssertionError(`an instance of ${objectType}`, value, where);
    if (!value.isValid()) throw realmError(INVALID, "InvalidatedObject");
    return identity.key;
  }
  if ((identity && !identity.place) || isPlain(value)) {
    if (mode === null) throw new TypeAssertionError(`an instance of ${objectType}`, value, where);
    return identityOf(realm.create(target.name, value, mode))?.key;
  }
  try {
    return encodeKey(target, value);
  } catch {
    throw new TypeAssertionError(`an instance of ${objectType}`, value, where);
  }
}

/** Makes a wire value that of the property or element to which `path` leads. @param {any} realm @param {Table} table @param {any} key
 * @param {(string | number)[]} path @param {WireProperty} prop @param {any} wire */
export function write(realm, table, key, path, prop, wire) {
  const { writer } = realm._file;
  const [name, ...steps] = /** @type {[string, ...any[]]} */ (path);
  const root = table.objects.get(key)?.[name] ?? null;
  if (isCollection(prop.type)) {
    const after = setIn(root, steps, wire);
    return assign(writer, table, key, path, after, derive(realm._store.schema, realm._store.schema.get(table.name), key, name, root, after));
  }
  replace(steps.reduce((value, step) => value?.[step], root), writer.replaced);
  if (!steps.length) writer.update(table, key, { [name]: wire });
  else writer.edit(table, key, { op: "set", class: table.name, _id: key, path, value: wire });
}

/** Makes a list what `edits` together make of it. @param {import('./live.js').Place} place @param {any[]} wire @param {any[]} edits */
export function replaceList({ realm, table, key, path }, wire, edits) {
  const [name, ...steps] = path;
  assign(realm._file.writer, table, key, path, setIn(table.objects.get(key)?.[name] ?? null, steps, wire), edits);
}

/** @param {import('./writer.js').Writer} writer @param {Table} table @param {any} key @param {(string | number)[]} path @param {any} after of the
 * property @param {any[]} edits */
function assign(writer, table, key, [name, ...steps], after, edits) {
  succeed(table.objects.get(key)?.[name] ?? null, after, steps);
  writer.assign(table, key, edits, `${name}`, after);
}

/** @param {any} value @param {(string | number)[]} steps @param {any} wire @returns {any} */
function setIn(value, [step, ...rest], wire) {
  if (step === undefined) return wire;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[step] = setIn(value?.[step] ?? null, rest, wire);
  return copy;
}

/** A counter is set by its methods; by assignment only where there is none yet. @param {WireProperty} prop @param {any} present wire
 * @param {any} value */
export function checkAssignable({ presentation, optional }, present, value) {
  if (!presentation || (present ?? null) === null || ((value ?? null) === null && optional)) return;
  throw realmError(
    "You can only reset a Counter instance when initializing a previously null Counter or resetting a nullable Counter to null. To update the value of the Counter, call its instance methods.",
    "IllegalOperation",
  );
}

/** Takes an embedded object out of what it is in. @param {import('./live.js').Place} place */
export function removeEmbedded(place) {
  const wire = place.writing();
  const { realm, table, key, path } = place;
  const { writer } = realm._file;
  const root = table.objects.get(key)?.[path[0]];
  if (typeof path.at(-1) !== "number") return write(realm, table, key, path, place.prop, null);
  replace(path.slice(1).reduce((value, step) => value[step], root) ?? wire, writer.replaced);
  writer.edit(table, key, { op: "remove", class: table.name, _id: key, path });
}

/** @param {any} value */
export const isPlain = (value) => typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value));
