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
  refused({ path: 5 }, "Expected 'path' to be a string, got a number");
  for (const schemaVersion of [-1, 1.5, "1", null]) refused({ schemaVersion }, "'schemaVersion' on realm configuration must be 0 or a positive integer.");
  refused({ schema: {} }, "Expected 'schema' to be an array, got an object");
  refused({ onMigration: 5 }, "Expected 'onMigration' to be a function, got a number");
  refused({ deleteRealmIfMigrationNeeded: true, readOnly: true }, "Cannot set 'deleteRealmIfMigrationNeeded' when 'readOnly' is set.");
  refused({ deleteRealmIfMigrationNeeded: true, onMigration() {} }, "Cannot set 'deleteRealmIfMigrationNeeded' when 'onMigration' is set.");
  refused({ encryptionKey: new Uint8Array(64) }, "'encryptionKey' is not supported in browsers yet");
  equal([readConfiguration().path, readConfiguration("a.realm").path, readConfiguration({ path: "b" }).path], ["default.realm", "a.realm", "b"]);
  equal([readConfiguration({ schema: [] }).schemaVersion, readConfiguration({}).schemaVersion, readConfiguration({ schema: [], schemaVersion: 4 }).schemaVersion], [0, null, 4]);
  equal(Realm.defaultPath, "default.realm");
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
  refused({ sync: 5 }, "Expected 'sync' to be an object, got a number");
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
  refused({ schema: [{ name: "A", properties: { list: "int[]" } }] }, "Invalid type declaration for property 'list' on 'A': a list (of 'int') is not supported yet.");
  refused({ schema: [TEAM, Inspection, TEAM] }, "Schema validation failed due to the following errors:\n- Type 'Team' appears more than once in the schema.");
});

test("paths of synced realms: a user's own directory, a partition's own file", () => {
  const path = (more, sync) => readConfiguration({ ...flexible(sync), ...more }).path;
  const directory = `mongodb-realm/${user.app.id}/${user.id}`;
  ok(path().endsWith(`${directory}/flx_sync_default.realm`), path());
  ok(path({ path: "a/b.realm" }).endsWith(`${directory}/a%2Fb.realm`), path({ path: "a/b.realm" }));
  equal(path({ path: "/absolute" }), "/absolute");
  const partitions = [null, "x", 5].map((partitionValue) => readConfiguration(partition({ partitionValue })).path);
  equal(new Set(partitions).size, 3);
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
