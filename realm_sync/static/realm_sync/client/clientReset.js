// no Python twin: hooks.py does this there. Client reset: what one says to the realms of a file, in this tab.
//
// Decides whose hooks are called, in which order, with which realms. What a reset does, and when, is decided in transport.js
// and store.js. Every realm that has the file open is told, in the order of opening; what a hook throws is reported as an
// uncaught error and stops nothing.

import { deliver } from "./listeners.js"

/** @typedef {import('../core/errors.js').ClientResetError} ClientResetError */

export class ClientResetHooks {
  #file;
  putAside;

  /** @param {{path: string, realms: Set<any>, store: import('./store.js').Store, session: any}} file
   * @param {() => string} putAside schedules that, and gives where */
  constructor(file, putAside) {
    this.#file = file;
    this.putAside = putAside;
  }

  /** The new content is about to replace the old: `onBefore` of each realm. `after` must be called with what this gives. */
  before() {
    const store = this.#file.store.freeze();
    const frozen = [...this.#file.realms].map((realm) => ({ realm, before: realm._frozen(store) }));
    for (const { realm, before } of frozen) deliver(() => realm._sync.clientReset?.onBefore?.(before));
    return frozen;
  }

  /** It has: `onAfter` of each realm, or `onFallback` where what was to be recovered is discarded. The realms of before are
   * closed. @param {{realm: any, before: any}[]} frozen @param {string | null} reset null: it failed */
  after(frozen, reset) {
    const { session, path } = this.#file;
    for (const { realm, before } of frozen) {
      if (!reset || realm.isClosed) continue;
      const { onAfter, onFallback } = realm._sync.clientReset ?? {};
      deliver(() => (reset === "fallback" ? onFallback?.(session, path) : onAfter?.(before, realm)));
    }
    for (const { before } of frozen) before.close();
  }

  /** It is left to the app (`onManual`, else `onError`), or failed (`onError`). @param {ClientResetError} error */
  failed(error) {
    const { session, realms } = this.#file;
    const isLeft = error.codeName !== "AutoClientResetFailed";
    /** @type {Map<Function, any>} */
    const told = new Map();
    for (const { _sync: { clientReset, onError } } of realms) {
      const onManual = isLeft && clientReset?.mode === "manual" ? clientReset.onManual : null;
      if (onManual) told.set(onManual, error.config.path);
      else if (onError) told.set(onError, error);
    }
    if (!told.size) return session._failed(error);
    for (const [callback, what] of told) deliver(() => callback(session, what));
  }
}
