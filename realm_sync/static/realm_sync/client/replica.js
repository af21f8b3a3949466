// no Python twin: there it is the tables of SQLite. Replica: one realm's objects in memory: the server's state with what is
// pending on top (R8).
//
// An object that pending changesets touch has a *shadow*: its image on the server, or null where it is absent there.
// Downloads go into shadows where there are any, into the tables elsewhere; then what was touched is computed anew.
//
// Pending edits say where they are meant by indexes, which others' changes make wrong. So whenever the server's state
// goes forward, or another tab's changeset comes before ours, they are counted anew (core/merge.js): by whoever downloads,
// in the transaction that makes the download durable, so that what is stored always fits together; other tabs read it as it
// is stored, and count anew only what of their own is not durable yet. Knows no storage; store.js says what is durable.

import { rebase } from "../core/merge.js"
import { elementOf } from "../core/schema.js"
import { replay } from "./rebase.js"
import { addClasses, Table } from "./tables.js"

/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {import('./rebase.js').Instruction} Instruction */
/** @typedef {import('./rebase.js').Changeset} Changeset */
/** @typedef {import('./tables.js').StoredClass} StoredClass */
/** @typedef {{class: string, put?: Image[], patch?: Image[], erase?: any[]}} Changes */

const PAGE_OBJECTS = 1000;
/** Classes as the core knows them. @type {WeakMap<StoredClass, any>} */
const asClass = new WeakMap();

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
    get: (/** @type {string} */ name) => {
      const cls = this.tables.get(name)?.cls;
      let known = cls && asClass.get(cls);
      if (cls && !known) asClass.set(cls, (known = { ...cls, wire: cls.properties }));
      return known;
    },
    has: (/** @type {string} */ name) => this.tables.has(name),
    isEmbedded: (/** @type {string | undefined} */ name) => Boolean(this.tables.get(/** @type {string} */ (name))?.cls.embedded),
    element: elementOf,
    wireType: (/** @type {any} */ property) => {
      if (property.type !== "object") return property.type;
      const target = this.tables.get(property.objectType);
      if (target?.cls.embedded) return "embedded";
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
    if (!table) this.tables.set(cls.name, (table = new Table(cls, this.schema)));
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

  /** What the edits that are pending read from now on, by changeset, if `merge` is called with the same: those of the changesets
   * that nothing changes are left out. @param {Changes[]} list @param {(changeset: Changeset) => boolean} done
   * @param {number | null} version the server's; null: nobody else writes, so every edit stays as it is
   * @returns {Map<Changeset, Instruction[]>} */
  rebased(list, done, version) {
    /** @type {Map<Changeset, Instruction[]>} */
    const plan = new Map();
    const isEdited = new Set(this.pending.filter((changeset) => !done(changeset) && changeset.instructions.some((step) => step.path)));
    if (version === null || !isEdited.size) return plan;
    const next = this.#nextShadows(list);
    /** @type {Map<string, Set<any>>} */
    const concerned = new Map();
    for (const [name, images] of next) for (const key of images.keys()) note(concerned, name, key);
    for (const changeset of this.pending) if (done(changeset)) for (const { class: name, _id: key } of changeset.instructions) note(concerned, name, key);
    /** @type {Map<Instruction, Instruction[]>} */
    const rewritten = new Map();
    for (const [name, keys] of concerned) {
      for (const key of keys) {
        const now = next.get(name)?.has(key) ? next.get(name)?.get(key) : this.#shadows.get(name)?.get(key);
        this.#rewriteObject(name, key, done, now ?? null, version, rewritten);
      }
    }
    return planOf(isEdited, rewritten);
  }

  /** @param {string} name @param {any} key @param {(changeset: Changeset) => boolean} done @param {Image | null} now on the server
   * @param {number} version @param {Map<Instruction, Instruction[]>} rewritten */
  #rewriteObject(name, key, done, now, version, rewritten) {
    const steps = this.#steps.get(name)?.get(key) ?? [];
    const [gone, left] = [true, false].map((isDone) => steps.filter(({ changeset }) => done(changeset) === isDone).map(({ instruction }) => instruction));
    this.#rewrite(name, this.#shadows.get(name)?.get(key) ?? null, gone, now, left, version, rewritten);
  }

  /** @param {string} name @param {Image | null} old @param {Instruction[]} gone @param {Image | null} now @param {Instruction[]} left
   * @param {number} version @param {Map<Instruction, Instruction[]>} rewritten */
  #rewrite(name, old, gone, now, left, version, rewritten) {
    const cls = this.schema.get(name);
    if (!cls || !left.some((step) => step.path)) return;
    const [, made] = rebase(/** @type {any} */ (this.schema), cls, old, /** @type {any} */ (gone), now, /** @type {any} */ (left), version);
    left.forEach((step, at) => {
      if (made[at].length !== 1 || made[at][0] !== step) rewritten.set(step, /** @type {any} */ (made[at]));
    });
  }

  /** The server's images of the objects that something pending touches, after these changes. @param {Changes[]} list */
  #nextShadows(list) {
    /** @type {Map<string, Map<any, Image | null>>} */
    const next = new Map();
    for (const { class: name, put = [], patch = [], erase = [] } of list) {
      const shadows = this.#shadows.get(name);
      const keyName = this.tables.get(name)?.keyName;
      if (!shadows?.size || !keyName) continue;
      const images = next.get(name) ?? new Map();
      next.set(name, images);
      for (const image of put) if (shadows.has(image[keyName])) images.set(image[keyName], image);
      for (const values of patch) {
        const key = values[keyName];
        const old = images.has(key) ? images.get(key) : shadows.get(key);
        if (old) images.set(key, { ...old, ...values });
      }
      for (const key of erase) if (shadows.has(key)) images.set(key, null);
    }
    return next;
  }

  /** A changeset reads so from now on; its objects are to be shown anew. @param {Changeset} changeset @param {Instruction[]} instructions
   * @param {Map<string, Set<any>>} touched */
  reword(changeset, instructions, touched) {
    /** @type {Map<string, Set<any>>} */
    const concerned = new Map();
    for (const { class: name, _id: key } of changeset.instructions) note(concerned, name, key);
    changeset.instructions = instructions;
    for (const [name, keys] of concerned) {
      const steps = this.#steps.get(name);
      for (const key of keys) {
        note(touched, name, key);
        const old = steps?.get(key);
        const at = old?.findIndex((step) => step.changeset === changeset) ?? -1;
        if (!old || at < 0) continue;
        const mine = instructions.filter((step) => step.class === name && step._id === key).map((instruction) => ({ changeset, instruction }));
        const others = old.filter((step) => step.changeset !== changeset);
        others.splice(at, 0, ...mine);
        others.length ? steps?.set(key, others) : steps?.delete(key);
      }
    }
  }

  /** What another tab committed. Its edits, and ours that it counted anew, read as they are stored; ours that are not durable
   * yet come after them all. @param {Changes[]} list @param {Changeset[]} changesets as stored @param {number} clientVersion the
   * server has those up to this one @param {number} version the server's */
  receive(list, changesets, clientVersion, version) {
    const byVersion = new Map(this.pending.map((changeset) => [changeset.clientVersion, changeset]));
    const grounds = this.#grounds();
    const touched = new Map();
    this.merge(list, (changeset) => changeset.clientVersion !== null && changeset.clientVersion <= clientVersion, null, touched);
    for (const stored of changesets) {
      const known = byVersion.get(stored.clientVersion);
      if (!known) this.insert(stored, touched);
      else if ([...known.instructions, ...stored.instructions].some((step) => step.path)) this.reword(known, stored.instructions, touched);
    }
    this.#recount(grounds, version, touched);
    this.#show(touched);
  }

  /** What the edits stand on that are not durable yet, by object: the server's image with everything durable on top.
   * @returns {Map<string, Map<any, Image | null>>} */
  #grounds() {
    /** @type {Map<string, Map<any, Image | null>>} */
    const grounds = new Map();
    for (const { clientVersion, instructions } of this.pending) {
      if (clientVersion !== null) continue;
      for (const { class: name, _id: key, path } of instructions) {
        if (!path || grounds.get(name)?.has(key)) continue;
        if (!grounds.has(name)) grounds.set(name, new Map());
        grounds.get(name)?.set(key, this.#ground(name, key));
      }
    }
    return grounds;
  }

  /** @param {string} name @param {any} key @returns {Image | null} */
  #ground(name, key) {
    const table = /** @type {Table} */ (this.tables.get(name));
    const durable = (this.#steps.get(name)?.get(key) ?? []).filter(({ changeset }) => changeset.clientVersion !== null);
    return replay(this.schema, table, this.#shadows.get(name)?.get(key) ?? null, durable.map(({ instruction }) => instruction));
  }

  /** The edits that are not durable yet stood on `grounds`, and stand on something else now. @param {Map<string, Map<any, Image | null>>} grounds
   * @param {number} version @param {Map<string, Set<any>>} touched */
  #recount(grounds, version, touched) {
    /** @type {Map<Instruction, Instruction[]>} */
    const rewritten = new Map();
    for (const [name, images] of grounds) {
      for (const [key, before] of images) {
        const steps = (this.#steps.get(name)?.get(key) ?? []).filter(({ changeset }) => changeset.clientVersion === null);
        this.#rewrite(name, before, [], this.#ground(name, key), steps.map(({ instruction }) => instruction), version, rewritten);
      }
    }
    const mine = new Set(this.pending.filter(({ clientVersion }) => clientVersion === null));
    for (const [changeset, instructions] of planOf(mine, rewritten)) this.reword(changeset, instructions, touched);
  }

  /** Server state forward, changesets that are `done` dropped, the rest replayed, their edits counted anew. @param {Changes[]} list
   * @param {(changeset: Changeset) => boolean} done @param {number | null} version as in `rebased` @param {Map<string, Set<any>>} [touched] */
  merge(list, done, version, touched = new Map()) {
    for (const [changeset, instructions] of this.rebased(list, done, version)) this.reword(changeset, instructions, touched);
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
        if (!shadows.has(key)) continue; // shown before
        let image = shadows.get(key) ?? null;
        const steps = this.#steps.get(name)?.get(key);
        if (steps?.length) image = replay(this.schema, table, image, steps.map(({ instruction }) => instruction));
        else shadows.delete(key);
        image ? table.set(key, image) : table.delete(key);
      }
    }
  }

  /** What changesets of a local realm, the oldest that are pending, mean to the log: changes for each. @param {Changeset[]} changesets
   * @returns {Changes[][]} */
  localChanges(changesets) {
    /** @type {Map<string, Map<any, Image | null>>} */
    const images = new Map();
    return changesets.map(({ instructions }) => {
      /** @type {Map<string, Map<any, Instruction[]>>} */
      const byObject = new Map();
      for (const step of instructions) {
        if (!byObject.has(step.class)) byObject.set(step.class, new Map());
        const steps = byObject.get(step.class)?.get(step._id);
        if (steps) steps.push(step);
        else byObject.get(step.class)?.set(step._id, [step]);
      }
      return [...byObject].map(([name, objects]) => {
        const table = /** @type {Table} */ (this.tables.get(name));
        const made = images.get(name) ?? new Map();
        images.set(name, made);
        /** @type {Required<Changes>} */
        const changes = { class: name, put: [], patch: [], erase: [] };
        for (const [key, steps] of objects) {
          const before = made.has(key) ? made.get(key) : (this.#serverImage(table, key) ?? null);
          const after = replay(this.schema, table, before, steps);
          made.set(key, after);
          if (!after) changes.erase.push(key);
          else if (!before || steps.some(({ op }) => op === "delete" || op === "create")) changes.put.push(after);
          else {
            const names = new Set(steps.flatMap(({ path, values }) => (path ? [`${path[0]}`] : Object.keys(values ?? {}))));
            changes.patch.push({ [table.keyName]: key, ...Object.fromEntries([...names].map((each) => [each, after[each] ?? null])) });
          }
        }
        return changes;
      });
    });
  }

  /** What is durable of what is pending reads so in a client reset, when the server's state is that of `list`.
   * @param {Changeset[]} kept as stored @param {Changes[]} list @param {number} version @returns {Changeset[]} */
  recovered(kept, list, version) {
    /** @type {Map<string, Map<any, Image>>} */
    const images = new Map();
    for (const { class: name, put = [] } of list) {
      const keyName = this.tables.get(name)?.keyName;
      const byKey = images.get(name) ?? new Map();
      images.set(name, byKey);
      if (keyName) for (const image of put) byKey.set(image[keyName], image);
    }
    const byVersion = new Map(this.pending.map((changeset) => [changeset.clientVersion, changeset]));
    const known = new Set(kept.flatMap(({ clientVersion }) => byVersion.get(clientVersion) ?? []));
    /** @type {Map<string, Set<any>>} */
    const concerned = new Map();
    for (const { instructions } of known) for (const { class: name, _id: key } of instructions) note(concerned, name, key);
    /** @type {Map<Instruction, Instruction[]>} */
    const rewritten = new Map();
    for (const [name, keys] of concerned) {
      for (const key of keys) this.#rewriteObject(name, key, (changeset) => !known.has(changeset), images.get(name)?.get(key) ?? null, version, rewritten);
    }
    const plan = planOf(known, rewritten);
    return kept.map((changeset) => {
      const instructions = plan.get(/** @type {Changeset} */ (byVersion.get(changeset.clientVersion))) ?? changeset.instructions;
      // Without a base of their own: the server that they were counted for is gone.
      return { ...changeset, instructions: instructions.map(({ base: _, ...step }) => step) };
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
    const unflushed = this.pending.filter((changeset) => changeset.clientVersion === null);
    const grounds = this.#grounds();
    for (const [name, objects] of built) this.tables.get(name)?.replace(objects);
    this.pending = [];
    this.#shadows.clear();
    this.#steps.clear();
    /** @type {Map<string, Set<any>>} */
    const touched = new Map();
    for (const changeset of unflushed) changeset.baseVersion = serverVersion;
    for (const changeset of [...changesets, ...unflushed]) this.insert(changeset, touched);
    this.#recount(grounds, serverVersion, touched);
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

/** @param {Set<Changeset>} changesets @param {Map<Instruction, Instruction[]>} rewritten @returns {Map<Changeset, Instruction[]>} */
function planOf(changesets, rewritten) {
  const changed = [...changesets].filter(({ instructions }) => instructions.some((step) => rewritten.has(step)));
  return new Map(changed.map((changeset) => [changeset, changeset.instructions.flatMap((step) => rewritten.get(step) ?? [step])]));
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
