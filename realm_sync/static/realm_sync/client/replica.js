// no Python twin: there it is the tables of SQLite. Replica: one realm's objects in memory: the server's state with what is pending on top (R8).
//
// An object that pending changesets touch has a *shadow*: its image on the server, or null where it is absent there.
// Downloads go into shadows where there are any, into the tables elsewhere; then what was touched is computed anew.
// Knows no storage; store.js says what is durable.

import { replay } from "./rebase.js"
import { addClasses, Table } from "./tables.js"

/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {import('./rebase.js').Instruction} Instruction */
/** @typedef {import('./rebase.js').Changeset} Changeset */
/** @typedef {import('./tables.js').StoredClass} StoredClass */
/** @typedef {{class: string, put?: Image[], patch?: Image[], erase?: any[]}} Changes */

const PAGE_OBJECTS = 1000;

export class Replica {
  #synced;
  /** @type {Map<string, Table>} */
  tables = new Map();
  /** @type {Changeset[]} in order: those that are durable, then those that are not yet */
  pending = [];
  /** @type {Map<string, Map<any, Image | null>>} */
  #shadows = new Map();
  /** @type {Map<string, Map<any, {changeset: Changeset, instruction: Instruction}[]>>} what is pending, by object */
  #steps = new Map();

  /** @param {boolean} synced a local realm's classes may change in any way */
  constructor(synced) {
    this.#synced = synced;
  }

  // --- schema -------------------------------------------------------------------------------------------------------

  /** What the core wants to know of classes. */
  schema = {
    get: (/** @type {string} */ name) => this.tables.get(name)?.cls,
    has: (/** @type {string} */ name) => this.tables.has(name),
    wireType: (/** @type {any} */ property) => {
      if (property.type !== "object") return property.type;
      const target = this.tables.get(property.objectType);
      return target ? (target.cls.properties[target.keyName]?.type ?? "string") : "string";
    },
  };

  /** The classes of the file. @param {StoredClass[]} classes */
  adoptSchema(classes) {
    const known = new Map([...this.tables].map(([name, table]) => [name, table.cls]));
    // A local realm's classes may have changed in any way: migration.js sees to that.
    for (const cls of this.#synced ? (addClasses(known, classes)?.values() ?? []) : classes) this.tableFor(cls).cls = cls;
  }

  /** @param {StoredClass} cls */
  tableFor(cls) {
    let table = this.tables.get(cls.name);
    if (!table) this.tables.set(cls.name, (table = new Table(cls)));
    return table;
  }

  /** Other classes and objects; nothing is pending any more. @param {StoredClass[]} classes @param {Map<string, Map<any, Image>>} objects
   * @param {() => void} change what else is done before */
  replace(classes, objects, change) {
    for (const cls of classes) {
      const table = this.tableFor(cls); // which Results made before the file was read hold on to
      table.cls = cls;
      table.keyName = cls.keyName;
      table.replace(objects.get(cls.name) ?? new Map());
    }
    change();
    this.pending = [];
    this.#shadows.clear();
    this.#steps.clear();
  }

  // --- what is pending ----------------------------------------------------------------------------------------------

  /** A local transaction, whose effect is in the tables already. @param {Changeset} changeset @param {Map<Table, Map<any, Image | null>>} originals */
  commit(changeset, originals) {
    for (const [table, images] of originals) {
      for (const [key, image] of images) this.#shadow(table.name, key, image);
    }
    this.pending.push(changeset);
    for (const instruction of changeset.instructions) this.#stepsOf(instruction).push({ changeset, instruction });
    this.#dropShadows(originals);
  }

  /** Objects of the transaction that nothing pending touches (created and deleted at once) need no shadow.
   * @param {Map<Table, Map<any, Image | null>>} originals */
  #dropShadows(originals) {
    for (const [table, images] of originals) {
      for (const key of images.keys()) {
        if (!this.#steps.get(table.name)?.get(key)?.length) this.#shadows.get(table.name)?.delete(key);
      }
    }
  }

  /** The steps pending on an instruction's object. @param {Instruction} instruction */
  #stepsOf({ class: name, _id }) {
    let byKey = this.#steps.get(name);
    if (!byKey) this.#steps.set(name, (byKey = new Map()));
    let steps = byKey.get(_id);
    if (!steps) byKey.set(_id, (steps = []));
    return steps;
  }

