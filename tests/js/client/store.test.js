// The store: what a realm holds after downloads, local writes, acknowledgements, other tabs and reloads (R8, R9, R10).

import { equal, ok, test, throws, until } from "../harness.js";
import { Disk, MemoryDisk } from "/realm_sync/client/disk.js";
import { openDisk } from "/realm_sync/client/encryptedDisk.js";
import { Store } from "/realm_sync/client/store.js";

const CLASSES = [
  { name: "Team", keyName: "_id", properties: { _id: { type: "string" }, name: { type: "string" } } },
  {
    name: "Inspection",
    keyName: "_id",
    properties: {
      _id: { type: "string" }, title: { type: "string" }, priority: { type: "int", optional: true, indexed: true },
      team: { type: "object", objectType: "Team", optional: true },
    },
  },
];
const LIMITS = { maxMessageBytes: 700_000, maxSubscriptions: 10, maxQueryBytes: 1000, window: 4 };
let made = 0;

/** A store on a database; a second one with the same name is another tab. */
async function opened(name = `store-${Date.now()}-${(made += 1)}`, { synced = true, disk = null } = {}) {
  const store = new Store(name, synced);
  store.addSchema(CLASSES);
  await store.load(disk ?? (await Disk.open(name)));
  return store;
}

const inspection = (id, values = {}) => ({ _id: id, title: `Inspection ${id}`, priority: 1, team: null, ...values });

/** One local transaction of [op, key, values]. */
function write(store, ...steps) {
  const writer = store.writer();
  const table = store.tables.get("Inspection");
  for (const [op, key, values] of steps) {
    if (op === "create") writer.create(table, { _id: key, ...values });
    else if (op === "update") writer.update(table, key, values);
    else writer.delete(table, key);
  }
  writer.finish(1000);
}

const message = (values = {}) => ({ queryVersion: 0, batchState: "steady", serverVersion: 1, clientVersion: 0, progress: 1, view: 1, ...values });

function apply(store, changes, values = {}) {
  const text = JSON.stringify({ type: "download", changes });
  return store.apply(message(values), JSON.parse(text).changes, [text]);
}

const put = (...images) => ({ class: "Inspection", put: images });
const visible = (store, name = "Inspection") => Object.fromEntries([...store.tables.get(name).objects].map(([key, image]) => [key, image]));
const titles = (store) => Object.fromEntries([...store.tables.get("Inspection").objects].map(([key, { title }]) => [key, title]));

// --- downloads and pending writes -----------------------------------------------------------------------------------

test("put, patch and erase in this order", async () => {
  const store = await opened();
  await apply(store, [put(inspection("a"), inspection("b"))]);
  await apply(store, [{ class: "Inspection", put: [inspection("c")], patch: [{ _id: "c", title: "patched" }, { _id: "z", title: "absent" }], erase: ["a", "y"] }]);
  equal(visible(store), { b: inspection("b"), c: inspection("c", { title: "patched" }) });
});

test("a pending write stays on top of a download, and what the server made of it stands once acknowledged", async () => {
  const store = await opened();
  await apply(store, [put(inspection("a"))]);
  write(store, ["update", "a", { title: "mine" }]);
  await apply(store, [put(inspection("a", { title: "theirs", priority: 7 }))], { serverVersion: 2 });
  equal(visible(store).a, inspection("a", { title: "mine", priority: 7 }));
  await store.writesFlushed();
  equal(store.pending.map(({ clientVersion, baseVersion }) => [clientVersion, baseVersion]), [[1, 1]]);
  await apply(store, [{ class: "Inspection", patch: [{ _id: "a", title: "merged" }] }], { serverVersion: 3, clientVersion: 1 });
  equal(visible(store).a, inspection("a", { title: "merged", priority: 7 }));
  equal(store.pending, []);
});

test("a refused create disappears, a refused delete brings the object back", async () => {
  const store = await opened();
  await apply(store, [put(inspection("a"))]);
  write(store, ["create", "b", { title: "new" }], ["delete", "a"]);
  equal(titles(store), { b: "new" });
  await store.writesFlushed();
  await apply(store, [], { clientVersion: 1, serverVersion: 2 });
  equal(titles(store), { a: "Inspection a" });
});

