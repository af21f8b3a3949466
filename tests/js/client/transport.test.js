// The transport: when it connects, waits, gives up and starts anew, against a server that is made up message by message.

import { equal, ok, test, throws, until } from "../harness.js";
import { MemoryDisk } from "/realm_sync/client/disk.js";
import { Store } from "/realm_sync/client/store.js";
import { Tabs } from "/realm_sync/client/tabs.js";
import { delays, Transport } from "/realm_sync/client/transport.js";

const LIMITS = { maxMessageBytes: 700_000, maxSubscriptions: 10, maxQueryBytes: 1000, window: 4 };
const CLASSES = [{ name: "Team", keyName: "_id", properties: { _id: { type: "string" }, name: { type: "string", optional: true } } }];
/** @type {FakeSocket[]} */
let sockets = [];
let accepts = true;

/** What the transport takes for a websocket. */
class FakeSocket {
  static CONNECTING = 0;
  static OPEN = 1;
  readyState = 0;
  sent = [];

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    sockets.push(this);
    if (accepts !== null) setTimeout(() => (accepts ? this.open() : this.close()));
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    setTimeout(() => this.onclose?.());
  }

  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  bound(values = {}) {
    this.say({ type: "bound", epoch: "e", serverVersion: 1, clientVersion: 0, queryVersion: 0, serverTime: 0, schema: [], limits: LIMITS, ...values });
  }

  download(values = {}) {
    this.say({ type: "download", queryVersion: 0, batchState: "steady", serverVersion: 2, clientVersion: 0, progress: 1, view: 1, ...values });
  }

  error(code, action, values = {}) {
    this.say({ type: "error", code, message: `${code}!`, fatal: action === "stop", action, ...values });
  }

  of(type) {
    return this.sent.filter((message) => message.type === type);
  }
}
window.WebSocket = /** @type {any} */ (FakeSocket);

let made = 0;

/** A transport that runs, on a store in memory; `user` may be given other tokens. */
async function started(options = {}, user = {}) {
  sockets = [];
  accepts = true;
  Object.assign(delays, { first: 20, longest: 100, jitter: 0 });
  const name = `transport-${Date.now()}-${(made += 1)}`;
  const store = new Store(name, true);
  store.addSchema(CLASSES);
  const tabs = new Tabs(name);
  const listeners = new Set();
  const who = {
    isLoggedIn: true, app: { syncUrl: "ws://nowhere", settings: {} }, freshAccessToken: async () => "token", refreshAccessToken: async () => "new",
    addListener: (each) => listeners.add(each), removeListener: (each) => listeners.delete(each), tell: () => listeners.forEach((each) => each()), ...user,
  };
  const transport = new Transport(store, tabs, { user: who, ...options });
  const errors = [];
  transport.onError = (error) => errors.push(error);
  store.onChange = () => transport.wake();
  await store.load(new MemoryDisk());
  transport.start();
  await until(() => sockets.length || transport.connectionState === "connecting" || errors.length, "it connects");
  return { store, tabs, transport, errors, user: who, socket: () => sockets.at(-1) };
}

async function bound(options, user) {
  const all = await started(options, user);
  await until(() => all.socket()?.of("bind").length, "bind");
  all.socket().say({ type: "ident", clientFile: { ident: 7, salt: "1" } });
  all.socket().bound();
  await until(() => all.store.file.clientFile, "the file has an ident");
  return all;
}

function write(store, key) {
  const writer = store.writer();
  writer.create(store.tables.get("Team"), { _id: key, name: key });
  writer.finish(0);
}

test("it binds with the token, uploads what is durable, and drops it when the server has it", async () => {
  const { store, socket, transport } = await bound();
  equal(socket().protocols, ["realm-sync.v1"]);
  equal(socket().of("bind")[0].token, "token");
  write(store, "a");
  let uploaded = false;
  transport.waitForUpload().then(() => (uploaded = true));
  await until(() => socket().of("upload").length, "an upload");
  equal(socket().of("upload")[0].changesets.map(({ clientVersion, instructions }) => [clientVersion, instructions[0]._id]), [[1, "a"]]);
  equal(uploaded, false);
  socket().download({ clientVersion: 1, changes: [{ class: "Team", put: [{ _id: "a", name: "A" }] }] });
  await until(() => uploaded, "the wait ends");
  equal(store.pending, []);
  equal(store.tables.get("Team").objects.get("a").name, "A");
  await transport.stop();
  equal(transport.connectionState, "disconnected");
});

