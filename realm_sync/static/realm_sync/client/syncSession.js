// Sync session: what an app sees and steers of a file's synchronization. The work is transport.js's.

import { AssertionError, TimeoutError } from "../core/errors.js"
import { deliver } from "./listeners.js"

export const ConnectionState = Object.freeze({ Disconnected: "disconnected", Connecting: "connecting", Connected: "connected" });
export const SessionState = Object.freeze({ Invalid: "invalid", Active: "active", Inactive: "inactive" });
export const ProgressDirection = Object.freeze({ Download: "download", Upload: "upload" });
export const ProgressMode = Object.freeze({ ReportIndefinitely: "reportIndefinitely", ForCurrentlyOutstandingWork: "forCurrentlyOutstandingWork" });
export const SessionStopPolicy = Object.freeze({ AfterUpload: "after-upload", Immediately: "immediately", Never: "never" });

/** In ms; browsers take a longer one for none. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** @typedef {import('./transport.js').Progress} Progress */

/** The functions that are progress notifications of some session: each may be one only once. @type {WeakSet<Function>} */
const registered = new WeakSet();

/** Calls a progress callback as its number of parameters asks: one gets the estimate, any other two bytes.
 * @param {Function} callback @param {Progress} progress */
export function callWithProgress(callback, { estimate, transferred, transferable }) {
  if (callback.length === 1) callback(estimate);
  else callback(transferred, transferable);
}

/** The session of one realm file: one per file and page, shared by its realms. */
export class SyncSession {
  #transport;
  /** @type {Set<(now: string, before: string) => void>} */
  #connectionCallbacks = new Set();
  /** @type {Map<Function, {direction: string, mode: string, last: number | null}>} */
  #progressCallbacks = new Map();
  /** @type {Set<(session: SyncSession, error: any) => void>} */
  _errorCallbacks = new Set();

  /** @param {import('./transport.js').Transport} transport */
  constructor(transport) {
    this.#transport = transport;
    transport.onConnection = (now, before) => this.#connectionCallbacks.forEach((callback) => deliver(() => callback(now, before)));
    transport.onProgress = (progress) => this.#progressCallbacks.forEach((_, callback) => this.#progressed(callback, progress));
    transport.onError = (error) => this._failed(error);
  }

  get user() {
    return this.#transport.user;
  }

  get url() {
    return this.user.app.syncUrl;
  }

  get config() {
    return { user: this.user, flexible: true };
  }

  /** Inactive: paused, the user is logged out, or a fatal error ended it. */
  get state() {
    return this.#transport.active ? "active" : "inactive";
  }

  get connectionState() {
    return this.#transport.connectionState;
  }

  get _path() {
    return this.#transport.path;
  }

  /** How many transactions of this realm the server has not acknowledged, known offline as well; not in Realm. */
  get pendingTransactions() {
    return this.#transport.pendingTransactions;
  }

  isConnected() {
    return this.connectionState === "connected" && this.state === "active";
  }

  /** Ends the session now, in every tab; waits reject with `Sync session became inactive`. Reading and writing go on. */
  pause() {
    this.#transport.pause();
  }

  /** Starts it again; also after a fatal error. */
  resume() {
    this.#transport.resume();
  }

  /** Ends the current delay between attempts: the next one is now. */
  reconnect() {
    this.#transport.reconnect();
  }

  /** Resolves when the server has acknowledged everything committed before; rejects with a TimeoutError after
   * `timeoutMs`, and the upload goes on. @param {number} [timeoutMs] @returns {Promise<void>} */
  uploadAllLocalChanges(timeoutMs) {
    return limited(this.#transport.waitForUpload(), timeoutMs, `Uploading changes did not complete in ${timeoutMs} ms.`);
  }

  /** Resolves when everything that the server had at the call is here. @param {number} [timeoutMs] @returns {Promise<void>} */
  downloadAllServerChanges(timeoutMs) {
    return limited(this.#transport.waitForDownload(), timeoutMs, `Downloading changes did not complete in ${timeoutMs} ms.`);
  }

  /** `callback(estimate)`, or `callback(transferred, transferable)` in bytes if it takes two parameters, on every change; in
   * mode `forCurrentlyOutstandingWork` until that is done. @param {"download" | "upload"} direction
   * @param {"reportIndefinitely" | "forCurrentlyOutstandingWork"} mode @param {(estimate: number, transferable: number) => void} callback */
  addProgressNotification(direction, mode, callback) {
    for (const [value, known] of /** @type {[any, any][]} */ ([[direction, ProgressDirection], [mode, ProgressMode]])) {
      const allowed = Object.values(known);
      if (!allowed.includes(value)) throw new AssertionError(`Expected '${allowed.join("' or '")}', got '${value}'`);
    }
    if (registered.has(callback)) throw new AssertionError("Remove callback before adding it again");
    registered.add(callback);
    this.#progressCallbacks.set(callback, { direction, mode, last: null });
    const nothing = { direction, estimate: mode === ProgressMode.ForCurrentlyOutstandingWork ? 0 : 1, transferred: 0, transferable: 0 };
    const now = this.#transport.progress[direction] ?? (direction === "upload" ? nothing : null);
    if (now) setTimeout(() => this.#progressed(callback, now));
  }

  /** @param {Function} callback */
  removeProgressNotification(callback) {
    registered.delete(callback);
    this.#progressCallbacks.delete(callback);
  }

  /** @param {Function} callback @param {Progress} progress */
  #progressed(callback, progress) {
    const entry = this.#progressCallbacks.get(callback);
    if (!entry || entry.direction !== progress.direction || entry.last === progress.estimate) return;
    entry.last = progress.estimate;
    deliver(() => callWithProgress(callback, progress));
    const { transferred, transferable } = progress;
    if (entry.mode === ProgressMode.ForCurrentlyOutstandingWork && transferred >= transferable) this.removeProgressNotification(callback);
  }

  /** `callback(newState, oldState)` on each change. @param {(now: string, before: string) => void} callback */
  addConnectionNotification(callback) {
    if (this.#connectionCallbacks.has(callback)) throw new AssertionError("Remove callback before adding it again");
    this.#connectionCallbacks.add(callback);
  }

  /** @param {(now: string, before: string) => void} callback */
  removeConnectionNotification(callback) {
    this.#connectionCallbacks.delete(callback);
  }

  /** For the realms' `onError`; without any, what goes wrong is a warning in the console. @param {any} error */
  _failed(error) {
    if (!this._errorCallbacks.size) console.warn(`realm_sync: ${error.message}`);
    for (const callback of this._errorCallbacks) deliver(() => callback(this, error));
  }
}

/** @param {Promise<void>} wait @param {number | undefined} milliseconds @param {string} message @returns {Promise<void>} */
export function limited(wait, milliseconds, message) {
  if (milliseconds === undefined) return wait;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeoutError(message)), Math.min(milliseconds, LONGEST_TIMER));
    wait.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
