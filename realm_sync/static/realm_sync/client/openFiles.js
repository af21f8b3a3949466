// Open files: what all realms of one file in this page share: store, notifier, tabs, transport, session.
//
// Decides when a file's parts start and end: the first realm opens it, the last one closes it. Then the session ends as
// soon as nothing is pending (Realm's stop policy after-upload), and a realm opened meanwhile takes it over. Also keeps
// the list of files that there are, because `Realm.exists` cannot wait for an answer of IndexedDB.

import { AssertionError, realmError } from "../core/errors.js"
import { ClientResetHooks } from "./clientReset.js"
import { ClientResetMode } from "./configuration.js"
import { Disk, MemoryDisk } from "./disk.js"
import { openDisk } from "./encryptedDisk.js"
import { deliver, Notifier } from "./listeners.js"
import { migrate } from "./migration.js"
import { Store } from "./store.js"
import { SyncSession } from "./syncSession.js"
import { alone, Tabs } from "./tabs.js"
import { Transport } from "./transport.js"

/** @typedef {import('./configuration.js').Configuration} Configuration */

/** @type {Map<string, OpenFile>} */
const open = new Map();
/** @type {Map<string, Promise<void>>} files that are being closed or deleted */
const ending = new Map();

/** The files that there are, in localStorage; in memory where there is none. */
export const known = {
  /** @type {Map<string, string>} */
  memory: new Map(),
  /** The schema version of a file, null if there is no such file. @param {string} path */
  get(path) {
    try {
      return localStorage.getItem(`realm-sync:file:${path}`) ?? this.memory.get(path) ?? null;
    } catch {
      return this.memory.get(path) ?? null;
    }
  },
  /** Of all files, also of those that are to be put aside. */
  paths() {
    const prefix = "realm-sync:file:";
    let stored = /** @type {string[]} */ ([]);
    try {
      stored = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
    } catch {
      // as above
    }
    return [...this.memory.keys(), ...stored.map((key) => key.slice(prefix.length))].map((path) => path.replace(/^reset:/, ""));
  },
  /** Whether a page before this one may have made it. @param {string} path */
  isKept(path) {
    return this.get(path) !== null && !this.memory.has(path);
  },
  /** @param {string} path @param {string | null} version null: there is none any more @param {boolean} [isKept] false: it is in memory */
  set(path, version, isKept = true) {
    this.memory.delete(path);
    if (!isKept) return void this.memory.set(path, `${version}`);
    try {
      version === null ? localStorage.removeItem(`realm-sync:file:${path}`) : localStorage.setItem(`realm-sync:file:${path}`, version);
    } catch {
      if (version !== null) this.memory.set(path, version); // a page without localStorage: what memory says is all there is
    }
  },
};

/** One file. `realms` are those that use it. */
export class OpenFile {
  /** @type {Set<any>} */
  realms = new Set();
  /** The local write transaction that is open, and the realm it belongs to. @type {any} */
  writer = null;
  /** @type {Transport | null} */
  transport = null;
  /** @type {SyncSession | null} */
  session = null;
  isNew;
  /** Whether some opening of the file succeeded before this page had it open; true while a realm is, that did. */
  wasOpened = false;
  /** It outlives this page. */
  isKept = true;

  /** @param {Configuration} config */
  constructor(config) {
    this.config = config;
    this.path = config.path;
    this.isNew = known.get(config.path) === null;
    this.store = new Store(config.path, Boolean(config.sync));
    this.notifier = new Notifier(this.store);
    this.tabs = new Tabs(config.path);
    this.store.onChange = () => this.changed();
    this.store.onCommit = () => this.tabs.send({ type: "commit" });
    this.store.onFailure = (error) => this.failed(error);
    this.tabs.on("commit", () => this.store.catchUp().catch((error) => this.store.isClosed || this.failed(error)));
    if (config.sync) {
      this.transport = new Transport(this.store, this.tabs, config.sync);
      this.session = new SyncSession(this.transport);
      const { app } = config.sync.user;
      this.transport.resets = new ClientResetHooks(/** @type {any} */ (this), () => scheduleReset(this.path, app.directory));
    }
    /** Resolves when what is durable is here. @type {Promise<void>} */
    this.loaded = this.#load(config);
    this.loaded.catch(() => {});
  }

