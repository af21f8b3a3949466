// The page's half of browser.py: what is measured, by the clock of the page, in milliseconds.
//
// The baselines have one face: `put` (rows, durable when it resolves), `all`, `query`, `byKey`, `byPriority`. A database
// is filled without its index, which is made when it is opened the next time.

import Realm from "realm";

const app = new Realm.App();
const RARE = 9; // the priority of one row in a thousand
const SELECTED = `status == "planned" AND priority >= 2`; // three rows in ten
const isSelected = (row) => row.status === "planned" && row.priority >= 2;
const byTitle = (a, b) => (a.title < b.title ? -1 : Number(a.title > b.title));

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

class Plain {
  static async open(name, isIndexed) {
    const store = new Plain();
    const request = indexedDB.open(name, isIndexed ? 2 : 1);
    request.onupgradeneeded = ({ oldVersion }) => {
      const table = oldVersion ? request.transaction.objectStore("rows") : request.result.createObjectStore("rows", { keyPath: "id" });
      if (isIndexed) table.createIndex("priority", "priority");
    };
    store.database = await done(request);
    return store;
  }
  #rows(mode = "readonly") {
    return this.database.transaction("rows", mode).objectStore("rows");
  }
  put(rows) {
    const table = this.#rows("readwrite");
    for (const row of rows) table.put(row);
    return new Promise((resolve) => (table.transaction.oncomplete = resolve));
  }
  all = () => done(this.#rows().getAll());
  query = async () => (await this.all()).filter(isSelected).sort(byTitle);
  byKey = (key) => done(this.#rows().get(key));
  byPriority = (priority) => done(this.#rows().index("priority").getAll(priority));
}

class OfDexie {
  static async open(name, isIndexed) {
    const store = new OfDexie();
    const database = new Dexie(name);
    database.version(1).stores({ rows: "id" });
    if (isIndexed) database.version(2).stores({ rows: "id, priority" });
    await database.open();
    store.rows = database.rows;
    return store;
  }
  put = (rows) => (rows.length > 1 ? this.rows.bulkPut(rows) : this.rows.put(rows[0]));
  all = () => this.rows.toArray();
  query = () => this.rows.filter(isSelected).sortBy("title");
  byKey = (key) => this.rows.get(key);
  byPriority = (priority) => this.rows.where("priority").equals(priority).toArray();
}

class OfPouch {
  static async open(name) {
    const store = new OfPouch();
    store.database = new PouchDB(name, { auto_compaction: true });
    await store.database.info();
    return store;
  }
  async put(rows) {
    if (rows.length > 1) return this.database.bulkDocs(rows.map((row) => ({ _id: row.id, ...row })));
    const [row] = rows;
    row._rev = (await this.database.put({ _id: row.id, ...row })).rev;
  }
  all = async () => (await this.database.allDocs({ include_docs: true })).rows;
}

const BASELINES = { plain: Plain, dexie: OfDexie, pouchdb: OfPouch };

async function milliseconds(work, times = 1) {
  const begin = performance.now();
  for (let turn = 0; turn < times; turn += 1) await work(turn);
  return (performance.now() - begin) / times;
}

/** [the first use, the median of later ones]. */
async function firstAndLater(query, times, atOnce) {
  const taken = [await milliseconds(query)];
  while (taken.length <= times) taken.push(await milliseconds(query, atOnce));
  const [first, ...later] = taken;
  return [first, later.sort((a, b) => a - b)[later.length >> 1]];
}

const now = () => performance.timeOrigin + performance.now();

// --- bootstrap: from nothing to everything stored -----------------------------------------------------------------------

const receive = (url, most) =>
  new Promise((resolve) => {
    const rows = [];
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => rows.length < most && rows.push(...JSON.parse(data));
    socket.onclose = () => resolve(rows.slice(0, most));
  });

export async function fillBaseline({ kind, name, url, most }) {
  const store = await BASELINES[kind].open(name);
  return milliseconds(async () => store.put(await receive(url, most)));
}

let realm;
let listener;

const configuration = async (path) => ({
  path,
  sync: {
    user: app.currentUser ?? (await app.logIn(Realm.Credentials.emailPassword("nora", "benchmark"))),
    flexible: true,
    existingRealmFileBehavior: { type: "openImmediately" },
  },
});

const everything = () => realm.objects("Inspection");

export async function fillRealm({ path, count }) {
  realm = await Realm.open(await configuration(path));
  const taken = await milliseconds(async () => {
    await realm.subscriptions.update((subscriptions) => subscriptions.add(everything()));
    await realm.writesFlushed();
  });
  if (everything().length !== count) throw new Error(`${everything().length} rows instead of ${count}`);
  return taken;
}

// --- opening what is there ----------------------------------------------------------------------------------------------

export async function openRealm({ path, count }) {
  const config = await configuration(path);
  const taken = await milliseconds(async () => {
    realm = await Realm.open(config);
    if (everything().length !== count || !everything()[count - 1].title) throw new Error("not everything is there");
  });
  realm.syncSession.pause();
  return taken;
}

export async function openBaseline({ kind, name, count }) {
  return milliseconds(async () => {
    const store = await BASELINES[kind].open(name);
    if ((await store.all()).length !== count) throw new Error("not everything is there");
  });
}

// --- queries ------------------------------------------------------------------------------------------------------------

/** Of a query that scans, one by key and one by an index: its first use and later ones, each with new results. */
export async function queryRealm({ times, selected, rare }) {
  const { _id: key } = everything()[12];
  const evaluate = (count, text, ...args) => {
    const results = everything().filtered(text, ...args);
    if (results.length !== count || !results[0].title) throw new Error(`${results.length} objects: ${text}`);
  };
  const queries = {
    scan: () => evaluate(selected, `${SELECTED} SORT(title ASC)`),
    key: () => evaluate(1, "_id == $0", key),
    index: () => evaluate(rare, "priority == $0", RARE),
  };
  const taken = {};
  for (const [name, query] of Object.entries(queries)) taken[name] = await firstAndLater(query, times, name === "scan" ? 1 : 50);
  return taken;
}

export async function queryBaseline({ kind, name, times, selected, rare }) {
  const store = await BASELINES[kind].open(name, true);
  const key = (await store.byPriority(RARE))[0].id;
  const evaluate = async (count, query) => {
    if ((await query()).length !== count) throw new Error(`not ${count} rows`);
  };
  const queries = { scan: () => evaluate(selected, store.query), key: () => store.byKey(key), index: () => evaluate(rare, () => store.byPriority(RARE)) };
  const taken = {};
  for (const [name, query] of Object.entries(queries)) taken[name] = await firstAndLater(query, times, 1);
  return taken;
}

// --- writes -------------------------------------------------------------------------------------------------------------

export async function writeRealm({ times, turn }) {
  const object = everything()[turn];
  return milliseconds(async () => {
    for (let number = 0; number < times; number += 1) realm.write(() => (object.notes = `${turn}, ${number}`));
    await realm.writesFlushed();
  });
}

export async function writeBaseline({ kind, name, times }) {
  const store = await BASELINES[kind].open(name, kind !== "pouchdb");
  const [found] = kind === "pouchdb" ? (await store.database.allDocs({ include_docs: true, limit: 1 })).rows : await store.byPriority(RARE);
  const row = found.doc ?? found;
  return times * (await milliseconds((number) => store.put([Object.assign(row, { notes: `${number}` })]), times));
}

// --- from tab to tab ----------------------------------------------------------------------------------------------------

let heard = {}; // number → moment
const channel = new BroadcastChannel("benchmark");
channel.onmessage = ({ data }) => (heard[data] = now());

const written = () => everything().filtered("priority == $0", RARE)[0];

/** Listens in this tab: to what a query selects, or to everything. */
export async function listen({ query }) {
  if (listener) listener[0].removeListener(listener[1]);
  const results = query ? everything().filtered(query) : everything();
  const object = written();
  await new Promise((resolve) => {
    listener = [results, () => ((heard[object.notes] ??= now()), resolve())];
    results.addListener(listener[1]);
  });
}

export function whatWasHeard() {
  const moments = heard;
  heard = {};
  return moments;
}

/** The moments of writes, or of bare messages, by number, with a pause after each. */
export async function tell({ times, bare }) {
  const moments = {};
  const object = written();
  for (let number = 0; number < times; number += 1) {
    moments[number] = now();
    bare ? channel.postMessage(number) : realm.write(() => (object.notes = `${number}`));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return moments;
}