test("a cancelled transaction leaves nothing", async () => {
  const store = await opened();
  await apply(store, [put(inspection("a"), inspection("b"))]);
  const writer = store.writer();
  const table = store.tables.get("Inspection");
  writer.update(table, "a", { title: "x" });
  writer.delete(table, "b");
  writer.create(table, { _id: "c", title: "c" });
  writer.cancel();
  equal(titles(store), { a: "Inspection a", b: "Inspection b" });
  equal(store.pending, []);
});

test("what arrives while a transaction is open waits for its end", async () => {
  const store = await opened();
  await apply(store, [put(inspection("a"))]);
  const table = store.tables.get("Inspection");
  const writer = store.writer();
  writer.update(table, "a", { title: "mine" });
  const arriving = apply(store, [put(inspection("a", { title: "theirs", priority: 9 }), inspection("b"))], { serverVersion: 2 });
  await new Promise((resolve) => setTimeout(resolve, 60));
  equal(titles(store), { a: "mine" });
  writer.finish(1000);
  await arriving;
  equal(visible(store), { a: inspection("a", { title: "mine", priority: 9 }), b: inspection("b") });
  await store.writesFlushed();
  await apply(store, [], { clientVersion: 1, serverVersion: 3 });
  equal(titles(store), { a: "theirs", b: "Inspection b" });
});

test("too much at once is refused, with what to do", async () => {
  const store = await opened();
  const writer = store.writer();
  writer.create(store.tables.get("Inspection"), { _id: "a", title: "ä".repeat(400_000) });
  throws(() => writer.finish(0), "This write transaction is");
  writer.cancel();
  equal(titles(store), {});
});

test("created and deleted at once is nothing, and leaves no shadow behind", async () => {
  const store = await opened();
  write(store, ["create", "a", { title: "x" }], ["delete", "a"]);
  equal(store.pending, []);
  await apply(store, [put(inspection("a"))]);
  equal(titles(store), { a: "Inspection a" });
});

// --- reloads --------------------------------------------------------------------------------------------------------

test("a reload finds everything: objects, pending writes, sets, progress, reports", async () => {
  const store = await opened();
  await store.storeBound({ ident: 7, salt: "12345678901234567890" }, { epoch: "e", limits: LIMITS, schema: [] });
  await apply(store, [put(inspection("a"), inspection("b"))]);
  write(store, ["update", "a", { title: "mine" }]);
  store.addSet([{ id: "0".repeat(24), class: "Inspection", query: "TRUEPREDICATE", createdAt: "x", updatedAt: "x" }]);
  write(store, ["delete", "b"]);
  await store.holdRejected({ clientVersion: 1, writes: [{ class: "Inspection", _id: "a", code: "X", reason: "r", property: null }] });
  await store.close();
  const again = await opened(store.path);
  equal(titles(again), { a: "mine" });
  equal(again.fileState(), {
    clientFile: { ident: 7, salt: "12345678901234567890" }, epoch: "e", resetting: false,
    progress: { serverVersion: 1, clientVersion: 0, queryVersion: 0, view: 1 },
    sets: [{ queryVersion: 1, after: 1, subscriptions: store.newestSet().subscriptions }],
  });
  equal(again.pendingAbove(0, null, 1e6).map((each) => [each.clientVersion, each.instructions.map(({ op }) => op)]), [[1, ["update"]], [2, ["delete"]]]);
  equal(again.dueReports(), []);
  const { rejected } = await apply(again, [], { clientVersion: 1, serverVersion: 2 });
  equal(rejected.length, 1);
  await again.reportsTold(rejected);
  equal(again.dueReports(), []);
  equal(titles(again), { a: "Inspection a" });
});

