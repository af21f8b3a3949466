// Files: which there are, how they are shared, opened by the table of R11, closed and deleted.

import { IMMEDIATELY, Inspection, newPath, offline, offlineUser, opened, otherTab, pause, SCHEMA, TEAM } from "./inspections.js";
import { equal, ok, test, throws, until } from "../harness.js";
import { Disk } from "/realm_sync/client/disk.js";
import { known } from "/realm_sync/client/openFiles.js";
import Realm from "/realm_sync/realm.js";

const DOWNLOAD = { type: "downloadBeforeOpen" };
const behavior = (both) => ({ newRealmFileBehavior: both, existingRealmFileBehavior: both });

/** The configuration of a synced file whose server does not answer. */
async function synced(sync = {}) {
  return { schema: SCHEMA, sync: { user: await offlineUser(), flexible: true, onError() {}, ...sync } };
}

const subscribe = { update: (subs, realm) => subs.add(realm.objects("Inspection")) };

// --- local files ----------------------------------------------------------------------------------------------------

test("exists, schemaVersion, deleteFile", async () => {
  const path = newPath();
  equal([Realm.exists(path), Realm.exists({ path }), Realm.schemaVersion(path)], [false, false, -1]);
  const realm = await opened({ path, schemaVersion: 3 });
  realm.add("a");
  equal([Realm.exists(path), Realm.schemaVersion(path)], [true, 3]);
  equal(throws(() => Realm.deleteFile({ path }), `Cannot delete files of an open Realm: '${path}' is still in use.`).codeName, "DeleteOnOpenRealm");
  realm.close();
  const gone = Realm.deleteFile({ path });
  equal([Realm.exists(path), Realm.schemaVersion(path)], [false, -1]);
  const again = await opened({ path }); // waits for the deletion by itself
  equal([again.objects("Inspection").length, again.schemaVersion], [0, 0]);
  again.close();
  await gone;
  await Realm.deleteFile({ path });
  await Realm.deleteFile({ path: newPath() });
});

test("deleted means gone: what is scheduled for it, and what an opening does that was under way", async () => {
  const path = newPath();
  (await opened({ path })).close();
  known.set(`reset:${path}`, `${path}-backup`);
  await Realm.deleteFile(path);
  (await opened({ path })).close();
  equal([known.get(`reset:${path}`), Realm.exists(`${path}-backup`)], [null, false]);
  const closed = new Realm({ path, schema: SCHEMA });
  closed.close();
  await Realm.deleteFile(path);
  equal([Realm.exists(path), Realm.schemaVersion(path)], [false, -1]);
});

test("classes that are refused leave those alone who have the file open without", async () => {
  const path = newPath();
  const realm = await opened({ path });
  realm.add("a");
  await realm.writesFlushed();
  realm.close();
  const dynamic = await Realm.open(path);
  await throws(() => Realm.open({ path, schema: [{ ...TEAM, properties: { _id: "string", name: "int" } }] }), "Migration is required due to the following errors:");
  equal([dynamic.isClosed, dynamic.objects("Inspection").length], [false, 1]);
  const typed = await opened({ path, schemaVersion: 4, schema: [TEAM, { ...Inspection.schema, properties: { ...Inspection.schema.properties, note: "string?" } }] });
  typed.add("b");
  equal([dynamic.objects("Inspection").length, Realm.schemaVersion(path)], [2, 4]);
  dynamic.close();
  typed.close();
});

test("closed and opened at once: what was written is there", async () => {
  const path = newPath();
  for (let turn = 0; turn < 5; turn += 1) {
    const realm = await opened({ path });
    equal(realm.objects("Inspection").length, turn);
    realm.add(`${turn}`);
    realm.close();
  }
});

test("a realm in memory is gone with its last instance", async () => {
  const path = newPath();
  const one = await opened({ path, inMemory: true });
  const two = await opened({ path, inMemory: true });
  one.add("a");
  one.close();
  equal([two.objects("Inspection").length, two.isInMemory, Realm.exists(path)], [1, true, false]);
  two.close();
  const three = await opened({ path, inMemory: true });
  equal(three.objects("Inspection").length, 0);
  three.close();
});

