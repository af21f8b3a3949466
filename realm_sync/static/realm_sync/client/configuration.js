// no Python twin: keyword arguments and dataclasses do this there. Configuration: what an app says of a realm, checked.
//
// Decides which options there are, which exclude each other and what their defaults are, in Realm's words (reference 3.2,
// 3.3, 3.4, 6.4); explicit options first, then the settings that the page brought along, then the defaults.

import { UUID, ObjectId } from "../core/bson.js"
import { AssertionError, realmError, TypeAssertionError } from "../core/errors.js"
import { parseClass, Schema } from "../core/schema.js"
import { User } from "./app.js"
import { RealmObject } from "./objects.js"

export const OpenRealmBehaviorType = Object.freeze({ DownloadBeforeOpen: "downloadBeforeOpen", OpenImmediately: "openImmediately" });
export const OpenRealmTimeOutBehavior = Object.freeze({ OpenLocalRealm: "openLocalRealm", ThrowException: "throwException" });
export const ClientResetMode = Object.freeze({
  Manual: "manual",
  DiscardUnsyncedChanges: "discardUnsyncedChanges",
  RecoverUnsyncedChanges: "recoverUnsyncedChanges",
  RecoverOrDiscardUnsyncedChanges: "recoverOrDiscardUnsyncedChanges",
});

/** @typedef {{type: "downloadBeforeOpen" | "openImmediately", timeOut?: number | null, timeOutBehavior?: "openLocalRealm" | "throwException"}} OpenBehavior */
/** As realm.js has them, unchecked. @typedef {{user: User, newRealmFileBehavior?: OpenBehavior, existingRealmFileBehavior?: OpenBehavior, [other: string]: any}} SyncConfiguration */
/** @typedef {{path?: string, schema?: any[], schemaVersion?: number, inMemory?: boolean, readOnly?: boolean, encryptionKey?: ArrayBuffer | ArrayBufferView,
 *   shouldCompact?: (totalBytes: number, usedBytes: number) => boolean, sync?: SyncConfiguration, [other: string]: any}} RealmConfiguration */

/** @type {OpenBehavior} */
export const DEFAULT_BEHAVIOR = Object.freeze({ type: "downloadBeforeOpen", timeOut: 30_000, timeOutBehavior: "throwException" });
const KEY_BYTES = 64;
const BOOLEANS = ["inMemory", "readOnly", "deleteRealmIfMigrationNeeded", "disableFormatUpgrade", "excludeFromIcloudBackup"];
const FUNCTIONS = ["onMigration", "shouldCompact"];

/** What realms are of whose configuration says no path and no sync. */
export const defaults = { path: "default.realm" };

/** A configuration that may be opened: its path, its classes and its options.
 * @param {string | RealmConfiguration} [given] */
