// Encrypted files: nobody reads them without the key, nobody loses a write, and whoever has no key changes nothing.

import { Inspection, newPath, offline, offlineUser, opened, otherTab, records, SCHEMA, TEAM, withAdd } from "./inspections.js";
import { equal, ok, test, throws, until } from "../harness.js";
import { Disk } from "/realm_sync/client/disk.js";
import { EncryptedDisk, openDisk } from "/realm_sync/client/encryptedDisk.js";
import { known } from "/realm_sync/client/openFiles.js";
import { Store } from "/realm_sync/client/store.js";
import Realm from "/realm_sync/realm.js";

const KEY = Uint8Array.from({ length: 64 }, (_, at) => at);
const OTHER = KEY.map((byte) => byte ^ 1);
const WRONG = (path) => `Cannot open the realm at '${path}'. The 'encryptionKey' is not the one that it was made with, or it is no encrypted realm file. Nothing was changed.`;
const NONE = (path) => `Cannot open the realm at '${path}'. It is encrypted. Give the 'encryptionKey' that it was made with. Nothing was changed.`;
const PLAIN = (path) => `Cannot open the realm at '${path}'. It is not encrypted. Open it without 'encryptionKey'; 'writeCopyTo' makes an encrypted copy. Nothing was changed.`;

/** Everything that a database has, as text that compares. */
const dump = async (path) => JSON.stringify(await records(path), (_, value) => (ArrayBuffer.isView(value) ? [...value] : value));

// --- transactions ---------------------------------------------------------------------------------------------------

test("a transaction reads what it wrote, and all or nothing of it happens", async () => {
  const path = newPath();
  const disk = await openDisk(path, KEY);
  ok(disk instanceof EncryptedDisk);
  equal(await disk.transact((transaction) => transaction.get("file", 1), { mode: "readonly" }), undefined);
  await disk.transact(async (transaction) => {
    for (const key of [1, 2, 3, 4]) transaction.put("log", key, `text ${key}`);
    transaction.delete("log", 1, 3);
    transaction.put("log", 3, "again");
    equal(await transaction.above("log", 0), [[1, "text 1"], [3, "again"], [4, "text 4"]]);
    equal([await transaction.get("log", 2), await transaction.get("log", 3)], [undefined, "again"]);
    transaction.put("file", 1, { revision: 1 });
    equal(await transaction.get("file", 1), { revision: 1 });
  });
  await throws(() => disk.transact(async (transaction) => {
    transaction.delete("log", -1, 10);
    throw new Error("no");
  }), "no");
  const found = await disk.transact(async (transaction) => [await transaction.above("log", 1), await transaction.get("log", 1), await transaction.get("file", 1)], { mode: "readonly" });
  equal(found, [[[3, "again"], [4, "text 4"]], "text 1", { revision: 1 }]);
  disk.close();
  const again = await openDisk(path, KEY);
  equal((await again.transact((transaction) => transaction.above("log"), { mode: "readonly" })).length, 3);
  again.close();
});

test("work runs again where somebody has written meanwhile, on what that one wrote", async () => {
  const path = newPath();
  const [one, two] = [await openDisk(path, KEY), await openDisk(path, KEY)];
  const add = (disk, meanwhile = () => {}) => disk.transact(async (transaction) => {
    const file = (await transaction.get("file", 1)) ?? { count: 0 };
    await meanwhile();
    transaction.put("file", 1, { count: file.count + 1 });
    return file.count;
  });
  let runs = 0;
  const found = await add(one, async () => {
    runs += 1;
    if (runs < 3) await add(two);
  });
  equal([found, runs], [2, 3]);
  const reads = [];
  await one.transact(async (transaction) => { // read-only, and of one moment all the same
    const file = await transaction.get("file", 1);
    if (!reads.length) await two.transact(async (other) => (other.put("log", 1, "new"), other.put("file", 1, { count: 9 })));
    reads.push([file.count, (await transaction.above("log")).length]);
  }, { mode: "readonly" });
  equal(reads, [[3, 1], [9, 1]]);
  await Promise.all(Array.from({ length: 20 }, (_, at) => add(at % 2 ? one : two)));
  equal(await add(one), 29);
  one.close();
  two.close();
});

test("two tabs write at once, from an empty file on: no write is lost", async () => {
  const path = newPath();
  const cls = { name: "Team", keyName: "_id", properties: { _id: { type: "string" }, name: { type: "string" } } };
  const stores = [new Store(path, true), new Store(path, true)];
  await Promise.all(stores.map(async (store) => {
    store.addSchema([cls]);
    await store.load(await openDisk(path, KEY));
  }));
  for (let turn = 0; turn < 25; turn += 1) {
    for (const [at, store] of stores.entries()) {
      const writer = store.writer();
      writer.create(store.tables.get("Team"), { _id: `${at}-${turn}`, name: "x" });
      writer.finish(1);
    }
    await Promise.race(stores.map((store) => store.writesFlushed()));
  }
  await Promise.all(stores.map((store) => store.writesFlushed()));
  for (const store of stores) {
    await store.catchUp();
    equal(store.tables.get("Team").objects.size, 50);
    equal(store.pending.map(({ clientVersion }) => clientVersion), Array.from({ length: 50 }, (_, at) => at + 1));
    await store.close();
  }
});

