// no Python twin: an encrypted SQLite file does this there. EncryptedDisk: a Disk whose records nobody reads without the key.
//
// Each record is AES-GCM with an IV of its own; the store it is in and its number are authenticated, so that records cannot
// be exchanged. The key is derived from the app's 64 bytes and a salt of the database, so neither can those of two
// databases. Plain remain how many records there are, how long, and the names of databases.
//
// WebCrypto is asynchronous, and a transaction of IndexedDB ends when anything else is awaited. So work runs on reads of
// their own and on writes that are kept back; these are made at once, in one transaction, if nobody has written since: the
// `file` record bears a stamp in plain text, another one after every write. Else the work runs again.

import { Disk, fileError } from "./disk.js"

const IV_BYTES = 12;
const SALT_BYTES = 32;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @typedef {{salt: Uint8Array, stamp: string, data: Uint8Array | null}} Header the `file` record */
/** @typedef {{key?: number, value?: any, after: number, upto: number}} Step one write that is kept back; without `key`: a deletion */

/** @param {string} store @param {number} number */
const context = (store, number) => encoder.encode(`${store}:${number}`);

/** @param {number} length */
const random = (length) => crypto.getRandomValues(new Uint8Array(length));

/** A realm's database, opened with or without a key. @param {string} name @param {Uint8Array | undefined} key
 * @param {boolean} [isThere] see Disk.open */
export async function openDisk(name, key, isThere) {
  if (key && !globalThis.crypto?.subtle) {
    const problem = "An 'encryptionKey' needs WebCrypto, which browsers give to secure pages only: serve this page over https, or from localhost.";
    throw fileError(name, problem, "NotSupported");
  }
  const disk = await Disk.open(name, isThere);
  return key && disk instanceof Disk ? new EncryptedDisk(disk, name, key) : disk;
}

/** What a transaction can do, as IndexedTransaction; what it writes is kept back. */
class BufferedTransaction {
  /** How often the disk was read: what comes from one read needs no comparison. */
  reads = 0;
  #disk;
  #header;
  #open;
  /** @type {Map<string, Step[]>} */
  #steps = new Map();

  /** @param {Disk} disk @param {Header | null} header @param {(store: string, number: number, data: Uint8Array) => Promise<any>} open deciphers */
  constructor(disk, header, open) {
    this.#disk = disk;
    this.#header = header;
    this.#open = open;
  }

