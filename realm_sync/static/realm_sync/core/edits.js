/**
 * Edits: a step inside a property's value (insert, move, remove, set …), on a plain wire value.
 *
 * Decides what an edit makes of a value that nobody else writes, and which edits turn one value of a property into another.
 * Strict about places: a path that leads nowhere, an index out of range or the wrong kind of container is an EditError and
 * changes nothing. Whether the *value* of an edit fits its type is not asked here (encoding.js). What is concurrent is
 * decided in tree.js. Values are never changed in place: what an edit returns shares what it did not touch.
 */

import { CHANGED, MOVED, NEW, align } from "./alignment.js"
import { insertWire } from "./encoding.js"
import { wrapper } from "./mixed.js"
import { elementOf, isCollection } from "./schema.js"
import { decode, encode } from "./values.js"

/** @typedef {import("./schema.js").Schema} Schema */
/** @typedef {import("./schema.js").ClassSchema} ClassSchema */
/** @typedef {import("./schema.js").WireProperty} WireProperty */
/** @typedef {import("./messages.js").Edit} Edit */
/** @typedef {string | number} Step */
/** @typedef {Record<string, any>} Image wire values by stored name */

/** An edit that makes no sense where it points to. `code`: `UnknownProperty`, `InvalidPath`, `IndexOutOfRange` or
 * `PropertyTypeMismatch`. */
export class EditError extends Error {
  /** @param {string} code @param {string} reason @param {Step[]} path */
  constructor(code, reason, path) {
    super(`${pathText(path)}: ${reason}`);
    this.name = "EditError";
    this.code = code;
    this.reason = reason;
    this.path = path;
  }
}

/** A path as people write it: `items[3].qty`. @param {Step[]} path */
export function pathText(path) {
  return path.map((step, at) => (typeof step === "number" ? `[${step}]` : at ? `.${step}` : step)).join("");
}

/** What a place in a property's value can hold. `kind`: scalar (links too), counter, mixed, list, set, dictionary or
 * embedded. Immutable. */
export class Shape {
  #schema;
  #prop;
  /** @type {Map<string, Shape> | null} */
  #fields = null;

  /** @param {Schema} schema @param {WireProperty} prop */
  constructor(schema, prop) {
    this.#schema = schema;
    this.#prop = prop;
    /** The shape of an element; of a mixed value: mixed again. @type {Shape} */
    this.element = this;
    this.kind = "scalar";
    /** A property that is an int and no counter: a scalar that can be added to as well (R7). */
    this.isInt = false;
    if (isCollection(prop.type)) {
      this.kind = prop.type;
      this.element = new Shape(schema, elementOf(prop));
      this.element.isInt = false;
    } else if (prop.type === "mixed") {
      this.kind = "mixed";
    } else if (prop.type === "object" && schema.isEmbedded(prop.objectType)) {
      this.kind = "embedded";
    } else if (prop.presentation === "counter") {
      this.kind = "counter";
    } else {
      this.isInt = prop.type === "int";
    }
  }

  /** The properties of an embedded object. */
  get fields() {
    if (!this.#fields) {
      const properties = Object.entries(this.#schema.get(this.#prop.objectType ?? "")?.wire ?? {});
      this.#fields = new Map(properties.map(([name, prop]) => [name, new Shape(this.#schema, prop)]));
    }
    return this.#fields;
  }

  /** The kind of container that a wire value is here; null: it is a leaf. @param {any} wire @returns {string | null} */
  container(wire) {
    if (wire === null || typeof wire !== "object") return null;
    const { kind } = this;
    if (kind === "mixed") return Array.isArray(wire) ? "list" : wrapper(wire) ? null : "dictionary";
    if (kind === "embedded" || kind === "dictionary") return Array.isArray(wire) ? null : kind;
    return (kind === "list" || kind === "set") && Array.isArray(wire) ? kind : null;
  }

  /** The wire value, with the empty collection that null means in a property of a collection. @param {any} [wire] */
  read(wire) {
    if (wire !== null && wire !== undefined) return wire;
    return this.kind === "list" || this.kind === "set" ? [] : this.kind === "dictionary" ? {} : null;
  }
}

/** Equal (`===`) for equal wire values, whatever their spelling in JSON; false is not 0. @param {any} wire @returns {any} */
export function identity(wire) {
  return wire === null || typeof wire !== "object" ? wire : `\0${canonical(wire)}`;
}

/** @param {any} wire @returns {string} */
function canonical(wire) {
  if (Array.isArray(wire)) return `[${wire.map(canonical).join(",")}]`;
  if (wire === null || typeof wire !== "object") return JSON.stringify(wire);
  const keys = Object.keys(wire).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(wire[key])}`).join(",")}}`;
}

