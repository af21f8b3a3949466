// What an app may say of a realm, and what it is told where it may not.

import { IMMEDIATELY, Inspection, offlineUser, SCHEMA, TEAM } from "./inspections.js";
import { equal, ok, test, throws } from "../harness.js";
import { readConfiguration } from "/realm_sync/client/configuration.js";
import Realm, * as module from "/realm_sync/realm.js";

const refused = (config, text) => throws(() => readConfiguration(config), text);
const user = await offlineUser();
const flexible = (more) => ({ schema: SCHEMA, sync: { user, flexible: true, ...more } });
const partition = (more) => ({ schema: SCHEMA, sync: { user, ...more } });

test("errors: constructors throw, Realm.open rejects", async () => {
  throws(() => new Realm({ path: "" }), "The path cannot be empty. Provide a path or remove the field.");
  const opening = Realm.open({ path: "" });
  await throws(() => opening, "The path cannot be empty.");
  throws(() => Realm.exists({ path: "" }), "The path cannot be empty.");
});

test("local options", () => {
  refused(null, "Expected 'realm configuration' to be an object, got null");
  refused({ path: 5 }, "Expected 'path' on realm configuration to be a string, got a number");
  for (const schemaVersion of [-1, 1.5, "1", null]) refused({ schemaVersion }, "'schemaVersion' on realm configuration must be 0 or a positive integer.");
  refused({ schema: {} }, "Expected 'schema' on realm configuration to be an array, got an object");
  for (const name of ["onMigration", "shouldCompact"]) {
    for (const each of [5, true, null]) equal(refused({ [name]: each }, `Expected '${name}' on realm configuration to be a function, got `).constructor.name, "TypeAssertionError");
  }
  for (const name of ["inMemory", "readOnly", "deleteRealmIfMigrationNeeded", "disableFormatUpgrade", "excludeFromIcloudBackup"]) {
    for (const each of ["yes", 1, null]) refused({ [name]: each }, `Expected '${name}' on realm configuration to be a boolean, got `);
  }
  refused({ fifoFilesFallbackPath: 5 }, "Expected 'fifoFilesFallbackPath' on realm configuration to be a string, got a number");
  refused({ migrationOptions: true }, "Expected 'migrationOptions' on realm configuration to be an object, got a boolean");
  refused({ migrationOptions: { resolveEmbeddedConstraints: 1 } }, "Expected 'resolveEmbeddedConstraints' on realm configuration to be a boolean, got a number");
  ok(readConfiguration({ fifoFilesFallbackPath: "x", migrationOptions: {}, disableFormatUpgrade: true, excludeFromIcloudBackup: true, onFirstOpen() {}, shouldCompact: () => false }));
  refused({ deleteRealmIfMigrationNeeded: true, readOnly: true }, "Cannot set 'deleteRealmIfMigrationNeeded' when 'readOnly' is set.");
  refused({ deleteRealmIfMigrationNeeded: true, onMigration() {} }, "Cannot set 'deleteRealmIfMigrationNeeded' when 'onMigration' is set.");
  refused({ readOnly: true, onMigration() {} }, "Realms opened in immutable mode do not use a migration function");
  equal([readConfiguration().path, readConfiguration("a.realm").path, readConfiguration({ path: "b" }).path], ["default.realm", "a.realm", "b"]);
  equal([readConfiguration({ schema: [] }).schemaVersion, readConfiguration({}).schemaVersion, readConfiguration({ schema: [], schemaVersion: 4 }).schemaVersion], [0, null, 4]);
});