  /** @param {Configuration} config */
  async #load(config) {
    await ending.get(this.path);
    await carryOutReset(this.path);
    if (config.inMemory) {
      await this.store.load(new MemoryDisk());
    } else {
      await this.tabs.join();
      const disk = await openDisk(this.path, config.encryptionKey, known.isKept(this.path));
      this.isKept = !(disk instanceof MemoryDisk);
      if (!this.isKept) this.tabs.separate();
      disk.onGone = () => {
        [...this.realms].forEach((realm) => realm.close());
        end(this); // also a session that had uploads left: they are gone, and who opens the file anew gets another one
      };
      if (config.sync) await this.#mustBelongTo(config.sync.user, disk);
      await this.store.load(disk, this.isNew);
      if (config.sync && !this.store.file.owner) await this.store.setOwner(config.sync.user.id);
    }
    this.wasOpened = this.store.wasOpened;
    if (config.shouldCompact && !config.readOnly) {
      const { total, used } = await this.store.sizes();
      if (config.shouldCompact(total, used)) await this.store.compact();
    }
    await this.#adopt(config);
    this.transport?.start();
  }

  /** Before anything of it is shown: an absolute path may name what somebody else left on this device.
   * @param {import('./app.js').User} user @param {any} disk */
  async #mustBelongTo({ id }, disk) {
    try {
      const file = await disk.transact((/** @type {any} */ transaction) => transaction.get("file", 1), { mode: "readonly" });
      if ((file?.owner ?? id) === id) return;
    } catch (error) {
      disk.close();
      throw error;
    }
    disk.close();
    throw realmError(`Realm at path '${this.path}' belongs to another user. Open it as that user, or use another path.`, "MismatchedConfig");
  }

  /** The classes of a realm of this file. @param {Configuration} config */
  async #adopt(config) {
    if (!config.sync) await migrate(this, config);
    if (!config.inMemory) known.set(this.path, String(config.schemaVersion ?? this.store.file.schemaVersion ?? 0), this.isKept);
  }

  /** The first realm with classes of a local file that was open without. @param {Configuration} config */
  declare(config) {
    const { loaded, config: before } = this;
    this.config = config;
    this.loaded = loaded.then(() => this.#adopt(config));
    this.loaded.catch(() => Object.assign(this, { loaded, config: before })); // those without are open as before
  }

  /** An opening has succeeded. */
  opened() {
    if (this.wasOpened) return;
    this.wasOpened = true;
    this.store.setOpened().catch((error) => this.store.isClosed || this.failed(error));
  }

  /** The store has changed. */
  changed() {
    this.notifier.changed();
    this.transport?.wake();
    for (const realm of this.realms) deliver(() => realm._advanced());
  }

  /** The browser could not store something: what was written is in memory only, for now. @param {any} error */
  failed(error) {
    if (this.session) this.session._failed(error);
    else console.error(`realm_sync: the realm '${this.path}' cannot be stored:`, error);
  }
}

/** The open file of a configuration, opened if need be; `release` it. Throws if it is open in another way.
 * @param {Configuration} config @param {any} realm */
