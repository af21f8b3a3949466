// Copies of realms: of another kind, with another key, into files that are there; and logs that are written anew.

import { Inspection, newPath, offline, offlineUser, opened, pause, records, SCHEMA, TEAM } from "./inspections.js";
import { equal, ok, test, throws, until } from "../harness.js";
import { known } from "/realm_sync/client/openFiles.js";
import Realm from "/realm_sync/realm.js";

const KEY = Uint8Array.from({ length: 64 }, (_, at) => at);
const OTHER = new Uint8Array(64);
const CLASSES = [
  { name: "Team", keyName: "_id", properties: { _id: { type: "string" }, name: { type: "string" } } },
  { name: "Inspection", keyName: "_id", properties: { _id: { type: "string" }, title: { type: "string" }, priority: { type: "int", optional: true }, remark: { type: "string", readOnly: true }, team: { type: "object", objectType: "Team", optional: true } } },
];
const DECLARED = [
  { name: "Team", primaryKey: "_id", properties: { _id: "string", name: "string" } },
  { name: "Inspection", primaryKey: "_id", properties: { _id: "string", title: "string", priority: "int?", team: "Team" } },
];

/** A synced realm that has downloaded two objects of its newest subscriptions. */
async function downloaded(more = {}) {
  const realm = await offline(["Inspection", "Team"], {}, DECLARED, more);
  await realm.writesFlushed();
  const store = realm._store;
  await store.storeBound({ ident: 7, salt: "s" }, { epoch: "e", limits: { maxMessageBytes: 700_000 }, schema: CLASSES });
  const changes = [{ class: "Team", put: [{ _id: "north", name: "North" }] }, { class: "Inspection", put: [{ _id: "a", title: "A", priority: 1, remark: "r", team: "north" }] }];
  await store.apply({ queryVersion: 1, serverVersion: 5, clientVersion: 0, progress: 1, view: 1, batchState: "last" }, changes, [JSON.stringify({ changes })]);
  return realm;
}

const titles = (realm) => Object.fromEntries([...realm.objects("Inspection")].map(({ _id, title }) => [_id, title]));

test("local to local: plain and encrypted, to and fro", async () => {
  const realm = await opened({ schemaVersion: 3 });
  realm.write(() => realm.create("Inspection", { _id: "a", title: "A", due: new Date(5), cost: Realm.BSON.Decimal128.fromString("1.5"), team: { _id: "t", name: "T" } }));
  realm.add("b");
  realm.write(() => realm.delete(realm.objectForPrimaryKey("Inspection", "b")));
  let last = realm;
  for (const encryptionKey of [KEY, OTHER, undefined]) {
    const config = { path: newPath(), encryptionKey, schema: SCHEMA, schemaVersion: 3 };
    const copying = last.writeCopyTo(config);
    equal(Realm.exists(config), false, "not before it is whole");
    ok(copying instanceof Promise);
    equal(await copying, undefined);
    equal([Realm.exists(config), Realm.schemaVersion(config.path)], [true, 3]);
    last.close();
    last = await Realm.open(config);
    const [object] = last.objects("Inspection");
    equal([last.objects("Inspection").length, object.title, object.due, `${object.cost}`, object.team.name, last.objects("Team").length], [1, "A", new Date(5), "1.5", "T", 1]);
  }
  last.close();
});

test("synced to local: objects only, of the classes that were declared", async () => {
  const realm = await downloaded();
  realm.write(() => realm.create("Inspection", { _id: "b", title: "pending" })); // what is visible counts
  const config = { path: newPath(), schema: DECLARED, encryptionKey: KEY };
  await realm.writeCopyTo(config);
  const copy = await Realm.open(config);
  equal([titles(copy), copy.syncSession, copy.objects("Inspection")[0].team.name], [{ a: "A", b: "pending" }, null, "North"]);
  copy.write(() => copy.create("Inspection", { _id: "c", title: "C" }));
  await copy.writesFlushed();
  const { file, changeset, log } = await records(config.path);
  equal([file.length, changeset.length, log.length >= 2], [1, 0, true]);
  equal([copy._store.file.sets, copy._store.file.clientFile, copy._store.file.reset], [[], null, null]);
  copy.close();
  realm.close();
});

