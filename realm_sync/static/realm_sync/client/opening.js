// Opening: what `Realm.open` waits for, by the table of R11.
//
// Decides which behaviour applies (of the code, else of the operator, else Realm's default), what is awaited in which order
// and what a time-out means. Knows a realm only through what makes one. A file counts as new until one opening of it has
// succeeded: a first attempt that timed out or was cancelled leaves a file, and the next must not take that for a copy.

import { realmError, TimeoutError } from "../core/errors.js"
import { loggedOut } from "./app.js"
import { DEFAULT_BEHAVIOR, OpenRealmBehaviorType, OpenRealmTimeOutBehavior, readConfiguration } from "./configuration.js"
import { callWithProgress, limited } from "./syncSession.js"

const canceled = () => realmError("Async open canceled", "OperationAborted");

/** The promise of `Realm.open`, with `progress` and `cancel`. @template {any} Opened the realm */
export class ProgressRealmPromise {
  /** @type {Set<ProgressRealmPromise<any>>} */
  static #pending = new Set();
  /** @type {Promise<Opened>} */
  #promise;
  #reject = (/** @type {any} */ _) => {};
  #isSettled = false;
  /** @type {Set<Function>} */
  #callbacks = new Set();
  /** @type {any} */
  #realm = null;
  #path = "";

  /** @param {any} config what `Realm.open` was given @param {(config: any) => Opened} make opens it at once */
  constructor(config, make) {
    ProgressRealmPromise.#pending.add(this);
    this.#promise = new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#open(config, make).then(
        (realm) => {
          if (this.#isSettled) realm.close();
          resolve(realm);
        },
        (error) => {
          this.#realm?.close();
          reject(error?.message === "Sync session became inactive" ? canceled() : error);
        },
      );
    });
    const settle = () => {
      this.#isSettled = true;
      ProgressRealmPromise.#pending.delete(this);
      this.#callbacks.clear();
    };
    this.#promise.then(settle, settle);
  }

  /** @param {any} given @param {(config: any) => any} make */
  async #open(given, make) {
    await null; // so that whatever is wrong is a rejection
    const config = readConfiguration(given);
    this.#path = config.path;
    const realm = make({ ...(typeof given === "object" ? given : { path: given }), _isAwaited: true });
    this.#realm = realm;
    if (this.#isSettled) throw canceled(); // before it had begun
    await realm.whenLoaded();
    const { sync } = config;
    if (sync) await this.#wait(realm, sync);
    realm._opened();
    return realm;
  }

  /** R11. @param {any} realm @param {import('./configuration.js').SyncConfiguration} sync */
  async #wait(realm, sync) {
    const name = realm._wasOpened ? "existingRealmFileBehavior" : "newRealmFileBehavior";
    const { type, timeOut, timeOutBehavior } = sync[name] ?? sync.user.app.settings?.[name] ?? DEFAULT_BEHAVIOR;
    const hasLimit = timeOut !== undefined && timeOut !== null;
    if (type === OpenRealmBehaviorType.OpenImmediately && !hasLimit) return realm._runInitialSubscriptions();
    const onTimeOut = timeOutBehavior ?? OpenRealmTimeOutBehavior.OpenLocalRealm; // only `openImmediately` need not say
    const session = realm.syncSession;
    const listener = (/** @type {number} */ transferred, /** @type {number} */ transferable) => this.#progressed(transferred, transferable);
    session.addProgressNotification("download", "reportIndefinitely", listener);
    try {
      const text = `Realm could not be downloaded in the allocated time: ${timeOut} ms.`;
      await limited(this.#download(realm), hasLimit ? timeOut : undefined, text);
    } catch (error) {
      if (!(error instanceof TimeoutError) || onTimeOut !== OpenRealmTimeOutBehavior.OpenLocalRealm) throw error;
      realm._runInitialSubscriptions();
    } finally {
      session.removeProgressNotification(listener);
    }
  }

  /** @param {any} realm */
  async #download(realm) {
    const transport = realm._transport;
    const done = (/** @type {Promise<void>} */ wait) => {
      if (transport.user.isLoggedIn) return wait;
      wait.catch(() => {});
      throw loggedOut(); // nobody would ever complete it
    };
    if (!realm._store.tables.size) await done(transport.waitForDownload()); // the server's classes, before anything can be subscribed to
    realm._runInitialSubscriptions();
    await done(transport.waitForSet(realm._store.newestSet()));
    await done(transport.waitForDownload());
  }

  /** @param {number} transferred @param {number} transferable */
  #progressed(transferred, transferable) {
    const estimate = this.#realm?._transport?.progress.download?.estimate ?? 0;
    for (const callback of this.#callbacks) callWithProgress(callback, /** @type {any} */ ({ estimate, transferred, transferable }));
  }

  /** Called at once, and as the download goes on: `callback(estimate)`, or `callback(transferred, transferable)`.
   * @param {(estimate: number, transferable: number) => void} callback @returns {this} */
  progress(callback) {
    this.#callbacks.add(callback);
    callWithProgress(callback, /** @type {any} */ ({ estimate: 1, transferred: 0, transferable: 0 }));
    return this;
  }

  /** Rejects with `Async open canceled`, and ends the download; so do other openings of the same file that wait. */
  cancel() {
    if (this.#isSettled) return;
    for (const other of ProgressRealmPromise.#pending) {
      if (other !== this && (!this.#path || other.#path !== this.#path)) continue;
      other.#isSettled = true;
      other.#reject(canceled());
      other.#realm?.close();
    }
  }

  /** @template [R=Opened] @template [E=never] @param {((realm: Opened) => R | PromiseLike<R>) | null} [fulfilled]
   * @param {((error: any) => E | PromiseLike<E>) | null} [rejected] */
  then(fulfilled, rejected) {
    return this.#promise.then(fulfilled, rejected);
  }

  /** @template [E=never] @param {((error: any) => E | PromiseLike<E>) | null} [rejected] @returns {Promise<Opened | E>} */
  catch(rejected) {
    return this.#promise.catch(rejected);
  }

  /** @param {(() => void) | null} [callback] @returns {Promise<Opened>} */
  finally(callback) {
    return this.#promise.finally(callback);
  }

  get [Symbol.toStringTag]() {
    return "ProgressRealmPromise";
  }
}
