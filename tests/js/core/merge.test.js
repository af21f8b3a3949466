import { equal, ok, test, vectors } from "../harness.js";
import { perform, withoutNames } from "../merging.js";
import { align } from "/realm_sync/core/alignment.js";
import { Shape, derive, editValue, identity } from "/realm_sync/core/edits.js";
import { rebase, replay } from "/realm_sync/core/merge.js";
import { Schema } from "/realm_sync/core/schema.js";
import { Tree } from "/realm_sync/core/tree.js";

const { classes, trees, derived, rebases } = await vectors("merge.json");
const schema = Schema.fromWire(classes);
const kit = schema.get("Kit");
const copy = (value) => JSON.parse(JSON.stringify(value));
/** Whether two JSON values are equal, whatever the order of keys. */
const alike = (one, other, note) => ok(identity(one) === identity(other), `${note}: expected ${JSON.stringify(other)}, got ${JSON.stringify(one)}`);

test("every cell of the tables, and random ones", () => {
  ok(trees.length > 200);
  for (const [at, { cell = "", property, value, steps, here, seen }] of trees.entries()) {
    const tree = new Tree(new Shape(schema, kit.wire[property]), property, value);
    const given = copy([value, steps]);
    for (const [number, step] of steps.entries()) {
      const { done, error, stands } = perform(tree, step);
      const note = `tree ${at} ${cell}, step ${number}`;
      if (done) alike(done.map(withoutNames), step.done, note);
      equal([error, stands, tree.counters.length && !("absorb" in step) ? tree.counters : undefined], [step.error, step.stands, step.counters], note);
    }
    alike(tree.value(), here, `tree ${at} ${cell}, here`);
    alike(tree.seenValue(), seen, `tree ${at} ${cell}, seen`);
    alike([value, steps], given, `tree ${at}: what it was given`);
  }
});

test("derived edits are those of Python", () => {
  for (const [at, { property, before, after, edits }] of derived.entries()) {
    const found = derive(schema, kit, "kit", property, before, after);
    alike(found.map(withoutNames), edits, `derived ${at}`);
    if (edits.some(({ path, op }) => path.length === 1 && op === "set")) continue;
    const shape = new Shape(schema, kit.wire[property]);
    const made = edits.reduce((value, edit) => editValue(shape, value, edit), shape.read(before));
    if (property !== "things") alike(made, shape.read(after), `derived ${at}, applied`);
  }
});

test("pending steps are counted anew as in Python", () => {
  for (const [at, { old, acknowledged, now, pending, version, visible, rewritten }] of rebases.entries()) {
    const [image, steps] = rebase(schema, kit, old, acknowledged, now, pending, version);
    alike(image, visible, `rebase ${at}, visible`);
    alike(steps, rewritten, `rebase ${at}, rewritten`);
  }
});

test("without edits every step stays the very same", () => {
  const pending = [{ op: "update", class: "Kit", _id: "kit", values: { numbers: [1] } }];
  const [image, [[step]]] = rebase(schema, kit, null, [], { _id: "kit", numbers: [] }, pending, 5);
  equal(image, { _id: "kit", numbers: [1] });
  ok(step === pending[0]);
});

test("keys that objects of JavaScript inherit are keys like any other", () => {
  const prices = new Shape(schema, kit.wire.prices);
  for (const key of ["__proto__", "constructor", "toString"]) {
    const tree = new Tree(prices, "prices", {});
    tree.absorb(JSON.parse(`{"${key}": 1}`), { version: 20, stamp: [1, 1] });
    const edit = { op: "set", class: "Kit", _id: "kit", path: ["prices", key], value: 2 };
    tree.apply(edit, 10, [2, 2]);
    equal(JSON.stringify(tree.value()), `{"${key}":2}`);
    equal(JSON.stringify(editValue(prices, {}, edit)), `{"${key}":2}`);
    let refused = "";
    try {
      editValue(prices, {}, { ...edit, op: "remove" });
    } catch (error) {
      refused = error.code;
    }
    equal(refused, "InvalidPath");
  }
  equal(replay(schema, kit, { _id: "kit" }, [{ op: "clear", class: "Kit", _id: "kit", path: ["constructor"] }]), { _id: "kit" });
});

test("long lists are aligned in bounded time", () => {
  const numbers = Array.from({ length: 10_000 }, (_, at) => (at * 7919) % 3);
  const begin = performance.now();
  align(numbers, numbers.map((number) => (number + 1) % 3));
  ok(performance.now() - begin < 2000);
});