test("a realm of a moment is copied as it was, at the call", async () => {
  const realm = await downloaded();
  const frozen = realm._frozen(realm._store.freeze());
  realm.write(() => realm.create("Inspection", { _id: "later", title: "later" }));
  const config = { path: newPath(), schema: DECLARED };
  const copying = frozen.writeCopyTo(config);
  frozen.close(); // as after a client reset's onBefore
  await copying;
  const copy = await Realm.open(config);
  equal(titles(copy), { a: "A" });
  const other = newPath();
  const own = copy.writeCopyTo(other);
  copy.write(() => copy.deleteAll());
  copy.close();
  await own;
  const last = await Realm.open(other);
  equal(titles(last), { a: "A" });
  last.close();
  realm.close();
});

test("synced to synced: without ident, usable offline, and everything anew at the first connection", async () => {
  const realm = await downloaded();
  const { user } = realm.syncSession;
  realm.write(() => realm.create("Inspection", { _id: "b", title: "pending" }));
  const config = { path: newPath(), schema: DECLARED, encryptionKey: KEY, sync: { user, flexible: true, onError() {}, existingRealmFileBehavior: { type: "openImmediately" } } };
  equal((await throws(() => realm.writeCopyTo(config), "Could not write file as not all client changes are integrated in server")).codeName, "IllegalOperation");
  equal(Realm.exists(config), false);
  const acknowledged = [{ class: "Inspection", put: [{ _id: "b", title: "acknowledged", team: null }] }];
  await realm._store.apply({ queryVersion: 1, serverVersion: 6, clientVersion: 1, progress: 1, view: 1, batchState: "steady" }, acknowledged, [JSON.stringify({ changes: acknowledged })]);
  await realm.writeCopyTo(config);
  const copy = await Realm.open(config);
  const { clientFile, epoch, progress, sets, resetting } = copy._store.fileState();
  equal([clientFile, epoch, progress.serverVersion, sets.map(({ queryVersion }) => queryVersion), resetting], [null, null, 0, [1], true]);
  equal([titles(copy), copy.subscriptions.length, copy.subscriptions.state], [{ a: "A", b: "acknowledged" }, 2, "pending"]);
  copy.write(() => copy.create("Inspection", { _id: "c", title: "C" }));
  await copy.writesFlushed();
  const changes = [{ class: "Inspection", put: [{ _id: "a", title: "A2", team: null }] }];
  await copy._store.apply({ queryVersion: 1, serverVersion: 9, clientVersion: 0, progress: 1, view: 1, batchState: "last" }, changes, [JSON.stringify({ changes })]);
  equal([titles(copy), copy._store.pending.length, copy.subscriptions.state], [{ a: "A2", c: "C" }, 1, "complete"]);
  copy.close();
  realm.close();
});

