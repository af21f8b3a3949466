// no Python twin: the Python client keeps to additive changes. Migration: what a newer version of a local realm's classes
// makes of its objects (reference 3.2, 8.6).
//
// Properties of the same type are carried over, others get their type's default; then the app's `onMigration` may do
// better. Synced realms never come here: their classes only grow.

import { realmError } from "../core/errors.js";
import { typeText } from "../core/schema.js";

/** @type {Record<string, any>} */
const DEFAULTS = { bool: false, int: 0, float: 0, double: 0, decimal128: "0", string: "", data: "", date: "1970-01-01T00:00:00.000000Z" };

/** Every difference between what the file has and what the app declares, in Realm's words.
 * @param {Map<string, any>} stored @param {any[]} declared */
function* differences(stored, declared) {
  for (const { name, keyName, properties } of declared) {
    const old = stored.get(name);
    if (!old) continue;
    for (const [property, { type, objectType, optional }] of Object.entries(properties)) {
      const before = old.properties[property];
      const where = `Property '${name}.${property}' has been`;
      if (!before) yield `${where} added.`;
      else if (before.type !== type || before.objectType !== objectType) {
        yield `${where} changed from '${typeText(before)}' to '${typeText({ type, objectType })}'.`;
      } else if (Boolean(before.optional) !== Boolean(optional)) yield `${where} made ${optional ? "optional" : "required"}.`;
    }
    for (const property of Object.keys(old.properties)) {
      if (!(property in properties)) yield `Property '${name}.${property}' has been removed.`;
    }
    if (old.keyName !== keyName) yield `Primary Key for class '${name}' has changed from '${old.keyName}' to '${keyName}'.`;
  }
}

/** Brings the file to the declared classes; throws, and changes nothing, where that needs another `schemaVersion`.
 * @param {any} file @param {any} config */
export async function migrate({ store, realms }, { classes, schemaVersion, readOnly, deleteRealmIfMigrationNeeded, onMigration }) {
  if (!classes || schemaVersion === null) return;
  const declared = [...classes].map(({ name, keyName, wire }) => ({ name, keyName, properties: wire }));
  const stored = new Map(store.file.schema.map((cls) => [cls.name, cls]));
  const last = store.file.schemaVersion;
  const found = [...differences(stored, declared)];
  const lines = found.map((line) => `\n- ${line}`).join("");
  if (last !== null && last !== schemaVersion && readOnly) throw realmError(`The following changes cannot be made in read-only schema mode:${lines}`, "SchemaMismatch");
  if (last !== null && schemaVersion < last && !deleteRealmIfMigrationNeeded) {
    throw realmError(`Provided schema version ${schemaVersion} is less than last set version ${last}.`, "InvalidSchemaVersion");
  }
  const isSame = last === null || last === schemaVersion;
  if (found.length && isSame && !deleteRealmIfMigrationNeeded) {
    throw realmError(`Migration is required due to the following errors:${lines}`, "SchemaMismatch");
  }
  if (!found.length && (isSame || !onMigration)) return store.addSchema(declared, schemaVersion);
  const before = store.freeze();
  const isFresh = deleteRealmIfMigrationNeeded && (found.length > 0 || (last !== null && schemaVersion < last));
  const migrated = new Map();
  for (const { name, keyName, properties } of declared) {
    const old = stored.get(name);
    const objects = new Map();
    for (const [key, image] of isFresh ? [] : (before.tables.get(name)?.objects ?? [])) {
      const carried = Object.entries(properties).map(([property, { type, objectType, optional }]) => {
        const { type: was, objectType: linked } = old.properties[property] ?? {};
        const kept = was === type && linked === objectType ? (image[property] ?? null) : null;
        return [property, kept ?? (optional ? null : (DEFAULTS[type] ?? null))];
      });
      objects.set(key, { ...Object.fromEntries(carried), [keyName]: key });
    }
    migrated.set(name, objects);
  }
  const [realm] = realms;
  await store.replaceLocal(declared, schemaVersion, migrated, () => {
    if (onMigration && last !== null && !isFresh) realm?._migrate(before, stored, onMigration);
  });
}
