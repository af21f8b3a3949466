// Tables: what an index finds is what a scan finds, in the same order, whatever happened to the objects.

import { equal, test, throws } from "../harness.js";
import { addClasses, Table } from "/realm_sync/client/tables.js";

const CLASS = {
  name: "Lamp",
  keyName: "_id",
  properties: { _id: { type: "int" }, circuit: { type: "int", optional: true, indexed: true }, team: { type: "object", objectType: "Team", optional: true }, name: { type: "string" } },
};

test("an index gives what a scan gives, in its order", () => {
  let seed = 5;
  const random = (below) => ((seed = (seed * 48271) % 2147483647), seed % below);
  const table = new Table(CLASS, { isEmbedded: () => false });
  const scan = (name, values) => [...table.objects.values()].filter((image) => values.includes(image[name] ?? null));
  for (let turn = 0; turn < 3000; turn += 1) {
    const key = random(60);
    if (random(4)) table.set(key, { _id: key, circuit: random(3) ? random(5) : null, team: `t${random(3)}`, name: `${turn}` });
    else table.delete(key);
    if (turn === 2000) table.replace(new Map([...table.objects].reverse()));
    if (turn % 7) continue;
    const circuits = [random(5), null];
    equal(table.lookUp("circuit", circuits), scan("circuit", circuits));
    equal(table.lookUp("team", ["t2", "t1"]), scan("team", ["t1", "t2"]));
    const keys = [random(60), random(60), 1000];
    equal(table.lookUp("_id", new Set(keys)), scan("_id", keys));
  }
  equal(table.lookUp("name", ["1"]), undefined);
});

test("an equal image is no change", () => {
  const table = new Table(CLASS);
  table.set(1, { _id: 1, name: "PAPI", circuit: null });
  const image = table.objects.get(1);
  const { revision } = table;
  table.set(1, { _id: 1, name: "PAPI" });
  equal([table.objects.get(1) === image, table.revision], [true, revision]);
});

test("classes only grow", () => {
  const known = new Map([["Lamp", CLASS]]);
  equal(addClasses(known, [CLASS]), null);
  const grown = addClasses(known, [{ ...CLASS, properties: { _id: { type: "int" }, watts: { type: "double" } } }]);
  equal(Object.keys(grown.get("Lamp").properties), ["_id", "circuit", "team", "name", "watts"]);
  throws(
    () => addClasses(known, [{ ...CLASS, properties: { name: { type: "int" } } }]),
    "The following changes cannot be made in additive-only schema mode:\n- Property 'Lamp.name' has been changed from 'string' to 'int'.",
  );
});
