/**
 * Tree: one property of one object while several write it, in two views of the same places.
 *
 * `seen` is what the client file saw when it wrote its edits, `here` what is there now. What another writer made of the
 * property is *absorbed*: told from the value alone, element by element, into `here` (and into `seen` too if the file knew
 * it). What the file says is *applied*: understood in `seen`, done in `here`, and returned as it reads there. Elements of
 * lists are places with an identity, so that an index of one view finds its element in the other. The rules are those of
 * tree.py and PROTOCOL.md §6; on a client nobody has a stamp, so its own writes stand until the server has decided. Pure;
 * called by merge.js.
 */

import { CHANGED, KEPT, MOVED, NEW, align } from "./alignment.js"
import {
  EditError, Shape, checkBy, checkClear, checkCounter, checkIndex, checkKeyed, checkSet, childShape, identities, identity,
  increase, memberKey, noSuchKey, takesPlace,
} from "./edits.js"
import { sortWire } from "./encoding.js"

/** @typedef {import("./edits.js").Edit} Edit */
/** @typedef {import("./edits.js").Step} Step */
/** @typedef {[timestamp: number, origin: number]} Stamp when a write was made and by which client file; later stands */
/** @typedef {{version: number, stamp: Stamp}} Write another's write: its version in the history and its stamp */

/** The stamp of a client's own writes before the server has decided. @type {Stamp} */
const NOBODY = [0, 0];
/** A clear that others' elements survive is counted anew as this many removes at most; beyond, as a clear that keeps them: a
 * list of ten thousand elements would not fit into a message. */
const MOST_REMOVES = 64;
/** What a place holds in a view that it is not in. */
const ABSENT = Symbol("absent");

/** A place: the property itself, an element, the value of a key, a property of an embedded object. Each view holds ABSENT,
 * a leaf's wire value, or a container: its wire value until somebody looks inside, then a body. One body (or wire
 * container) in both views is one container; two are the former and what replaced it. */
class Slot {
  /** Others' writes of the whole place. @type {Write[] | null} */
  writes = null;
  /** Others' moves of an element (Write), or increments of a counter or int. @type {any[] | null} */
  marks = null;

  /** @param {Shape} shape @param {any} seen @param {any} here */
  constructor(shape, seen, here) {
    this.shape = shape;
    this.seen = seen;
    this.here = here;
  }
}

class ListBody {
  kind = "list";
  /** Others' changes in the list, of any kind. @type {Write[]} */
  writes = [];

  /** @param {Shape} shape @param {any[]} wires */
  constructor(shape, wires) {
    this.shape = shape.element;
    /** @type {Slot[]} */
    this.seen = wires.map((wire) => {
      const content = this.shape.read(wire);
      return new Slot(this.shape, content, content);
    });
    /** The same array until the views part. */
    this.here = this.seen;
  }

  part() {
    if (this.here === this.seen) this.here = this.seen.slice();
  }
}

class Member {
  /** @type {Write[] | null} */
  writes = null;

  /** @param {any} wire @param {boolean} seen @param {boolean} here */
  constructor(wire, seen, here) {
    this.wire = wire;
    this.seen = seen;
    this.here = here;
  }
}

class SetBody {
  kind = "set";

  /** @param {any[]} wires */
  constructor(wires) {
    /** @type {Map<string, Member>} */
    this.members = new Map(wires.map((wire) => [memberKey(wire), new Member(wire, true, true)]));
  }

  /** The member of a value, which this body may not have met yet. @param {any} wire */
  member(wire) {
    const key = memberKey(wire);
    let member = this.members.get(key);
    if (!member) this.members.set(key, (member = new Member(wire, false, false)));
    return member;
  }
}

/** A dictionary or an embedded object. */
class MapBody {
  /** @param {Shape} shape @param {string} kind @param {Record<string, any>} wire */
  constructor(shape, kind, wire) {
    this.shape = shape;
    this.kind = kind;
    /** @type {Map<string, Slot>} */
    this.slots = new Map();
    for (const key of kind === "embedded" ? shape.fields.keys() : Object.keys(wire)) {
      const child = (kind === "embedded" && shape.fields.get(key)) || shape.element;
      const content = child.read(own(wire, key));
      this.slots.set(key, new Slot(child, content, content));
    }
  }