test("an encryption key", () => {
  for (const each of ["a".repeat(64), 5, null, Array(64).fill(0)]) {
    equal(refused({ encryptionKey: each }, "Expected 'encryptionKey' on realm configuration to be an ArrayBuffer or a view of one, such as Uint8Array, got ").constructor.name, "TypeAssertionError");
  }
  for (const length of [0, 32, 63, 65]) {
    const error = refused({ encryptionKey: new Uint8Array(length) }, `'encryptionKey' on realm configuration has ${length} bytes; it must have 64.`);
    equal([error.code, error.codeName], [3014, "InvalidEncryptionKey"]);
  }
  throws(() => Realm.schemaVersion("x", new Uint8Array(3)), "'encryptionKey' on realm configuration has 3 bytes; it must have 64.");
  refused({ inMemory: true, encryptionKey: new Uint8Array(64) }, "Encryption is not supported for in-memory realms");
  const bytes = Uint8Array.from({ length: 80 }, (_, at) => at);
  const read = (encryptionKey) => [...readConfiguration({ encryptionKey }).encryptionKey];
  for (const each of [bytes.slice(8, 72), bytes.slice(8, 72).buffer, new DataView(bytes.buffer, 8, 64), bytes.subarray(8, 72)]) equal(read(each), [...bytes.slice(8, 72)]);
  ok(readConfiguration({ ...flexible(), encryptionKey: bytes.slice(0, 64) }));
});

test("the default path may be another one", () => {
  equal(Realm.defaultPath, "default.realm");
  Realm.defaultPath = "/elsewhere.realm";
  equal([Realm.defaultPath, readConfiguration().path, readConfiguration({ path: "b" }).path], ["/elsewhere.realm", "/elsewhere.realm", "b"]);
  throws(() => (Realm.defaultPath = ""), "The path cannot be empty. Provide a path or remove the field.");
  throws(() => (Realm.defaultPath = 5), "Expected 'path' on realm configuration to be a string, got a number");
  Realm.defaultPath = "default.realm";
});

test("what excludes sync, even if false", () => {
  for (const name of ["inMemory", "deleteRealmIfMigrationNeeded"]) refused({ ...flexible(), [name]: false }, `The realm configuration options '${name}' and 'sync' cannot both be defined.`);
  refused({ ...flexible(), onMigration() {} }, "The realm configuration options 'onMigration' and 'sync' cannot both be defined.");
  refused({ ...flexible(), migrationOptions: {} }, "The realm configuration options 'migrationOptions' and 'sync' cannot both be defined.");
  refused({ ...flexible(), readOnly: true }, "Synchronized Realms cannot be opened in immutable mode");
  ok(readConfiguration({ ...flexible(), inMemory: undefined, readOnly: false, schemaVersion: 2 }));
});

test("sync options", () => {
  const target = "on realm sync configuration";
  refused({ sync: 5 }, "Expected 'sync' on realm configuration to be an object, got a number");
  refused({ sync: null }, "Expected 'sync' on realm configuration to be an object, got null");
  refused(flexible({ customHttpHeaders: 5 }), `Expected 'customHttpHeaders' ${target} to be an object, got a number`);
  refused(flexible({ customHttpHeaders: { a: 5 } }), `Expected all property values of 'customHttpHeaders' ${target} to be a string, got a number`);
  refused(flexible({ ssl: true }), `Expected 'ssl' ${target} to be an object, got a boolean`);
  refused({ sync: { user: {}, flexible: true } }, `Expected 'user' ${target} to be an instance of User, got an object`);
  refused({ sync: {} }, `Expected 'user' ${target} to be an instance of User, got undefined`);
  refused(flexible({ flexible: "yes" }), "'flexible' must always be true for realms using flexible sync.");
  refused(flexible({ partitionValue: null }), "'partitionValue' cannot be specified when flexible sync is enabled.");
  refused(partition({}), `Expected 'partitionValue' ${target} to be an integer, string, ObjectId, UUID, or null, got undefined`);
  refused(partition({ partitionValue: true }), `Expected 'partitionValue' ${target} to be an integer, string, ObjectId, UUID, or null, got a boolean`);
  refused(partition({ partitionValue: 1.5 }), `Expected 'partitionValue' ${target} to be an integer, got 1.5.`);
  refused(partition({ flexible: false }), `Expected 'partitionValue' ${target} to be an integer, string`);
  refused(partition({ flexible: false, partitionValue: "x" }), "'flexible' can only be specified to enable flexible sync.");
  refused(partition({ partitionValue: "x", initialSubscriptions: { update() {} } }), "'initialSubscriptions' can only be specified when flexible sync is enabled.");
  refused(flexible({ initialSubscriptions: 5 }), `Expected 'initialSubscriptions' ${target} to be an object, got a number`);
  refused(flexible({ initialSubscriptions: {} }), "Expected 'update' on 'initialSubscriptions' to be a function, got undefined");
  refused(flexible({ onError: "log" }), `Expected 'onError' ${target} to be a function, got a string`);
  for (const partitionValue of [null, "x", 5, new Realm.BSON.ObjectId(), new Realm.BSON.UUID()]) ok(readConfiguration(partition({ partitionValue })));
  ok(readConfiguration(flexible({ error: "the old name, ignored", customHttpHeaders: {}, ssl: {}, cancelWaitsOnNonFatalError: true })));
});