export function readConfiguration(given = {}) {
  const config = typeof given === "string" ? { path: given } : given;
  if (typeof config !== "object" || config === null) throw new TypeAssertionError("an object", config, "realm configuration");
  const { path, schema, schemaVersion, sync } = config;
  if (path !== undefined) checkPath(path);
  if (schemaVersion !== undefined && !(Number.isInteger(schemaVersion) && schemaVersion >= 0)) {
    throw new AssertionError("'schemaVersion' on realm configuration must be 0 or a positive integer.");
  }
  if (schema !== undefined && !Array.isArray(schema)) throw new TypeAssertionError("an array", schema, named("schema"));
  for (const name of BOOLEANS) mustBe("boolean", config[name], named(name));
  for (const name of FUNCTIONS) if (config[name] !== undefined) mustBeFunction(config[name], named(name));
  mustBe("string", config.fifoFilesFallbackPath, named("fifoFilesFallbackPath"));
  mustBe("object", config.migrationOptions, named("migrationOptions"));
  mustBe("boolean", config.migrationOptions?.resolveEmbeddedConstraints, named("resolveEmbeddedConstraints"));
  const encryptionKey = config.encryptionKey === undefined ? undefined : keyBytes(config.encryptionKey);
  for (const name of ["inMemory", "deleteRealmIfMigrationNeeded", "onMigration", "migrationOptions"]) {
    if (sync && config[name] !== undefined) throw new AssertionError(`The realm configuration options '${name}' and 'sync' cannot both be defined.`);
  }
  if (sync && config.readOnly) throw new AssertionError("Synchronized Realms cannot be opened in immutable mode");
  if (config.inMemory && encryptionKey) throw realmError("Encryption is not supported for in-memory realms", "IllegalCombination");
  if (config.deleteRealmIfMigrationNeeded) {
    for (const name of ["readOnly", "onMigration"]) {
      if (config[name]) throw new AssertionError(`Cannot set 'deleteRealmIfMigrationNeeded' when '${name}' is set.`);
    }
  }
  if (config.readOnly && config.onMigration) throw new AssertionError("Realms opened in immutable mode do not use a migration function");
  if (sync !== undefined) checkSync(sync);
  const classes = schema && new Schema(schema.map((each) => parseClass(each, { synced: Boolean(sync), base: RealmObject }))).check();
  const options = /** @type {{schema?: any[], inMemory?: boolean, readOnly?: boolean, shouldCompact?: Function, deleteRealmIfMigrationNeeded?: boolean, _store?: any, _isAwaited?: boolean, _ran?: boolean}} */ (config);
  return { ...options, sync, encryptionKey, schemaVersion: schema ? (schemaVersion ?? 0) : null, classes, path: filePath(config) };
}

/** @typedef {ReturnType<typeof readConfiguration>} Configuration */

/** The name of the database that holds the realm. @param {RealmConfiguration} config */
function filePath({ path, sync }) {
  if (sync) return sync.user.app.realmPath(sync.user.id, path, sync.partitionValue);
  return path ?? defaults.path;
}

/** @param {string} name */
const named = (name) => `'${name}' on realm configuration`;

/** @param {any} path */
export function checkPath(path) {
  if (typeof path !== "string") throw new TypeAssertionError("a string", path, named("path"));
  if (!path) throw new AssertionError("The path cannot be empty. Provide a path or remove the field.");
}

/** A copy: what the app does to its own does not matter then. @param {any} key @returns {Uint8Array} */
export function keyBytes(key) {
  if (!(key instanceof ArrayBuffer || ArrayBuffer.isView(key))) throw new TypeAssertionError("an ArrayBuffer or a view of one, such as Uint8Array", key, named("encryptionKey"));
  if (key.byteLength !== KEY_BYTES) {
    throw realmError(`${named("encryptionKey")} has ${key.byteLength} bytes; it must have ${KEY_BYTES}.`, "InvalidEncryptionKey");
  }
  return ArrayBuffer.isView(key) ? new Uint8Array(key.buffer, key.byteOffset, KEY_BYTES).slice() : new Uint8Array(key.slice(0));
}