  /** The place of a key that this body may not have met yet. @param {string} key */
  slot(key) {
    let slot = this.slots.get(key);
    if (!slot) this.slots.set(key, (slot = new Slot(this.shape.element, ABSENT, ABSENT)));
    return slot;
  }
}

/** @typedef {ListBody | SetBody | MapBody} Body */

/** A property in the views of one client file and of everybody. Wire values given to it are never changed. */
export class Tree {
  #name;
  #root;
  /** @type {Write | null} */
  #write = null;
  #isKnown = false;
  /** @type {Set<string>} */
  #sets = new Set();
  #base = 0;
  #stamp = NOBODY;
  /** Dotted paths of the counters and ints that the last `apply`, `assign` or `join` set; with a plus in front, of the ints
   * that it added to. @type {string[]} */
  counters = [];

  /** `value`: what the client file saw and what was there, before everything that is absorbed and applied.
   * @param {Shape} shape @param {string} name @param {any} value */
  constructor(shape, name, value) {
    this.#name = name;
    const content = shape.read(value);
    this.#root = new Slot(shape, content, content);
  }

  /** The wire value that is there. */
  value() {
    return wireOf(this.#root.here, "here");
  }

  /** The wire value as the client file sees it. */
  seenValue() {
    return wireOf(this.#root.seen, "seen");
  }

  // --- what others wrote ---------------------------------------------------------------------------------------------

  /** `value`: what a writer made of what was there. `write`: a rival's; null: not to be compared with anybody's.
   * `isKnown`: the client file saw it happen. `sets`: dotted paths of counters that it set, not increased, and, with a plus
   * in front, of ints that it increased.
   * @param {any} value @param {Write | null} [write] @param {{isKnown?: boolean, sets?: string[]}} [options] */
  absorb(value, write = null, { isKnown = false, sets = [] } = {}) {
    this.#write = write;
    this.#isKnown = isKnown;
    this.#sets = new Set(sets);
    this.#absorb(this.#root, this.#root.shape.read(value), this.#name);
  }

  /** @param {Slot | Member} slot */
  #record(slot) {
    if (this.#write) remember((slot.writes ??= []), this.#write);
  }

  /** Whether that changed anything. @param {Slot} slot @param {any} wire @param {string} path @returns {boolean} */
  #absorb(slot, wire, path) {
    const { here, shape } = slot;
    if (here === wire) return false;
    if (here !== ABSENT && wire !== ABSENT) {
      const kind = shape.container(wire);
      if (kind && kind === kindOf(shape, here)) {
        const body = /** @type {Body} */ (bodyOf(slot, "here"));
        if (body instanceof ListBody) return this.#absorbList(body, wire, path);
        if (body instanceof SetBody) return this.#absorbSet(body, wire);
        return this.#absorbMap(body, wire, path);
      }
      if (!kind && !kindOf(shape, here)) {
        if (identity(here) === identity(wire)) return false;
        if (here !== null && wire !== null && isIncrease(shape, path, this.#sets)) {
          this.#absorbIncrease(slot, wire);
          return true;
        }
      }
    }
    slot.here = wire;
    if (this.#isKnown) slot.seen = wire;
    this.#record(slot);
    return true;
  }

  /** @param {Slot} slot @param {any} wire */
  #absorbIncrease(slot, wire) {
    const by = BigInt(wire) - BigInt(slot.here);
    if (this.#write) (slot.marks ??= []).push({ write: this.#write, by });
    slot.here = wire;
    if (this.#isKnown) slot.seen = slot.seen === null || slot.seen === ABSENT ? wire : increase(slot.seen, by);
  }

  /** @param {SetBody} body @param {any[]} wires */
  #absorbSet(body, wires) {
    const after = new Map(wires.map((wire) => [memberKey(wire), wire]));
    let changed = false;
    for (const wire of after.values()) {
      const member = body.member(wire);
      member.wire = wire;
      if (member.here) continue;
      this.#absorbMember(member, true);
      changed = true;
    }
    for (const [key, member] of body.members) {
      if (!member.here || after.has(key)) continue;
      this.#absorbMember(member, false);
      changed = true;
    }
    return changed;
  }

  /** @param {Member} member @param {boolean} here */
  #absorbMember(member, here) {
    member.here = here;
    if (this.#isKnown) member.seen = here;
    this.#record(member);
  }

  /** @param {MapBody} body @param {Record<string, any>} wire @param {string} path */
  #absorbMap(body, wire, path) {
    let changed = false;
    const keys = body.kind === "embedded" ? [...body.slots.keys()] : Object.keys(wire);
    for (const key of keys) {
      const slot = body.slot(key);
      changed = this.#absorb(slot, slot.shape.read(own(wire, key)), `${path}.${key}`) || changed;
    }
    if (body.kind === "embedded") return changed;
    for (const [key, slot] of body.slots) {
      if (!Object.hasOwn(wire, key) && slot.here !== ABSENT) changed = this.#absorb(slot, ABSENT, path) || changed;
    }
    return changed;
  }

  /** @param {ListBody} body @param {any[]} wires @param {string} path */
  #absorbList(body, wires, path) {
    const before = body.here;
    const olds = before.map((slot) => wireOf(slot.here, "here"));
    const { origin, fate, removed } = align(identities(body.shape, olds), identities(body.shape, wires));
    if (!removed.length && before.length === wires.length && fate.every((what) => what === KEPT)) return false;
    const parted = !this.#isKnown || body.seen !== before;
    if (parted) body.part();
    const after = origin.map((at, to) => {
      if (fate[to] === NEW) {
        const content = body.shape.read(wires[to]);
        return new Slot(body.shape, this.#isKnown ? content : ABSENT, content);
      }
      const slot = before[at];
      if (fate[to] === MOVED && this.#write) remember((slot.marks ??= []), this.#write);
      if (fate[to] === CHANGED) {
        const isKnown = this.#isKnown;
        this.#isKnown = isKnown && slot.seen !== ABSENT;
        this.#absorb(slot, body.shape.read(wires[to]), `${path}.${to}`);
        this.#isKnown = isKnown;
      }
      return slot;
    });
    for (const at of removed) {
      before[at].here = ABSENT;
      if (this.#isKnown) before[at].seen = ABSENT;
    }
    body.here = after;
    if (!parted) body.seen = after;
    else if (this.#isKnown) show(body, fate);
    if (this.#write) remember(body.writes, this.#write);
    return true;
  }

  // --- what the client file wrote ------------------------------------------------------------------------------------

  /** Does an edit of the client file, and returns what of it stands, as edits of what was there: none, one, or for a
   * `clear` several. `base` and `stamp` are its changeset's. Throws an EditError if it makes no sense in what the file saw,
   * and has changed nothing then. @param {Edit} edit @param {number} [base] @param {Stamp} [stamp] @returns {Edit[]} */
  apply(edit, base = 0, stamp = NOBODY) {
    this.#begin(base, stamp);
    const by = edit.op === "add" ? checkBy(edit) : 0;
    const steps = takesPlace(edit) ? edit.path.slice(1, -1) : edit.path.slice(1);
    const { slot, path, isAlive: isReached } = this.#walk(edit, steps);
    if (edit.op === "add") {
      checkCounter(slot.shape, edit);
      return this.#add(slot, by, isReached, edit, path);
    }
    const body = bodyOf(slot, "seen");
    const isAlive = isReached && slot.here === body;
    if (!takesPlace(edit)) {
      if (edit.op === "clear") {
        const kept = checkClear(body?.kind, body instanceof ListBody ? body.seen : [], edit);
        return this.#clear(/** @type {Body} */ (body), isAlive, edit, path, kept);
      }
      const entry = checkSet(body?.kind, edit);
      const member = /** @type {SetBody} */ (body).member(entry.value);
      return this.#enter(member, entry.op === "setInsert", isAlive) ? [{ ...edit, path }] : [];
    }
    if (edit.path.length < 2) throw new EditError("InvalidPath", "The path ends too early.", edit.path);
    if (body instanceof ListBody) return this.#editList(body, isAlive, edit, path);
    return this.#editMap(slot.shape, body, isAlive, edit, path);
  }

  /** The client file writes the property as a whole; whether anything of that stands.
   * @param {any} value @param {number} [base] @param {Stamp} [stamp] */
  assign(value, base = 0, stamp = NOBODY) {
    this.#begin(base, stamp);
    return this.#assign(this.#root, this.#root.shape.read(value), true, this.#name);
  }

  /** The client file created an object that there is already, with this value: what both have comes together, and elements
   * that both have are one. Whether that wrote anything. @param {any} value @param {number} [base] @param {Stamp} [stamp] */
  join(value, base = 0, stamp = NOBODY) {
    this.#begin(base, stamp);
    return this.#join(this.#root, this.#root.shape.read(value), [], this.#name);
  }

  /** @param {number} base @param {Stamp} stamp */
  #begin(base, stamp) {
    this.#base = base;
    this.#stamp = stamp;
    this.counters = [];
  }

  /** @param {Write} write */
  #isLater({ version, stamp }) {
    const [timestamp, origin] = this.#stamp;
    return version > this.#base && (stamp[0] > timestamp || (stamp[0] === timestamp && stamp[1] > origin));
  }

  /** @param {Write[] | null} writes */
  #isBeaten(writes) {
    return Boolean(writes?.some((write) => this.#isLater(write)));
  }

  /** The place that steps lead to in `seen`, the way there in `here`, and whether it is there at all.
   * @param {Edit} edit @param {Step[]} steps */
  #walk(edit, steps) {
    let slot = this.#root;
    let isAlive = true;
    /** @type {Step[]} */
    const path = [edit.path[0]];
    for (const step of steps) {
      const soFar = edit.path.slice(0, path.length + 1);
      const body = bodyOf(slot, "seen");
      isAlive = isAlive && slot.here === body;
      if (body instanceof ListBody) {
        slot = body.seen[checkIndex(step, body.seen.length, soFar)];
        isAlive = isAlive && slot.here !== ABSENT;
        path.push(isAlive ? find(body.here, slot, Number(step)) : step);
      } else {
        childShape(slot.shape, body?.kind ?? null, step, soFar);
        const found = /** @type {MapBody} */ (body).slots.get(String(step));
        if (!found || found.seen === ABSENT) throw noSuchKey(soFar);
        slot = found;
        isAlive = isAlive && slot.here !== ABSENT;
        path.push(step);
      }
    }
    return { slot, path, isAlive };
  }

  /** @param {Slot} slot @param {any} by @param {boolean} isAlive @param {Edit} edit @param {Step[]} path @returns {Edit[]} */
  #add(slot, by, isAlive, edit, path) {
    if (slot.seen !== null) slot.seen = increase(slot.seen, by);
    if (!isAlive || slot.here === null || this.#isBeaten(slot.writes)) return [];
    slot.here = increase(slot.here, by);
    if (slot.shape.isInt) this.counters.push(`+${path.join(".")}`);
    return [{ ...edit, path }];
  }

  /** A member comes into a set or leaves it. A write that finds it done stands as well: others may undo theirs.
   * @param {Member} member @param {boolean} inside @param {boolean} isAlive */
  #enter(member, inside, isAlive) {
    member.seen = inside;
    if (!isAlive || this.#isBeaten(member.writes)) return false;
    member.here = inside;
    return true;
  }

  /** @param {Shape} shape @param {SetBody | MapBody | null} body @param {boolean} isAlive @param {Edit} edit @param {Step[]} path
   * @returns {Edit[]} */
  #editMap(shape, body, isAlive, edit, path) {
    const step = edit.path[edit.path.length - 1];
    childShape(shape, body?.kind ?? null, step, edit.path);
    const holder = /** @type {MapBody} */ (body);
    const key = String(step);
    if (edit.op === "set") {
      const slot = holder.slot(key);
      const stands = this.#assign(slot, slot.shape.read(edit.value), isAlive, [...path, key].join("."));
      return stands ? [{ ...edit, path: [...path, key], value: wireOf(slot.here, "here") }] : [];
    }
    checkKeyed(holder.kind, edit);
    const found = holder.slots.get(key);
    if (!found || found.seen === ABSENT) throw noSuchKey(edit.path);
    return this.#discard(found, isAlive) ? [{ ...edit, path: [...path, key] }] : [];
  }

  /** A key leaves its dictionary. @param {Slot} slot @param {boolean} isAlive */
  #discard(slot, isAlive) {
    slot.seen = ABSENT;
    if (!isAlive || slot.here === ABSENT || this.#isBeaten(slot.writes)) return false;
    slot.here = ABSENT;
    return true;
  }

  /** @param {ListBody} body @param {boolean} isReached @param {Edit} edit @param {Step[]} path @returns {Edit[]} */
  #editList(body, isReached, edit, path) {
    const length = body.seen.length + (edit.op === "insert" ? 1 : 0);
    const index = checkIndex(edit.path[edit.path.length - 1], length, edit.path);
    if (edit.op === "insert") {
      const content = body.shape.read(edit.value);
      const added = new Slot(body.shape, content, isReached ? content : ABSENT);
      if (!isReached) body.part();
      const isShared = body.here === body.seen;
      body.seen.splice(index, 0, added);
      if (isShared) return [{ ...edit, path: [...path, index] }];
      if (!isReached) return [];
      const place = behind(body, index);
      body.here.splice(place, 0, added);
      return [{ ...edit, path: [...path, place] }];
    }
    const slot = body.seen[index];
    const isThere = isReached && slot.here !== ABSENT;
    if (edit.op === "set") {
      const place = isThere ? find(body.here, slot, index) : index;
      const stands = this.#assign(slot, body.shape.read(edit.value), isThere, [...path, place].join("."));
      return stands ? [{ ...edit, path: [...path, place], value: wireOf(slot.here, "here") }] : [];
    }
    if (edit.op === "move") {
      checkIndex(edit.to, body.seen.length, edit.path);
      return this.#move(body, slot, index, isThere, edit, path);
    }
    // What another put in its place is not what the client file meant.
    const isMeant = isThere && isSame(slot);
    const place = isMeant ? find(body.here, slot, index) : index;
    if (!isMeant) body.part();
    body.seen.splice(index, 1);
    slot.seen = ABSENT;
    if (!isMeant) return [];
    if (body.here !== body.seen) body.here.splice(place, 1);
    slot.here = ABSENT;
    return [{ ...edit, path: [...path, place] }];
  }

  /** @param {ListBody} body @param {Slot} slot @param {number} index @param {boolean} isAlive
   * @param {Edit & {op: "move"}} edit @param {Step[]} path @returns {Edit[]} */
  #move(body, slot, index, isAlive, edit, path) {
    const stands = isAlive && !this.#isBeaten(slot.marks);
    if (!stands) body.part();
    const isShared = body.here === body.seen;
    const source = stands && !isShared ? find(body.here, slot, index) : index;
    if (stands && !isShared) body.here.splice(source, 1);
    body.seen.splice(index, 1);
    body.seen.splice(edit.to, 0, slot);
    if (!stands) return [];
    if (isShared) return [{ ...edit, path: [...path, index] }];
    const place = behind(body, edit.to);
    body.here.splice(place, 0, slot);
    return [{ ...edit, path: [...path, source], to: place }];
  }

  /** @param {Body} body @param {boolean} isAlive @param {Edit} edit @param {Step[]} path @param {Set<any>} kept
   * @returns {Edit[]} */
  #clear(body, isAlive, edit, path, kept) {
    const { class: className, _id, base } = edit;
    const names = { class: className, _id, ...(base !== undefined && { base }) };
    /** @type {Edit[]} */
    const done = [];
    /** @type {any[]} */
    let keep = [];
    if (body instanceof ListBody) {
      body.part();
      const slots = body.seen.filter((_, at) => !kept.has(at));
      body.seen = body.seen.filter((_, at) => kept.has(at));
      const doomed = new Set(slots.filter((slot) => isAlive && slot.here !== ABSENT && isSame(slot)));
      for (let place = body.here.length - 1; place >= 0; place -= 1) {
        if (doomed.has(body.here[place])) done.push({ op: "remove", ...names, path: [...path, place] });
      }
      body.here.forEach((slot, place) => doomed.has(slot) || keep.push(place));
      for (const slot of slots) {
        slot.seen = ABSENT;
        if (doomed.has(slot)) slot.here = ABSENT;
      }
      body.here = body.here.filter((slot) => slot.here !== ABSENT);
    } else if (body instanceof SetBody) {
      for (const [key, member] of body.members) {
        if (member.seen && !kept.has(key) && this.#enter(member, false, isAlive)) {
          done.push({ op: "setRemove", ...names, path, value: member.wire });
        }
      }
      keep = [...body.members.values()].filter((member) => member.here).map(({ wire }) => wire);
    } else {
      for (const [key, slot] of body.slots) {
        if (slot.seen !== ABSENT && !kept.has(key) && this.#discard(slot, isAlive)) {
          done.push({ op: "remove", ...names, path: [...path, key] });
        }
      }
      keep = [...body.slots].filter(([, slot]) => slot.here !== ABSENT).map(([key]) => key);
    }
    if (!done.length || (keep.length && done.length <= MOST_REMOVES)) return done;
    return [{ op: "clear", ...names, path, ...(keep.length && { keep }) }];
  }