test("opening behaviour", () => {
  const of = (newRealmFileBehavior) => flexible({ newRealmFileBehavior });
  refused(of({ type: "later" }), "Invalid 'type': 'later'. Only 'downloadBeforeOpen' and 'openImmediately' is allowed.");
  refused(of({ type: "downloadBeforeOpen", timeOut: 5 }), "Invalid 'timeOutBehavior': 'undefined'. Only 'throwException' and 'openLocalRealm' is allowed.");
  refused(of({ type: "downloadBeforeOpen", timeOutBehavior: "wait" }), "Invalid 'timeOutBehavior': 'wait'. Only 'throwException' and 'openLocalRealm' is allowed.");
  refused(of({ type: "openImmediately", timeOut: -1 }), "Expected 'timeOut' to be a number of milliseconds");
  refused(flexible({ existingRealmFileBehavior: { type: "never" } }), "Invalid 'type': 'never'.");
  for (const each of [IMMEDIATELY, { type: "openImmediately", timeOut: 5 }, { type: "downloadBeforeOpen" }, { type: "downloadBeforeOpen", timeOut: null }, { type: "downloadBeforeOpen", timeOut: 5, timeOutBehavior: "openLocalRealm" }]) ok(readConfiguration(of(each)));
  equal(Realm.App.Sync.openLocalRealmBehavior, { type: "openImmediately" });
  equal(Realm.App.Sync.downloadBeforeOpenBehavior, { type: "downloadBeforeOpen", timeOut: 30000, timeOutBehavior: "throwException" });
});

test("waits that errors end", () => {
  for (const wrong of [null, "yes", 1]) refused(flexible({ cancelWaitsOnNonFatalError: wrong }), "Expected 'cancelWaitsOnNonFatalError' on realm sync configuration to be a boolean, got ");
  for (const fine of [true, false, undefined]) ok(readConfiguration(flexible({ cancelWaitsOnNonFatalError: fine })));
});

test("client reset", () => {
  const of = (clientReset, more) => flexible({ clientReset, ...more });
  refused(of({ mode: "never" }), "Invalid 'mode' on 'clientReset': 'never'. Only 'manual', 'discardUnsyncedChanges', 'recoverUnsyncedChanges', 'recoverOrDiscardUnsyncedChanges' is allowed.");
  refused(of({}), "Invalid 'mode' on 'clientReset': 'undefined'.");
  for (const name of ["onBefore", "onAfter", "onFallback"]) refused(of({ mode: "recoverUnsyncedChanges", [name]: 5 }), `Expected '${name}' on client reset configuration to be a function, got a number`);
  refused(of({ mode: "manual" }), "need to set either onError or onManual or both");
  ok(readConfiguration(of({ mode: "manual", onManual() {} })) && readConfiguration(of({ mode: "manual" }, { onError() {} })));
});

test("synced classes have the key _id", () => {
  const cls = (primaryKey, properties) => ({ ...flexible(), schema: [{ name: "A", primaryKey, properties }] });
  const text = "Schema validation failed due to the following errors:\n- There must be a primary key property named '_id' on a synchronized Realm but none was found for type 'A'";
  refused(cls(undefined, { a: "int" }), text);
  refused(cls("id", { id: "int" }), text);
  ok(readConfiguration(cls("id", { id: { type: "int", mapTo: "_id" } })));
  refused({ schema: [{ name: "A", properties: { b: "B" } }] }, "Schema validation failed due to the following errors:\n- Property 'A.b' of type 'B' has unknown object type 'B'");
  refused({ schema: [{ name: "A", properties: { list: "int[][]" } }] }, "Invalid type declaration for property 'list' on 'A': Nested collections are not supported.");
  refused({ schema: [TEAM, Inspection, TEAM] }, "Schema validation failed due to the following errors:\n- Type 'Team' appears more than once in the schema.");
});