export function share(config, realm) {
  let file = open.get(config.path);
  if (file) {
    const differs = (/** @type {string} */ what) => realmError(`Realm at path '${config.path}' already opened with ${what}.`, "MismatchedConfig");
    const { sync, inMemory, schemaVersion, readOnly, classes, encryptionKey, deleteRealmIfMigrationNeeded } = file.config;
    if (Boolean(sync) !== Boolean(config.sync)) throw differs("different sync configurations");
    if (Boolean(readOnly) !== Boolean(config.readOnly)) throw differs("different read permissions");
    if (Boolean(inMemory) !== Boolean(config.inMemory)) throw differs("different inMemory settings");
    if (`${encryptionKey}` !== `${config.encryptionKey}`) throw differs("a different encryption key");
    if (Boolean(deleteRealmIfMigrationNeeded) !== Boolean(config.deleteRealmIfMigrationNeeded)) throw differs("a different schema mode");
    if (sync && config.sync) {
      if (sync.user.id !== config.sync.user.id || sync.user.app !== config.sync.user.app) throw differs("different sync user");
      if (Boolean(sync.flexible) !== Boolean(config.sync.flexible)) throw realmError(`Realm at path '${config.path}' already opened in a different synchronization mode`, "MismatchedConfig");
      if (`${sync.partitionValue}` !== `${config.sync.partitionValue}`) throw differs("different partition value");
      if (resetMode(sync) !== resetMode(config.sync)) throw differs("different sync configurations");
    }
    if (!sync && config.classes) {
      if (!classes) file.declare(config);
      else if (schemaVersion !== config.schemaVersion) throw differs("different schema version");
      else if (shape(classes) !== shape(config.classes)) {
        throw realmError(`Realm at path '${config.path}' already opened on current thread with different schema.`, "MismatchedConfig");
      }
    }
    file.transport?.revive();
  } else if (config.readOnly && !config.inMemory && known.get(config.path) === null) {
    throw realmError(`Failed to open Realm file at path '${config.path}': there is no such file.`, "FileNotFound");
  }
  file ??= new OpenFile(config);
  open.set(config.path, file);
  file.realms.add(realm);
  return file;
}

/** @param {import('./configuration.js').SyncConfiguration} sync */
const resetMode = ({ clientReset }) => clientReset?.mode ?? ClientResetMode.RecoverUnsyncedChanges;

/** The classes in a form that compares. @param {Iterable<import('../core/schema.js').ClassSchema>} classes */
const shape = (classes) => JSON.stringify([...classes].map(({ name, wire }) => [name, wire]).sort());

/** One realm less. The last one ends the session, after its uploads. @param {OpenFile} file @param {any} realm */
export function release(file, realm) {
  file.realms.delete(realm);
  if (file.realms.size) return;
  file.transport?.finish(() => !file.realms.size && end(file));
  if (!file.transport) end(file);
}

/** Ends it now; nothing that was written is lost. @param {OpenFile} file */
export function end(file) {
  if (open.get(file.path) !== file) return ending.get(file.path) ?? Promise.resolve();
  open.delete(file.path);
  file.notifier.close();
  const done = (async () => {
    await file.loaded.catch(() => {});
    await file.transport?.stop();
    await file.store.close();
    file.tabs.close();
  })();
  return until(file.path, done);
}

/** Deletes the file of a realm that is not open in this page; other tabs' realms of it are closed. What a closed realm had
 * still to upload is given up. @param {string} path */
export function deleteFile(path) {
  const file = open.get(path);
  if (file?.realms.size) throw realmError(`Cannot delete files of an open Realm: '${path}' is still in use.`, "DeleteOnOpenRealm");
  const forget = () => [path, `reset:${path}`].forEach((each) => known.set(each, null));
  forget();
  return until(path, Promise.resolve(file ? end(file) : ending.get(path)).then(() => {
    forget(); // it may have been opened, or made, until now
    return Disk.delete(path);
  }));
}

/** Whether there is such a file, or one is being made. @param {string} path */
export const isThere = (path) => open.has(path) || known.get(path) !== null;

/** Makes a file with these contents. False if there is one, though it was never known: it stays as it is.
 * @param {Configuration} config @param {{file: any, texts: string[]}} contents @returns {Promise<boolean>} */