test("one file is open in one way", async () => {
  const path = newPath();
  const realm = await opened({ path, schemaVersion: 1 });
  const user = await offlineUser();
  const differs = (config, what) => throws(() => new Realm({ path, schema: SCHEMA, schemaVersion: 1, ...config }), `Realm at path '${path}' already opened with ${what}.`);
  differs({ encryptionKey: new Uint8Array(64) }, "a different encryption key");
  differs({ deleteRealmIfMigrationNeeded: true }, "a different schema mode");
  differs({ inMemory: true }, "different inMemory settings");
  differs({ schemaVersion: 2 }, "different schema version");
  differs({ readOnly: true }, "different read permissions");
  throws(() => new Realm({ path, schema: [TEAM, Inspection, { name: "Other", properties: {} }], schemaVersion: 1 }), `Realm at path '${path}' already opened on current thread with different schema.`);
  const same = new Realm({ path, schema: [TEAM, Inspection], schemaVersion: 1 }); // in another order
  const dynamic = new Realm(path);
  equal(dynamic.schema.length, 2);
  realm.close();
  same.close();
  equal(dynamic.isClosed, false);
  dynamic.close();
  const { sync } = await synced({ user });
  const file = new Realm({ path: `/${path}`, schema: SCHEMA, sync });
  throws(() => new Realm({ path: `/${path}`, schema: SCHEMA }), `Realm at path '/${path}' already opened with different sync configurations.`);
  const { sync: others } = await synced({ user: await offlineUser({}, "tom") });
  throws(() => new Realm({ path: `/${path}`, schema: SCHEMA, sync: others }), `Realm at path '/${path}' already opened with different sync user.`);
  const other = (mode) => new Realm({ path: `/${path}`, schema: SCHEMA, sync: { ...sync, clientReset: { mode } } });
  const { codeName } = throws(() => other("discardUnsyncedChanges"), `Realm at path '/${path}' already opened with different sync configurations.`);
  equal(codeName, "MismatchedConfig");
  other("recoverUnsyncedChanges").close(); // as without saying
  throws(() => new Realm({ path: `/${path}`, schema: SCHEMA, sync: { user, partitionValue: "x" } }), `Realm at path '/${path}' already opened in a different synchronization mode`);
  file.close();
  const partition = (partitionValue) => ({ path: `/${newPath()}`, schema: SCHEMA, sync: { user, partitionValue, onError() {} } });
  const one = new Realm(partition("x"));
  throws(() => new Realm({ ...partition("y"), path: one.path }), `Realm at path '${one.path}' already opened with different partition value.`);
  one.close();
});

test("a realm without classes first, one with classes later: both see all of it", async () => {
  const path = newPath();
  const first = await opened({ path });
  first.add("a");
  await first.writesFlushed();
  first.close();
  const dynamic = await Realm.open(path);
  const extended = [TEAM, Inspection, { name: "Line", properties: { text: "string" } }];
  const typed = await Realm.open({ path, schema: extended });
  typed.write(() => typed.create("Line", { text: "x" }));
  ok(typed.objects("Inspection")[0] instanceof Inspection);
  equal([dynamic.objects("Line").length, dynamic.objects("Inspection")[0].title], [1, "untitled"]);
  dynamic.close();
  typed.close();
  const again = await Realm.open(path);
  equal(again.objects("Line")[0].text, "x");
  again.close();
});

test("deleting a file closes other tabs' realms of it", async () => {
  const path = newPath();
  const tab = await otherTab();
  const other = await tab.Realm.open({ path, schema: [{ ...Inspection.schema }, TEAM] });
  other.write(() => other.create("Inspection", { _id: "a" }));
  await other.writesFlushed();
  await Realm.deleteFile(path);
  await until(() => other.isClosed, "the other tab's realm is closed");
  const again = await opened({ path });
  equal(again.objects("Inspection").length, 0);
  again.close();
  tab.close();
});

test("a file that is put aside takes along what another tab was promised", async () => {
  const path = newPath();
  const tab = await otherTab();
  const other = await tab.Realm.open({ path, schema: [{ ...Inspection.schema }, TEAM] });
  let durable = 0;
  const writing = (async () => {
    for (;; durable += 1) {
      other.write(() => other.create("Inspection", { _id: `${durable}` }));
      await other.writesFlushed();
    }
  })().catch(() => {}); // it was closed
  await until(() => durable > 3, "some are durable");
  await Disk.move(path, `${path}-aside`);
  await writing;
  const aside = await opened({ path: `${path}-aside` });
  ok(aside.objects("Inspection").length >= durable, `${aside.objects("Inspection").length} of ${durable}`);
  const again = await opened({ path });
  equal([other.isClosed, again.objects("Inspection").length], [true, 0]);
  aside.close();
  again.close();
  tab.close();
});