test("what cannot be converted, and when", async () => {
  const user = await offlineUser();
  const local = await opened();
  const flexible = { path: newPath(), schema: SCHEMA, sync: { user, flexible: true, onError() {} } };
  const partition = (partitionValue) => ({ schema: SCHEMA, sync: { user, partitionValue, onError() {} } });
  const synced = new Realm(flexible);
  const partitioned = new Realm(partition("x"));
  const toFlexible = "Realm cannot be converted to a flexible sync realm unless flexible sync is already enabled";
  equal((await throws(() => local.writeCopyTo({ ...flexible, path: newPath() }), toFlexible)).code, 2007);
  await throws(() => partitioned.writeCopyTo({ ...flexible, path: newPath() }), toFlexible);
  await throws(() => synced.writeCopyTo(partition("x")), "Realm cannot be converted from a flexible sync realm to a partition based sync realm");
  await throws(() => local.writeCopyTo(partition("x")), "Realm cannot be converted to a partition based sync realm unless it is one already");
  await throws(() => partitioned.writeCopyTo(partition("y")), "Realm cannot be converted to a partition based sync realm of another partition value");
  await throws(() => local.writeCopyTo(local.path), `Cannot copy the realm at '${local.path}' to itself.`);
  await throws(() => local.writeCopyTo({ path: newPath(), inMemory: true }), "Cannot write a copy to '");
  await throws(() => local.writeCopyTo({ path: "" }), "The path cannot be empty.");
  await throws(() => local.writeCopyTo({ path: newPath(), encryptionKey: new Uint8Array(3) }), "'encryptionKey' on realm configuration has 3 bytes");
  local.beginTransaction();
  await throws(() => local.writeCopyTo(newPath()), "Can only convert Realms outside a transaction.");
  await throws(() => local.compact(), "Cannot compact a Realm within a transaction.");
  const other = new Realm({ path: local.path, schema: SCHEMA });
  await throws(() => other.writeCopyTo(newPath()), "Can only convert Realms outside a transaction.");
  equal(await other.compact(), false);
  local.cancelTransaction();
  [other, local, synced, partitioned].forEach((realm) => realm.close());
  await throws(() => local.writeCopyTo(newPath()), "Cannot access realm that has been closed.");
  await throws(() => local.compact(), "Cannot access realm that has been closed.");
});

test("into a file that is there objects are merged by their keys, as one transaction", async () => {
  const realm = await opened();
  realm.write(() => {
    const first = realm.create("Inspection", { _id: "1", title: "one", priority: 1 });
    let before = first;
    for (let at = 2; at < 3000; at += 1) before = realm.create("Inspection", { _id: `${at}`, follows: before }); // a long chain
    first.follows = before; // and a circle
    first.team = realm.create("Team", { _id: "t", name: "T" });
  });
  const config = { path: newPath(), schema: SCHEMA, encryptionKey: KEY };
  const target = await opened(config);
  target.add("1", { title: "other", priority: 9, done: true });
  target.add("own", { title: "own" });
  let told = 0;
  target.addListener("change", () => (told += 1));
  await realm.writeCopyTo(config);
  const one = target.objectForPrimaryKey("Inspection", "1");
  equal([target.objects("Inspection").length, one.title, one.priority, one.done, one.team.name, one.follows._id], [3000, "one", 1, false, "T", "2999"]);
  equal([target.objectForPrimaryKey("Inspection", "2").follows._id, target.objectForPrimaryKey("Inspection", "own").title], ["1", "own"]);
  await until(() => told);
  target.close();
  const closed = await Realm.open(config);
  equal(closed.objects("Inspection").length, 3000);
  closed.close();
  await throws(() => realm.writeCopyTo({ ...config, encryptionKey: OTHER }), `Cannot open the realm at '${config.path}'. The 'encryptionKey' is not`);
  const narrow = { path: newPath(), schema: [{ name: "Inspection", primaryKey: "_id", properties: { _id: "string", title: "int" } }] };
  (await Realm.open(narrow)).close();
  await throws(() => realm.writeCopyTo(narrow), `Objects of class 'Inspection' cannot be copied into the realm at '${narrow.path}': property 'title' is 'int' there, not 'string'. property 'priority' is not there.`);
  const empty = { path: newPath(), schema: [{ name: "Other", primaryKey: "_id", properties: { _id: "int" } }] };
  (await Realm.open(empty)).close();
  await realm.writeCopyTo(empty.path); // without a schema: its classes come along
  const dynamic = await Realm.open(empty.path);
  equal([dynamic.objects("Inspection").length, dynamic.schema.map(({ name }) => name).sort()], [2999, ["Inspection", "Other", "Team"]]);
  dynamic.close();
  realm.close();
});

