// no Python twin: SQLite and tables.py do this there. Links: where an object's image leads, whatever holds the links.

import { wrapper } from "../core/mixed.js"

/** What this needs to know of classes.
 * @typedef {{get: (name: string) => any, isEmbedded: (name: string | undefined) => boolean, element: (prop: any) => any}} Classes */

/** Whether a property can hold links. @param {Classes} schema @param {any} prop */
export function mayLink(schema, { type, objectType }) {
  if (type === "mixed" || objectType === "mixed") return true;
  return objectType !== undefined && type !== "linkingObjects" && schema.get(objectType) !== undefined;
}

/** Every link in a wire value: class, key, and the path of properties that leads there. @param {Classes} schema @param {any} prop
 * @param {any} wire @param {(target: string, key: any) => void} visit */
export function eachLink(schema, prop, wire, visit) {
  if (wire === null || wire === undefined) return;
  if (prop.type === "object") {
    if (!schema.isEmbedded(prop.objectType)) return visit(prop.objectType, wire);
    const { properties } = schema.get(prop.objectType);
    for (const name in properties) if (mayLink(schema, properties[name])) eachLink(schema, properties[name], wire[name], visit);
  } else if (prop.type === "mixed") {
    eachMixedLink(wire, visit);
  } else if (prop.objectType && mayLink(schema, prop)) {
    const element = schema.element(prop);
    for (const item of Array.isArray(wire) ? wire : Object.values(wire)) eachLink(schema, element, item, visit);
  }
}

/** A wire value with other keys in its links, mixed ones left out. @param {Classes} schema @param {any} prop @param {any} wire
 * @param {(target: string, key: any) => any} change @returns {any} */
export function withKeys(schema, prop, wire, change) {
  if (wire === null || wire === undefined || prop.type === "mixed" || !mayLink(schema, prop)) return wire;
  const each = (/** @type {any} */ item) => withKeys(schema, schema.element(prop), item, change);
  if (prop.type !== "object") return Array.isArray(wire) ? wire.map(each) : Object.fromEntries(Object.entries(wire).map(([key, item]) => [key, each(item)]));
  if (!schema.isEmbedded(prop.objectType)) return change(prop.objectType, wire);
  const { properties } = schema.get(prop.objectType);
  return Object.fromEntries(Object.entries(wire).map(([name, item]) => [name, withKeys(schema, properties[name], item, change)]));
}

/** @param {any} wire @param {(target: string, key: any) => void} visit */
function eachMixedLink(wire, visit) {
  if (wire === null || typeof wire !== "object") return;
  if (wrapper(wire) === "$link") return visit(wire.$link[0], wire.$link[1]);
  if (!wrapper(wire)) for (const item of Object.values(wire)) eachMixedLink(item, visit);
}

/** Every link of an object. @param {Classes} schema @param {{properties: Record<string, any>}} cls @param {Record<string, any>} image
 * @param {(target: string, key: any) => void} visit */
export function eachLinkOf(schema, { properties }, image, visit) {
  for (const name in properties) if (mayLink(schema, properties[name])) eachLink(schema, properties[name], image[name], visit);
}