// --- realms ---------------------------------------------------------------------------------------------------------

test("what is written is in no record, and is there again with the key", async () => {
  const path = newPath();
  const realm = await opened({ path, encryptionKey: KEY });
  const secret = "Zanzibar-secret";
  for (let turn = 0; turn < 3; turn += 1) realm.add(`${turn} ${secret}`, { title: secret });
  await realm.writesFlushed();
  const synced = await offline(["Inspection"], {}, SCHEMA, { encryptionKey: KEY });
  synced.add(secret, { title: secret });
  await synced.writesFlushed();
  for (const each of [realm.path, synced.path]) {
    const all = Object.entries(await records(each)).flatMap(([store, list]) => list.map(([key, value]) => [store, key, value]));
    ok(all.length >= 2);
    for (const [store, key, value] of all) {
      equal(Object.keys(store === "file" ? value : {}), store === "file" ? ["salt", "stamp", "data"] : []);
      const bytes = store === "file" ? value.data : value;
      ok(bytes instanceof Uint8Array);
      const text = new TextDecoder("latin1").decode(bytes) + JSON.stringify(value.stamp ?? "");
      for (const word of [secret, "Inspection", "changes", "title", "revision"]) ok(!text.includes(word), `${word} in ${store} ${key}`);
    }
  }
  const { user } = synced.syncSession;
  realm.close();
  synced.close();
  const again = await opened({ path, encryptionKey: KEY.buffer });
  equal(again.objects("Inspection").map(({ title }) => title), [secret, secret, secret]);
  again.close();
  const resumed = await offline([], { user }, SCHEMA, { encryptionKey: KEY });
  equal([resumed.objects("Inspection").length, resumed.syncSession.pendingTransactions, resumed.subscriptions.length], [1, 1, 1]);
  resumed.close();
});

test("a wrong key, none, or one for a plain realm: an error, and not a byte is changed", async () => {
  const [path, plain] = [newPath(), newPath()];
  for (const [each, encryptionKey] of [[path, KEY], [plain, undefined]]) {
    const realm = await opened({ path: each, encryptionKey, schemaVersion: 1 });
    realm.add("a");
    await realm.writesFlushed();
    realm.close();
  }
  await Realm.open({ path, encryptionKey: KEY }).then((realm) => realm.close());
  const refused = async (config, text, code, codeName) => {
    const before = await dump(config.path);
    for (const more of [{}, { schema: SCHEMA, schemaVersion: 1 }, { schema: SCHEMA, schemaVersion: 2, onMigration() {} }, { schema: [{ name: "Inspection", properties: { other: "int" } }], schemaVersion: 1, deleteRealmIfMigrationNeeded: true }]) {
      const error = await throws(() => Realm.open({ ...config, ...more }), text);
      equal([error.code, error.codeName], [code, codeName]);
    }
    const complaints = [];
    const complain = console.error;
    console.error = (...args) => complaints.push(args);
    try {
      const realm = new Realm({ ...config, schema: SCHEMA, schemaVersion: 1 });
      realm.write(() => realm.create("Inspection", { _id: "lost" }));
      await until(() => realm.isClosed);
    } finally {
      console.error = complain;
    }
    ok(complaints.some(([, error]) => error?.message?.startsWith(text)));
    equal(await dump(config.path), before);
  };
  await refused({ path, encryptionKey: OTHER }, WRONG(path), 1022, "DecryptionFailed");
  await refused({ path }, NONE(path), 1021, "InvalidDatabase");
  await refused({ path: plain, encryptionKey: KEY }, PLAIN(plain), 1021, "InvalidDatabase");
  for (const [each, encryptionKey] of [[path, KEY], [plain, undefined]]) {
    const realm = await opened({ path: each, encryptionKey, schemaVersion: 1 });
    equal(realm.objects("Inspection").length, 1);
    realm.close();
  }
});

test("a synced realm's onError hears of a wrong key", async () => {
  const realm = await offline(["Inspection"], {}, SCHEMA, { encryptionKey: KEY });
  const { user } = realm.syncSession;
  await realm.writesFlushed();
  realm.close();
  const errors = [];
  const refused = new Realm({ schema: SCHEMA, encryptionKey: OTHER, sync: { user, flexible: true, onError: (session, error) => errors.push([session.user === user, error.message]) } });
  await until(() => refused.isClosed);
  equal(errors.length, 1);
  ok(errors[0][0] && errors[0][1].startsWith(WRONG(refused.path)), errors[0][1]);
  const again = await offline([], { user }, SCHEMA, { encryptionKey: KEY });
  equal(again.subscriptions.length, 1);
  again.close();
});