test("a promise of Realm.open is one of its own kind", async () => {
  const opening = Realm.open({ path: newPath(), schema: SCHEMA });
  equal([Object.prototype.toString.call(opening), opening instanceof Promise], ["[object ProgressRealmPromise]", false]);
  let finished = 0;
  const realm = await opening.finally(() => (finished += 1));
  equal([finished, await opening.then((each) => each === realm)], [1, true]);
  opening.cancel(); // harmless by now
  ok(!realm.isClosed);
  realm.close();
  equal(await Realm.open({ path: "" }).catch((error) => error.constructor.name), "AssertionError");
});

// --- synced files, offline ------------------------------------------------------------------------------------------

test("openImmediately and new Realm never wait", async () => {
  const config = await synced({ ...behavior(IMMEDIATELY), initialSubscriptions: subscribe });
  const realm = await Realm.open(config);
  equal([realm.subscriptions.length, realm.subscriptions.version, realm.subscriptions.state, realm.syncSession.state], [1, 1, "pending", "active"]);
  realm.write(() => realm.create("Inspection", { _id: "a" }));
  await realm.writesFlushed();
  realm.close();
  const again = new Realm(config);
  await again.whenLoaded();
  equal([again.objects("Inspection").length, again.subscriptions.version, again.isReadOnly, again.isInMemory], [1, 1, false, false]);
  again.close();
});

test("what somebody else left at an absolute path stays his", async () => {
  const path = `/${newPath()}`;
  const config = { ...(await synced({ ...behavior(IMMEDIATELY), initialSubscriptions: subscribe })), path };
  const realm = await Realm.open(config);
  realm.close();
  const { user } = (await synced({ user: await offlineUser({}, "tom") })).sync;
  const theirs = { ...config, sync: { ...config.sync, user } };
  const error = await throws(() => Realm.open(theirs), `Realm at path '${path}' belongs to another user. Open it as that user, or use another path.`);
  equal(error.codeName, "MismatchedConfig");
  const sync = new Realm(theirs);
  equal(sync.objects("Inspection").length, 0);
  await throws(() => sync.whenLoaded(), `Realm at path '${path}' belongs to another user.`);
  equal(sync.isClosed, true);
  const again = await Realm.open(config);
  equal(again.subscriptions.length, 1);
  again.close();
});

test("downloadBeforeOpen: a time-out throws, or opens what is there", async () => {
  const config = await synced({ ...behavior({ ...DOWNLOAD, timeOut: 60, timeOutBehavior: "throwException" }), initialSubscriptions: subscribe });
  const error = await throws(() => Realm.open(config), "Timed out: Realm could not be downloaded in the allocated time: 60 ms.");
  equal(error.constructor.name, "TimeoutError");
  ok(Realm.exists(config));
  config.sync.newRealmFileBehavior = { ...DOWNLOAD, timeOut: 60, timeOutBehavior: "openLocalRealm" };
  config.sync.existingRealmFileBehavior = IMMEDIATELY; // not yet: no opening has succeeded
  const began = performance.now();
  const realm = await Realm.open(config);
  ok(performance.now() - began > 50);
  equal(realm.subscriptions.length, 1, "the first attempt's subscriptions stay");
  realm.close();
  config.sync.existingRealmFileBehavior = { type: "openImmediately", timeOut: 60 };
  const waited = performance.now();
  (await Realm.open(config)).close();
  ok(performance.now() - waited > 50, "at most the time-out, then what is there");
});

test("new or existing is asked before anything is opened; the page's settings stand behind the configuration", async () => {
  const user = await offlineUser({ newRealmFileBehavior: IMMEDIATELY, existingRealmFileBehavior: { ...DOWNLOAD, timeOut: 40, timeOutBehavior: "throwException" } });
  const config = await synced({ user });
  (await Realm.open(config)).close();
  await throws(() => Realm.open(config), "Timed out: Realm could not be downloaded in the allocated time: 40 ms.");
  config.sync.existingRealmFileBehavior = IMMEDIATELY;
  (await Realm.open(config)).close();
});