test("what is written before the file is read lies on top of what it holds", async () => {
  const store = await opened();
  await apply(store, [put(inspection("a"), inspection("b"))], { serverVersion: 9 });
  await store.close();
  const again = new Store(store.path, true);
  again.addSchema(CLASSES);
  write(again, ["create", "a", { title: "early" }], ["create", "c", { title: "new" }]);
  equal(titles(again), { a: "early", c: "new" });
  await again.load(await Disk.open(store.path));
  equal(titles(again), { a: "early", b: "Inspection b", c: "new" });
  equal(visible(again).a.priority, 1);
  await again.writesFlushed();
  equal(again.pending.map(({ clientVersion, baseVersion }) => [clientVersion, baseVersion]), [[1, 9]]);
});

test("the log folds, and a reload finds the same", async () => {
  const store = await opened();
  let version = 1;
  for (let turn = 0; turn < 900; turn += 1) {
    const id = `k${turn % 37}`;
    const changes = turn % 11 === 10 ? { class: "Inspection", erase: [id] } : put(inspection(id, { title: `turn ${turn}` }));
    await apply(store, [changes], { serverVersion: (version += 1) });
    if (turn === 450) write(store, ["create", "pending", { title: "mine" }]);
  }
  await until(() => store.file.logged - store.file.tail < 400, "the log has folded");
  const expected = titles(store);
  await store.close();
  const again = await opened(store.path);
  equal(Object.fromEntries(Object.entries(titles(again)).sort()), Object.fromEntries(Object.entries(expected).sort()));
  ok(again.file.logged > 0);
});

test("a log that says everything many times over is written anew", async () => {
  const store = await opened();
  const many = (turn) => [put(...Array.from({ length: 1500 }, (_, at) => inspection(`k${at}`, { title: `${turn}` })))];
  for (let turn = 0; turn < 15; turn += 1) await apply(store, many(turn), { serverVersion: turn + 1 });
  await until(() => store.file.weight < 14_000, "the log was rewritten");
  const other = await opened(store.path);
  equal(other.tables.get("Inspection").objects.size, 1500);
  ok([...other.tables.get("Inspection").objects.values()].every(({ title }) => title === "14"));
});

// --- several tabs ---------------------------------------------------------------------------------------------------

test("two tabs number their writes in one order and come to show the same", async () => {
  const one = await opened();
  await apply(one, [put(inspection("a"))]);
  const two = await opened(one.path);
  write(one, ["update", "a", { title: "one" }]);
  write(two, ["update", "a", { priority: 5 }]);
  write(two, ["create", "b", { title: "two" }]);
  await Promise.all([one.writesFlushed(), two.writesFlushed()]);
  await Promise.all([one.catchUp(), two.catchUp()]);
  equal(visible(one), { a: inspection("a", { title: "one", priority: 5 }), b: { _id: "b", title: "two" } });
  equal(visible(two), visible(one));
  equal(one.pending.map(({ clientVersion }) => clientVersion).sort(), [1, 2, 3]);
  await apply(one, [put(inspection("a", { title: "server" }))], { clientVersion: 2, serverVersion: 2 });
  await two.catchUp();
  equal(two.pending.map(({ clientVersion }) => clientVersion), [3]);
  equal(visible(two), visible(one));
});

test("what a transaction has not committed yet is not folded into the log", async () => {
  const disk = new MemoryDisk();
  const store = await opened("unused", { disk });
  await apply(store, [put(inspection("a"))]);
  const { transact } = disk;
  let writer = null;
  disk.transact = (work, options) => {
    if (options?.durability === "relaxed" && store.file.serverVersion > 401) { // the fold is about to read the tables
      writer ??= store.writer();
      writer.update(store.tables.get("Inspection"), "a", { title: "half written" });
    }
    return transact.call(disk, work);
  };
  for (let version = 2; version <= 402; version += 1) await apply(store, [{ class: "Inspection", patch: [{ _id: "a", priority: version }] }], { serverVersion: version });
  await until(() => writer, "the log is about to be folded");
  await new Promise((resolve) => setTimeout(resolve, 20));
  writer.cancel();
  disk.transact = transact;
  const again = await opened("unused", { disk });
  equal(titles(again), { a: "Inspection a" });
});