  /** The client file writes a place as a whole; whether anything of that stands.
   * @param {Slot} slot @param {any} value @param {boolean} isAlive @param {string} path @returns {boolean} */
  #assign(slot, value, isAlive, path) {
    const { shape } = slot;
    if (!isAlive) {
      slot.seen = value;
      return false;
    }
    if (shape.kind === "counter" || shape.isInt) return this.#assignCounter(slot, value, path);
    const kind = shape.container(value);
    if (kind && kind === kindOf(shape, slot.here) && slot.seen !== ABSENT) {
      const body = bodyOf(slot, "seen");
      if (body && body === bodyOf(slot, "here")) {
        if (body instanceof MapBody) return this.#assignMap(body, value, path);
        if (body instanceof SetBody) return this.#assignSet(body, value);
        if (this.#isBeaten(body.writes)) {
          slot.seen = value;
          return false;
        }
      }
    }
    slot.seen = value;
    if (this.#isBeaten(slot.writes)) return false;
    slot.here = value;
    return true;
  }

  /** @param {Slot} slot @param {any} value @param {string} path */
  #assignCounter(slot, value, path) {
    slot.seen = value;
    if (this.#isBeaten(slot.writes)) return false;
    slot.here = value;
    for (const { write, by } of value === null ? [] : slot.marks ?? []) {
      if (this.#isLater(write)) slot.here = increase(slot.here, by);
    }
    this.counters.push(path);
    return true;
  }

  /** @param {MapBody} body @param {Record<string, any>} value @param {string} path */
  #assignMap(body, value, path) {
    let stands = false;
    const keys = body.kind === "embedded" ? [...body.slots.keys()] : Object.keys(value);
    for (const key of keys) {
      const slot = body.slot(key);
      stands = this.#assign(slot, slot.shape.read(own(value, key)), true, `${path}.${key}`) || stands;
    }
    if (body.kind === "embedded") return stands;
    for (const [key, slot] of body.slots) {
      if (!Object.hasOwn(value, key)) stands = this.#discard(slot, true) || stands;
    }
    return stands;
  }