test("merged into a synced realm, objects are its user's writes, in transactions that the server takes", async () => {
  const realm = await opened({ schema: DECLARED });
  realm.write(() => {
    const team = realm.create("Team", { _id: "south", name: "South" });
    for (let at = 0; at < 300; at += 1) realm.create("Inspection", { _id: `${at}`, title: "x".repeat(4000), team });
  });
  const source = await downloaded();
  await source._store.writesFlushed();
  const { user } = source.syncSession;
  source.close();
  const config = { schema: DECLARED, sync: { user, flexible: true, onError() {} } };
  const target = new Realm(config);
  await target.whenLoaded();
  await throws(() => realm.writeCopyTo(config), "Realm cannot be converted to a flexible sync realm unless");
  const third = await offline(["Inspection", "Team"], { user }, DECLARED, { path: newPath() });
  for (let at = 0; at < 300; at += 100) third.write(() => realm.objects("Inspection").slice(at, at + 100).forEach((each) => third.create("Inspection", each, "modified")));
  await third.writeCopyTo(config); // pending changes of its own are no obstacle here
  equal([target.objects("Inspection").length, target.objectForPrimaryKey("Inspection", "7").team.name], [301, "South"]);
  const sizes = target._store.pending.map(({ bytes }) => bytes);
  ok(sizes.length > 3 && Math.max(...sizes) < 400_000, JSON.stringify(sizes));
  [realm, target, third].forEach((each) => each.close());
});

test("a copy whose making ended too early is no file, and what is in its database is not overwritten", async () => {
  const realm = await opened();
  realm.add("a");
  const config = { path: newPath(), schema: SCHEMA };
  await realm.writeCopyTo(config);
  known.set(config.path, null); // as if the page had ended right before
  equal(Realm.exists(config), false);
  realm.add("b");
  await realm.writeCopyTo(config);
  const copy = await opened(config);
  equal(Object.keys(titles(copy)).sort(), ["a", "b"]);
  copy.close();
  const path = newPath();
  const copying = realm.writeCopyTo({ path, schema: SCHEMA });
  const [early] = await Promise.all([opened({ path }), copying]); // opened meanwhile
  equal(early.objects("Inspection").length, 2);
  early.close();
  realm.close();
});

test("shouldCompact is asked when the page first opens the file; compact writes the log anew", async () => {
  const path = newPath();
  const realm = await opened({ path });
  for (let turn = 0; turn < 30; turn += 1) {
    realm.add("a", { title: "x".repeat(1000) + turn }, "all");
    await realm.writesFlushed();
  }
  realm.close();
  const asked = [];
  const open = (answer) => opened({ path, shouldCompact: (total, used) => (asked.push([total, used]), answer) });
  const first = await open(false);
  const second = await open(true); // it is open
  equal(asked.length, 1);
  const [total, used] = asked[0];
  ok(total > 30_000 && used > 1000 && used < 1500, `${total} ${used}`);
  second.close();
  first.close();
  const third = await open(true);
  equal([asked.length, (await records(path)).log.length], [2, 1]);
  third.add("b");
  third.close();
  const fourth = await open(true);
  ok(asked[2][0] < 3000);
  equal([fourth.objects("Inspection").length, fourth.objects("Inspection")[0].title], [2, "x".repeat(1000) + 29]);
  equal(await fourth.compact(), true);
  fourth.close();
  const reader = await opened({ path, readOnly: true, shouldCompact: () => asked.push("read-only") });
  await throws(() => reader.compact(), "Can't compact a read-only Realm");
  equal([reader.objects("Inspection").length, asked.length], [2, 3]);
  reader.close();
});

test("a compacted log: other tabs follow, pending writes stay", async () => {
  const realm = await downloaded();
  const { user } = realm.syncSession;
  realm.write(() => realm.create("Inspection", { _id: "b", title: "pending" }));
  equal(await realm.compact(), true);
  equal([titles(realm), realm._store.pending.length], [{ a: "A", b: "pending" }, 1]);
  realm.close();
  const again = await offline([], { user }, DECLARED);
  equal([titles(again), again._store.pending.length], [{ a: "A", b: "pending" }, 1]);
  again.close();
  await pause(0);
});
