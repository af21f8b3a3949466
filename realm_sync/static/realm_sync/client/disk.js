// no Python twin: SQLite does this there. Disk: durable transactions on what one realm keeps in this browser.
//
// Three stores: `file` has one record of bookkeeping, `log` JSON texts of changes by a rising number, `changeset` the
// local writes that the server has not acknowledged, by client version. Knows nothing of what is in them; store.js does.

import { realmError } from "../core/errors.js"

const STORES = ["file", "log", "changeset"];
const FORMAT = 1;

/** @param {IDBRequest} request */
const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @param {string} name @param {string} problem @param {Parameters<typeof realmError>[1]} code */
export const fileError = (name, problem, code) => realmError(`Cannot open the realm at '${name}'. ${problem}`, code);

/** What a transaction can do. Reads are awaited; writes need not be: the transaction fails if one of them does. */
class IndexedTransaction {
  #transaction;
  #name;

  /** @param {IDBTransaction} transaction @param {string} name of the database */
  constructor(transaction, name) {
    this.#transaction = transaction;
    this.#name = name;
  }

  /** Throws if an EncryptedDisk wrote it. @param {string} store @param {number} key */
  async get(store, key) {
    const value = await this.read(store, key);
    if (store !== "file" || !value?.salt) return value;
    throw fileError(this.#name, "It is encrypted. Give the 'encryptionKey' that it was made with. Nothing was changed.", "InvalidDatabase");
  }

  /** The record as it is. @param {string} store @param {number} key @returns {Promise<any>} */
  read(store, key) {
    return answer(this.#transaction.objectStore(store).get(key));
  }

  /** The records above `after`, as [[key, value]]. @param {string} store @param {number} after */
  async above(store, after = -1) {
    const range = IDBKeyRange.lowerBound(after, true);
    const objects = this.#transaction.objectStore(store);
    const [keys, values] = await Promise.all([answer(objects.getAllKeys(range)), answer(objects.getAll(range))]);
    return /** @type {[number, any][]} */ (keys.map((/** @type {number} */ key, /** @type {number} */ at) => [key, values[at]]));
  }

  /** @param {string} store @param {number} key @param {any} value */
  put(store, key, value) {
    this.#transaction.objectStore(store).put(value, key);
  }

  /** Deletes the records above `after` up to `upto`. @param {string} store @param {number} after @param {number} upto */
  delete(store, after, upto) {
    if (upto > after) this.#transaction.objectStore(store).delete(IDBKeyRange.bound(after, upto, true));
  }
}

/** A realm's database in IndexedDB; every tab of the origin may have it open. */
export class Disk {
  #database;
  /** Called when another tab deletes the database. */
  onGone = () => {};

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
    database.onversionchange = () => {
      this.close();
      this.onGone();
    };
    database.onclose = () => this.onGone();
  }

  /** Opens the database, which is made if need be. Without storage in this browser, what it gives is a MemoryDisk.
   * @param {string} name @param {boolean} [isThere] it was made before: then nothing takes its place, and this throws */
  static async open(name, isThere = false) {
    try {
      const request = indexedDB.open(name, FORMAT);
      request.onupgradeneeded = () => STORES.forEach((store) => request.result.createObjectStore(store));
      return new Disk(await answer(request));
    } catch (error) {
      if (error instanceof DOMException && error.name === "VersionError") {
        throw fileError(name, "A newer version of realm_sync wrote it.", "UnsupportedFileFormatVersion");
      }
      if (isThere) {
        const { message } = /** @type {Error} */ (error);
        throw fileError(name, `It is there, but this browser does not open it: ${message}. Free some storage, or reload. Nothing was changed.`, "FileOperationFailed");
      }
      console.warn(
        `realm_sync: this browser gives no storage here (private mode?), so the realm '${name}' lives in this tab only and is gone with it.`, error,
      );
      return new MemoryDisk();
    }
  }

  /** @param {string} name */
  static async delete(name) {
    if (typeof indexedDB !== "undefined") await answer(indexedDB.deleteDatabase(name));
  }

  /** Puts a database elsewhere, record by record as they are: an encrypted one keeps its key. Other tabs that have it open
   * lose it first, as when it is deleted: what is durable then is all there is. It may be done again after it failed halfway.
   * @param {string} from @param {string} to @returns {Promise<boolean>} false: this browser has no storage, so there is nothing */
  static async move(from, to) {
    /** @type {IDBOpenDBRequest} */ let request;
    try {
      request = indexedDB.open(from, FORMAT + 1); // no other connection can be open meanwhile
    } catch {
      return false;
    }
    const everything = new Promise((resolve, reject) => {
      request.onupgradeneeded = ({ oldVersion }) => {
        const upgrade = /** @type {IDBTransaction} */ (request.transaction);
        const read = new IndexedTransaction(upgrade, from);
        const all = oldVersion ? Promise.all(STORES.map((store) => read.above(store))) : Promise.resolve([]);
        all.then(resolve, reject).finally(() => upgrade.abort()); // it stays as it was
      };
      request.onerror = () => reject(request.error); // after an abort it has resolved
    });
    /** @type {[number, any][][]} */
    const all = await everything;
    const target = await Disk.open(to);
    if (!(target instanceof Disk)) throw realmError(`Cannot put the realm at '${from}' aside: this browser gives no storage here. It stays as it was.`, "FileOperationFailed");
    await target.transact(async (transaction) => {
      all.forEach((records, at) => records.forEach(([key, value]) => transaction.put(STORES[at], key, value)));
    });
    target.close();
    await Disk.delete(from);
    return true;
  }

  /** Runs `work` in one transaction over all stores: all of it happens, durably once this resolves, or nothing.
   * @template T @param {(transaction: IndexedTransaction) => Promise<T>} work
   * @param {{mode?: IDBTransactionMode, durability?: "strict" | "relaxed"}} [options] @returns {Promise<T>} */
  transact(work, { mode = "readwrite", durability = "strict" } = {}) {
    return new Promise((resolve, reject) => {
      const transaction = this.#begin(mode, durability);
      /** @type {any} */ let result;
      /** @type {any} */ let failure;
      transaction.oncomplete = () => resolve(result);
      transaction.onabort = () => {
        const error = failure ?? transaction.error;
        const full = error?.name === "QuotaExceededError";
        reject(full ? realmError("The browser's storage is full: what was written is kept in memory only.", "OutOfDiskSpace") : error);
      };
      work(new IndexedTransaction(transaction, this.#database.name)).then(
        (value) => (result = value),
        (error) => {
          failure = error;
          try {
            transaction.abort();
          } catch {
            reject(error);
          }
        },
      );
    });
  }

  /** @param {IDBTransactionMode} mode @param {"strict" | "relaxed"} durability */
  #begin(mode, durability) {
    try {
      return this.#database.transaction(STORES, mode, { durability });
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== "InvalidStateError") throw error;
      throw realmError("Cannot access realm that has been closed.", "ClosedRealm"); // by another tab, which deletes it
    }
  }

  close() {
    this.#database.close();
  }
}

/** The same without storage: for `inMemory` realms and for browsers that give none. One tab only. */
export class MemoryDisk {
  #stores = new Map(STORES.map((store) => [store, new Map()]));
  onGone = () => {};

  /** @param {string} store @returns {Map<number, any>} */
  #records(store) {
    return /** @type {Map<number, any>} */ (this.#stores.get(store));
  }

  /** @template T @param {(transaction: any) => Promise<T>} work */
  transact(work) {
    return work({
      get: async (/** @type {string} */ store, /** @type {number} */ key) => this.#records(store).get(key),
      above: async (/** @type {string} */ store, after = -1) =>
        [...this.#records(store)].filter(([key]) => key > after).sort(([a], [b]) => a - b),
      put: (/** @type {string} */ store, /** @type {number} */ key, /** @type {any} */ value) => this.#records(store).set(key, value),
      delete: (/** @type {string} */ store, /** @type {number} */ after, /** @type {number} */ upto) => {
        for (const key of [...this.#records(store).keys()]) if (key > after && key <= upto) this.#records(store).delete(key);
      },
    });
  }

  close() {}
}