  /** @param {SetBody} body @param {any[]} wires */
  #assignSet(body, wires) {
    const wanted = new Set(wires.map((wire) => body.member(wire)));
    let stands = false;
    for (const member of body.members.values()) stands = this.#enter(member, wanted.has(member), true) || stands;
    return stands;
  }

  // --- two creates of one object -------------------------------------------------------------------------------------

  /** `above`: others' writes of what the place is in, which wrote the place as well.
   * @param {Slot} slot @param {any} value @param {Write[]} above @param {string} path @returns {boolean} */
  #join(slot, value, above, path) {
    const { shape, here } = slot;
    const writes = [...above, ...(slot.writes ?? [])];
    const kind = shape.container(value);
    if (value === null) return false;
    const knowsOther = kind && kind === kindOf(shape, slot.seen) && bodyOf(slot, "seen") !== here;
    let seen = knowsOther ? new Tree(shape, "", wireOf(slot.seen, "seen")) : null;
    let stands;
    if (kind && kind === kindOf(shape, here)) {
      const body = /** @type {Body} */ (bodyOf(slot, "here"));
      if (slot.seen !== body) {
        hide(body);
        slot.seen = body;
      } else {
        seen = null;
      }
      if (body instanceof ListBody) stands = joinList(body, value);
      else if (body instanceof SetBody) stands = this.#joinSet(body, value);
      else stands = this.#joinMap(body, value, writes, path);
    } else {
      slot.seen = value;
      stands = here === ABSENT || !this.#isBeaten(writes);
      if (stands) {
        slot.here = value;
        if (shape.kind === "counter" || shape.isInt) this.counters.push(path);
      }
    }
    if (seen) {
      // Another container than the one that is there.
      seen.join(value);
      slot.seen = seen.value();
    }
    return stands;
  }

  /** @param {SetBody} body @param {any[]} wires */
  #joinSet(body, wires) {
    const joining = wires.map((wire) => body.member(wire));
    const fresh = joining.filter((member) => !member.here);
    for (const member of joining) member.seen = true;
    let stands = false;
    for (const member of fresh) stands = this.#enter(member, true, true) || stands;
    return stands;
  }

  /** @param {MapBody} body @param {Record<string, any>} value @param {Write[]} writes @param {string} path */
  #joinMap(body, value, writes, path) {
    let stands = false;
    for (const [key, inner] of Object.entries(value)) {
      if (body.kind === "embedded" && !body.slots.has(key)) continue;
      const slot = body.slot(key);
      stands = this.#join(slot, slot.shape.read(inner), writes, `${path}.${key}`) || stands;
    }
    return stands;
  }
}