/** The identities of the elements of a list; those of scalars are the elements themselves.
 * @param {Shape} element @param {any[]} wires */
export function identities(element, wires) {
  return element.kind === "scalar" ? wires : wires.map(identity);
}

/** Equal (`===`) for elements that are one element of a set. @param {any} wire @returns {string} */
export function memberKey(wire) {
  if (typeof wire === "number") return `2${numberText(wire)}`;
  if (wire === null || typeof wire !== "object") return typeof wire === "string" ? `3${wire}` : `1${wire}`;
  const kind = wrapper(wire);
  const inner = wire[kind];
  if (kind === "$numberLong") return `2${BigInt(inner)}`;
  if (kind === "$numberDouble") return `2${inner}`;
  return `4${JSON.stringify([kind, inner])}`;
}

/** Where an element of a set is; -1: it is not in it. @param {any[]} wire @param {any} element */
export function memberIndex(wire, element) {
  const at = wire.indexOf(element);
  const isNumber = typeof element === "number";
  if (at >= 0 || element === null || (typeof element !== "object" && !isNumber)) return at; // the most by far
  const key = memberKey(element);
  return wire.findIndex((each) => each !== null && (typeof each === "object" || (typeof each === "number" && !isNumber)) && memberKey(each) === key);
}

/** @param {number} value */
function numberText(value) {
  return Number.isInteger(value) ? String(BigInt(value)) : String(value);
}

/** An int's wire value plus that of an int, as 64-bit integers wrap. @param {any} wire @param {any} by */
export function increase(wire, by) {
  return encode("int", BigInt.asIntN(64, BigInt(wire) + BigInt(by)));
}

/** What an `add` adds. Throws an EditError for what is not the wire value of an int. @param {Edit & {op: "add"}} edit */
export function checkBy(edit) {
  let by = null;
  try {
    by = decode("int", edit.by);
  } catch {
    // told below
  }
  if (by === null) throw new EditError("PropertyTypeMismatch", "What is added must be a 64-bit integer.", edit.path);
  return by;
}

// --- applying --------------------------------------------------------------------------------------------------------

/** The image after a client's own edit. Throws an EditError, and has changed nothing then.
 * @param {Schema} schema @param {ClassSchema} cls @param {Image} image @param {Edit} edit @returns {Image} */
export function applyEdit(schema, cls, image, edit) {
  const shape = propertyShape(schema, cls, edit);
  const name = String(edit.path[0]);
  return { ...image, [name]: editValue(shape, image[name], edit) };
}

/** The shape of the property that an edit is in. Throws an EditError if there is none.
 * @param {Schema} schema @param {ClassSchema} cls @param {Edit} edit */
export function propertyShape(schema, cls, edit) {
  const name = edit.path[0];
  if (typeof name !== "string" || !Object.hasOwn(cls.wire, name)) {
    throw new EditError("UnknownProperty", `Class '${cls.name}' has no such property.`, edit.path.slice(0, 1));
  }
  return new Shape(schema, cls.wire[name]);
}

/** The value of a property after an edit in it. @param {Shape} shape @param {any} value @param {Edit} edit
 * @param {Set<object>} [own] containers that the caller made itself, by edits before: they are changed in place, so that many
 * edits of something large cost little each */
export function editValue(shape, value, edit, own) {
  return editInside(shape, shape.read(value), edit, 1, own);
}

/** @template {object} T @param {T} copy @param {Set<object> | undefined} own @returns {T} */
function owned(copy, own) {
  own?.add(copy);
  return copy;
}

/** Whether the last step of the path is a place in a container; if not, the whole path leads to what is edited.
 * @param {Edit} edit @returns {edit is Edit & {op: "set" | "insert" | "move" | "remove"}} */
export function takesPlace(edit) {
  return edit.op === "set" || edit.op === "insert" || edit.op === "move" || edit.op === "remove";
}

