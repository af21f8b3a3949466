// no Python twin: tables.py and objects.py do this there. Reading: the JavaScript value of a wire value, for an app.
//
// Collections, counters and embedded objects are live; links are objects, null where their target is not in this file.

import { decodeMixed, mixedType } from "../core/mixed.js"
import { decode } from "../core/values.js"
import { Counter } from "./counters.js"
import { Dictionary } from "./dictionaries.js"
import { List } from "./lists.js"
import { RealmSet } from "./sets.js"

/** @typedef {import('../core/schema.js').WireProperty} WireProperty */

/** @param {any} realm @param {WireProperty} prop @param {any} wire @param {(kind: string | null) => import('./live.js').Place} place makes
 * the place where the value is; `kind`: what a mixed value is there @returns {any} */
export function valueOf(realm, prop, wire, place) {
  const { type, objectType, presentation } = prop;
  if (type === "list") return new List(place(null));
  if (type === "set") return new RealmSet(place(null));
  if (type === "dictionary") return new Dictionary(place(null));
  if (wire === null || wire === undefined) return null;
  if (type === "object") {
    if (realm._store.schema.isEmbedded(objectType)) return realm._wrapEmbedded(place(null));
    return linked(realm, /** @type {string} */ (objectType), wire);
  }
  if (presentation === "counter") return new Counter(place(null));
  if (type !== "mixed") return decode(type, wire);
  switch (mixedType(wire)) {
    case "list":
      return new List(place("list"));
    case "dictionary":
      return new Dictionary(place("dictionary"));
    case "object":
      return linked(realm, wire.$link[0], wire.$link[1]);
    default:
      return decodeMixed(wire);
  }
}

/** @param {any} realm @param {string} name @param {any} key */
function linked(realm, name, key) {
  const table = realm._store.tables.get(name);
  return table?.objects.has(key) && realm._knows(name) ? realm._wrap(table, key) : null;
}