/** What is missing of the client file's elements comes behind those that are there; in either view by itself, so that it is
 * the same whenever it is done again. One element in both views where that can be. @param {ListBody} body @param {any[]} wires */
function joinList(body, wires) {
  body.part();
  const known = byIdentity(body.shape, body.seen, "seen");
  const found = byIdentity(body.shape, body.here, "here");
  const before = body.here.length;
  identities(body.shape, wires).forEach((key, index) => {
    const content = body.shape.read(wires[index]);
    let mine = known.get(key)?.shift();
    const isNew = !mine;
    const theirs = take(found.get(key), mine);
    if (!mine) {
      mine = theirs && theirs.seen === ABSENT ? theirs : new Slot(body.shape, content, ABSENT);
      mine.seen = mine.here === ABSENT ? content : mine.here;
      body.seen.push(mine);
    }
    if (theirs) return;
    if (isNew || mine.here === ABSENT) {
      mine.here = mine.seen;
      body.here.push(mine);
    } else {
      // Another replaced it.
      body.here.push(new Slot(body.shape, ABSENT, content));
    }
  });
  return body.here.length > before;
}

/** @param {Shape} element @param {Slot[]} slots @param {"seen" | "here"} view */
function byIdentity(element, slots, view) {
  /** @type {Map<any, Slot[]>} */
  const found = new Map();
  identities(element, slots.map((slot) => wireOf(slot[view], view))).forEach((key, index) => {
    const same = found.get(key);
    if (same) same.push(slots[index]);
    else found.set(key, [slots[index]]);
  });
  return found;
}

