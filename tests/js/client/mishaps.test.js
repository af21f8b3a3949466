// What goes wrong around a realm: storage that is cleared, refused or full, other tabs that take files away.

import { Inspection, newPath, offline, offlineUser, opened, otherTab, SCHEMA, TEAM } from "./inspections.js";
import { equal, ok, test, throws, until } from "../harness.js";
import { Disk } from "/realm_sync/client/disk.js";
import { openDisk } from "/realm_sync/client/encryptedDisk.js";
import { known } from "/realm_sync/client/openFiles.js";
import Realm from "/realm_sync/realm.js";

const KEY = new Uint8Array(64).fill(7);

/** As if the app, or the user, had cleared localStorage. */
const forget = (path) => known.set(path, null);

/** `body` while IndexedDB opens nothing: it throws, or answers with that error. */
async function withoutStorage(name, body, page = window) {
  const factory = page.IDBFactory.prototype;
  const { open } = factory;
  factory.open = () => {
    if (name === "SecurityError") throw new page.DOMException("not here", name);
    const request = { error: new page.DOMException("not now", name) };
    setTimeout(() => request.onerror?.());
    return request;
  };
  try {
    return await body();
  } finally {
    factory.open = open;
  }
}

test("a plain file that another tab makes at the same time is not written over with a key", async () => {
  const path = newPath();
  const [sealed, plain] = [await openDisk(path, KEY), await openDisk(path)];
  let runs = 0;
  const writing = sealed.transact(async (transaction) => {
    runs += 1;
    await plain.transact(async (other) => other.put("file", 1, { revision: 1 }));
    transaction.put("file", 1, { revision: 7 });
  });
  await throws(() => writing, `Cannot open the realm at '${path}'. It is not encrypted.`);
  equal([runs, await plain.transact((transaction) => transaction.get("file", 1))], [1, { revision: 1 }]);
  [sealed, plain].forEach((disk) => disk.close());
});

test("a local file that localStorage does not know of is migrated as any other", async () => {
  const path = newPath();
  const realm = await opened({ path });
  realm.add("a", { priority: 3 });
  await realm.writesFlushed();
  realm.close();
  forget(path);
  const schema = [{ ...Inspection.schema, properties: { ...Inspection.schema.properties, priority: "string" } }, TEAM];
  await throws(() => Realm.open({ path, schema }), "Migration is required due to the following errors:");
  forget(path);
  const renamed = [{ ...Inspection.schema, properties: { ...Inspection.schema.properties, heading: "string" } }, TEAM];
  await throws(() => Realm.open({ path, schema: renamed, schemaVersion: 1, onMigration() { throw new Error("not yet"); } }), "not yet");
  const asItWas = await opened({ path });
  equal(asItWas.schemaVersion, 0);
  asItWas.close();
  forget(path);
  const onMigration = (before, now) => (now.objects("Inspection")[0].priority = `${before.objects("Inspection")[0].priority}`);
  const migrated = await Realm.open({ path, schema, schemaVersion: 1, onMigration });
  equal([migrated.objects("Inspection")[0].priority, migrated.schemaVersion], ["3", 1]);
  await migrated.writesFlushed();
  migrated.close();
  forget(path);
  const again = await Realm.open({ path });
  equal([again.objects("Inspection")[0].priority, again.schemaVersion], ["3", 1]);
  again.close();
});

test("a synced file that localStorage does not know of keeps its subscriptions and what is pending", async () => {
  const first = await offline();
  const { user } = first.syncSession;
  first.add("a");
  await first.writesFlushed();
  first.syncSession.pause(); // so that closing ends it
  first.close();
  await navigator.locks.request(`realm-sync:${first.path}`, () => {});
  forget(first.path);
  const again = new Realm({ schema: SCHEMA, sync: { user, flexible: true, onError() {}, initialSubscriptions: { update: (subs, realm) => subs.add(realm.objects("Team")) } } });
  await again.whenLoaded();
  await again.writesFlushed();
  equal([again.subscriptions.length, again.objects("Inspection").length, again.syncSession.pendingTransactions], [2, 1, 1]);
  again.close();
});

test("a file that another tab deletes while its last uploads wait is begun anew", async () => {
  const realm = await offline();
  const { user } = realm.syncSession;
  realm.add("a");
  await realm.writesFlushed();
  realm.close(); // offline: its session goes on
  const tab = await otherTab();
  await tab.Realm.deleteFile({ path: realm.path });
  const again = await offline(["Inspection"], { user });
  equal(again.objects("Inspection").length, 0);
  again.add("b");
  await again.writesFlushed();
  again.close();
  const third = await offline([], { user });
  equal(third.objects("Inspection").map(({ _id }) => _id), ["b"]);
  third.close();
  tab.close();
});

test("a file that cannot be read now is no empty realm in memory", async () => {
  const path = newPath();
  (await opened({ path })).close();
  for (const name of ["UnknownError", "QuotaExceededError", "SecurityError"]) {
    const error = await withoutStorage(name, () => throws(() => Realm.open({ path, schema: SCHEMA }), `Cannot open the realm at '${path}'.`));
    equal(error.codeName, "FileOperationFailed");
  }
  const again = await opened({ path });
  equal(again.objects("Inspection").length, 0);
  again.close();
});

