// Transport: what keeps one realm in sync while it is open.
//
// Drives core/clientSession.js over a WebSocket: connects, performs the effects on the store, reconnects (1 s doubling to
// 5 min, minus up to 25 % jitter, reset by success, at once when the browser is online again), refreshes tokens, carries
// out client resets, and completes what others wait for. Has no sync rules of its own. Of the tabs that have the realm
// open only the leader connects; the others learn through the store what became of their writes, and hear the rest.

import { ClientSession } from "../core/clientSession.js"
import { ClientResetError, CompensatingWriteError, ProtocolError, realmError, SyncError } from "../core/errors.js"
import { decodeFromServer, encode, SUBPROTOCOL } from "../core/messages.js"
import { decode } from "../core/values.js"
import { loggedOut, VERSION } from "./app.js"
import { keep, take } from "./connections.js"
import { log } from "./logging.js"

/** @typedef {"disconnected" | "connecting" | "connected"} ConnectionState */
/** @typedef {{direction: "download" | "upload", estimate: number, transferred: number, transferable: number}} Progress */
/** @typedef {{kind: "upload" | "set" | "download", target: any, resolve: () => void, reject: (error: any) => void}} Wait */
/** @typedef {{kind: "Ended", action: string, error: any, retryAfter?: number | null}} Ended */

/** `answer`: how long a kept connection may be silent before a session turns to a fresh one: its other end may be gone. */
export const delays = { first: 1000, longest: 300_000, jitter: 0.25, answer: 5000 };
const TICK_MILLISECONDS = 1000;
const LONGEST_SLEEP = 60_000;
const INACTIVE = "Sync session became inactive";
/** @type {Ended} */
const DONE = { kind: "Ended", action: "done", error: null };

export class Transport {
  onError = (/** @type {SyncError} */ error) => console.warn(`realm_sync: ${error.message}`);
  onProgress = (/** @type {Progress} */ _progress) => {};
  onConnection = (/** @type {ConnectionState} */ _now, /** @type {ConnectionState} */ _before) => {};
  /** What client resets say to the realms of the file, and where it will be put aside.
   * @type {{before: () => any, after: (before: any, reset: string | null) => void, failed: (error: ClientResetError) => void, putAside: () => string}} */
  resets = { before: () => null, after: () => {}, failed: (error) => this.onError(error), putAside: () => this.path };
  /** The classes that the app declares, as `bind` sends them; null: it takes the server's. @type {any} */
  schema = null;
  /** @type {ConnectionState} */
  connectionState = "disconnected";
  /** False while paused, after a fatal error, and while the user is logged out. */
  active = true;
  /** @type {Record<string, Progress>} */
  progress = {};

  #store;
  #tabs;
  #sync;
  #paused = false;
  /** The fatal error that ended the session. @type {any} */
  #failed = null;
  #stopping = false;
  /** Called when nothing is pending any more. @type {(() => void) | null} */
  #finished = null;
  /** @type {Wait[]} */
  #waits = [];
  #nextMark = 1;
  /** @type {Set<number>} */
  #asked = new Set();
  #delay = delays.first;
  #skipDelay = false;
  /** A token refresh or client reset was the reaction to the last session; again would be a loop. */
  #reacted = false;
  /** @type {ClientSession | null} */
  #session = null;
  /** @type {{changes: any[], texts: string[]}} */
  #parts = { changes: [], texts: [] };
  #received = 0;
  #uploadBatch = 0;
  #told = 0; // when progress was
  #wasConnected = false; // once, from whichever tab
  #lost = 0; // when the last session that had caught up ended: Date.now(), which goes on while a machine sleeps
  #woken = false;
  #resume = () => {};
  /** @type {Promise<void>} */
  #running = Promise.resolve();
  #wakeNow = () => this.reconnect();
  #wakeUser = () => {
    if (!this.#tabs.isLeader) this.#followUser(); // the leader does in its loop
    this.wake();
  };