  /** An object that has a shadow keeps it: older pending changesets touched it before. @param {string} name @param {any} key
   * @param {Image | null} image */
  #shadow(name, key, image) {
    let shadows = this.#shadows.get(name);
    if (!shadows) this.#shadows.set(name, (shadows = new Map()));
    if (!shadows.has(key)) shadows.set(key, image);
  }

  /** A pending changeset of another tab, in its place among ours; the objects it touches are to be shown anew.
   * @param {Changeset} changeset @param {Map<string, Set<any>>} touched */
  insert(changeset, touched) {
    const comesLater = (/** @type {Changeset} */ other) =>
      other.clientVersion === null || (changeset.clientVersion !== null && other.clientVersion > changeset.clientVersion);
    insertBefore(this.pending, changeset, comesLater);
    for (const instruction of changeset.instructions) {
      const { class: name, _id: key } = instruction;
      this.#shadow(name, key, this.tables.get(name)?.objects.get(key) ?? null);
      insertBefore(this.#stepsOf(instruction), { changeset, instruction }, (step) => comesLater(step.changeset));
      note(touched, name, key);
    }
  }

  /** Server state forward, changesets that are `done` dropped, the rest replayed. @param {Changes[]} list
   * @param {(changeset: Changeset) => boolean} done @param {Map<string, Set<any>>} [touched] */
  merge(list, done, touched = new Map()) {
    for (const changes of list) this.#change(changes, touched);
    const dropped = new Set(this.pending.filter(done));
    if (dropped.size) {
      this.pending = this.pending.filter((changeset) => !dropped.has(changeset));
      /** @type {Map<string, Set<any>>} */
      const concerned = new Map(); // each object once, however many of them touched it
      for (const { instructions } of dropped) for (const { class: name, _id: key } of instructions) note(concerned, name, key);
      for (const [name, keys] of concerned) {
        const steps = this.#steps.get(name);
        for (const key of keys) {
          const left = (steps?.get(key) ?? []).filter(({ changeset }) => !dropped.has(changeset));
          left.length ? steps?.set(key, left) : steps?.delete(key);
          note(touched, name, key);
        }
      }
    }
    this.#show(touched);
  }

  /** @param {Changes} changes @param {Map<string, Set<any>>} touched */
  #change({ class: name, put = [], patch = [], erase = [] }, touched) {
    const table = this.tables.get(name);
    if (!table) return;
    const { keyName, objects } = table;
    const shadows = this.#shadows.get(name);
    const state = shadows?.size ? shadows : null;
    for (const image of put) {
      const key = image[keyName];
      if (state?.has(key)) note(touched, name, (state.set(key, image), key));
      else table.set(key, image);
    }
    for (const values of patch) {
      const key = values[keyName];
      if (state?.has(key)) {
        const old = state.get(key);
        if (old) note(touched, name, (state.set(key, { ...old, ...values }), key));
      } else if (objects.has(key)) table.set(key, { ...objects.get(key), ...values });
    }
    for (const key of erase) {
      if (state?.has(key)) note(touched, name, (state.set(key, null), key));
      else table.delete(key);
    }
  }

  /** Visible = shadow + pending; shadows that nothing pending needs any more are dropped. @param {Map<string, Set<any>>} touched */
  #show(touched) {
    for (const [name, keys] of touched) {
      const table = this.tables.get(name);
      const shadows = this.#shadows.get(name);
      if (!table || !shadows) continue;
      for (const key of keys) {
        let image = shadows.get(key) ?? null;
        const steps = this.#steps.get(name)?.get(key);
        if (steps?.length) image = replay(image, steps.map(({ instruction }) => instruction), table.keyName);
        else shadows.delete(key);
        image ? table.set(key, image) : table.delete(key);
      }
    }
  }

  /** What a changeset of a local realm means to the log. @param {Changeset} changeset @returns {Changes[]} */
  changesOf({ instructions }) {
    return instructions.map(({ op, class: name, _id, values }) => {
      const keyName = /** @type {Table} */ (this.tables.get(name)).keyName;
      if (op === "delete") return { class: name, erase: [_id] };
      return { class: name, [op === "create" ? "put" : "patch"]: [{ [keyName]: _id, ...values }] };
    });
  }

  /** Everything anew: what `list` makes, with `changesets` and what is not durable yet on top. @param {Changes[]} list
   * @param {Changeset[]} changesets @param {number} serverVersion what `list` says is the state at this version */
  rebuild(list, changesets, serverVersion) {
    /** @type {Map<string, Map<any, Image>>} */
    const built = new Map([...this.tables.keys()].map((name) => [name, new Map()]));
    for (const { class: name, put = [], patch = [], erase = [] } of list) {
      const objects = built.get(name);
      const keyName = this.tables.get(name)?.keyName;
      if (!objects || !keyName) continue;
      for (const image of put) objects.set(image[keyName], image);
      for (const values of patch) {
        const old = objects.get(values[keyName]);
        if (old) objects.set(values[keyName], { ...old, ...values });
      }
      for (const key of erase) objects.delete(key);
    }
    for (const [name, objects] of built) this.tables.get(name)?.replace(objects);
    const unflushed = this.pending.filter((changeset) => changeset.clientVersion === null);
    this.pending = [];
    this.#shadows.clear();
    this.#steps.clear();
    /** @type {Map<string, Set<any>>} */
    const touched = new Map();
    for (const changeset of unflushed) changeset.baseVersion = serverVersion;
    for (const changeset of [...changesets, ...unflushed]) this.insert(changeset, touched);
    this.#show(touched);
  }

  // --- the whole of it ----------------------------------------------------------------------------------------------

  /** How many objects are visible. */
  get size() {
    return [...this.tables.values()].reduce((sum, table) => sum + table.objects.size, 0);
  }

  /** The server's image of an object. @param {Table} table @param {any} key */
  #serverImage(table, key) {
    const shadows = this.#shadows.get(table.name);
    return shadows?.has(key) ? shadows.get(key) : table.objects.get(key);
  }

  /** One text that says what these changes came to. @param {Changes[]} list */
  page(list) {
    /** @type {Map<string, Set<any>>} */
    const touched = new Map();
    for (const { class: name, put = [], patch = [], erase = [] } of list) {
      const keyName = this.tables.get(name)?.keyName;
      if (!keyName) continue;
      for (const image of [...put, ...patch]) note(touched, name, image[keyName]);
      for (const key of erase) note(touched, name, key);
    }
    const changes = [...touched].map(([name, keys]) => {
      const table = /** @type {Table} */ (this.tables.get(name));
      const images = [...keys].map((key) => /** @type {const} */ ([key, this.#serverImage(table, key)]));
      return {
        class: name,
        put: images.flatMap(([, image]) => image ?? []),
        erase: images.flatMap(([key, image]) => (image ? [] : [key])),
      };
    });
    return JSON.stringify({ changes });
  }

  /** The whole server state. */
  *pages() {
    for (const table of this.tables.values()) {
      const keys = new Set([...table.objects.keys(), ...(this.#shadows.get(table.name)?.keys() ?? [])]);
      let put = [];
      for (const key of keys) {
        const image = this.#serverImage(table, key);
        if (image) put.push(image);
        if (put.length === PAGE_OBJECTS) {
          yield JSON.stringify({ changes: [{ class: table.name, put }] });
          put = [];
        }
      }
      if (put.length) yield JSON.stringify({ changes: [{ class: table.name, put }] });
    }
  }
}

/** @template T @param {T[]} list @param {T} item @param {(other: T) => boolean} comesLater */
function insertBefore(list, item, comesLater) {
  const at = list.findIndex(comesLater);
  list.splice(at < 0 ? list.length : at, 0, item);
}

/** @param {Map<string, Set<any>>} touched @param {string} name @param {any} key */
function note(touched, name, key) {
  const keys = touched.get(name);
  if (keys) keys.add(key);
  else touched.set(name, new Set([key]));
}
