// no Python twin: the Python client keeps to additive changes. Migration: what a newer version of a local realm's classes
// makes of its objects (reference 3.2, 8.6).
//
// Properties of the same type are carried over, others get their type's default; then the app's `onMigration` may do
// better, and give objects other keys: meanwhile they are found by the ones they had. Synced realms never come here: their
// classes only grow.

import { ObjectId } from "../core/bson.js"
import { realmError } from "../core/errors.js"
import { empty, sortWire } from "../core/encoding.js"
import { elementOf, HIDDEN_KEY, isCollection, typeText } from "../core/schema.js"
import { withKeys } from "./links.js"
import { storedClasses } from "./tables.js"

/** @type {Record<string, any>} */
const DEFAULTS = {
  bool: false, int: 0, float: 0, double: 0, decimal128: "0", string: "", data: "", date: "1970-01-01T00:00:00.000000Z",
  objectId: "0".repeat(24), uuid: "00000000-0000-0000-0000-000000000000",
};
const OLD_KEY = "(old key)";

/** Every difference between what the file has and what the app declares, in Realm's words.
 * @param {Map<string, any>} stored @param {any[]} declared */
function* differences(stored, declared) {
  for (const { name, keyName, properties } of declared) {
    const old = stored.get(name);
    if (!old) continue;
    for (const [property, now] of Object.entries(properties)) {
      const before = old.properties[property];
      const where = `Property '${name}.${property}' has been`;
      if (property === HIDDEN_KEY) continue;
      if (!before) yield `${where} added.`;
      else if (before.type !== now.type || before.objectType !== now.objectType) yield `${where} changed from '${typeText(before)}' to '${typeText(now)}'.`;
      else if (Boolean(before.optional) !== Boolean(now.optional)) yield `${where} made ${now.optional ? "optional" : "required"}.`;
    }
    for (const property of Object.keys(old.properties)) {
      if (!(property in properties) && property !== HIDDEN_KEY) yield `Property '${name}.${property}' has been removed.`;
    }
    const what = old.keyName === HIDDEN_KEY ? "been added" : keyName === HIDDEN_KEY ? "been removed" : `changed from '${old.keyName}' to '${keyName}'`;
    if (old.keyName !== keyName) yield `Primary Key for class '${name}' has ${what}.`;
  }
}

/** Brings the file to the declared classes; throws, and changes nothing, where that needs another `schemaVersion`.
 * @param {any} file @param {any} config */
export async function migrate({ store, realms }, { classes, schemaVersion, readOnly, deleteRealmIfMigrationNeeded, onMigration }) {
  if (!classes) return;
  const declared = storedClasses(classes);
  const stored = new Map(store.file.schema.map((/** @type {any} */ cls) => [cls.name, cls]));
  const last = store.file.schemaVersion;
  const found = [...differences(stored, declared)];
  const lines = found.map((line) => `\n- ${line}`).join("");
  if (readOnly) {
    if (found.length) throw realmError(`The following changes cannot be made in read-only schema mode:${lines}`, "SchemaMismatch");
    return;
  }
  const isLower = last !== null && schemaVersion < last;
  const isSame = last === null || last === schemaVersion;
  if (!deleteRealmIfMigrationNeeded) {
    if (isLower) throw realmError(`Provided schema version ${schemaVersion} is less than last set version ${last}.`, "InvalidSchemaVersion");
    if (found.length && isSame) throw realmError(`Migration is required due to the following errors:${lines}`, "SchemaMismatch");
  }
  if (!found.length && (isSame || !(onMigration || isLower))) return store.addSchema(declared, schemaVersion);
  const declaredProperties = new Map(declared.map((cls) => [cls.name, cls.properties]));
  /** What becomes of a value, and of the embedded objects in it. @param {any} was none: it was written before the file was read @param {any} now @param {any} wire @returns {any} */
  const carried = (was, now, wire) => {
    const isSame = !was || (was.type === now.type && was.objectType === now.objectType);
    if (!isSame || wire === null || wire === undefined) return isCollection(now.type) ? empty(now) : now.optional ? null : (DEFAULTS[now.type] ?? null);
    if (isCollection(now.type)) {
      const each = (/** @type {any} */ item) => carried(was && elementOf(was), elementOf(now), item);
      if (!Array.isArray(wire)) return Object.fromEntries(Object.entries(wire).map(([key, item]) => [key, each(item)]));
      return now.type === "set" ? sortWire(wire.map(each)) : wire.map(each);
    }
    if (now.type !== "object" || !classes.get(now.objectType)?.embedded) return wire;
    const old = stored.get(now.objectType)?.properties;
    return Object.fromEntries(Object.entries(declaredProperties.get(now.objectType)).map(([name, prop]) => [name, carried(old?.[name], prop, wire[name])]));
  };
  const before = store.freeze();
  const migrated = new Map();
  for (const { name, properties } of deleteRealmIfMigrationNeeded ? [] : declared) {
    const old = stored.get(name)?.properties ?? {};
    const objects = new Map();
    for (const [key, image] of before.tables.get(name)?.objects ?? []) {
      const next = /** @type {Record<string, any>} */ ({ [OLD_KEY]: key });
      for (const [property, prop] of Object.entries(properties)) {
        next[property] = property === HIDDEN_KEY ? (image[property] ?? new ObjectId().wire) : carried(old[property], prop, image[property]);
      }
      objects.set(key, next);
    }
    migrated.set(name, objects);
  }
  await store.replaceLocal(declared, schemaVersion, migrated, () => {
    if (deleteRealmIfMigrationNeeded) for (const name of [...store.tables.keys()]) if (!classes.has(name)) store.tables.delete(name);
    for (const { name } of declared) store.tables.get(name).keyName = OLD_KEY;
    if (onMigration && last !== null) {
      const realm = [...realms].at(-1);
      if (!realm) throw realmError("Cannot access realm that has been closed.", "ClosedRealm");
      realm._migrate(before, stored, onMigration);
    }
    for (const { name, keyName, properties } of declared) {
      const table = store.tables.get(name);
      const objects = new Map();
      for (const { [OLD_KEY]: _, ...image } of table.objects.values()) {
        for (const [property, described] of Object.entries(properties)) {
          // A link follows its target to the new key.
          image[property] = withKeys(store.schema, described, image[property], (objectType, key) => store.tables.get(objectType).objects.get(key)?.[classes.get(objectType).keyName] ?? key);
        }
        objects.set(image[keyName], image);
      }
      if (objects.size < table.objects.size) throw realmError(`Primary key property '${name}.${keyName}' has duplicate values after migration.`, "SchemaMismatch");
      migrated.set(name, objects);
    }
    for (const { name, keyName } of declared) {
      store.tables.get(name).keyName = keyName;
      store.tables.get(name).replace(migrated.get(name));
    }
  });
}
