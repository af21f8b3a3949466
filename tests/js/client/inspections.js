// The world of the surface's tests: inspectors' classes, local realms of them, and realms of a user without a server.

import { until } from "../harness.js";
import Realm from "/realm_sync/realm.js";

export const TEAM = { name: "Team", primaryKey: "_id", properties: { _id: "string", name: "string", inspections: { type: "linkingObjects", objectType: "Inspection", property: "team" } } };

export class Inspection extends Realm.Object {
  static schema = {
    name: "Inspection",
    primaryKey: "_id",
    properties: {
      _id: "string",
      title: { type: "string", default: "untitled" },
      priority: { type: "int", optional: true, indexed: true },
      done: { type: "bool", default: false },
      due: { type: "date", optional: true, mapTo: "due_at" },
      cost: "decimal128?",
      team: "Team",
      follows: "Inspection",
    },
  };

  constructed = true; // a field initialiser: not run for what a realm reads

  get label() {
    return `${this.title} (${this.priority})`;
  }

  rename(title) {
    this.title = title;
  }
}

export const SCHEMA = [Inspection, TEAM];

let made = 0;
export const newPath = () => `surface-${Date.now()}-${(made += 1)}-${Math.random().toString(36).slice(2)}`;

/** A local realm; `add(id, values)` writes an inspection. */
export async function opened(config = {}) {
  return withAdd(await Realm.open({ path: newPath(), schema: SCHEMA, ...config }));
}

export function withAdd(realm) {
  realm.add = (_id, values = {}, mode = "never") => realm.write(() => realm.create("Inspection", { _id, ...values }, mode));
  return realm;
}

/** What `body` gets from `addListener` of anything, as a list that grows. */
export function heard(source, ...keyPaths) {
  const calls = [];
  source.addListener((_, changes) => calls.push(changes), ...keyPaths);
  return calls;
}

/** Resolves when `calls` has that many. */
export const many = (calls, count) => until(() => calls.length >= count, `${count} calls, not ${calls.length}`, 3);

/** Long enough for what must not happen. */
export const pause = (milliseconds = 40) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A user whose server answers log-ins and no websocket. */
export async function offlineUser(settings = {}, id = "nora") {
  const body = btoa(JSON.stringify({ sub: id, exp: Date.now() / 1000 + 3600 }));
  const answer = (url) => {
    if (url.endsWith("/login")) return { access_token: `h.${body}.s`, refresh_token: "r", user_id: id, device_id: "d" };
    if (url.endsWith("/config?client=web")) return { appId: "x", ...settings };
    return { identities: [], data: {} };
  };
  const app = new Realm.App({ id: newPath(), baseUrl: location.origin, fetch: async (url) => new Response(JSON.stringify(answer(url)), { status: 200 }) });
  return app.logIn(Realm.Credentials.anonymous());
}

export const IMMEDIATELY = { type: "openImmediately" };

/** A synced realm that never meets its server, subscribed to `names`. */
export async function offline(names = ["Inspection", "Team"], sync = {}, schema = SCHEMA, more = {}) {
  const user = sync.user ?? (await offlineUser());
  const realm = withAdd(new Realm({ schema, ...more, sync: { user, flexible: true, onError() {}, ...sync } }));
  await realm.whenLoaded();
  if (names.length) {
    realm.subscriptions.update((subs) => names.forEach((name) => subs.add(realm.objects(name)))).catch(() => {});
  }
  return realm;
}

/** A document of this origin: another tab. Its `Realm` is another instance of the module. */
export async function otherTab() {
  const frame = document.createElement("iframe");
  frame.src = "/";
  document.body.append(frame);
  await new Promise((resolve) => (frame.onload = resolve));
  const script = frame.contentDocument.createElement("script");
  script.type = "module";
  script.textContent = 'import Realm from "/realm_sync/realm.js"; window.Realm = Realm;';
  frame.contentDocument.body.append(script);
  await until(() => frame.contentWindow.Realm, "the other tab has the SDK");
  return { window: frame.contentWindow, Realm: frame.contentWindow.Realm, close: () => frame.remove() };
}

/** What a realm's database holds: [number, record] by store. */
export async function records(path) {
  const answer = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await answer(indexedDB.open(path));
  const transaction = database.transaction([...database.objectStoreNames]);
  const stores = [...database.objectStoreNames].map(async (name) => {
    const [keys, values] = await Promise.all([answer(transaction.objectStore(name).getAllKeys()), answer(transaction.objectStore(name).getAll())]);
    return [name, keys.map((key, at) => [key, values[at]])];
  });
  const found = Object.fromEntries(await Promise.all(stores));
  database.close();
  return found;
}