test("a tab that slept while the log was folded or written anew reads what it missed", async () => {
  const one = await opened();
  await apply(one, [put(...Array.from({ length: 50 }, (_, at) => inspection(`k${at}`)))]);
  const two = await opened(one.path);
  for (let turn = 0; turn < 600; turn += 1) await apply(one, [put(inspection(`k${turn % 40}`, { title: `${turn}` }))], { serverVersion: turn + 2 });
  await apply(one, [{ class: "Inspection", erase: ["k1", "k45"] }], { serverVersion: 700 });
  await until(() => one.file.logged - one.file.tail < 400, "folded");
  await two.catchUp();
  equal(titles(two), titles(one));
  for (let turn = 0; turn < 12; turn += 1) {
    await apply(one, [put(...Array.from({ length: 1200 }, (_, at) => inspection(`k${at}`, { title: `${turn}` })))], { serverVersion: 800 + turn });
  }
  await until(() => one.file.weight < 14_000, "written anew");
  await apply(one, [{ class: "Inspection", erase: ["k7"] }], { serverVersion: 900 });
  await two.catchUp();
  equal(Object.keys(titles(two)).length, Object.keys(titles(one)).length);
  equal(two.tables.get("Inspection").objects.has("k7"), false);
});

// --- client reset ---------------------------------------------------------------------------------------------------

for (const mode of ["recover", "discard"]) {
  test(`a client reset in mode ${mode}: the old content stays until the new one is here`, async () => {
    const store = await opened();
    await store.storeBound({ ident: 7, salt: "1" }, { epoch: "e", limits: LIMITS, schema: [] });
    store.addSet([{ id: "0".repeat(24), class: "Inspection", query: "TRUEPREDICATE", createdAt: "x", updatedAt: "x" }]);
    await store.writesFlushed();
    await apply(store, [put(inspection("a"), inspection("gone"))], { queryVersion: 1, serverVersion: 50 });
    for (let turn = 0; turn < 3; turn += 1) write(store, [turn ? "update" : "create", "mine", { title: `mine ${turn}` }]);
    await store.writesFlushed();
    await apply(store, [], { clientVersion: 1, queryVersion: 1, serverVersion: 51 });
    const other = await opened(store.path);
    await store.beginReset(`${mode}UnsyncedChanges`);
    equal(store.fileState().clientFile, null);
    equal(store.fileState().resetting, true);
    ok("gone" in titles(store));
    write(store, ["update", "a", { title: "written meanwhile" }]);
    await store.storeBound({ ident: 8, salt: "2" }, { epoch: "f", limits: LIMITS, schema: [] });
    const { reset } = await apply(store, [put(inspection("a", { title: "new server" }), inspection("mine", { title: "server" }))], { queryVersion: 1, serverVersion: 5 });
    equal(reset, mode);
    const expected = mode === "recover" ? { a: "written meanwhile", mine: "mine 2" } : { a: "new server", mine: "server" };
    equal(titles(store), expected);
    await store.writesFlushed();
    equal(store.pending.map(({ clientVersion, baseVersion }) => [clientVersion, baseVersion]), mode === "recover" ? [[1, 5], [2, 5], [3, 5]] : []);
    await other.catchUp();
    equal(titles(other), expected);
    await store.close();
    equal(titles(await opened(store.path)), expected);
  });
}

const subscription = (id, query = "TRUEPREDICATE") => ({ id: `${id}`.padStart(24, "0"), class: "Inspection", query, createdAt: "x", updatedAt: "x" });

/** A store with one complete set and one pending, one pending write, and one object of the server. */
async function inUse() {
  const store = await opened();
  store.addSet([subscription(1)]);
  await store.writesFlushed();
  await apply(store, [put(inspection("a"))], { queryVersion: 1, serverVersion: 50 });
  store.addSet([subscription(2)]);
  write(store, ["create", "mine", { title: "mine" }]);
  await store.writesFlushed();
  return store;
}

const versions = (store) => store.sets.map(({ version, state }) => [version, state]);

