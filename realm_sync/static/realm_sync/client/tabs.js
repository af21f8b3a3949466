// no Python twin: processes share a file and its lock there. Tabs: which of the tabs that have a realm open talks to the
// server, and what they tell each other.
//
// One tab holds the Web Lock of the realm and is the leader; when it closes, the browser gives the lock to the next. What
// tabs say travels over a BroadcastChannel and is a hint: what counts is read from the storage they share. Without Web
// Locks (a page that is not a secure context) only one tab may have the realm open, and a second one is told so.

import { realmError } from "../core/errors.js"

const ANSWER_MILLISECONDS = 300;

export class Tabs {
  #name;
  /** @type {BroadcastChannel | null} */
  #channel;
  /** @type {Map<string, (message: any) => void>} */
  #handlers = new Map();
  #ending = new AbortController();
  /** @type {(() => void) | null} */
  #release = null;
  #isIn = false;
  #isSeparate = false;
  /** This tab talks to the server. */
  isLeader = false;

  /** @param {string} name of the realm */
  constructor(name) {
    this.#name = `realm-sync:${name}`;
    this.#channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(this.#name);
    if (this.#channel) {
      this.#channel.onmessage = ({ data }) => {
        if (data.type === "anybody" && this.#isIn && !hasLocks()) this.send({ type: "somebody" });
        this.#handlers.get(data.type)?.(data);
      };
    }
  }

  /** Handles messages of one type from other tabs. @param {string} type @param {(message: any) => void} handler */
  on(type, handler) {
    this.#handlers.set(type, handler);
  }

  /** Tells all other tabs. @param {{type: string, [other: string]: any}} message */
  send(message) {
    if (!this.#ending.signal.aborted) this.#channel?.postMessage(message);
  }

  /** Before the storage is used. Throws without Web Locks where another tab is there already. */
  async join() {
    if (!hasLocks() && this.#channel) {
      const answered = new Promise((resolve) => this.on("somebody", () => resolve(true)));
      this.send({ type: "anybody" });
      if (await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, ANSWER_MILLISECONDS, false))])) {
        throw realmError(
          `Realm at path '${this.#name.slice("realm-sync:".length)}' is open in another tab, and this page has no Web Locks (it is not served over https): only one tab can use it. Close the other one and reload.`,
          "IncompatibleSession",
        );
      }
    }
    this.#isIn = true;
  }

  /** Nothing is shared: each tab keeps its own in memory, and leads. */
  separate() {
    this.#channel?.close();
    this.#channel = null;
    this.#isSeparate = true;
  }

  /** Resolves when this tab is the leader; false if it was closed before. @returns {Promise<boolean>} */
  lead() {
    if (!hasLocks() || this.#isSeparate) {
      this.isLeader = true;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const held = () =>
        new Promise((/** @type {(value?: any) => void} */ release) => {
          if (this.#ending.signal.aborted) return release(resolve(false)); // granted as it was closed
          this.#release = release;
          this.isLeader = true;
          resolve(true);
        });
      navigator.locks.request(this.#name, { signal: this.#ending.signal }, held).catch((error) => {
        if (!this.#ending.signal.aborted) console.error("realm_sync: this tab cannot sync, it gets no Web Lock:", error);
        resolve(false);
      });
    });
  }

  /** Runs `work` unless some tab has the realm open. → whether it did. @param {string} name @param {() => Promise<any>} work
   * @returns {Promise<boolean>} */
  static async ifUnused(name, work) {
    if (hasLocks()) {
      return navigator.locks.request(`realm-sync:${name}`, { ifAvailable: true }, async (lock) => {
        if (lock) await work();
        return Boolean(lock);
      });
    }
    const tabs = new Tabs(name);
    try {
      await tabs.join();
    } catch {
      return false;
    } finally {
      tabs.close();
    }
    await work();
    return true;
  }

  close() {
    this.#ending.abort();
    this.isLeader = false;
    this.#release?.();
    this.#channel?.close();
  }
}

/** One tab at a time does the work of this name. @param {string} name @param {() => Promise<void>} work @returns {Promise<void>} */
export async function alone(name, work) {
  await (hasLocks() ? navigator.locks.request(name, work) : work());
}

const hasLocks = () => typeof navigator !== "undefined" && Boolean(navigator.locks);