  /** @param {import('./store.js').Store} store @param {import('./tabs.js').Tabs} tabs
   * @param {import('./configuration.js').SyncConfiguration} sync */
  constructor(store, tabs, sync) {
    this.#store = store;
    this.#tabs = tabs;
    this.#sync = sync;
    store.onRebuild = () => {
      // What was pending is pending under other numbers: who waits, waits for all of it.
      for (const wait of this.#waits) if (wait.kind === "upload") wait.target = store.pending.at(-1);
    };
    tabs.on("leader", () => this.#askAgain());
    tabs.on("mark", ({ ident, tab }) => {
      if (tabs.isLeader) this.waitForDownload().then(() => tabs.send({ type: "marked", ident, tab }), () => this.#unmarked(ident, tab));
    });
    tabs.on("unmarked", ({ ident, tab }) => tab === this.#name && this.#askAgain(ident));
    tabs.on("marked", ({ ident, tab }) => tab === this.#name && store.catchUp().then(() => this.#settleMark(ident)));
    tabs.on("connection", ({ state }) => this.#setConnection(state));
    tabs.on("progress", ({ progress }) => this.#tell(progress));
    tabs.on("failed", ({ code, message, backup }) => {
      if (!this.#failed) this.#fail(backup ? new ClientResetError(code, message, this.path, backup) : new SyncError(code, message, true));
      this.#followUser(); // who may be logged out since
    });
    tabs.on("unreachable", ({ code, message, isTold }) => this.#unreachable(new SyncError(code, message, false), isTold));
    tabs.on("rejected", ({ reports }) => store.catchUp().then(() => this.#nonFatal(this.#compensating(reports), true)));
    tabs.on("steer", ({ verb }) => this.#steer(verb));
    tabs.on("hello", () => {
      if (!tabs.isLeader) return;
      tabs.send({ type: "connection", state: this.connectionState });
      if (this.#paused) tabs.send({ type: "steer", verb: "pause" });
      if (this.#failed) this.#sendFailure(this.#failed);
    });
  }

  get user() {
    return this.#sync.user;
  }

  get path() {
    return this.#store.path;
  }

  /** Somebody wants this session to have a connection. */
  get #isWanted() {
    return !this.#stopping && this.active && this.user.isLoggedIn;
  }

  get #timeouts() {
    return this.user.app.timeouts;
  }

  get #cancelsWaits() {
    return this.#sync.cancelWaitsOnNonFatalError ?? this.user.app.settings?.cancelWaitsOnNonFatalError ?? false;
  }

  get pendingTransactions() {
    return this.#store.pending.length;
  }

  #name = Math.random().toString(36).slice(2); // of this tab

  // --- what a session wants of it -----------------------------------------------------------------------------------

  start() {
    this.user.addListener(this.#wakeUser);
    addEventListener("online", this.#wakeNow);
    this.#tabs.send({ type: "hello" });
    this.#running = this.#run();
  }

  /** Ends the session; resolves when its socket is closed. Open waits fail. */
  async stop() {
    this.#stopping = true;
    this.#failWaits(realmError(INACTIVE));
    this.wake();
    if (this.#tabs.isLeader) await this.#running;
    this.user.removeListener(this.#wakeUser);
    removeEventListener("online", this.#wakeNow);
  }

  /** Calls `finished` as soon as nothing is pending, or at once where nobody would upload it. @param {() => void} finished */
  finish(finished) {
    this.#failWaits(realmError(INACTIVE));
    this.#finished = finished;
    this.wake();
  }

  /** Takes `finish` back. */
  revive() {
    if (!this.#finished) return;
    this.#finished = null;
    this.resume();
  }

  /** There may be something new in the store, or in what is wanted. */
  wake() {
    this.#settleWaits();
    if (this.#finished && (!this.#store.pending.length || !this.active || !this.#tabs.isLeader)) {
      const finished = this.#finished;
      this.#finished = null;
      finished();
    }
    this.#woken = true;
    this.#resume();
  }

  pause() {
    this.#tabs.send({ type: "steer", verb: "pause" });
    this.#steer("pause");
  }

  resume() {
    this.#tabs.send({ type: "steer", verb: "resume" });
    this.#steer("resume");
  }

  /** Ends the current delay: the next attempt is now. */
  reconnect() {
    this.#tabs.send({ type: "steer", verb: "reconnect" });
    this.#steer("reconnect");
  }

  /** One realm has one session, whichever tab steers it. @param {"pause" | "resume" | "reconnect"} verb */
  #steer(verb) {
    if (verb === "pause") {
      this.#paused = true;
      this.active = false;
      this.#failWaits(realmError(INACTIVE));
    } else {
      if (verb === "resume") {
        this.#paused = false;
        this.#failed = null;
        this.active = this.user.isLoggedIn;
        this.#delay = delays.first;
      }
      this.#skipDelay = true;
    }
    this.wake();
  }

  /** Resolves when the server has acknowledged everything committed so far. @returns {Promise<void>} */
  waitForUpload() {
    return this.#wait("upload", this.#store.pending.at(-1));
  }

  /** Resolves when the set is complete or superseded; rejects if the server refuses it.
   * @param {import('./fileRecord.js').StoredSet} set @returns {Promise<void>} */
  waitForSet(set) {
    return this.#wait("set", set);
  }

  /** Resolves when everything that the server had when it got the question is here. @returns {Promise<void>} */
  waitForDownload() {
    const ident = this.#nextMark++;
    const done = this.#wait("download", ident);
    if (!this.#tabs.isLeader) this.#tabs.send({ type: "mark", ident, tab: this.#name });
    return done;
  }

  /** @param {Wait["kind"]} kind @param {any} target @returns {Promise<void>} */
  #wait(kind, target) {
    if (this.#stopping) return Promise.reject(realmError(INACTIVE));
    return new Promise((resolve, reject) => {
      this.#waits.push({ kind, target, resolve, reject });
      if (this.#failed) this.#failWaits(this.#failed);
      this.wake();
    });
  }

  /** @param {any} error */
  #failWaits(error) {
    const waits = this.#waits;
    this.#waits = [];
    for (const wait of waits) wait.reject(error);
  }

  /** Completes the waits that the store's contents fulfil. */
  #settleWaits() {
    const { pending, file, sets } = this.#store;
    const newest = Math.max(0, ...sets.map(({ version }) => version));
    const isReportDue = this.#cancelsWaits && this.#store.dueReports().length > 0; // which ends these waits otherwise
    this.#waits = this.#waits.filter((wait) => {
      const { kind, target, resolve, reject } = wait;
      if (kind === "upload" && !isReportDue && (!target || !pending.includes(target))) return resolve();
      if (kind === "set") {
        const set = sets.find(({ version }) => version === target.version) ?? target;
        // One above all that there are was dropped by a client reset: superseded.
        if (target.version <= file.queryVersion || target.version > newest || set.state === "complete") return resolve();
        if (set.state === "error") return reject(new Error(set.error ?? "The subscription set was refused."));
      }
      return true;
    });
  }

  /** @param {number} ident */
  #settleMark(ident) {
    this.#waits = this.#waits.filter(({ kind, target, resolve }) => kind !== "download" || target !== ident || resolve());
  }

  /** A client reset's content must be here first: what the server had at the question is in it. */
  #openMarks() {
    if (this.#store.isAwaitingReset) return [];
    return this.#waits.flatMap(({ kind, target }) => (kind === "download" ? [target] : []));
  }

  /** Another tab leads now: what was asked of the one before is asked of it. @param {number | null} [ident] only this */
  #askAgain(ident = null) {
    for (const { kind, target } of this.#waits) {
      if (kind === "download" && target === (ident ?? target)) this.#tabs.send({ type: "mark", ident: target, tab: this.#name });
    }
  }

  /** What another tab had asked ended with the waits of this one: it asks again, unless the session failed for all, or
   * another tab will lead. @param {number} ident @param {string} tab */
  #unmarked(ident, tab) {
    if (this.#failed) this.#sendFailure(this.#failed);
    else if (!this.#stopping) this.#tabs.send({ type: "unmarked", ident, tab });
  }

  // --- the loop of the leader ---------------------------------------------------------------------------------------

  async #run() {
    if (!(await this.#tabs.lead())) return;
    if (this.#failed?.codeName === "RuntimeError") this.#failed = null; // that was another tab
    await this.#guarded(async () => {
      await this.#store.catchUp();
      this.#tabs.send({ type: "leader" });
      await this.#report(this.#store.dueReports());
    });
    while (!this.#stopping) await this.#guarded(() => this.#turn());
  }

  /** A bug or a full disk ends the session, which may be resumed. @param {() => Promise<void>} work */
  async #guarded(work) {
    try {
      await work();
    } catch (failure) {
      console.error("realm_sync: the session ended unexpectedly", failure);
      this.#setConnection("disconnected");
      const text = `The session failed: ${/** @type {any} */ (failure)?.message}`;
      if (!this.#stopping) this.#fail(new SyncError("RuntimeError", text, true), true);
    }
  }

  /** One connection, and what follows from its end; or a while without one. */
  async #turn() {
    this.#woken = false;
    this.#followUser();
    if (!this.active) {
      if (this.#finished) this.wake(); // the last realm was closed meanwhile, and nothing will be uploaded
      return this.#sleep(LONGEST_SLEEP);
    }
    this.#skipDelay = false;
    const ended = await this.#connect();
    this.#setConnection("disconnected");
    if (!this.#stopping) await this.#react(ended);
  }

  #followUser() {
    if (!this.user.isLoggedIn) {
      if (this.active) this.#failWaits(loggedOut());
      this.active = false;
      this.#failed = null; // whatever failed, logging in again revives the session
    } else if (!this.#paused && !this.#failed) this.active = true;
  }

  /** Until woken, or the time is over, or a minute. @param {number} milliseconds */
  async #sleep(milliseconds) {
    if (!this.#woken) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.min(milliseconds, LONGEST_SLEEP));
        this.#resume = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
      });
    }
    this.#resume = () => {};
  }

  /** What a request for a token gives; undefined if the session is to end before. A log-out does not end it: a refusal logs
   * out first. @template T @param {Promise<T>} promise */
  async #unlessEnded(promise) {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
      this.#resume();
    };
    promise.then(settle, settle);
    while (!isSettled && !this.#stopping && this.active) {
      this.#woken = false;
      await this.#sleep(LONGEST_SLEEP);
    }
    return isSettled ? promise : undefined;
  }

  /** The back-off, which `reconnect` and `stop` end. @param {number | null} [atLeast] */
  async #backOff(atLeast) {
    const until = performance.now() + Math.max(this.#delay * (1 - delays.jitter * Math.random()), atLeast ?? 0);
    this.#delay = Math.min(this.#delay * 2, delays.longest);
    for (;;) {
      const left = until - performance.now();
      if (left <= 0 || this.#skipDelay || !this.#isWanted) return;
      this.#woken = false;
      await this.#sleep(left);
    }
  }

  /** What to do after a session. @param {Ended} ended */
  async #react({ action, error, retryAfter }) {
    const code = error?.code ?? "ConnectionClosed";
    const message = error?.message ?? "The connection was lost.";
    log(action === "retry" || action === "done" ? "info" : "warn", `Session of '${this.#store.path}' ended (${action}): ${code}: ${message}`);
    if (action === "stop") this.#fail(new SyncError(code, message, true), true);
    else if (action === "retry") await this.#backOff(retryAfter);
    else if (action === "reset" || action === "reauthenticate") {
      if (action === "reset") await this.#beginReset(code, message, error && "clientVersion" in error ? error.clientVersion : null);
      else await this.#unlessEnded(this.user.refreshAccessToken()).catch((refused) => this.#tokenRefused(refused));
      if (this.#reacted) await this.#backOff(retryAfter); // the second attempt in a row
      this.#reacted = true;
    }
  }

  /** @param {string} code @param {string} message @param {number | null} integrated the server has changesets up to this */
  async #beginReset(code, message, integrated) {
    const mode = this.#sync.clientReset?.mode ?? "recoverUnsyncedChanges";
    if (mode === "manual") return this.#fail(new ClientResetError(code, message, this.path, this.resets.putAside()), true);
    await this.#store.beginReset(mode, integrated).catch((failure) => this.#resetFailed(failure));
  }

  /** Nothing is lost: the next opening puts the file aside. On a full disk that would fail as well, and hinder every opening:
   * there the session ends, and the reset goes on with the next. @param {any} failure */
  #resetFailed(failure) {
    if (failure.codeName === "OutOfDiskSpace") throw failure;
    const text = `A fatal error occurred during 'ClientReset' client reset for '${this.path}': ${failure.message}`;
    this.#fail(new ClientResetError("AutoClientResetFailed", text, this.path, this.resets.putAside()), true);
  }

  /** @param {any} error */
  #tokenRefused(error) {
    if (error.status === 401 || error.status === 403 || !this.user.isLoggedIn) this.#fail(new SyncError("AuthError", error.message, true), true);
    else this.#unreachable(new SyncError("ConnectionFailed", error.message, false), false, true);
  }

  /** @param {SyncError} error @param {boolean} [isOurs] other tabs want to know */
  #fail(error, isOurs = false) {
    if (isOurs) this.#sendFailure(error);
    this.#failed = error;
    this.active = false;
    this.#failWaits(error);
    if (error instanceof ClientResetError) this.resets.failed(error);
    else this.onError(error);
    this.wake();
  }

  /** @param {SyncError} error */
  #sendFailure(error) {
    const backup = error instanceof ClientResetError ? error.config.path : null;
    this.#tabs.send({ type: "failed", code: error.codeName, message: error.message, backup });
  }

  /** No connection came about, which is tried again. The app is told where one had been before: at a first start offline
   * it knows. @param {SyncError} error @param {boolean} isTold @param {boolean} [isOurs] */
  #unreachable(error, isTold, isOurs = false) {
    if (isOurs) this.#tabs.send({ type: "unreachable", code: error.codeName, message: error.message, isTold });
    this.#nonFatal(error, isTold);
  }

  /** @param {SyncError} error @param {boolean} isTold */
  #nonFatal(error, isTold) {
    if (this.#cancelsWaits) this.#failWaits(error);
    if (isTold) this.onError(error);
  }

  /** @param {ConnectionState} state */
  #setConnection(state) {
    const before = this.connectionState;
    if (before === state) return;
    this.connectionState = state;
    if (state === "connected") this.#wasConnected = true;
    if (this.#tabs.isLeader) this.#tabs.send({ type: "connection", state });
    this.onConnection(state, before);
  }

  // --- one connection -----------------------------------------------------------------------------------------------

  /** One connection, from token to close. @returns {Promise<Ended>} */
  async #connect() {
    this.#setConnection("connecting");
    let token;
    try {
      token = await this.#unlessEnded(this.user.freshAccessToken());
    } catch (error) {
      this.#tokenRefused(error);
      return { kind: "Ended", action: this.#failed ? "done" : "retry", error: new ProtocolError("ConnectionFailed", /** @type {Error} */ (error).message) };
    }
    if (token === undefined) return DONE;
    const url = this.user.app.syncUrl;
    const kept = take(url);
    if (kept) {
      const ended = await this.#use(url, kept, token, delays.answer);
      if (ended) return ended;
      log("info", `A kept connection to ${url} turned out to be closed; opening another.`);
      this.#setConnection("disconnected");
      this.#setConnection("connecting");
    }
    return /** @type {Ended} */ (await this.#use(url, new WebSocket(url, [SUBPROTOCOL]), token, null));
  }

  /** A session on the socket, which is kept or closed afterwards. `patience`: the socket was kept, and milliseconds
   * without an answer mean that it is of no use; null: it has turned out to be so, and no session has begun.
   * @param {string} url @param {WebSocket} socket @param {string} token @param {number | null} patience @returns {Promise<Ended | null>} */
  async #use(url, socket, token, patience) {
    /** @type {string[]} */
    const frames = [];
    let isClosed = false;
    const ring = () => this.#resume();
    socket.onmessage = ({ data }) => {
      frames.push(data);
      ring();
    };
    socket.onclose = socket.onerror = () => {
      isClosed = true;
      ring();
    };
    try {
      const failed = await this.#open(socket);
      if (failed) return failed;
      const ended = await this.#converse(socket, token, frames, () => isClosed, patience);
      return patience !== null && ended.action === "retry" && !ended.error && !this.#session?.limits ? null : ended;
    } finally {
      const session = this.#session;
      if (session?.caughtUp) this.#lost = Date.now();
      this.#session = null;
      this.#parts = { changes: [], texts: [] };
      socket.onmessage = socket.onclose = socket.onerror = null;
      const linger = this.user.app.multiplexSessions ? this.#timeouts.linger : 0;
      if (!session?.unbound || frames.length || !keep(url, socket, linger)) socket.close();
    }
  }

  /** Resolves when the socket is open, to null; or to why it is not, which is told. @param {WebSocket} socket @returns {Promise<Ended | null>} */
  async #open(socket) {
    const until = performance.now() + this.#timeouts.connect;
    socket.onopen = () => this.#resume();
    while (socket.readyState === WebSocket.CONNECTING && performance.now() < until && this.#isWanted) {
      this.#woken = false;
      await this.#sleep(until - performance.now());
    }
    if (!this.#isWanted) return DONE;
    if (socket.readyState === WebSocket.OPEN) return null;
    const isLate = socket.readyState === WebSocket.CONNECTING;
    const error = isLate
      ? new ProtocolError("ConnectTimeout", "Sync connection was not fully established in time")
      : new ProtocolError("ConnectionFailed", `Cannot connect to ${socket.url}`);
    this.#unreachable(new SyncError(error.code, error.message, false), this.#wasConnected, true);
    return { kind: "Ended", action: "retry", error };
  }

  /** Who was away for longer than `fastReconnect` first sees what happened, and then uploads. @param {string} token */
  #newSession(token) {
    const file = this.#store.fileState();
    const { ping, pong, fastReconnect } = this.#timeouts;
    const downloadFirst = file.clientFile !== null && Date.now() - this.#lost > fastReconnect;
    return new ClientSession(file, token, this.schema, `realm_sync/${VERSION} (browser)`, { ping, pong, downloadFirst });
  }

  /** A session from its `bind` to its end, which `patience` milliseconds without an answer to that are, too.
   * @param {WebSocket} socket @param {string} token @param {string[]} frames @param {() => boolean} isClosed
   * @param {number | null} patience @returns {Promise<Ended>} */
  async #converse(socket, token, frames, isClosed, patience) {
    const session = this.#newSession(token);
    this.#session = session;
    const began = performance.now();
    this.#asked = new Set(this.#openMarks());
    for (const ident of this.#asked) session.requestMark(ident);
    this.#setConnection("connected");
    this.#reportUpload();
    /** @type {WeakMap<any, string>} */
    const texts = new WeakMap();
    let at = 0; // frames before are done with
    let ended = await this.#perform(socket, session.opened(performance.now()), texts);
    while (!ended) {
      if (at < frames.length) {
        const text = frames[at];
        at += 1;
        if (at === frames.length) frames.length = at = 0;
        ended = await this.#perform(socket, this.#receive(session, text, texts), texts);
      } else if (isClosed() || (patience !== null && !session.limits && performance.now() - began > patience)) ended = await this.#perform(socket, session.lost(), texts);
      else await this.#sleep(TICK_MILLISECONDS);
      if (!ended && this.#woken) {
        this.#woken = false;
        const isLeft = !this.#isWanted && this.#isBootstrapping; // the server would answer after all of it
        ended = (await this.#perform(socket, this.#wishes(session), texts)) ?? (isLeft ? DONE : null);
      }
      ended ??= await this.#perform(socket, session.tick(performance.now()), texts);
    }
    return ended;
  }

  /** @param {ClientSession} session @param {string} text @param {WeakMap<any, string>} texts */
  #receive(session, text, texts) {
    try {
      const message = decodeFromServer(text);
      if (message.type === "download") texts.set(message, text);
      return session.receive(message, performance.now());
    } catch (error) {
      if (error instanceof ProtocolError) return session.undecodable(error);
      throw error;
    }
  }

  /** What the page wants by now. @param {ClientSession} session */
  #wishes(session) {
    if (!this.#isWanted) return session.close();
    const effects = [...session.subscriptionsChanged(this.#store.unsentSets()), ...session.localCommit()];
    for (const ident of this.#openMarks()) {
      if (this.#asked.has(ident)) continue;
      this.#asked.add(ident);
      effects.push(...session.requestMark(ident));
    }
    this.#reportUpload();
    return effects;
  }

  /** Content is on its way that is not here as a whole. */
  get #isBootstrapping() {
    return this.#parts.texts.length > 0 || this.#store.isAwaitingReset || this.#store.unsentSets().length > 0;
  }

  /** @param {WebSocket} socket @param {any[]} effects @param {WeakMap<any, string>} texts @returns {Promise<Ended | null>} */
  async #perform(socket, effects, texts) {
    const session = /** @type {ClientSession} */ (this.#session);
    const store = this.#store;
    const queue = [...effects];
    for (let effect = queue.shift(); effect; effect = queue.shift()) {
      switch (effect.kind) {
        case "Send":
          if (socket.readyState === WebSocket.OPEN) socket.send(encode(effect.message));
          break;
        case "Ended":
          return effect;
        case "DropParts":
          this.#parts = { changes: [], texts: [] };
          break;
        case "StorePart":
          this.#keep(effect.download, texts);
          queue.unshift(...session.stored());
          break;
        case "ApplyDownload":
          if (!(await this.#apply(effect.download, effect.withParts, texts))) return DONE;
          queue.unshift(...session.applied(effect.download));
          break;
        case "ReadPending":
          queue.unshift(...session.pendingRead(/** @type {any} */ (store.pendingAbove(effect.after, effect.upto, effect.maxBytes))));
          break;
        case "StoreBound":
          try {
            await store.storeBound(effect.clientFile, effect.bound);
          } catch (error) {
            return { kind: "Ended", action: "stop", error: new ProtocolError("SchemaMismatch", /** @type {Error} */ (error).message) };
          }
          break;
        case "HoldRejected":
          await this.#report(await store.holdRejected(effect.rejected));
          break;
        case "RefuseSet":
          await store.refuseSet(effect.error.queryVersion, effect.error.message);
          break;
        case "Marked":
          this.#succeeded();
          this.#settleMark(effect.ident);
          this.#tell({ direction: "download", estimate: 1, transferred: this.#received, transferable: this.#received });
      }
    }
    return null;
  }

  /** A download that waits for the last part. @param {any} download @param {WeakMap<any, string>} texts */
  #keep(download, texts) {
    const text = /** @type {string} */ (texts.get(download));
    for (const changes of download.changes) this.#parts.changes.push(changes);
    if (download.changes.length) this.#parts.texts.push(text);
    this.#received += text.length;
    const { progress: estimate } = download;
    // More often than an eye can see, nobody needs to know, least of all the other tabs.
    if (download.batchState === "more" && performance.now() - this.#told < 50) return;
    this.#told = performance.now();
    this.#tell({ direction: "download", estimate, transferred: this.#received, transferable: Math.round(this.#received / (estimate || 1)) });
  }

  /** False: it was to complete a client reset and could not. @param {any} download @param {boolean} withParts
   * @param {WeakMap<any, string>} texts */
  async #apply(download, withParts, texts) {
    if (!withParts) this.#parts = { changes: [], texts: [] };
    this.#keep(download, texts);
    const { changes, texts: frames } = this.#parts;
    this.#parts = { changes: [], texts: [] };
    const store = this.#store;
    const isReset = store.resetEndedBy(download) !== null;
    if (isReset) await store.idle(); // what `before` shows is what was committed
    const before = isReset && store.hasHistory ? this.resets.before() : null;
    let rejected;
    let reset = null;
    try {
      ({ rejected, reset } = await store.apply(download, changes, frames));
    } catch (failure) {
      if (!isReset || this.#stopping) throw failure;
      this.#resetFailed(failure);
      return false;
    } finally {
      if (before) this.resets.after(before, reset);
    }
    this.#succeeded();
    if (reset === "fallback") log("warn", `Client reset of '${this.path}': recovering failed again and again, so what was not synced is discarded.`);
    if (reset) this.#woken = true; // what waited for its end can be asked now
    await this.#report(rejected);
    this.#reportUpload();
    this.#settleWaits();
    return true;
  }

  #succeeded() {
    this.#delay = delays.first;
    this.#reacted = false;
  }

  // --- telling ------------------------------------------------------------------------------------------------------

  /** @param {Progress} progress */
  #tell(progress) {
    if (this.#tabs.isLeader) this.#tabs.send({ type: "progress", progress });
    this.progress[progress.direction] = progress;
    this.onProgress(progress);
  }

  #reportUpload() {
    const pending = this.#store.pending.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#uploadBatch = Math.max(this.#uploadBatch, pending);
    const transferable = this.#uploadBatch;
    if (transferable) this.#tell({ direction: "upload", estimate: 1 - pending / transferable, transferred: transferable - pending, transferable });
    if (!pending) this.#uploadBatch = 0;
  }

  /** Tells the app about compensating writes; each once. @param {import('./fileRecord.js').Report[]} reports */
  async #report(reports) {
    if (!reports.length) return;
    this.#tabs.send({ type: "rejected", reports });
    this.#nonFatal(this.#compensating(reports), true);
    await this.#store.reportsTold(reports);
  }

  /** @param {import('./fileRecord.js').Report[]} reports */
  #compensating(reports) {
    const writes = reports.flatMap((report) => report.writes);
    return new CompensatingWriteError(
      writes.map(({ class: objectName, _id, property, reason, code: codeName }) => {
        const table = this.#store.tables.get(objectName);
        const primaryKey = table ? decode(table.cls.properties[table.keyName].type, _id) : _id;
        return { objectName, primaryKey, reason, codeName, ...(property && { property }) };
      }),
    );
  }
}