test("records that were exchanged, or come from another realm, are refused", async () => {
  const paths = [newPath(), newPath()];
  for (const path of paths) {
    const realm = await opened({ path, encryptionKey: KEY });
    realm.add("a");
    await realm.writesFlushed();
    realm.add("b");
    await realm.writesFlushed();
    realm.close();
    await until(async () => (await records(path)).log.length >= 2);
  }
  const [[, first], [, second]] = (await records(paths[0])).log.slice(-2);
  const put = async (path, ...pairs) => {
    const disk = await Disk.open(path);
    await disk.transact(async (transaction) => pairs.forEach(([key, value]) => transaction.put("log", key, value)));
    disk.close();
  };
  const numbers = (await records(paths[0])).log.slice(-2).map(([key]) => key);
  await put(paths[0], [numbers[0], second], [numbers[1], first]);
  await throws(() => Realm.open({ path: paths[0], encryptionKey: KEY }), WRONG(paths[0]));
  await put(paths[0], [numbers[0], first], [numbers[1], second]);
  (await Realm.open({ path: paths[0], encryptionKey: KEY })).close();
  await put(paths[1], [numbers[0], first]);
  await throws(() => Realm.open({ path: paths[1], encryptionKey: KEY }), WRONG(paths[1]));
});

test("without WebCrypto an encrypted realm is refused, a plain one is not", async () => {
  const path = newPath();
  Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
  try {
    const error = await throws(() => opened({ path, encryptionKey: KEY }), `Cannot open the realm at '${path}'. An 'encryptionKey' needs WebCrypto, which browsers give to secure pages only`);
    equal([error.codeName, Realm.exists(path)], ["NotSupported", false]);
    (await opened({ path })).close();
  } finally {
    delete crypto.subtle;
  }
});

test("two tabs share an encrypted realm", async () => {
  const path = newPath();
  const tab = await otherTab();
  const here = await opened({ path, encryptionKey: KEY });
  const there = withAdd(await tab.Realm.open({ path, encryptionKey: new tab.window.Uint8Array(KEY), schema: [{ ...Inspection.schema }, TEAM] }));
  for (let turn = 0; turn < 10; turn += 1) {
    here.add(`here ${turn}`);
    there.add(`there ${turn}`);
  }
  await until(() => here.objects("Inspection").length === 20 && there.objects("Inspection").length === 20, "both have everything");
  await Promise.all([here.writesFlushed(), there.writesFlushed()]);
  here.close();
  there.close();
  await throws(() => tab.Realm.open({ path, encryptionKey: new tab.window.Uint8Array(OTHER) }), WRONG(path));
  tab.close();
});

test("an encrypted log is folded, compacted and migrated as any other", async () => {
  const path = newPath();
  const realm = await opened({ path, encryptionKey: KEY });
  for (let turn = 0; turn < 420; turn += 1) {
    realm.add(`${turn % 60}`, {}, "all");
    await realm.writesFlushed();
  }
  await until(async () => (await records(path)).log.length < 400, "the log is folded");
  equal(await realm.compact(), true);
  equal((await records(path)).log.length, 1);
  realm.close();
  const schema = [TEAM, { ...Inspection.schema, properties: { ...Inspection.schema.properties, note: "string?" } }];
  const migrated = await Realm.open({ path, encryptionKey: KEY, schemaVersion: 1, schema, onMigration: (_, now) => now.objects("Inspection").forEach((it) => (it.note = "new")) });
  equal([migrated.objects("Inspection").length, migrated.objects("Inspection")[0].note], [60, "new"]);
  migrated.close();
});

test("a manual client reset keeps the encrypted file, which opens with its key", async () => {
  const user = await offlineUser();
  const realm = await offline(["Inspection"], { user }, SCHEMA, { encryptionKey: KEY });
  realm.add("a");
  await realm.writesFlushed();
  const { path } = realm;
  const backup = `${user.app.directory}/recovered-realms/${newPath()}`;
  known.set(`reset:${path}`, backup); // a manual client reset is scheduled
  known.set(path, null);
  realm.close();
  await Realm.App.Sync.initiateClientReset(user.app, path);
  const kept = await Realm.open({ path: backup, readOnly: true, encryptionKey: KEY });
  equal([...kept._store.pending].length, 1);
  equal(kept.objects("Inspection").length, 1);
  kept.close();
  await throws(() => Realm.open({ path: backup, readOnly: true }), NONE(backup));
});