test("a client reset keeps the newest set; one that discards, the newest that was complete", async () => {
  for (const [mode, kept] of [["recoverUnsyncedChanges", 2], ["recoverOrDiscardUnsyncedChanges", 2], ["discardUnsyncedChanges", 1]]) {
    const store = await inUse();
    await store.beginReset(mode);
    equal(versions(store), [[kept, "pending"]], mode);
    ok(store.isAwaitingReset);
    await store.beginReset(mode); // the server asks again before it got through
    equal(versions(store), [[kept, "pending"]], `${mode} again`);
    await apply(store, [put(inspection("a"))], { queryVersion: kept, serverVersion: 5 });
    ok(!store.isAwaitingReset);
  }
  const fresh = await opened(); // nothing was ever here: what the app subscribed to first stays
  fresh.addSet([subscription(1)]);
  await fresh.writesFlushed();
  await fresh.beginReset("discardUnsyncedChanges");
  equal([versions(fresh), fresh.hasHistory], [[[1, "pending"]], false]);
});

test("client resets that do not get through end: after two, or in discarding", async () => {
  const refused = "The server asked for it again and again: the";
  for (const mode of ["recoverUnsyncedChanges", "discardUnsyncedChanges"]) {
    const store = await inUse();
    await store.beginReset(mode);
    await store.beginReset(mode);
    await throws(() => store.beginReset(mode), `${refused} 2 client resets`);
    equal(store.pending.length, 1);
  }
  const store = await inUse();
  const begin = () => store.beginReset("recoverOrDiscardUnsyncedChanges");
  await begin();
  equal((await apply(store, [], { queryVersion: 2, serverVersion: 5 })).reset, "recover"); // applied, and not acknowledged
  await begin();
  await begin();
  equal([store.file.reset, versions(store)], ["fallback", [[2, "pending"]]]); // of the first, the set of then is in use by now
  await throws(begin, `${refused} 3 client resets`);
  equal([(await apply(store, [], { queryVersion: 2, serverVersion: 5 })).reset, store.pending, store.file.resets], ["fallback", [], 0]);
  const through = await inUse();
  for (let turn = 1; turn <= 4; turn += 1) {
    await through.beginReset("recoverUnsyncedChanges");
    await apply(through, [], { queryVersion: 2, serverVersion: 5 });
    equal(through.file.resets, 1);
    await apply(through, [], { queryVersion: 2, serverVersion: 6, clientVersion: 1 }); // acknowledged: it counts from nothing
    equal(through.file.resets, 0);
    write(through, ["update", "mine", { title: `${turn}` }]);
    await through.writesFlushed();
    await apply(through, [], { queryVersion: 2, serverVersion: 7, clientVersion: 1 });
  }
});

test("what is written while the new content is being stored is not discarded", async () => {
  const store = await inUse();
  await store.beginReset("discardUnsyncedChanges");
  const applying = apply(store, [put(inspection("a", { title: "new" }))], { queryVersion: 1, serverVersion: 5 });
  write(store, ["create", "late", { title: "late" }]);
  await applying;
  equal(titles(store), { a: "new", late: "late" });
  await store.writesFlushed();
  equal(store.pending.map(({ clientVersion, baseVersion }) => [clientVersion, baseVersion]), [[1, 5]]);
  equal(titles(await opened(store.path)), { a: "new", late: "late" });
});

// --- the disk -------------------------------------------------------------------------------------------------------

test("a write that cannot be stored is reported, kept in memory and stored when that works again", async () => {
  const disk = new MemoryDisk();
  const store = await opened("full", { disk });
  const transact = disk.transact.bind(disk);
  const failures = [];
  store.onFailure = (error) => failures.push(error.message);
  disk.transact = () => Promise.reject(new Error("the disk is full"));
  write(store, ["create", "a", { title: "kept" }]);
  await throws(() => store.writesFlushed(), "the disk is full");
  equal(titles(store), { a: "kept" });
  equal(store.pendingAbove(0, null, 1e6), []); // nothing is uploaded that could be lost here
  disk.transact = transact;
  await until(() => store.pending[0].clientVersion === 1, "it was tried again");
  equal(failures, ["the disk is full"]);
});