test("initialSubscriptions run on a file without any, or always where asked for", async () => {
  let runs = 0;
  const count = (subs, realm) => {
    runs += 1;
    subs.add(realm.objects("Inspection"), { name: "all" });
  };
  const config = await synced({ ...behavior(IMMEDIATELY), initialSubscriptions: { update: count } });
  (await Realm.open(config)).close();
  (await Realm.open(config)).close();
  equal(runs, 1);
  config.sync.initialSubscriptions = { update: count, rerunOnOpen: true };
  const realm = await Realm.open(config);
  equal([runs, realm.subscriptions.length, realm.subscriptions.version], [2, 1, 2]);
  realm.close();
  const immediate = new Realm(await synced({ initialSubscriptions: { update: count } }));
  equal([runs, immediate.subscriptions.length], [3, 1]);
  immediate.close();
  await throws(() => synced({ ...behavior(IMMEDIATELY), initialSubscriptions: { update: () => { throw new Error("no"); } } }).then(Realm.open), "no");
});

test("progress: at once, and by the number of parameters", async () => {
  const config = await synced({ ...behavior({ ...DOWNLOAD, timeOut: 60, timeOutBehavior: "openLocalRealm" }) });
  const calls = [];
  const opening = Realm.open(config);
  equal(opening.progress((estimate) => calls.push(["estimate", estimate])), opening);
  opening.progress((transferred, transferable) => calls.push([transferred, transferable]));
  opening.progress((...args) => calls.push(args));
  equal(calls, [["estimate", 1], [0, 0], [0, 0]]);
  (await opening).close();
});

test("cancel", async () => {
  const config = await synced(behavior(DOWNLOAD));
  const opening = Realm.open(config);
  opening.cancel(); // before it has begun
  await throws(() => opening, "Async open canceled");
  const two = [Realm.open(config), Realm.open(config)];
  const elsewhere = Realm.open({ ...(await synced(behavior(DOWNLOAD))) });
  await pause();
  two[0].cancel();
  await throws(() => two[0], "Async open canceled");
  equal((await throws(() => two[1], "Async open canceled")).codeName, "OperationAborted");
  equal(await Promise.race([elsewhere.catch((error) => error.message), pause().then(() => "waits")]), "waits");
  elsewhere.cancel();
  await throws(() => elsewhere, "Async open canceled");
  await Realm.deleteFile(config); // nothing has it open any more
});

test("a pause cancels what is being opened", async () => {
  const config = await synced(behavior(DOWNLOAD));
  const realm = new Realm(config);
  const opening = Realm.open(config);
  await pause();
  realm.syncSession.pause();
  await throws(() => opening, "Async open canceled");
  realm.close();
});

test("cancelWaitsOnNonFatalError: the first failure rejects the opening", async () => {
  const config = await synced({ ...behavior(DOWNLOAD), cancelWaitsOnNonFatalError: true });
  const error = await throws(() => Realm.open(config), "Cannot connect to ");
  equal([error.name, error.code, error.isFatal], ["SyncError", 1034, false]);
});

test("a synced file that still has to upload may be opened anew, and deleted", async () => {
  const realm = await offline();
  const { user } = realm.syncSession;
  realm.add("a");
  await realm.writesFlushed();
  realm.close();
  const again = await offline([], { user });
  equal(again.objects("Inspection").length, 1);
  again.close();
  await Realm.deleteFile({ schema: SCHEMA, sync: { user, flexible: true } });
  const empty = await offline([], { user });
  equal([empty.objects("Inspection").length, empty.subscriptions.version], [0, 0]);
  empty.close();
});

// --- users who go ---------------------------------------------------------------------------------------------------

const isStored = async (path) => (await indexedDB.databases()).some(({ name }) => name === path);

