/**
 * Merge: what a client's pending steps mean once others' changes are in (R7, R8).
 *
 * Pure; called by client/rebase.js for one object at a time. What happens inside lists, sets, dictionaries, embedded objects
 * and counters is tree.js's. The other half of merge.py, which decides for the server, has no twin here.
 */

import { EditError, Shape, editValue, propertyShape } from "./edits.js"
import { Tree } from "./tree.js"

/** @typedef {import("./edits.js").Schema} Schema */
/** @typedef {import("./edits.js").ClassSchema} ClassSchema */
/** @typedef {import("./edits.js").Edit} Edit */
/** @typedef {import("./edits.js").Image} Image */
/** @typedef {import("./messages.js").Instruction} Instruction */

/** @param {Instruction} step @returns {step is Edit} */
export function isEdit(step) {
  return step.op !== "create" && step.op !== "update" && step.op !== "delete";
}

/**
 * What a download makes of one object of a client file: its visible image, and for each pending step what it reads from now
 * on (nothing, itself, or several steps).
 *
 * `old` and `now`: the server's image before and after the download, at `version`. `acknowledged`: the steps that the
 * download takes out of what is pending, in order; `pending`: those that are left. Where nothing pending is an edit, this is
 * `replay` and every step stays as it is. Otherwise the edits are counted in the new image, with `version` as their base. A
 * step that can have no effect any more is dropped; one that cannot be understood stays as it is, for the server to decide.
 * @param {Schema} schema @param {ClassSchema} cls @param {Image | null} old @param {Instruction[]} acknowledged
 * @param {Image | null} now @param {Instruction[]} pending @param {number} version
 * @returns {[visible: Image | null, rewritten: Instruction[][]]}
 */
export function rebase(schema, cls, old, acknowledged, now, pending, version) {
  const names = new Set(pending.filter(isEdit).map((step) => String(step.path[0])));
  if (!names.size) return [replay(schema, cls, now, pending), pending.map((step) => [step])];
  /** @type {Map<string, Tree>} */
  const trees = new Map();
  for (const name of names) {
    if (Object.hasOwn(cls.wire, name)) trees.set(name, clientTree(schema, cls, name, old, acknowledged, now));
  }
  let image = now && { ...now };
  const rewritten = pending.map((step) => {
    const name = isEdit(step) ? String(step.path[0]) : "";
    const tree = trees.get(name);
    if (isEdit(step) && image && tree) {
      const edits = rewrite(tree, step, version);
      image[name] = tree.value();
      return edits;
    }
    image = replayStep(schema, cls, image, step, trees);
    return [step];
  });
  return [image, rewritten];
}

/** @param {Tree} tree @param {Edit} edit @param {number} version @returns {Edit[]} */
function rewrite(tree, edit, version) {
  const edits = attempt(() => tree.apply(edit));
  return edits ? edits.map((each) => ({ ...each, base: version })) : [edit];
}

/** The result; undefined where an edit makes no sense. @template T @param {() => T} body @returns {T | undefined} */
function attempt(body) {
  try {
    return body();
  } catch (error) {
    if (error instanceof EditError) return undefined;
    throw error;
  }
}

/** A property as the file saw it before the download, with what is there after it.
 * @param {Schema} schema @param {ClassSchema} cls @param {string} name @param {Image | null} old
 * @param {Instruction[]} acknowledged @param {Image | null} now */
function clientTree(schema, cls, name, old, acknowledged, now) {
  const tree = new Tree(new Shape(schema, cls.wire[name]), name, old?.[name]);
  let exists = Boolean(old);
  for (const step of acknowledged) {
    if (isEdit(step)) {
      if (step.path[0] === name) attempt(() => tree.apply(step)); // shown without it, too
    } else if (step.op === "delete") {
      tree.assign(null);
      exists = false;
    } else if (step.op === "create") {
      if (exists) tree.join(step.values[name]); // joins what is there already
      else tree.assign(step.values[name]);
      exists = true;
    } else if (exists && Object.hasOwn(step.values, name)) {
      tree.assign(step.values[name]);
    }
  }
  tree.absorb(now?.[name]);
  return tree;
}

/** The object after steps of the client file that nobody else's come between. An update or edit of an absent object does
 * nothing (R8), nor does an edit that makes no sense; a create of an object that is there already joins it.
 * @param {Schema} schema @param {ClassSchema} cls @param {Image | null} image @param {Iterable<Instruction>} steps */
export function replay(schema, cls, image, steps) {
  let visible = image && { ...image };
  const own = new Set();
  for (const step of steps) visible = replayStep(schema, cls, visible, step, new Map(), own);
  return visible;
}

/** @param {Schema} schema @param {ClassSchema} cls @param {Image | null} image @param {Instruction} step
 * @param {Map<string, Tree>} trees @param {Set<object>} [own] see editValue @returns {Image | null} */
function replayStep(schema, cls, image, step, trees, own) {
  if (step.op === "delete") return null;
  if (isEdit(step)) {
    if (!image) return null;
    const name = String(step.path[0]);
    const before = image;
    const value = attempt(() => [editValue(propertyShape(schema, cls, step), before[name], step, own)]);
    return value ? { ...before, [name]: value[0] } : before;
  }
  if (!image) {
    if (step.op === "update") return null;
    for (const [name, tree] of trees) tree.assign(step.values[name]);
    return { [cls.keyName]: step._id, ...step.values };
  }
  const after = { ...image };
  for (const [name, value] of Object.entries(step.values)) {
    const known = trees.get(name);
    const shape = step.op === "create" && Object.hasOwn(cls.wire, name) ? new Shape(schema, cls.wire[name]) : null;
    if (shape && shape.kind !== "scalar") {
      const tree = known ?? new Tree(shape, name, image[name]);
      tree.join(value);
      after[name] = tree.value();
    } else {
      known?.assign(value);
      after[name] = value;
    }
  }
  return after;
}