test("parts are seen together with the last", async () => {
  const { store, socket } = await bound();
  const part = (batchState, id) => socket().download({ batchState, queryVersion: 0, view: 3, progress: 0.5, changes: [{ class: "Team", put: [{ _id: id }] }] });
  part("more", "a");
  part("more", "b");
  await until(() => socket().of("upload").length || true);
  await new Promise((resolve) => setTimeout(resolve, 30));
  equal(store.tables.get("Team").objects.size, 0);
  part("last", "c");
  await until(() => store.tables.get("Team").objects.size === 3, "all of it");
  equal(store.file.view, 3);
});

test("a lost connection is tried again, later each time, until it works", async () => {
  const { socket, transport } = await bound();
  Object.assign(delays, { first: 40, longest: 10_000 });
  const times = [];
  accepts = false;
  const before = sockets.length;
  socket().close();
  for (let count = 1; count <= 4; count += 1) {
    await until(() => sockets.length === before + count, "another attempt");
    times.push(performance.now());
  }
  ok(times[2] - times[1] > 60 && times[3] - times[2] > 120, `the delays grow: ${times.map((time) => Math.round(time - times[0]))}`);
  accepts = true;
  await until(() => socket().of("bind").length, "bind again");
  equal(socket().of("bind")[0].clientFile, { ident: 7, salt: "1" });
  equal(transport.connectionState, "connected");
  socket().bound();
  socket().download();
  socket().close();
  const lost = performance.now();
  const count = sockets.length;
  await until(() => sockets.length > count, "soon");
  ok(performance.now() - lost < 500, "success makes the first delay short again");
});