/** @param {Shape} shape @param {any} value @param {Edit} edit @param {number} depth @param {Set<object>} [own] @returns {any} */
function editInside(shape, value, edit, depth, own) {
  const { path } = edit;
  if (depth >= path.length) return editHere(shape, value, edit, own);
  const kind = shape.container(value);
  const step = path[depth];
  const soFar = path.slice(0, depth + 1);
  const inside = depth < path.length - (takesPlace(edit) ? 1 : 0);
  if (kind === "list") {
    const at = checkIndex(step, value.length + (edit.op === "insert" && !inside ? 1 : 0), soFar);
    const copy = own?.has(value) ? value : owned(value.slice(), own);
    if (inside) copy[at] = editInside(shape.element, shape.element.read(value[at]), edit, depth + 1, own);
    else if (edit.op === "set") copy[at] = edit.value;
    else if (edit.op === "insert") copy.splice(at, 0, edit.value);
    else if (edit.op === "move") copy.splice(checkIndex(edit.to, value.length, path), 0, copy.splice(at, 1)[0]);
    else copy.splice(at, 1);
    return copy;
  }
  const child = childShape(shape, kind, step, soFar);
  const key = String(step);
  if ((inside || edit.op === "remove") && kind === "dictionary" && !Object.hasOwn(value, key)) throw noSuchKey(soFar);
  if (inside) {
    const inner = child.read(Object.hasOwn(value, key) ? value[key] : null);
    return withKey(value, key, editInside(child, inner, edit, depth + 1, own), own);
  }
  if (edit.op === "set") return withKey(value, key, edit.value, own);
  checkKeyed(kind, edit);
  const { [key]: _, ...others } = value;
  return owned(others, own);
}

/** @param {any} value @param {string} key @param {any} inner @param {Set<object>} [own] */
function withKey(value, key, inner, own) {
  if (!own?.has(value)) return owned({ ...value, [key]: inner }, own);
  return Object.defineProperty(value, key, { value: inner, enumerable: true, configurable: true, writable: true }); // `__proto__` too
}

/** @param {Shape} shape @param {any} value @param {Edit} edit @param {Set<object>} [own] */
function editHere(shape, value, edit, own) {
  const kind = shape.container(value);
  if (edit.op === "add") {
    checkCounter(shape, edit);
    const by = checkBy(edit);
    return value === null ? null : increase(value, by);
  }
  if (edit.op === "clear") {
    const kept = checkClear(kind, value, edit);
    if (kind === "dictionary") return Object.fromEntries(Object.entries(value).filter(([key]) => kept.has(key)));
    if (kind === "set") return value.filter((/** @type {any} */ member) => kept.has(memberKey(member)));
    return value.filter((/** @type {any} */ _, /** @type {number} */ at) => kept.has(at));
  }
  const member = checkSet(kind, edit);
  const at = memberIndex(value, member.value);
  if ((at >= 0) === (member.op === "setInsert")) return value;
  const copy = own?.has(value) ? value : owned(value.slice(), own);
  if (member.op === "setInsert") insertWire(copy, member.value);
  else copy.splice(at, 1);
  return copy;
}

/** An index of a list. Throws an EditError for anything else. @param {any} step @param {number} length @param {Step[]} path */
export function checkIndex(step, length, path) {
  if (!Number.isInteger(step)) throw new EditError("InvalidPath", "An element of a list is found by its index.", path);
  if (step < 0 || step >= length) throw new EditError("IndexOutOfRange", `The index ${step} is not below ${length}.`, path);
  return Number(step);
}

/** The shape of what a property of an embedded object or a key of a dictionary holds.
 * @param {Shape} shape @param {string | null} kind @param {any} step @param {Step[]} path */
export function childShape(shape, kind, step, path) {
  if (kind !== "embedded" && kind !== "dictionary") {
    throw new EditError("InvalidPath", "There is no list, dictionary or embedded object to step into.", path);
  }
  if (typeof step !== "string") throw new EditError("InvalidPath", "Properties and keys are strings.", path);
  if (kind === "dictionary") return shape.element;
  const field = shape.fields.get(step);
  if (!field) throw new EditError("UnknownProperty", "The embedded object has no such property.", path);
  return field;
}

/** @param {Step[]} path */
export function noSuchKey(path) {
  return new EditError("InvalidPath", "The dictionary has no such key.", path);
}

/** @param {string | null} kind @param {Edit} edit */
export function checkKeyed(kind, edit) {
  if (kind === "dictionary" && edit.op === "remove") return;
  const what = edit.op === "remove" ? "Keys of dictionaries and elements of lists" : "Elements of lists";
  throw new EditError("InvalidPath", `${what} can be treated so, nothing else.`, edit.path);
}

/** @param {Shape} shape @param {Edit} edit */
export function checkCounter(shape, edit) {
  if (shape.kind === "counter" || shape.isInt) return;
  throw new EditError("InvalidPath", "Only counters, and properties that are integers, can be added to.", edit.path);
}

/** What a clear keeps of a container: indexes, keys, or what tells members apart.
 * @param {string | null | undefined} kind @param {any} value @param {Edit & {op: "remove" | "clear"}} edit @returns {Set<any>} */