/** Takes one place of a list: the wanted one if it is there, else one that the client file has not seen, else any.
 * @param {Slot[] | undefined} slots @param {Slot | undefined} wanted */
function take(slots, wanted) {
  if (!slots?.length) return undefined;
  let at = wanted ? slots.indexOf(wanted) : -1;
  if (at < 0) at = Math.max(0, slots.findIndex((slot) => slot.seen === ABSENT));
  return slots.splice(at, 1)[0];
}

/** Makes a container that is there one in which the client file has seen nothing yet. @param {Body} body */
function hide(body) {
  if (body instanceof ListBody) {
    body.part();
    body.seen = [];
    for (const slot of body.here) slot.seen = ABSENT;
  } else if (body instanceof SetBody) {
    for (const member of body.members.values()) member.seen = false;
  } else {
    for (const slot of body.slots.values()) slot.seen = body.kind === "dictionary" ? ABSENT : slot.shape.read(null);
  }
}

/** Whether another made a number out of a number by adding, as far as the history says (`sets`, see Tree.absorb). A counter's
 * change is an increment unless it says that it was set; an int's if it says that it was added to, and only that.
 * @param {Shape} shape @param {string} path @param {Set<string>} sets */
function isIncrease(shape, path, sets) {
  return !sets.has(path) && (shape.kind === "counter" || (shape.isInt && sets.has(`+${path}`)));
}