  /** @param {string} store @param {number} key @returns {Promise<any>} */
  async get(store, key) {
    const step = [...(this.#steps.get(store) ?? [])].reverse().find((each) => (each.key === undefined ? key > each.after && key <= each.upto : each.key === key));
    if (step) return step.value;
    if (store === "file") return this.#header?.data ? this.#open(store, key, this.#header.data) : undefined;
    this.reads += 1;
    const data = await this.#disk.transact((transaction) => transaction.read(store, key), { mode: "readonly" });
    return data && this.#open(store, key, data);
  }

  /** @param {string} store @param {number} after @returns {Promise<[number, any][]>} */
  async above(store, after = -1) {
    this.reads += 1;
    const records = await this.#disk.transact((transaction) => transaction.above(store, after), { mode: "readonly" });
    const found = new Map(await Promise.all(records.map(async ([key, data]) => /** @type {const} */ ([key, await this.#open(store, key, data)]))));
    for (const { key, value, after: low, upto } of this.#steps.get(store) ?? []) {
      if (key === undefined) [...found.keys()].forEach((each) => each > low && each <= upto && found.delete(each));
      else if (key > after) found.set(key, value);
    }
    return [...found].sort(([a], [b]) => a - b);
  }

  /** @param {string} store @param {Step} step */
  #add(store, step) {
    const steps = this.#steps.get(store);
    steps ? steps.push(step) : this.#steps.set(store, [step]);
  }

  /** @param {string} store @param {number} key @param {any} value */
  put(store, key, value) {
    this.#add(store, { key, value, after: 0, upto: 0 });
  }

  /** @param {string} store @param {number} after @param {number} upto */
  delete(store, after, upto) {
    if (upto > after) this.#add(store, { after, upto });
  }

  /** What it has written, enciphered. @param {(store: string, number: number, value: any) => Promise<Uint8Array>} seal */
  sealed(seal) {
    const steps = [...this.#steps].flatMap(([store, each]) => each.map((step) => ({ store, ...step })));
    return Promise.all(steps.map(async (step) => (step.key === undefined ? step : { ...step, value: await seal(step.store, step.key, step.value) })));
  }
}

export class EncryptedDisk {
  /** Called when another tab deletes the database. */
  onGone = () => {};
  #disk;
  #name;
  #bytes;
  #salt = random(SALT_BYTES); // of a new database
  /** @type {{salt: string, key: Promise<CryptoKey>} | null} */
  #derived = null;

  /** @param {Disk} disk @param {string} name @param {Uint8Array} bytes what the app calls the key */
  constructor(disk, name, bytes) {
    this.#disk = disk;
    this.#name = name;
    this.#bytes = bytes;
    disk.onGone = () => this.onGone();
  }

  /** @param {Uint8Array} salt */
  #keyFor(salt) {
    const text = `${salt}`;
    if (this.#derived?.salt !== text) this.#derived = { salt: text, key: this.#derive(salt) };
    return this.#derived.key;
  }

  /** @param {any} salt */
  async #derive(salt) {
    const { subtle } = crypto;
    const secret = await subtle.importKey("raw", /** @type {any} */ (this.#bytes), "HKDF", false, ["deriveKey"]);
    const how = { name: "HKDF", hash: "SHA-256", salt, info: encoder.encode("realm_sync records") };
    return subtle.deriveKey(how, secret, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  }

  /** The `file` record as it is, null if there is none yet. @returns {Promise<Header | null>} */
  async #header() {
    const record = await this.#disk.transact((transaction) => transaction.read("file", 1), { mode: "readonly" });
    if (record && !record.salt) {
      const problem = "It is not encrypted. Open it without 'encryptionKey'; 'writeCopyTo' makes an encrypted copy. Nothing was changed.";
      throw fileError(this.#name, problem, "InvalidDatabase");
    }
    return record ?? null;
  }

  /** Runs `work` as Disk does: all of it happens, durably once this resolves, or nothing. It may run several times.
   * @template T @param {(transaction: any) => Promise<T>} work
   * @param {{mode?: IDBTransactionMode, durability?: "strict" | "relaxed"}} [options] @returns {Promise<T>} */
  async transact(work, { mode = "readwrite", durability = "strict" } = {}) {
    for (;;) {
      const header = await this.#header();
      const salt = header?.salt ?? this.#salt;
      const key = await this.#keyFor(salt);
      const buffer = new BufferedTransaction(this.#disk, header, (store, number, data) => this.#decipher(key, store, number, data));
      /** @type {any} */ let result;
      /** @type {{error: any} | null} */ let failure = null;
      let steps = /** @type {any[]} */ ([]);
      try {
        result = await work(buffer);
        if (mode === "readwrite") steps = await buffer.sealed((store, number, value) => encipher(key, store, number, value));
      } catch (error) {
        failure = { error }; // or what it read was of two moments: then it runs again
      }
      const isRead = mode === "readonly" || failure;
      const isDone = isRead && !buffer.reads ? true : await this.#disk.transact(
        async (transaction) => {
          const now = await transaction.read("file", 1);
          if (!now !== !header || now?.stamp !== header?.stamp) return false; // a plain record has no stamp
          if (isRead) return true;
          let data = header?.data ?? null;
          for (const { store, key: number, value, after, upto } of steps) {
            if (store === "file") data = value;
            else if (number === undefined) transaction.delete(store, after, upto);
            else transaction.put(store, number, value);
          }
          transaction.put("file", 1, { salt, stamp: crypto.randomUUID(), data });
          return true;
        },
        { mode: isRead ? "readonly" : mode, durability },
      );
      if (isDone && failure) throw failure.error;
      if (isDone) return result;
    }
  }

  /** @param {CryptoKey} key @param {string} store @param {number} number @param {any} data */
  async #decipher(key, store, number, data) {
    let plain;
    try {
      plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: data.subarray(0, IV_BYTES), additionalData: context(store, number) }, key, data.subarray(IV_BYTES));
    } catch {
      const problem = "The 'encryptionKey' is not the one that it was made with, or it is no encrypted realm file. Nothing was changed.";
      throw fileError(this.#name, problem, "DecryptionFailed");
    }
    return JSON.parse(decoder.decode(plain));
  }

  close() {
    this.#disk.close();
  }
}

/** @param {CryptoKey} key @param {string} store @param {number} number @param {any} value */
async function encipher(key, store, number, value) {
  const iv = random(IV_BYTES);
  const data = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: context(store, number) }, key, encoder.encode(JSON.stringify(value)));
  const record = new Uint8Array(IV_BYTES + data.byteLength);
  record.set(iv);
  record.set(new Uint8Array(data), IV_BYTES);
  return record;
}
