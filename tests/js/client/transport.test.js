// The transport: when it connects, waits, gives up and starts anew, against a server that is made up message by message.

import { equal, ok, test, throws, until } from "../harness.js";
import { MemoryDisk } from "/realm_sync/client/disk.js";
import { Store } from "/realm_sync/client/store.js";
import { Tabs } from "/realm_sync/client/tabs.js";
import { delays, Transport } from "/realm_sync/client/transport.js";

const LIMITS = { maxMessageBytes: 700_000, maxSubscriptions: 10, maxQueryBytes: 1000, window: 4 };
const CLASSES = [{ name: "Team", keyName: "_id", properties: { _id: { type: "string" }, name: { type: "string", optional: true } } }];
const TIMEOUTS = { connect: 120_000, ping: 60_000, pong: 120_000, linger: 0, fastReconnect: 60_000 };
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
    if (this.sent.at(-1).type === "unbind") setTimeout(() => this.say({ type: "unbound" }));
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
async function started({ timeouts = {}, multiplexSessions = true, ...options } = {}, user = {}, accepting = true) {
  sockets = [];
  accepts = accepting;
  Object.assign(delays, { first: 20, longest: 100, jitter: 0 });
  const name = `transport-${Date.now()}-${(made += 1)}`;
  const store = new Store(name, true);
  store.addSchema(CLASSES);
  const tabs = new Tabs(name);
  const listeners = new Set();
  const who = {
    isLoggedIn: true, app: { syncUrl: "ws://nowhere", settings: {}, multiplexSessions, timeouts: { ...TIMEOUTS, ...timeouts } }, freshAccessToken: async () => "token", refreshAccessToken: async () => "new",
    addListener: (each) => listeners.add(each), removeListener: (each) => listeners.delete(each), tell: () => listeners.forEach((each) => each()), ...user,
  };
  const transport = new Transport(store, tabs, { user: who, ...options });
  const errors = [];
  transport.onError = (error) => errors.push(error);
  store.onChange = () => transport.wake();
  await store.load(new MemoryDisk());
  transport.start();
  await until(() => sockets.length || transport.connectionState !== "disconnected" || errors.length, "it connects");
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

// Which errors that are not fatal end the waits where that is wished, and which the app is told.
const failures = {
  "a lost connection": [({ socket }) => socket().close(), false, null],
  "a missing pong": [({ socket, transport }) => ((socket().onmessage = null), setTimeout(() => transport.wake(), 50)), false, null, { pong: 30 }],
  "an error of the server that says retry": [({ socket }) => socket().error("InternalServerError", "retry"), false, null],
  "a connection that fails": [({ socket }) => ((accepts = false), socket().close()), true, "Cannot connect to ws://nowhere"],
  "a connection that is not there in time": [({ socket }) => ((accepts = null), socket().close()), true, "Sync connection was not fully established in time", { connect: 30 }],
  "a token refresh without network": [({ socket, user }) => (withoutTokens(user, 2), socket().error("AuthError", "reauthenticate")), true, null],
  "compensating writes": [
    ({ socket }) => (socket().say({ type: "rejected", clientVersion: 1, writes: [{ class: "Team", _id: "a", property: null, code: "WriteNotAllowed", reason: "no" }] }), socket().download({ clientVersion: 1 })),
    true, "Client attempted a write that is not allowed; it has been reverted (Team a: no)."],
};
function withoutTokens(user, times) {
  user.refreshAccessToken = user.freshAccessToken = async () => {
    if ((times -= 1) >= 0) throw Object.assign(new Error("no network"), { status: 0 });
    return "token";
  };
}
for (const [what, [happen, ends, told, timeouts]] of Object.entries(failures)) {
  test(`${what} ${ends ? "ends the waits where that is wished" : "ends no wait"}${told ? ", and is told" : ""}`, async () => {
    for (const cancelWaitsOnNonFatalError of [true, false]) {
      const all = await bound({ cancelWaitsOnNonFatalError, timeouts });
      const { store, socket, transport, errors } = all;
      write(store, "a");
      await until(() => socket().of("upload").length, "an upload");
      const ended = [];
      for (const wait of [transport.waitForUpload(), transport.waitForSet(store.addSet([])), transport.waitForDownload()]) wait.catch((error) => ended.push(error));
      const count = sockets.length;
      happen(all);
      if (ends && cancelWaitsOnNonFatalError) {
        await until(() => ended.length === 3, "every wait has ended");
        ok(new Set(ended).size === 1 && !ended[0].isFatal && ended[0].name === "SyncError");
        if (told) equal(ended[0].message, told);
      } else await until(() => sockets.length > count || errors.length, "it comes back, or says so");
      if (told) {
        await until(() => errors.length, "the app is told");
        equal([errors[0].message, errors[0].isFatal], [told, false]);
      }
      if (!ends || !cancelWaitsOnNonFatalError) equal(ended, []);
      if (!told) equal(errors, []);
      equal(transport.active, true);
      await transport.stop();
    }
  });
}

test("a first start offline ends waits where that is wished, and is not told", async () => {
  const { transport, errors } = await started({ cancelWaitsOnNonFatalError: true }, {}, false);
  await throws(() => transport.waitForDownload(), "Cannot connect to ws://nowhere");
  equal(errors, []);
  await transport.stop();
});

test("pause ends the session and its waits; nothing connects until resume", async () => {
  const { socket, transport } = await bound();
  const wait = throws(() => transport.waitForDownload(), "Sync session became inactive");
  transport.pause();
  await wait;
  await until(() => socket().of("unbind").length, "it says good-bye");
  await until(() => transport.connectionState === "disconnected", "disconnected");
  const count = sockets.length;
  window.dispatchEvent(new Event("online"));
  await new Promise((resolve) => setTimeout(resolve, 60));
  equal(sockets.length, count);
  transport.resume();
  await until(() => sockets.length > count, "again");
});

// --- ending in the middle -------------------------------------------------------------------------------------------

/** The timers of this page that run. */
const timers = new Set();
for (const [set, clear] of [["setTimeout", "clearTimeout"], ["setInterval", "clearInterval"]]) {
  const [start, end] = [window[set].bind(window), window[clear].bind(window)];
  window[set] = (call, milliseconds, ...more) => {
    const timer = start((...all) => (set === "setTimeout" && timers.delete(timer), call(...all)), milliseconds, ...more);
    if (milliseconds > 100) timers.add(timer); // `until` waits less at a time
    return timer;
  };
  window[clear] = (timer) => (timers.delete(timer), end(timer));
}

const INACTIVE = "Sync session became inactive";
const endings = { pause: ({ transport }) => transport.pause(), close: ({ transport }) => transport.stop() };
for (const [verb, end] of Object.entries(endings)) {
  test(`${verb} while it connects`, async () => {
    timers.clear();
    const all = await started({}, {}, null);
    await until(() => all.socket(), "a socket");
    await endsAtOnce(all, end);
  });

  test(`${verb} while a token is asked for`, async () => {
    timers.clear();
    const all = await started({}, { freshAccessToken: () => new Promise(() => {}) });
    await endsAtOnce(all, end);
    equal(sockets, []);
  });

  test(`${verb} in the middle of a bootstrap`, async () => {
    timers.clear();
    const all = await bound();
    all.socket().download({ batchState: "more", changes: [{ class: "Team", put: [{ _id: "a" }] }] });
    await until(() => all.transport.progress.download, "a part is here");
    all.socket().say = () => {}; // the server is busy with the rest of it
    await endsAtOnce(all, end);
    equal(all.store.tables.get("Team").objects.size, 0);
  });

  test(`${verb} in the delay between two attempts`, async () => {
    timers.clear();
    const all = await bound();
    all.socket().error("ServerShutdown", "retry", { retryAfter: 60 });
    await until(() => all.transport.connectionState === "disconnected" && timers.size, "it waits");
    await endsAtOnce(all, end);
  });
}

/** That `end` closes the socket now, without a word of the server, ends the waits and leaves nothing that goes on. */
async function endsAtOnce(all, end) {
  const { transport, socket } = all;
  const wait = throws(() => transport.waitForDownload(), INACTIVE);
  const count = sockets.length;
  const ended = end(all);
  await wait;
  await until(() => transport.connectionState === "disconnected" && (socket()?.readyState ?? 3) === 3, "the socket is closed", 1);
  await all.transport.stop();
  await ended;
  await until(() => !timers.size, `no timer is left: ${timers.size}`, 1);
  equal(sockets.length, count);
}

// --- client reset ---------------------------------------------------------------------------------------------------

/** A bound session of a file that has content, and what its hooks are called with. */
async function withContent(mode) {
  const all = await bound({ clientReset: { mode } });
  const heard = [];
  all.transport.resets = {
    before: () => (heard.push("before"), "frozen"),
    after: (before, reset) => heard.push(`after ${before} ${reset}`),
    failed: (error) => heard.push(error),
    putAside: () => "backup",
  };
  all.store.addSet([{ id: "0".repeat(24), class: "Team", query: "TRUEPREDICATE", createdAt: "x", updatedAt: "x" }]);
  await until(() => all.socket().of("query").length, "the set is sent");
  all.socket().download({ queryVersion: 1, batchState: "last", changes: [{ class: "Team", put: [{ _id: "a" }] }] });
  await until(() => all.store.sets[0].state === "complete", "content");
  write(all.store, "mine");
  await until(() => all.socket().of("upload").some(({ changesets }) => changesets.length), "an upload");
  return { ...all, heard };
}

/** The server asks for a client reset, and meets the file anew. */
async function askToReset({ socket }) {
  const before = sockets.length;
  socket().error("DivergingHistories", "reset");
  await until(() => sockets.length > before && socket().of("bind").length, "a new session");
  equal(socket().of("bind")[0].clientFile, null);
  socket().say({ type: "ident", clientFile: { ident: 8, salt: "2" } });
  socket().bound({ epoch: "f" });
  await until(() => socket().of("query").length, "the subscriptions are sent again");
}

test("waits are carried over a client reset; a download is complete once the new content is here", async () => {
  const all = await withContent("recoverUnsyncedChanges");
  const { socket, transport, heard } = all;
  const done = [];
  transport.waitForUpload().then(() => done.push("upload"));
  transport.waitForDownload().then(() => done.push("download"));
  await askToReset(all);
  equal([socket().of("mark"), socket().of("upload"), heard], [[], [], []]);
  socket().download({ queryVersion: 1, batchState: "last", changes: [{ class: "Team", put: [{ _id: "b" }] }] });
  await until(() => socket().of("mark").length && socket().of("upload").some(({ changesets }) => changesets.length), "mark and upload");
  equal([heard, done], [["before", "after frozen recover"], []]);
  socket().say({ type: "mark", requestIdent: socket().of("mark")[0].requestIdent });
  socket().download({ queryVersion: 1, clientVersion: 1 });
  await until(() => done.length === 2, "both");
  equal(all.errors, []);
  await transport.stop();
});

test("a wait for a set that a client reset drops ends as superseded", async () => {
  const all = await withContent("discardUnsyncedChanges");
  let isDone = false;
  all.transport.waitForSet(all.store.addSet([])).then(() => (isDone = true));
  await all.store.writesFlushed();
  await askToReset(all);
  await until(() => isDone, "superseded");
  await all.transport.stop();
});

test("a set that is refused in a client reset: what was in use before is asked for instead", async () => {
  const all = await withContent("recoverUnsyncedChanges");
  const { store, socket, transport } = all;
  const wait = throws(() => transport.waitForSet(store.addSet([{ ...store.sets[0].subscriptions[0], query: "nonsense" }])), "no such thing");
  await store.writesFlushed();
  await askToReset(all);
  socket().say({ type: "queryError", queryVersion: 2, code: "InvalidSubscriptionQuery", message: "no such thing" });
  await wait;
  await until(() => socket().of("query").length === 2, "another set");
  equal(socket().of("query").map(({ queryVersion, subscriptions: [{ query }] }) => [queryVersion, query]), [[2, "nonsense"], [3, "TRUEPREDICATE"]]);
  socket().download({ queryVersion: 0 });
  socket().download({ queryVersion: 3, batchState: "last", changes: [{ class: "Team", put: [{ _id: "a" }] }] });
  await until(() => all.heard.length === 2, "through");
  equal([...store.tables.get("Team").objects.keys()].sort(), ["a", "mine"]);
  await until(() => socket().of("upload").some(({ changesets }) => changesets.length), "uploads begin");
  equal([store.sets.map(({ version, state }) => [version, state]), store.pending.length], [[[3, "complete"]], 1]);
  await transport.stop();
});

test("a file without content that has nothing pending is reset without a word", async () => {
  const all = await bound();
  const heard = [];
  all.transport.resets = { before: () => heard.push("before"), after: () => heard.push("after"), failed: (error) => heard.push(error), putAside: () => "" };
  all.store.addSet([]);
  await until(() => all.socket().of("query").length, "the set is sent");
  await askToReset(all);
  all.socket().download({ queryVersion: 1, batchState: "last" });
  await until(() => all.store.sets[0].state === "complete", "complete");
  equal(heard, []);
  await all.transport.stop();
});

test("a third client reset in a row fails, or discards where that is allowed; then a fourth fails", async () => {
  for (const [mode, most] of [["recoverUnsyncedChanges", 2], ["discardUnsyncedChanges", 2], ["recoverOrDiscardUnsyncedChanges", 3]]) {
    const all = await withContent(mode);
    const { store, transport, socket, heard } = all;
    for (let turn = 1; turn <= most; turn += 1) await askToReset(all);
    const wait = throws(() => transport.waitForDownload(), "A fatal error occurred during 'ClientReset' client reset for");
    socket().error("DivergingHistories", "reset");
    const error = await wait;
    equal([error.name, error.code, error.codeName, error.isFatal, error.logUrl], ["ClientReset", 1028, "AutoClientResetFailed", true, ""]);
    equal(error.message, `A fatal error occurred during 'ClientReset' client reset for '${store.path}': The server asked for it again and again: the ${most} client resets before this one did not get through.`);
    equal([error.config, error.userInfo], [{ path: "backup", readOnly: true }, { ORIGINAL_FILE_PATH: store.path, RECOVERY_FILE_PATH: "backup" }]);
    equal([heard, transport.active, store.pending.length], [[error], false, 1]);
    await transport.stop();
  }
  const all = await withContent("recoverOrDiscardUnsyncedChanges");
  for (let turn = 1; turn <= 3; turn += 1) await askToReset(all);
  all.socket().download({ queryVersion: 1, batchState: "last" });
  await until(() => all.heard.length === 2, "it got through");
  equal([all.heard, all.store.pending], [["before", "after frozen fallback"], []]);
  await all.transport.stop();
});

test("new content that cannot be stored fails the client reset", async () => {
  const all = await withContent("recoverUnsyncedChanges");
  await askToReset(all);
  all.store.apply = () => Promise.reject(new Error("the disk is full"));
  all.socket().download({ queryVersion: 1, batchState: "last" });
  await until(() => all.heard.length === 3, "told");
  equal([all.heard[0], all.heard[1].codeName, all.heard[2], all.transport.active], ["before", "AutoClientResetFailed", "after frozen null", false]);
  ok(all.heard[1].message.endsWith(": the disk is full"));
  await all.transport.stop();
});

test("a manual client reset ends the session and its waits, in every tab", async () => {
  const { store, transport, heard, socket } = await withContent("manual");
  const channel = new BroadcastChannel(`realm-sync:${store.path}`);
  const told = [];
  channel.onmessage = ({ data }) => data.type === "failed" && told.push(data);
  const wait = throws(() => transport.waitForDownload(), "DivergingHistories!");
  socket().error("DivergingHistories", "reset");
  const error = await wait;
  equal([heard, error.code, error.config.path, transport.active], [[error], 1032, "backup", false]);
  await until(() => told.length, "the others are told");
  equal(told[0], { type: "failed", code: "DivergingHistories", message: "DivergingHistories!", backup: "backup" });
  channel.postMessage({ type: "hello" }); // one that is opened now is told as well
  await until(() => told.length === 2, "told again");
  channel.close();
  await transport.stop();
});

// --- users ----------------------------------------------------------------------------------------------------------

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

// --- connections that outlive a session ----------------------------------------------------------------------------

/** A session that was stopped, its `unbound` answered; and its socket. */
async function unbound(timeouts, multiplexSessions = true) {
  const { transport, socket } = await bound({ timeouts, multiplexSessions });
  const first = socket();
  await transport.stop();
  equal(first.of("unbind").length, 1);
  return first;
}

test("the next session, of whichever file, takes the socket over", async () => {
  const first = await unbound({ linger: 10_000 });
  equal(first.readyState, 1);
  const { transport, errors, store } = await started();
  await until(() => first.of("bind").length === 2, "it binds again");
  equal([sockets.length, transport.connectionState], [0, "connected"]);
  first.say({ type: "ident", clientFile: { ident: 8, salt: "2" } });
  first.bound();
  write(store, "a");
  await store.writesFlushed();
  await until(() => first.of("upload").some(({ changesets }) => changesets.length), "an upload");
  await transport.stop();
  equal([first.readyState, errors], [3, []], "the second session does not linger");
});

test("without linger, and after it, the socket is closed", async () => {
  equal((await unbound({ linger: 0 })).readyState, 3);
  equal((await unbound({ linger: 10_000 }, false)).readyState, 3, "sessions share no socket");
  const first = await unbound({ linger: 40 });
  equal(first.readyState, 1);
  await until(() => first.readyState === 3, "its time is over");
});

test("a kept socket that closes, or says anything, is dropped", async () => {
  const closed = await unbound({ linger: 10_000 });
  closed.close();
  const talkative = await unbound({ linger: 10_000 });
  ok(talkative !== closed);
  talkative.say({ type: "pong", timestamp: 1 });
  equal(talkative.readyState, 3);
  const { transport } = await started();
  await until(() => sockets.length === 1, "a fresh one");
  transport.stop();
});

test("a kept socket that turns out to be dead is replaced at once", async () => {
  for (const isSilent of [false, true]) {
    const first = await unbound({ linger: 10_000 });
    delays.answer = isSilent ? 30 : 10_000;
    const all = await started();
    delays.first = 10_000;
    await until(() => first.of("bind").length === 2, "it binds");
    if (!isSilent) first.close();
    await until(() => all.socket()?.of("bind").length, "it binds on another");
    equal([all.errors, first.readyState, all.transport.connectionState], [[], 3, "connected"]);
    all.transport.stop();
  }
  delays.answer = 5000;
});

// --- first what happened, then uploads -------------------------------------------------------------------------------

test("who was away for long first asks for what happened, and then uploads", async () => {
  for (const [fastReconnect, expected] of [[1, ["bind", "mark", "upload"]], [10_000, ["bind", "upload"]]]) {
    const { store, socket, transport } = await bound({ timeouts: { fastReconnect } });
    equal(socket().of("mark"), [], "a new file has nothing to see first");
    const first = socket();
    first.close();
    await until(() => transport.connectionState === "disconnected", "the loss");
    write(store, "a");
    await store.writesFlushed();
    await until(() => socket() !== first && socket().of("bind").length, "a second connection");
    socket().bound();
    if (expected.includes("mark")) {
      await until(() => socket().of("mark").length, "mark");
      socket().download();
      socket().say({ type: "mark", requestIdent: 0 });
    }
    await until(() => socket().of("upload").some(({ changesets }) => changesets.length), "an upload");
    equal([...new Set(socket().sent.map(({ type }) => type))], expected);
    transport.stop();
  }
});

// --- mishaps --------------------------------------------------------------------------------------------------------

test("a session that failed on the disk is resumed, and the other tabs hear of the failure", async () => {
  const all = await bound();
  const channel = new BroadcastChannel(`realm-sync:${all.store.path}`);
  const told = [];
  channel.onmessage = ({ data }) => data.type === "failed" && told.push(data.code);
  const { apply } = all.store;
  all.store.apply = () => Promise.reject(new Error("the disk is full"));
  const count = sockets.length;
  all.socket().download();
  await until(() => all.errors.length, "an error");
  equal([all.errors[0].codeName, all.errors[0].isFatal, all.transport.active], ["RuntimeError", true, false]);
  await until(() => told.length, "told");
  all.store.apply = apply;
  const done = all.transport.waitForDownload();
  done.catch(() => {});
  all.transport.resume();
  await until(() => sockets.length > count && all.socket().of("bind").length, "it connects again");
  channel.close();
  await all.transport.stop();
});

test("a full disk in a client reset ends the session; the file is not put aside, and resumed it gets through", async () => {
  for (const method of ["apply", "beginReset"]) {
    const all = await withContent("recoverUnsyncedChanges");
    if (method === "apply") await askToReset(all);
    const { store, transport } = all;
    const work = store[method];
    store[method] = () => Promise.reject(Object.assign(new Error("The browser's storage is full."), { codeName: "OutOfDiskSpace" }));
    if (method === "apply") all.socket().download({ queryVersion: 1, batchState: "last" });
    else all.socket().error("DivergingHistories", "reset");
    await until(() => !transport.active, "it ended");
    equal([all.errors.at(-1)?.codeName, all.heard.filter((each) => each.codeName)], ["RuntimeError", []]);
    store[method] = work;
    const count = sockets.length;
    transport.resume();
    await until(() => sockets.length > count && all.socket().of("bind").length, "it connects again");
    equal(store.pending.length, 1);
    await transport.stop();
  }
});

test("a tab that does not lead: a log-out ends its waits, and none is lost with those of the leader", async () => {
  const leader = await bound();
  const tabs = new Tabs(leader.store.path);
  const listeners = new Set();
  const user = { ...leader.user, addListener: (each) => listeners.add(each), removeListener: (each) => listeners.delete(each) };
  const store = new Store(leader.store.path, true);
  await store.load(new MemoryDisk());
  const transport = new Transport(store, tabs, { user });
  transport.start();
  let ended = 0;
  transport.waitForDownload().then(() => (ended += 1), () => (ended -= 1));
  await until(() => leader.socket().of("mark").length === 1, "asked");
  leader.transport.finish(() => {}); // its last realm is closed; it has nothing to upload, but stays a while
  await until(() => leader.socket().of("mark").length === 2, "asked again");
  const { requestIdent } = leader.socket().of("mark")[1];
  leader.socket().say({ type: "mark", requestIdent });
  await until(() => ended === 1, "answered");
  const wait = throws(() => transport.waitForDownload(), "User is no longer valid or is logged out");
  user.isLoggedIn = false;
  listeners.forEach((each) => each());
  await wait;
  equal(transport.active, false);
  const heard = [];
  transport.onError = (error) => heard.push(error.codeName);
  leader.tabs.send({ type: "failed", code: "AuthError", message: "no more", backup: null }); // that is why
  await until(() => heard.length, "told");
  user.isLoggedIn = true;
  listeners.forEach((each) => each());
  equal(transport.active, true);
  await Promise.all([transport.stop(), leader.transport.stop()]);
  tabs.close();
});

test("a clock that is set back prolongs no delay", async () => {
  const { transport } = await started({}, {}, false);
  const { now } = Date;
  try {
    await until(() => transport.connectionState === "disconnected", "it waits");
    const count = sockets.length;
    Date.now = () => now() - 3_600_000;
    await until(() => sockets.length > count, "another attempt", 2);
  } finally {
    Date.now = now;
  }
  await transport.stop();
});