/** Adds a write, of a version not below those before it. One that is older and earlier than another decides nothing any
 * more, so that few are left however many there were. @param {Write[]} writes @param {Write} write */
function remember(writes, write) {
  const isLater = (/** @type {Stamp} */ [timestamp, origin]) => timestamp > write.stamp[0] || (timestamp === write.stamp[0] && origin > write.stamp[1]);
  while (writes.length && !isLater(writes[writes.length - 1].stamp)) writes.pop();
  writes.push(write);
}

/** What happened to a list in `here` happens in `seen`, where the two have parted. @param {ListBody} body @param {number[]} fate */
function show(body, fate) {
  const arrived = new Set(body.here.filter((_, at) => fate[at] === NEW || fate[at] === MOVED));
  /** @type {Map<Slot | null, Slot[]>} */
  const followers = new Map([[null, []]]);
  /** @type {Slot | null} */
  let neighbour = null;
  for (const slot of body.here) {
    if (slot.seen === ABSENT) continue;
    if (!arrived.has(slot)) neighbour = slot;
    else if (followers.has(neighbour)) followers.get(neighbour)?.push(slot);
    else followers.set(neighbour, [slot]);
  }
  const seen = followers.get(null) ?? [];
  for (const slot of body.seen) {
    if (slot.seen === ABSENT || arrived.has(slot)) continue;
    seen.push(slot, ...(followers.get(slot) ?? []));
  }
  body.seen = seen;
}

