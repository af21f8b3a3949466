// The vectors of queries, as the tests of the query language read them.

import { vectors } from "../harness.js";
import { bind } from "/realm_sync/core/binding.js";
import { parse } from "/realm_sync/core/query.js";
import { Schema, parseClass } from "/realm_sync/core/schema.js";
import { decode } from "/realm_sync/core/values.js";

export const VECTORS = await vectors("queries.json");
export const SCHEMA = new Schema(VECTORS.classes.map((declaration) => parseClass(declaration, { synced: true })));
export const INSPECTION = SCHEMA.get(VECTORS.class);

export const WORLD = await vectors("collections.json");
export const CLASSES = new Schema(WORLD.classes.map((declaration) => parseClass(declaration, { synced: true }))).check();

/** The objects of WORLD, as queries reach them. */
export const OBJECTS = {
  get: (name, key) => WORLD.objects[name].find((image) => image._id === key),
  linksTo: (name, property, key) => WORLD.objects[name].filter((image) => [Object.values(image[property] ?? {}), image[property]].flat().includes(key)),
};

/** An argument of the vectors: a JSON value, {type: wire value}, {"object": [class, key]}, or {"geo": shape}. */
export function argument(value) {
  if (Array.isArray(value)) return value.map(argument);
  if (typeof value !== "object" || value === null) return value;
  const [[type, wire]] = Object.entries(value);
  if (type === "geo") return wire;
  if (type !== "object") return decode(type, wire);
  const [className, key] = wire;
  const [[keyType, keyWire]] = typeof key === "object" ? Object.entries(key) : [[typeof key === "string" ? "string" : "int", key]];
  return { [Symbol.for("realm-sync.key")]: { className, type: keyType, wire: keyWire } };
}

/** The query, bound to the class of the vectors. */
export function bound(text, ...args) {
  return bind(parse(text, args), INSPECTION, SCHEMA);
}

/** A case of WORLD, bound to its class. */
export function boundCase({ class: name, query, args = [] }) {
  return bind(parse(query, argument(args)), CLASSES.get(name), CLASSES);
}
