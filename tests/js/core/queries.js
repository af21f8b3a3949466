// The vectors of queries, as the tests of the query language read them.

import { vectors } from "../harness.js";
import { bind } from "/realm_sync/core/binding.js";
import { parse } from "/realm_sync/core/query.js";
import { Schema, parseClass } from "/realm_sync/core/schema.js";
import { decode } from "/realm_sync/core/values.js";

export const VECTORS = await vectors("queries.json");
export const SCHEMA = new Schema(VECTORS.classes.map((declaration) => parseClass(declaration, { synced: true })));
export const INSPECTION = SCHEMA.get(VECTORS.class);

/** An argument of the vectors: a JSON value, {type: wire value}, or {"object": [class, key]}. */
export function argument(value) {
  if (Array.isArray(value)) return value.map(argument);
  if (typeof value !== "object" || value === null) return value;
  const [[type, wire]] = Object.entries(value);
  if (type !== "object") return decode(type, wire);
  const [className, key] = wire;
  const [[keyType, keyWire]] = typeof key === "string" ? [["string", key]] : Object.entries(key);
  return { [Symbol.for("realm-sync.key")]: { className, type: keyType, wire: keyWire } };
}

/** The query, bound to the class of the vectors. */
export function bound(text, ...args) {
  return bind(parse(text, args), INSPECTION, SCHEMA);
}