/** The kind of container in a view of a place. @param {Shape} shape @param {any} content @returns {string | null} */
function kindOf(shape, content) {
  return isBody(content) ? content.kind : shape.container(content);
}

/** @param {any} content @returns {content is Body} */
function isBody(content) {
  return content instanceof ListBody || content instanceof SetBody || content instanceof MapBody;
}

/** The container in one view of a place; null: there is none. @param {Slot} slot @param {"seen" | "here"} view @returns {Body | null} */
function bodyOf(slot, view) {
  const content = slot[view];
  if (isBody(content)) return content;
  const kind = slot.shape.container(content);
  if (!kind) return null;
  const body = kind === "list" ? new ListBody(slot.shape, content) : kind === "set" ? new SetBody(content) : new MapBody(slot.shape, kind, content);
  if (slot.seen === content) slot.seen = body;
  if (slot.here === content) slot.here = body;
  return body;
}

/** The wire value of one view's content. @param {any} content @param {"seen" | "here"} view @returns {any} */
function wireOf(content, view) {
  if (content instanceof ListBody) return content[view].map((slot) => wireOf(slot[view], view));
  if (content instanceof SetBody) return sortWire([...content.members.values()].filter((member) => member[view]).map(({ wire }) => wire));
  if (content instanceof MapBody) {
    const present = [...content.slots].filter(([, slot]) => slot[view] !== ABSENT);
    return Object.fromEntries(present.map(([key, slot]) => [key, wireOf(slot[view], view)]));
  }
  return content;
}

/** Whether what the client file saw in a place is still in it. @param {Slot} slot */
function isSame({ shape, seen, here }) {
  if (seen === here) return true;
  if (kindOf(shape, seen) || kindOf(shape, here)) return false;
  return identity(seen) === identity(here);
}

/** The place of an element that is in a list, looked for from where it was in another view.
 * @param {Slot[]} slots @param {Slot} slot @param {number} near */
function find(slots, slot, near) {
  const start = Math.min(near, slots.length - 1);
  for (let distance = 0; distance < slots.length; distance += 1) {
    if (slots[start + distance] === slot) return start + distance;
    if (slots[start - distance] === slot) return start - distance;
  }
  throw new Error("an element that is here is in its list");
}

/** Where in `here` an element belongs that is at `index` of `seen`: behind its nearest neighbour on the left that is still
 * there, and behind what others put there. @param {ListBody} body @param {number} index */
function behind(body, index) {
  let place = 0;
  for (let at = index - 1; at >= 0; at -= 1) {
    if (body.seen[at].here === ABSENT) continue;
    place = find(body.here, body.seen[at], at) + 1;
    break;
  }
  while (place < body.here.length && body.here[place].seen === ABSENT) place += 1;
  return place;
}

/** @param {Record<string, any>} wire @param {string} key */
function own(wire, key) {
  return Object.hasOwn(wire, key) ? wire[key] : null;
}