test("a realm that lives in its tab only is not known after it", async () => {
  const path = newPath();
  await withoutStorage("SecurityError", async () => {
    for (const _ of [1, 2]) {
      const realm = await opened({ path });
      ok(Realm.exists(path));
      realm.close();
    }
  });
  equal(localStorage.getItem(`realm-sync:file:${path}`), null);
});

test("without storage a scheduled reset puts nothing aside, and hinders no opening", async () => {
  const path = newPath();
  await withoutStorage("SecurityError", async () => {
    known.set(`reset:${path}`, `${path}-backup`);
    (await opened({ path })).close();
  });
  equal([known.get(`reset:${path}`), known.get(`${path}-backup`)], [null, null]);
});

test("a full disk leaves a scheduled reset, and the file, as they are", async () => {
  const path = newPath();
  const realm = await opened({ path });
  realm.add("a");
  await realm.writesFlushed();
  realm.close();
  known.set(`reset:${path}`, `${path}-backup`);
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  try {
    await throws(() => Realm.open({ path, schema: SCHEMA }), "The browser's storage is full");
  } finally {
    IDBObjectStore.prototype.put = put;
  }
  equal(known.get(`reset:${path}`), `${path}-backup`);
  const [fresh, aside] = [await opened({ path }), await opened({ path: `${path}-backup` })];
  equal([fresh.objects("Inspection").length, aside.objects("Inspection").length], [0, 1]);
  [fresh, aside].forEach((each) => each.close());
});

test("no time-out is too long for the browser's timers", async () => {
  const user = await offlineUser();
  const behavior = { type: "downloadBeforeOpen", timeOut: Infinity, timeOutBehavior: "throwException" };
  const opening = Realm.open({ schema: SCHEMA, sync: { user, flexible: true, onError() {}, newRealmFileBehavior: behavior } });
  let ended = null;
  opening.catch((error) => (ended = error));
  await new Promise((resolve) => setTimeout(resolve, 60));
  equal(ended, null);
  opening.cancel();
  await until(() => ended, "cancelled");
  const answer = () => Promise.resolve(new Response("{}"));
  const app = new Realm.App({ id: newPath(), baseUrl: location.origin, timeout: Infinity, timeouts: { linger: 2 ** 40 }, fetch: answer });
  await app.emailPasswordAuth.registerUser({ email: "nora@example.org", password: "secret" });
  equal([app.timeout, app.timeouts.linger], [2 ** 31 - 1, 2 ** 31 - 1]);
});

test("without storage each tab syncs for itself", async () => {
  const tab = await otherTab();
  const first = await withoutStorage("SecurityError", () => offline());
  const { user } = first.syncSession;
  await until(() => first.syncSession.connectionState !== "disconnected", "it connects");
  let attempts = 0;
  const { WebSocket } = tab.window;
  tab.window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      attempts += 1;
    }
  };
  const { id } = user.app;
  const other = new tab.Realm.App({ id, baseUrl: location.origin });
  const second = await withoutStorage("SecurityError", async () => {
    const realm = new tab.Realm({ schema: [{ ...Inspection.schema }, TEAM], sync: { user: other.currentUser, flexible: true, onError() {} } });
    await realm.whenLoaded();
    return realm;
  }, tab.window);
  await until(() => attempts, "so does the other tab", 3);
  [first, second].forEach((realm) => realm.close());
  tab.close();
});

test("whatever a callback throws, an opening ends", async () => {
  const user = await offlineUser();
  const update = () => {
    throw null;
  };
  const opening = Realm.open({ schema: SCHEMA, sync: { user, flexible: true, onError() {}, initialSubscriptions: { update }, newRealmFileBehavior: { type: "openImmediately" } } });
  let ended = false;
  opening.catch(() => (ended = true));
  await until(() => ended, "rejected", 2);
});

test("a database that another tab takes away is a closed realm to whoever is at it", async () => {
  const disk = await Disk.open(newPath());
  disk.close();
  equal((await throws(() => disk.transact(async () => {}), "Cannot access realm that has been closed.")).codeName, "ClosedRealm");
});

test("a page that ends anywhere in a scheduled reset: another one completes it, and nothing is missing", async () => {
  for (const point of ["open", "deleteDatabase"]) {
    const path = newPath();
    const realm = await opened({ path });
    realm.add("a");
    await realm.writesFlushed();
    realm.close();
    known.set(`reset:${path}`, `${path}-backup`);
    const tab = await otherTab();
    const factory = tab.window.IDBFactory.prototype;
    const work = factory[point];
    let isReached = false;
    factory[point] = function (name, ...more) {
      if (point === "open" && name === path) return work.call(this, name, ...more);
      isReached = true;
      return {}; // which never answers
    };
    tab.Realm.open({ path, schema: [{ ...Inspection.schema }, TEAM] }).catch(() => {});
    await until(() => isReached, point);
    tab.close();
    const [fresh, aside] = [await opened({ path }), await opened({ path: `${path}-backup` })];
    equal([fresh.objects("Inspection").length, aside.objects("Inspection").length, known.get(`reset:${path}`)], [0, 1, null]);
    [fresh, aside].forEach((each) => each.close());
  }
});
