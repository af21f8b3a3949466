// What tests/vectors/merge.json and tests/test_merge_agreement.py tell, done by the SDK.

import { EditError, Shape, derive } from "/realm_sync/core/edits.js";
import { rebase } from "/realm_sync/core/merge.js";
import { Schema } from "/realm_sync/core/schema.js";
import { Tree } from "/realm_sync/core/tree.js";

/** One step of a case, on a tree; what it said. */
export function perform(tree, step) {
  if ("absorb" in step) {
    const write = step.write && { version: step.write[0], stamp: step.write.slice(1) };
    tree.absorb(step.absorb, write, { isKnown: step.known, sets: step.sets });
    return {};
  }
  const base = step.base ?? 10;
  if ("assign" in step) return { stands: tree.assign(step.assign, base, step.stamp) };
  if ("join" in step) return { stands: tree.join(step.join, base, step.stamp) };
  try {
    return { done: tree.apply(step.apply, base, step.stamp) };
  } catch (error) {
    if (!(error instanceof EditError)) throw error;
    return { error: error.code };
  }
}

/** As vectors tell edits: without the object they are of. */
export function withoutNames({ class: className, _id, ...edit }) {
  return edit;
}

/** Answers cases as Python asks them. */
export function answering(classes) {
  const schema = Schema.fromWire(classes);
  const kit = schema.get("Kit");
  return {
    trees: ({ property, value, steps }) => {
      const tree = new Tree(new Shape(schema, kit.wire[property]), property, value);
      const results = steps.map((step) => {
        const { done, ...result } = perform(tree, step);
        return done ? { done: done.map(withoutNames) } : result;
      });
      return [results, tree.value(), tree.seenValue()];
    },
    derived: ({ property, before, after }) => derive(schema, kit, "kit", property, before, after).map(withoutNames),
    rebases: ({ old, acknowledged, now, pending, version }) => rebase(schema, kit, old, acknowledged, now, pending, version),
  };
}