test("the files of a removed user go at a launch, once no tab has them open", async () => {
  const [realm, local] = [await offline(), await opened()];
  const { user } = realm.syncSession;
  const { path } = realm;
  const { id, directory } = user.app;
  const removed = () => JSON.parse(localStorage.getItem(`${directory}/server-utility/metadata`)).removed;
  const launch = async (done) => {
    const tab = await otherTab();
    ok(new tab.Realm.App({ id, baseUrl: location.origin }).currentUser === null);
    await done();
    tab.close();
  };
  realm.add("a");
  await realm.writesFlushed();
  await user.app.removeUser(user);
  await launch(() => pause(100));
  equal(removed(), ["nora"]);
  ok((await isStored(path)) && Realm.exists({ path }) && realm.objects("Inspection").length === 1 && !realm.isClosed);
  throws(() => new Realm({ schema: SCHEMA, sync: { user, flexible: true } }), /this user has been removed/);
  realm.close();
  await navigator.locks.request(`realm-sync:${path}`, () => {}); // until it is closed
  await launch(() => until(() => !removed().length, "the deletion"));
  ok(!(await isStored(path)) && !Realm.exists({ path }));
  ok((await isStored(local.path)) && !local.isClosed, "other files stay");
  local.close();
});

test("deleteUser deletes the user's files at once", async () => {
  const [realm, other] = [await offline(), await offline()];
  const { user } = realm.syncSession;
  const { path } = realm;
  realm.add("a");
  await realm.writesFlushed();
  await throws(() => user.app.deleteUser(user), `Cannot delete files of an open Realm: '${path}' is still in use.`);
  realm.close();
  await user.app.deleteUser(user);
  ok(user.state === "Removed" && !(await isStored(path)) && !Realm.exists({ path }));
  ok(await isStored(other.path), "other users' files stay");
  other.close();
});

// --- the session ----------------------------------------------------------------------------------------------------

test("the session: pause, resume, waits and their time-outs", async () => {
  const realm = await offline();
  const session = realm.syncSession;
  ok(session === realm.syncSession && session instanceof Realm.SyncSession);
  equal([session.user.id, session.state, session.isConnected(), session.config.flexible, session.url.startsWith("ws")], ["nora", "active", false, true, true]);
  await session.uploadAllLocalChanges(); // nothing to upload
  realm.add("a");
  await throws(() => session.uploadAllLocalChanges(40), "Timed out: Uploading changes did not complete in 40 ms.");
  await throws(() => session.downloadAllServerChanges(40), "Timed out: Downloading changes did not complete in 40 ms.");
  const waits = [session.uploadAllLocalChanges(), session.downloadAllServerChanges(), realm.subscriptions.waitForSynchronization()];
  const settled = Promise.allSettled(waits);
  session.pause();
  equal(session.state, "inactive");
  equal((await settled).map(({ reason }) => reason.message), Array(3).fill("Sync session became inactive"));
  realm.add("b"); // reading and writing go on
  equal(realm.objects("Inspection").length, 2);
  const waiting = session.uploadAllLocalChanges();
  equal(await Promise.race([waiting.catch((error) => error.message), pause().then(() => "waits")]), "waits");
  session.resume();
  session.resume();
  session.reconnect();
  equal(session.state, "active");
  realm.close();
  await throws(() => waiting, "Sync session became inactive");
});

test("notifications of the session: each function once", async () => {
  const realm = await offline();
  const session = realm.syncSession;
  const listener = () => {};
  session.addConnectionNotification(listener);
  throws(() => session.addConnectionNotification(listener), "Remove callback before adding it again");
  session.removeConnectionNotification(listener);
  session.addConnectionNotification(listener);
  const states = [];
  session.addConnectionNotification((now, before) => states.push(`${before} → ${now}`));
  session.pause();
  session.resume();
  await until(() => states.includes("disconnected → connecting") && states.includes("connecting → disconnected"));
  const calls = [];
  const progress = (estimate) => calls.push(estimate);
  session.addProgressNotification("upload", "forCurrentlyOutstandingWork", progress);
  throws(() => session.addProgressNotification("download", "reportIndefinitely", progress), "Remove callback before adding it again");
  equal(calls, [], "never within the registration");
  await until(() => calls.length);
  equal(calls, [0], "nothing to upload");
  session.addProgressNotification("download", "reportIndefinitely", progress); // the other has expired
  session.removeProgressNotification(progress);
  throws(() => session.addProgressNotification("sideways", "reportIndefinitely", progress), "Expected 'download' or 'upload', got 'sideways'");
  throws(() => session.addProgressNotification("upload", "always", progress), "Expected 'reportIndefinitely' or 'forCurrentlyOutstandingWork', got 'always'");
  realm.close();
});
