// What realms hold of the browser, connections, channels, sockets and locks, is given back: by those that were closed, and
// by those whose opening failed or was cancelled.

import { IMMEDIATELY, Inspection, newPath, offlineUser, SCHEMA } from "./inspections.js";
import { equal, test, throws, until } from "../harness.js";
import Realm from "/realm_sync/realm.js";

const KEY = new Uint8Array(64);
const live = { databases: new Set(), channels: new Set(), sockets: new Set(), listeners: new Set() };

const { open } = IDBFactory.prototype;
IDBFactory.prototype.open = function (...args) {
  const request = open.apply(this, args);
  request.addEventListener("success", () => live.databases.add(request.result));
  return request;
};
const { close } = IDBDatabase.prototype;
IDBDatabase.prototype.close = function () {
  live.databases.delete(this);
  return close.call(this);
};
window.BroadcastChannel = class extends BroadcastChannel {
  constructor(name) {
    super(name);
    live.channels.add(this);
  }
  close() {
    live.channels.delete(this);
    super.close();
  }
};
window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    live.sockets.add(this);
    this.addEventListener("close", () => live.sockets.delete(this));
  }
};
const { addEventListener: add, removeEventListener: remove } = window;
window.addEventListener = (type, listener, ...more) => (type === "online" && live.listeners.add(listener), add.call(window, type, listener, ...more));
window.removeEventListener = (type, listener, ...more) => (live.listeners.delete(listener), remove.call(window, type, listener, ...more));

/** Resolves when nothing is held any more and the databases can be deleted. */
async function nothingIsHeld(...paths) {
  const held = async () => {
    const { held: locks, pending } = await navigator.locks.query();
    return { ...Object.fromEntries(Object.entries(live).map(([name, set]) => [name, set.size])), locks: locks.length + pending.length };
  };
  let found;
  await until(async () => Object.values((found = await held())).every((count) => count === 0), "nothing is held").catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(found)}`);
  });
  for (const path of paths) {
    await new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(path);
      request.onsuccess = resolve;
      request.onerror = request.onblocked = () => reject(new Error(`${path} is still open`));
    });
  }
}

const synced = async (sync = {}) => ({ schema: SCHEMA, sync: { user: await offlineUser(), flexible: true, onError() {}, newRealmFileBehavior: IMMEDIATELY, existingRealmFileBehavior: IMMEDIATELY, ...sync } });

test("a realm opened 200 times in a row, and 20 times at once", async () => {
  const config = await synced();
  const path = newPath();
  let most = 0;
  for (let turn = 0; turn < 200; turn += 1) {
    const realm = await Realm.open(turn % 4 ? { path, schema: SCHEMA } : config);
    if (turn % 3 === 0) await realm.syncSession?.reconnect();
    realm.close();
    most = Math.max(most, live.databases.size);
  }
  equal(most <= 3, true, `${most} connections`);
  const many = await Promise.all(Array.from({ length: 20 }, () => Realm.open(config)));
  const immediate = Array.from({ length: 20 }, () => new Realm({ path, schema: SCHEMA }));
  await Promise.all(immediate.map((realm) => realm.whenLoaded()));
  equal([live.databases.size, live.channels.size], [2, 2]);
  [...many, ...immediate].forEach((realm) => realm.close());
  await nothingIsHeld(path, many[0].path);
});

test("an opening that fails", async () => {
  const [path, newer, encrypted] = [newPath(), newPath(), newPath()];
  const later = open.call(indexedDB, newer, 99);
  await new Promise((resolve) => (later.onsuccess = resolve));
  close.call(later.result);
  (await Realm.open({ path, schema: SCHEMA, schemaVersion: 1 })).close();
  (await Realm.open({ path: encrypted, schema: SCHEMA, encryptionKey: KEY })).close();
  const changed = [{ ...Inspection.schema, properties: { _id: "string" } }];
  await throws(() => Realm.open({ path: newer, schema: SCHEMA }), `Cannot open the realm at '${newer}'. A newer version of realm_sync wrote it.`);
  await throws(() => Realm.open({ path, schema: changed, schemaVersion: 1 }), "Migration is required due to the following errors:");
  await throws(() => Realm.open({ path, schema: SCHEMA, schemaVersion: 0 }), "Provided schema version 0 is less than last set version 1.");
  await throws(() => Realm.open({ path, schema: SCHEMA, schemaVersion: 2, onMigration() { throw new Error("no"); } }), "no");
  await throws(() => Realm.open({ path, schema: SCHEMA, schemaVersion: 1, shouldCompact() { throw new Error("not now"); } }), "not now");
  await throws(() => Realm.open({ path: encrypted, schema: SCHEMA, encryptionKey: KEY.map(() => 1) }), `Cannot open the realm at '${encrypted}'`);
  await throws(() => Realm.open({ path: encrypted, schema: SCHEMA }), `Cannot open the realm at '${encrypted}'`);
  const failing = await synced({ initialSubscriptions: { update() { throw new Error("no subscription"); } } });
  throws(() => new Realm(failing), "no subscription");
  await throws(() => Realm.open(failing), "no subscription");
  failing.sync.initialSubscriptions = undefined;
  failing.schema = [{ name: "Inspection", primaryKey: "_id", properties: { _id: "int" } }];
  const fits = await Realm.open({ ...failing, schema: SCHEMA });
  throws(() => new Realm(failing), "The following changes cannot be made in additive-only schema mode:");
  fits.close();
  await nothingIsHeld(path, newer, encrypted, fits.path);
});

test("an opening that is cancelled, at any moment of it", async () => {
  const config = await synced({ newRealmFileBehavior: { type: "downloadBeforeOpen" }, existingRealmFileBehavior: { type: "downloadBeforeOpen" } });
  const path = newPath();
  for (const each of [{ ...config, encryptionKey: KEY }, { path, schema: SCHEMA }]) {
    for (let turn = 0; turn < 12; turn += 1) {
      const opening = Realm.open(each);
      opening.catch(() => {});
      for (let step = 0; step < turn; step += 1) await new Promise((resolve) => setTimeout(resolve));
      opening.cancel();
      await opening.then((realm) => realm.close(), (error) => equal(error.message, "Async open canceled"));
    }
  }
  await nothingIsHeld(path);
  await Realm.deleteFile(config);
});