test("the browser is online again: no more waiting", async () => {
  const { socket } = await bound();
  Object.assign(delays, { first: 60_000, longest: 60_000 });
  const count = sockets.length;
  await new Promise((resolve) => setTimeout(resolve, 30));
  socket().error("ServerShutdown", "retry", { retryAfter: 60 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  equal(sockets.length, count);
  window.dispatchEvent(new Event("online"));
  await until(() => sockets.length > count, "at once");
});

test("a fatal error ends waits and session, `resume` starts it again", async () => {
  const { socket, transport, errors } = await bound();
  const wait = throws(() => transport.waitForDownload(), "BadChangeset!");
  socket().error("BadChangeset", "stop");
  const error = await wait;
  equal([error.name, error.code, error.isFatal], ["SyncError", 1015, true]);
  equal([transport.active, errors.length], [false, 1]);
  await throws(() => transport.waitForDownload(), "BadChangeset!");
  const count = sockets.length;
  transport.resume();
  await until(() => sockets.length > count, "again");
  equal(transport.active, true);
});

test("non-fatal errors end waits only where that is wished", async () => {
  for (const cancelWaitsOnNonFatalError of [true, false]) {
    const { socket, transport } = await bound({ cancelWaitsOnNonFatalError });
    let ended = null;
    transport.waitForDownload().catch((error) => (ended = error.message));
    socket().error("InternalServerError", "retry");
    await new Promise((resolve) => setTimeout(resolve, 60));
    equal(ended, cancelWaitsOnNonFatalError ? "InternalServerError!" : null);
  }
});

test("pause ends the session and its waits; nothing connects until resume", async () => {
  const { socket, transport } = await bound();
  const wait = throws(() => transport.waitForDownload(), "Sync session became inactive");
  transport.pause();
  await wait;
  await until(() => socket().of("unbind").length, "it says good-bye");
  socket().say({ type: "unbound" });
  await until(() => transport.connectionState === "disconnected", "disconnected");
  const count = sockets.length;
  window.dispatchEvent(new Event("online"));
  await new Promise((resolve) => setTimeout(resolve, 60));
  equal(sockets.length, count);
  transport.resume();
  await until(() => sockets.length > count, "again");
});

test("a server that does not answer the handshake is given up in time", async () => {
  const all = await started({ cancelWaitsOnNonFatalError: true }, { app: { syncUrl: "ws://nowhere", settings: { timeouts: { connect: 40 } } } });
  accepts = null;
  all.socket().close();
  await until(() => sockets.length > 1, "the next attempt hangs");
  await throws(() => all.transport.waitForDownload(), "Sync connection was not fully established in time");
});

test("a token the server refuses is refreshed; a refused refresh logs the session out", async () => {
  let refreshed = 0;
  const { socket } = await bound({}, { refreshAccessToken: async () => (refreshed += 1) });
  const count = sockets.length;
  socket().error("AuthError", "reauthenticate");
  await until(() => sockets.length > count, "again with another token");
  equal(refreshed, 1);
  const refused = await bound({}, { refreshAccessToken: () => Promise.reject(Object.assign(new Error("no more"), { status: 401 })) });
  refused.socket().error("AuthError", "reauthenticate");
  await until(() => refused.errors.length, "an error");
  equal([refused.errors[0].codeName, refused.errors[0].isFatal, refused.transport.active], ["AuthError", true, false]);
});

test("logging in again revives a session whose user was logged out", async () => {
  const { transport, user } = await bound();
  user.isLoggedIn = false;
  user.tell();
  await until(() => !transport.active, "inactive");
  const count = sockets.length;
  user.isLoggedIn = true;
  user.tell();
  await until(() => sockets.length > count && transport.active, "active");
});

test("what is no message ends the session with a coded error", async () => {
  for (const [text, code] of [["{", "BadSyntax"], ['{"type":"mystery"}', "UnknownMessage"], ['{"type":"pong","timestamp":"soon"}', "BadSyntax"]]) {
    const { socket, errors } = await bound();
    socket().onmessage({ data: text });
    await until(() => errors.length, text);
    equal(errors[0].codeName, code);
  }
});

test("a refused set is an error of that set", async () => {
  const { store, socket, transport } = await bound();
  const set = store.addSet([{ id: "0".repeat(24), class: "Team", query: "name == 1", createdAt: "x", updatedAt: "x" }]);
  const wait = throws(() => transport.waitForSet(set), "there is no such property");
  await until(() => socket().of("query").length, "the set is sent");
  equal(socket().of("query")[0].queryVersion, 1);
  socket().say({ type: "queryError", queryVersion: 1, code: "InvalidSubscriptionQuery", message: "there is no such property" });
  await wait;
  equal([store.newestSet().state, store.newestSet().error], ["error", "there is no such property"]);
});

test("a compensating write is told once its correction is here, once", async () => {
  const { store, socket, errors } = await bound();
  write(store, "a");
  await until(() => socket().of("upload").length, "an upload");
  const writes = [{ class: "Team", _id: "a", property: null, code: "WriteNotAllowed", reason: "not yours" }];
  socket().say({ type: "rejected", clientVersion: 1, writes });
  await new Promise((resolve) => setTimeout(resolve, 30));
  equal(errors, []);
  socket().download({ clientVersion: 1 });
  await until(() => errors.length, "told");
  equal(errors[0].writes, [{ objectName: "Team", primaryKey: "a", reason: "not yours", codeName: "WriteNotAllowed" }]);
  equal(store.tables.get("Team").objects.size, 0);
  socket().say({ type: "rejected", clientVersion: 1, writes });
  await new Promise((resolve) => setTimeout(resolve, 30));
  equal(errors.length, 1);
});

test("closing waits for uploads, and a realm opened meanwhile takes the session over", async () => {
  const { store, socket, transport } = await bound();
  write(store, "a");
  let finished = 0;
  transport.finish(() => (finished += 1));
  equal(finished, 0);
  transport.revive();
  await until(() => socket().of("upload").length, "an upload");
  socket().download({ clientVersion: 1 });
  await until(() => !store.pending.length, "acknowledged");
  equal(finished, 0);
  transport.finish(() => (finished += 1));
  equal(finished, 1);
});
