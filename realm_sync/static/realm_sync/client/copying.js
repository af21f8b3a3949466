// no Python twin: SQLite copies files there. Copying: what `writeCopyTo` makes of a realm, and where it may not (8.5).
//
// A new file has everything visible: a local one objects only, a synced one the subscriptions as well, but no ident, so
// that it fetches everything anew when it first connects. Into a file that is there, objects are merged by their keys.

import { realmError } from "../core/errors.js"
import { typeText } from "../core/schema.js"
import { isThere, makeFile } from "./openFiles.js"
import { Store } from "./store.js"
import { sameWire, Table } from "./tables.js"
import { write as writeValue } from "./writing.js"

/** @typedef {import('./configuration.js').Configuration} Configuration */

const TRANSACTION_CHARACTERS = 200_000; // what a synced realm takes is limited: several transactions then

/** @param {any} realm @param {any} sync its configuration @param {any[] | null} declared its classes, as a file keeps them; null: those of the file
 * @param {Configuration} config of the copy @param {() => any} openTarget opens the copy that is there already */
export async function writeCopy(realm, sync, declared, config, openTarget) {
  const refuse = (/** @type {string} */ text) => realmError(text, "IllegalOperation");
  if (config.path === realm.path) throw realmError(`Cannot copy the realm at '${realm.path}' to itself.`, "InvalidArgument");
  if (config.sync?.flexible && !sync?.flexible) throw refuse("Realm cannot be converted to a flexible sync realm unless flexible sync is already enabled");
  if (config.sync && !config.sync.flexible) {
    if (sync?.flexible) throw refuse("Realm cannot be converted from a flexible sync realm to a partition based sync realm");
    if (!sync) throw refuse("Realm cannot be converted to a partition based sync realm unless it is one already");
    if (`${sync.partitionValue}` !== `${config.sync.partitionValue}`) throw refuse("Realm cannot be converted to a partition based sync realm of another partition value");
  }
  if (!realm._store.isLoaded) await realm.whenLoaded();
  if (config.sync) await realm.writesFlushed(); // subscriptions
  const store = realm._open();
  if (realm._file.writer) throw refuse("Can only convert Realms outside a transaction.");
  const copy = store.synced && !config.sync ? localCopy(store, declared, realm.schemaVersion) : store.freeze();
  if (!isThere(config.path)) {
    if (config.inMemory) throw refuse(`Cannot write a copy to '${config.path}': it would be in memory only, and gone at once. Open that realm first.`);
    if (config.sync && store.pending.length) throw refuse("Could not write file as not all client changes are integrated in server");
    if (await makeFile(config, copy.asNewFile())) return;
  }
  const target = openTarget();
  try {
    await target.whenLoaded();
    if (!config.classes) target._store.addSchema([...copy.tables.values()].map((table) => table.cls));
    merge(copy, target);
    await target.writesFlushed();
  } finally {
    target.close();
  }
}

/** What a local realm can have of a synced one. @param {Store} store @param {any[] | null} declared @param {number} schemaVersion */
function localCopy(store, declared, schemaVersion) {
  const copy = new Store(store.path, false);
  for (const { name, keyName, properties: given, ...flags } of declared ?? [...store.tables.values()].map((table) => table.cls)) {
    const properties = Object.fromEntries(
      Object.entries(given).map(([property, { readOnly: _, hasDefault: __, ...described }]) => [property, described]),
    );
    const objects = new Map();
    for (const [key, image] of store.tables.get(name)?.objects ?? []) {
      objects.set(key, Object.fromEntries(Object.keys(properties).map((property) => [property, image[property] ?? null])));
    }
    copy.tables.set(name, new Table({ name, keyName, properties, ...flags }, copy.schema, objects));
  }
  copy.file.schemaVersion = schemaVersion;
  return copy;
}

/** Writes the objects that differ; what links to others after those. @param {Store} copy @param {any} target */
function merge(copy, target) {
  /** @type {Map<string, Map<any, {table: Table, key: any, image: any, isEntered: boolean, isDone: boolean}>>} */
  const entries = new Map();
  for (const { name, cls, objects } of copy.tables.values()) {
    if (!objects.size) continue;
    const table = target._store.tables.get(name);
    const problems = differences(cls, table?.cls);
    if (problems.length) throw realmError(`Objects of class '${name}' cannot be copied into the realm at '${target.path}': ${problems.join(" ")}`, "SchemaMismatch");
    entries.set(name, new Map([...objects].map(([key, image]) => [key, { table, key, image, isEntered: false, isDone: false }])));
  }
  /** @type {(() => void)[]} */
  const later = []; // links that go in circles
  let size = 0;
  const write = (/** @type {any} */ { table, key, image }) => {
    const { name, keyName, cls } = table;
    const old = table.objects.get(key);
    /** @type {Record<string, any>} */
    const values = {};
    for (const [property, value] of Object.entries(image)) {
      if (property === keyName || cls.properties[property].readOnly || (old && sameWire(old[property], value))) continue;
      const { type, objectType } = cls.properties[property];
      const linked = type === "object" && value !== null ? entries.get(objectType)?.get(value) : undefined;
      if (linked && !linked.isDone && !linked.table.objects.has(value)) later.push(() => put(table, key, true, { [property]: value }));
      else values[property] = value;
    }
    if (!old || Object.keys(values).length) put(table, key, Boolean(old), values);
    size += JSON.stringify(values).length;
    if (!target._store.synced || size < TRANSACTION_CHARACTERS) return;
    target.commitTransaction();
    target.beginTransaction();
    size = 0;
  };
  const put = (/** @type {Table} */ table, /** @type {any} */ key, /** @type {boolean} */ isThere, /** @type {any} */ values) => {
    target._checkWritable(table.name);
    if (isThere) {
      for (const [name, value] of Object.entries(values)) writeValue(target, table, key, [name], table.cls.properties[name], value);
    } else target._file.writer.create(table, { [table.keyName]: key, ...values });
  };
  target.beginTransaction();
  try {
    for (const byKey of entries.values()) {
      for (const first of byKey.values()) {
        const stack = [first];
        for (let entry = stack.at(-1); entry; entry = stack.at(-1)) {
          const { table, image } = entry;
          const targets = entry.isEntered ? [] : table.links.flatMap(([name, to]) => entries.get(to)?.get(image[name]) ?? []);
          const waits = targets.filter(({ isEntered }) => !isEntered);
          entry.isEntered = true;
          if (waits.length) stack.push(...waits);
          else {
            stack.pop();
            if (!entry.isDone) write(entry);
            entry.isDone = true;
          }
        }
      }
    }
    for (const link of later) link();
    target.commitTransaction();
  } catch (error) {
    if (target.isInTransaction) target.cancelTransaction();
    throw error;
  }
}

/** Why objects of a class do not fit another one. @param {any} cls @param {any} other */
function differences(cls, other) {
  if (!other) return ["it is not in the schema there."];
  if (cls.keyName !== other.keyName) return [`the primary key there is '${other.keyName}', not '${cls.keyName}'.`];
  return Object.entries(cls.properties).flatMap(([name, property]) => {
    const theirs = other.properties[name];
    if (!theirs) return `property '${name}' is not there.`;
    if (typeText(theirs) !== typeText(property)) return `property '${name}' is '${typeText(theirs)}' there, not '${typeText(property)}'.`;
    return [];
  });
}