test("a local realm keeps its writes in the log, and two tabs of it converge", async () => {
  const one = await opened(undefined, { synced: false });
  const two = await opened(one.path, { synced: false });
  write(one, ["create", "a", { title: "one" }]);
  await one.writesFlushed();
  await two.catchUp();
  write(two, ["update", "a", { priority: 3 }]);
  write(one, ["update", "a", { title: "two" }], ["create", "b", { title: "b" }]);
  await Promise.all([one.writesFlushed(), two.writesFlushed()]);
  await Promise.all([one.catchUp(), two.catchUp()]);
  equal(visible(one), { a: { _id: "a", title: "two", priority: 3 }, b: { _id: "b", title: "b" } });
  equal(visible(two), visible(one));
  equal(one.pending, []);
  await one.close();
  equal(visible(await opened(one.path, { synced: false })), visible(two));
});

// --- at random ------------------------------------------------------------------------------------------------------

for (const key of [undefined, new Uint8Array(64)]) test(`whatever tabs, downloads, folds and reloads do, a tab shows the server's state with what is pending on top${key ? " (encrypted)" : ""}`, async () => {
  let seed = 11;
  const random = (below) => ((seed = (seed * 48271) % 2147483647), seed % below);
  const name = `random-${Date.now()}-${Boolean(key)}`;
  const tab = async () => opened(name, { disk: await openDisk(name, key) });
  const tabs = [await tab(), await tab(), await tab()];
  const server = new Map(); // the state, and the changesets it has
  let version = 0;
  let acknowledged = 0;
  const taken = [];
  for (let turn = 0; turn < (key ? 250 : 500); turn += 1) {
    const at = random(3);
    const store = tabs[at];
    const id = `k${random(8)}`;
    const kind = random(10);
    const has = store.tables.get("Inspection").objects.has(id);
    if (kind < 4) write(store, has ? (random(3) ? ["update", id, { title: `t${turn}` }] : ["delete", id]) : ["create", id, { title: `t${turn}`, priority: null, team: null }]);
    else if (kind < 6) {
      // the server has taken some of what is pending, as it is on the disk, and somebody wrote something
      const leader = tabs[0];
      await leader.catchUp();
      for (const changeset of leader.pendingAbove(acknowledged, null, random(2) ? 1 : 1e6)) {
        for (const { op, _id, values } of changeset.instructions) {
          if (op === "delete") server.delete(_id);
          else if (op === "create" || server.has(_id)) server.set(_id, { _id, priority: null, team: null, ...server.get(_id), ...values });
        }
        acknowledged = changeset.clientVersion;
        taken.push(acknowledged);
      }
      const other = `k${random(8)}`;
      if (random(3)) server.set(other, inspection(other, { title: `server ${turn}` }));
      else server.delete(other);
      const erase = Array.from({ length: 8 }, (_, key) => `k${key}`).filter((key) => !server.has(key));
      await apply(leader, [{ class: "Inspection", put: [...server.values()], erase }], { serverVersion: (version += 1), clientVersion: acknowledged });
    } else if (kind === 6) await store.catchUp();
    else if (kind === 7) await store.writesFlushed();
    else if (kind === 8) {
      await store.close();
      tabs[at] = await tab();
    } else await new Promise((resolve) => setTimeout(resolve, random(3)));
  }
  await Promise.all(tabs.map((store) => store.writesFlushed()));
  await Promise.all(tabs.map((store) => store.catchUp()));
  ok(taken.length > (key ? 15 : 30), `only ${taken.length} changesets were taken`);
  const expected = new Map(server);
  for (const { instructions } of tabs[0].pending) {
    for (const { op, _id, values } of instructions) {
      if (op === "delete") expected.delete(_id);
      else if (op === "create" || expected.has(_id)) expected.set(_id, { _id, ...expected.get(_id), ...values });
    }
  }
  const plain = (objects) => [...objects].map(([key, { title }]) => `${key} ${title}`).sort();
  for (const store of tabs) {
    equal(store.pending.map(({ clientVersion }) => clientVersion), tabs[0].pending.map(({ clientVersion }) => clientVersion));
    equal(plain(store.tables.get("Inspection").objects), plain(expected));
  }
});