test("paths of synced realms: a user's own directory, a partition's own file", () => {
  const path = (more, sync) => readConfiguration({ ...flexible(sync), ...more }).path;
  const directory = `mongodb-realm/${user.app.id}/${user.id}`;
  ok(path().endsWith(`${directory}/flx_sync_default.realm`), path());
  ok(path({ path: "a/b.realm" }).endsWith(`${directory}/a%2Fb.realm`), path({ path: "a/b.realm" }));
  equal([path({ path: "/absolute" }), path({ path: "/absolute.realm" })], ["/absolute", "/absolute.realm"]);
  for (const reserved of [".", ".."]) throws(() => path({ path: reserved }), `A path can't have an identifier reserved by the filesystem: '${reserved}'`);
  const oid = new Realm.BSON.ObjectId();
  const uuid = new Realm.BSON.UUID();
  const named = new Map([[null, "null"], ["x/y", "s_x%2Fy"], [5, "i_5"], [2 ** 40, `l_${2 ** 40}`], [oid, `o_${oid}`], [uuid, `u_${uuid}`]]);
  for (const [partitionValue, name] of named) equal(readConfiguration(partition({ partitionValue })).path, `${directory}/${name}.realm`);
  const app = new Realm.App({ id: user.app.id, baseUrl: location.origin, baseFilePath: "base/" });
  equal([app.realmPath("u"), app.realmPath("u", "/absolute")], [`base/mongodb-realm/${user.app.id}/u/flx_sync_default.realm`, "/absolute"]);
});

test("a removed user opens nothing", async () => {
  const gone = await offlineUser();
  await gone.app.removeUser(gone);
  refused({ schema: SCHEMA, sync: { user: gone, flexible: true } }, `Cannot start a sync session for user '${gone.id}' because this user has been removed.`);
});

test("a template has what create would put in", () => {
  const properties = {
    _id: "objectId", name: "string", size: "int", part: "double", single: "float", open: "bool", map: "data", at: "date", fee: "decimal128", code: "uuid", note: "string?", team: "Team",
    title: { type: "string", default: "untitled" }, made: { type: "date", default: Date.now },
  };
  const { map, ...plain } = Realm.createTemplateObject({ name: "A", primaryKey: "_id", properties });
  equal(plain, { name: "", size: 0, part: 0, single: 0, open: false, at: new Date(0), title: "untitled", made: Date.now });
  ok(map instanceof ArrayBuffer && map.byteLength === 0);
  equal(Realm.createTemplateObject(Inspection), { _id: "", title: "untitled", done: false });
  class Renamed extends Realm.Object {
    static schema = { name: "Other", properties: { size: "int" } };
  }
  equal(Realm.createTemplateObject(Renamed), { size: 0 });
});

test("what the package exports", () => {
  equal(module.default, module.Realm);
  for (const name of ["App", "BSON", "Credentials", "User", "Object", "Results", "SyncSession", "UpdateMode", "WaitForSync", "OpenRealmBehaviorType", "OpenRealmTimeOutBehavior", "ClientResetMode", "SubscriptionSetState", "ConnectionState", "SessionState", "ProgressDirection", "ProgressMode", "NumericLogLevel", "UserState", "ProviderType", "SyncError", "ClientResetError", "CompensatingWriteError", "SchemaParseError", "PropertySchemaParseError", "AssertionError", "TypeAssertionError"]) {
    ok(Realm[name] && (name === "Object" ? module.Object === Realm.Object : Realm[name] === module[name]), name);
  }
  equal({ ...Realm.UpdateMode }, { Never: "never", Modified: "modified", All: "all" });
  equal({ ...Realm.WaitForSync }, { FirstTime: "first-time", Always: "always", Never: "never" });
  equal({ ...Realm.SubscriptionSetState }, { Pending: "pending", Complete: "complete", Error: "error", Superseded: "superseded" });
  equal({ ...Realm.SessionStopPolicy }, { AfterUpload: "after-upload", Immediately: "immediately", Never: "never" });
});