export function makeFile({ path, encryptionKey, schemaVersion }, { file, texts }) {
  const before = ending.get(path);
  const make = async () => {
    await before;
    await carryOutReset(path);
    const disk = await openDisk(path, encryptionKey);
    try {
      if (disk instanceof MemoryDisk) throw realmError(`Cannot write a copy to '${path}': this browser gives no storage here.`, "FileOperationFailed");
      return await disk.transact(async (/** @type {any} */ transaction) => {
        if (await transaction.get("file", 1)) return false;
        texts.forEach((text, at) => transaction.put("log", at + 1, text));
        transaction.put("file", 1, file);
        return true;
      });
    } finally {
      disk.close();
    }
  };
  return until(path, make().then((isMade) => {
    if (isMade) known.set(path, String(file.schemaVersion ?? schemaVersion ?? 0));
    return isMade;
  }));
}

/** For app.js: the files of a user, all of which are in one directory. */
export const userFiles = {
  /** The path of one that a realm of this page has open, or null. @param {string} directory */
  open: (directory) => [...open.values()].find(({ path, realms }) => realms.size && path.startsWith(directory))?.path ?? null,

  /** Deletes them, with all that was not uploaded. → whether they are gone. @param {string} directory
   * @param {boolean} unused only those that no tab has open; else other tabs' realms of them are closed */
  async delete(directory, unused) {
    const stored = await Promise.resolve(globalThis.indexedDB?.databases?.()).catch(() => []);
    const paths = [...known.paths(), ...(stored ?? []).map(({ name }) => `${name}`)].filter((path) => path.startsWith(directory));
    let gone = true;
    for (const path of new Set(paths)) {
      const remove = async () => deleteFile(path);
      const file = open.get(path);
      try {
        if (file && !file.realms.size) await end(file);
        if (unused) gone = (await Tabs.ifUnused(path, remove)) && gone;
        else await remove();
      } catch (error) {
        gone = false;
        console.warn(`realm_sync: the realm '${path}' of a removed user cannot be deleted:`, error);
      }
    }
    return gone;
  },
};

/** A client reset is left to the app, or failed: the next opening, or `initiateClientReset`, puts the file aside and begins
 * anew. Scheduled once, it stays so.
 * @param {string} path @param {string} directory of the app @returns {string} where what was not synced can be read then */
function scheduleReset(path, directory) {
  const scheduled = known.get(`reset:${path}`);
  if (scheduled !== null) return scheduled;
  const at = new Date().toISOString().replace(/\D/g, "");
  const random = Math.random().toString(36).slice(2, 8).toUpperCase();
  const backup = `${directory}/recovered-realms/recovered_realm-${at.slice(0, 8)}-${at.slice(8, 14)}-${random}`;
  known.set(`reset:${path}`, backup);
  known.set(path, null); // the next opening makes a new one
  return backup;
}

/** In one tab, if several open it at once. @param {string} path */
async function carryOutReset(path) {
  const key = `reset:${path}`;
  if (known.get(key) === null) return;
  await alone(`realm-sync:${key}`, async () => {
    const backup = known.get(key);
    if (backup === null) return; // another tab was faster
    if (await Disk.move(path, backup)) known.set(backup, "0");
    known.set(key, null);
  });
}

/** The same now; the realm must be closed. @param {string} path */
export function resetFile(path) {
  if (open.get(path)?.realms.size || known.get(`reset:${path}`) === null) {
    throw new AssertionError(`Realm was not configured correctly. Client Reset could not be run for Realm at: ${path}`);
  }
  const file = open.get(path);
  return until(path, Promise.resolve(file ? end(file) : ending.get(path)).then(() => carryOutReset(path)));
}

/** The sessions of the files that are open. */
export const sessions = () => [...open.values()].flatMap((file) => file.session ?? []);

/** Who opens the file meanwhile waits. @template T @param {string} path @param {Promise<T>} done */
function until(path, done) {
  const settled = done.catch((error) => console.error(error)).then(() => {
    if (ending.get(path) === settled) ending.delete(path);
  });
  ending.set(path, settled);
  return done;
}