/** @param {SyncConfiguration} sync */
function checkSync(sync) {
  if (typeof sync !== "object" || sync === null) throw new TypeAssertionError("an object", sync, named("sync"));
  const { user, flexible, partitionValue, initialSubscriptions, clientReset, customHttpHeaders, ssl } = sync;
  if (!(user instanceof User)) throw new TypeAssertionError("an instance of User", user, "'user' on realm sync configuration");
  if (flexible) {
    if (flexible !== true) throw new AssertionError("'flexible' must always be true for realms using flexible sync.");
    if (partitionValue !== undefined) throw new AssertionError("'partitionValue' cannot be specified when flexible sync is enabled.");
    if (initialSubscriptions !== undefined) {
      if (typeof initialSubscriptions !== "object" || !initialSubscriptions) throw new TypeAssertionError("an object", initialSubscriptions, "'initialSubscriptions' on realm sync configuration");
      mustBeFunction(initialSubscriptions.update, "'update' on 'initialSubscriptions'");
    }
  } else {
    checkPartition(partitionValue);
    if (flexible !== undefined) throw new AssertionError("'flexible' can only be specified to enable flexible sync.");
    if (initialSubscriptions) throw new AssertionError("'initialSubscriptions' can only be specified when flexible sync is enabled.");
  }
  if (sync.onError !== undefined) mustBeFunction(sync.onError, "'onError' on realm sync configuration");
  const { cancelWaitsOnNonFatalError: cancels } = sync;
  if (cancels !== undefined && typeof cancels !== "boolean") throw new TypeAssertionError("a boolean", cancels, "'cancelWaitsOnNonFatalError' on realm sync configuration");
  for (const name of ["newRealmFileBehavior", "existingRealmFileBehavior"]) if (sync[name]) checkBehavior(sync[name]);
  mustBe("object", customHttpHeaders, "'customHttpHeaders' on realm sync configuration");
  for (const value of Object.values(customHttpHeaders ?? {})) mustBe("string", value, "all property values of 'customHttpHeaders' on realm sync configuration");
  mustBe("object", ssl, "'ssl' on realm sync configuration");
  if (clientReset !== undefined) checkClientReset(clientReset, sync);
  if (user.state === "Removed") {
    throw new AssertionError(`Cannot start a sync session for user '${user.id}' because this user has been removed.`);
  }
}

/** @param {any} value */
function checkPartition(value) {
  const target = "'partitionValue' on realm sync configuration";
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new AssertionError(`Expected ${target} to be an integer, got ${value}.`);
  } else if (value !== null && typeof value !== "string" && !(value instanceof ObjectId) && !(value instanceof UUID)) {
    throw new TypeAssertionError("an integer, string, ObjectId, UUID, or null", value, target);
  }
}

/** @param {any} behavior */
function checkBehavior({ type, timeOut, timeOutBehavior }) {
  if (!Object.values(OpenRealmBehaviorType).includes(type)) {
    throw new AssertionError(`Invalid 'type': '${type}'. Only 'downloadBeforeOpen' and 'openImmediately' is allowed.`);
  }
  const needed = type === "downloadBeforeOpen" && timeOut !== undefined && timeOut !== null;
  if (!(Object.values(OpenRealmTimeOutBehavior).includes(timeOutBehavior) || (timeOutBehavior === undefined && !needed))) {
    throw new AssertionError(`Invalid 'timeOutBehavior': '${timeOutBehavior}'. Only 'throwException' and 'openLocalRealm' is allowed.`);
  }
  if (timeOut !== undefined && timeOut !== null && !(typeof timeOut === "number" && timeOut >= 0)) {
    throw new TypeAssertionError("a number of milliseconds", timeOut, "timeOut");
  }
}

/** @param {any} reset @param {SyncConfiguration} sync */
function checkClientReset(reset, { onError }) {
  const modes = Object.values(ClientResetMode);
  if (!modes.includes(reset?.mode)) {
    throw new AssertionError(`Invalid 'mode' on 'clientReset': '${reset?.mode}'. Only ${modes.map((mode) => `'${mode}'`).join(", ")} is allowed.`);
  }
  for (const name of ["onManual", "onBefore", "onAfter", "onFallback"]) if (reset[name] !== undefined) mustBeFunction(reset[name], `'${name}' on client reset configuration`);
  if (reset.mode === "manual" && !reset.onManual && !onError) throw new AssertionError("need to set either onError or onManual or both");
}

/** Or undefined. @param {"boolean" | "string" | "object"} type @param {any} value @param {string} target */
function mustBe(type, value, target) {
  if (value === undefined || (typeof value === type && value !== null)) return;
  throw new TypeAssertionError(`${type === "object" ? "an" : "a"} ${type}`, value, target);
}

/** @param {any} value @param {string} target */
export function mustBeFunction(value, target) {
  if (typeof value !== "function") throw new TypeAssertionError("a function", value, target);
  return value;
}