export function checkClear(kind, value, edit) {
  const { keep = [], path } = edit;
  if (kind === "list") return new Set(keep.map((at) => checkIndex(at, value.length, path)));
  if (kind === "dictionary") return new Set(keep);
  if (kind === "set") return new Set(keep.map(memberKey));
  throw new EditError("InvalidPath", "Only lists, sets and dictionaries can be cleared.", path);
}

/** @param {string | null | undefined} kind @param {Edit} edit */
export function checkSet(kind, edit) {
  if (edit.op !== "setInsert" && edit.op !== "setRemove") {
    throw new EditError("InvalidPath", "The path ends too early.", edit.path);
  }
  const { value } = edit;
  if (kind !== "set" || (value !== null && typeof value === "object" && !wrapper(value))) {
    throw new EditError("InvalidPath", "Only sets have members, and only scalars and links can be members.", edit.path);
  }
  return edit;
}

// --- deriving --------------------------------------------------------------------------------------------------------

/** The edits that turn one value of a property into another: what assigning a whole list, set or dictionary means.
 * Elements of a list that are there before and after are kept or moved, not replaced. A property that is no collection and
 * no mixed container cannot be assigned by edits: write it as a whole.
 * @param {Schema} schema @param {ClassSchema} cls @param {any} id @param {string} name @param {any} before @param {any} after
 * @returns {Edit[]} */
export function derive(schema, cls, id, name, before, after) {
  const shape = new Shape(schema, cls.wire[name]);
  const deriver = new Deriver(cls.name, id);
  deriver.inside(shape, [name], shape.read(before), shape.read(after));
  return deriver.edits;
}

class Deriver {
  /** @type {Edit[]} */
  edits = [];
  #object;

  /** @param {string} className @param {any} id */
  constructor(className, id) {
    this.#object = { class: className, _id: id };
  }

  /** @param {Edit["op"]} op @param {Step[]} path @param {object} [fields] */
  #add(op, path, fields) {
    this.edits.push(/** @type {Edit} */ ({ op, ...this.#object, path, ...fields }));
  }

  /** @param {Shape} shape @param {Step[]} path @param {any} before @param {any} after */
  inside(shape, path, before, after) {
    const kind = shape.container(before);
    if (!kind || kind !== shape.container(after)) {
      if (identity(before) !== identity(after)) this.#add("set", path, { value: after });
    } else if (kind === "list") {
      this.#list(shape.element, path, before, after);
    } else if (kind === "set") {
      this.#set(path, before, after);
    } else {
      for (const key of Object.keys(before)) {
        if (kind === "dictionary" && !Object.hasOwn(after, key)) this.#add("remove", [...path, key]);
      }
      for (const [key, value] of Object.entries(after)) {
        const child = kind === "dictionary" ? shape.element : shape.fields.get(key);
        if (!child) continue;
        const isThere = Object.hasOwn(before, key);
        if (kind === "dictionary" && !isThere) this.#add("set", [...path, key], { value });
        else this.inside(child, [...path, key], child.read(isThere ? before[key] : null), child.read(value));
      }
    }
  }

  /** @param {Step[]} path @param {any[]} before @param {any[]} after */
  #set(path, before, after) {
    const old = new Set(before.map(memberKey));
    const wanted = new Set(after.map(memberKey));
    for (const value of before) if (!wanted.has(memberKey(value))) this.#add("setRemove", path, { value });
    for (const value of after) {
      if (old.has(memberKey(value))) continue;
      this.#add("setInsert", path, { value });
      old.add(memberKey(value));
    }
  }

  /** Removes from the end, then inserts and moves from the beginning, then changes inside elements.
   * @param {Shape} element @param {Step[]} path @param {any[]} before @param {any[]} after */
  #list(element, path, before, after) {
    if (before.length && !after.length) {
      this.#add("clear", path);
      return;
    }
    const { origin, fate, removed } = align(identities(element, before), identities(element, after));
    for (const at of removed.slice().reverse()) this.#add("remove", [...path, at]);
    const gone = new Set(removed);
    const present = before.map((_, at) => at).filter((at) => !gone.has(at));
    let place = -1;
    origin.forEach((at, to) => {
      if (fate[to] === NEW) {
        place += 1;
        present.splice(place, 0, -1);
        this.#add("insert", [...path, place], { value: after[to] });
      } else if (fate[to] === MOVED) {
        const source = present.indexOf(at);
        present.splice(source, 1);
        if (source > place) place += 1;
        present.splice(place, 0, at);
        if (source !== place) this.#add("move", [...path, source], { to: place });
      } else {
        place = present.indexOf(at, place + 1);
      }
    });
    origin.forEach((at, to) => {
      if (fate[to] === CHANGED) this.inside(element, [...path, to], before[at], after[to]);
    });
  }
}
