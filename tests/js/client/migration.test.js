// Local realms whose classes change: what is refused, what is carried over, what `onMigration` may do.

import { newPath, pause } from "./inspections.js";
import { equal, ok, test, throws } from "../harness.js";
import Realm from "/realm_sync/realm.js";

const INSPECTION = { name: "Inspection", primaryKey: "_id", properties: { _id: "int", title: "string", priority: "int", team: "Team", follows: "Inspection" } };
const TEAM = { name: "Team", primaryKey: "_id", properties: { _id: "string", name: "string?" } };
const OLD = [INSPECTION, TEAM];
/** The classes with other properties of Inspection; undefined removes one. */
const changed = (properties, more = {}) => [{ ...INSPECTION, ...more, properties: JSON.parse(JSON.stringify({ ...INSPECTION.properties, ...properties })) }, TEAM];

/** A file of version 0 with three inspections. */
async function written() {
  const path = newPath();
  const realm = await Realm.open({ path, schema: OLD });
  realm.write(() => {
    const team = realm.create("Team", { _id: "n", name: "North" });
    for (let _id = 1; _id < 4; _id += 1) realm.create("Inspection", { _id, title: `T${_id}`, priority: 10 * _id, team, follows: _id - 1 });
  });
  await realm.writesFlushed();
  realm.close();
  return path;
}

async function reopened(config, body) {
  const realm = await Realm.open(config);
  try {
    return await body(realm);
  } finally {
    realm.close();
  }
}

test("every difference asks for another version, by name", async () => {
  const path = await written();
  const refused = (schema, ...lines) => throws(() => Realm.open({ path, schema }), `Migration is required due to the following errors:${lines.map((line) => `\n- ${line}`).join("")}`);
  await refused(changed({ due: "date?" }), "Property 'Inspection.due' has been added.");
  await refused(changed({ title: undefined }), "Property 'Inspection.title' has been removed.");
  await refused(changed({ title: "int" }), "Property 'Inspection.title' has been changed from 'string' to 'int'.");
  await refused(changed({ title: "string?" }), "Property 'Inspection.title' has been made optional.");
  await refused([INSPECTION, { ...TEAM, properties: { ...TEAM.properties, name: "string" } }], "Property 'Team.name' has been made required.");
  await refused(changed({ team: "Inspection" }), "Property 'Inspection.team' has been changed from 'Team' to 'Inspection'.");
  await refused(changed({}, { primaryKey: "title" }), "Primary Key for class 'Inspection' has changed from '_id' to 'title'.");
  await refused([{ ...INSPECTION, primaryKey: undefined }, TEAM], "Primary Key for class 'Inspection' has been removed.");
  const error = await refused(changed({ title: "int", due: "date?" }), "Property 'Inspection.title' has been changed from 'string' to 'int'.", "Property 'Inspection.due' has been added.");
  equal(error.codeName, "SchemaMismatch");
  await reopened({ path, schema: OLD }, (realm) => equal(realm.objects("Inspection")[0].title, "T1", "and nothing was changed"));
});

test("an index, another order of properties and another class need no migration", async () => {
  const path = await written();
  const { title, ...rest } = INSPECTION.properties;
  const schema = [{ ...INSPECTION, properties: { ...rest, title: { type: title, indexed: true, default: "x" } } }, TEAM, { name: "Airfield", properties: { name: "string" } }];
  await reopened({ path, schema }, (realm) => {
    equal(realm.objects("Inspection").filtered("title == 'T2'").length, 1);
    realm.write(() => realm.create("Airfield", { name: "Højby" }));
    return realm.writesFlushed();
  });
  await reopened({ path, schema: OLD }, (realm) => {
    equal(realm.objects("Inspection").length, 3);
    throws(() => realm.objects("Airfield"), "Object type 'Airfield' not found in schema.");
  });
  await reopened({ path }, (realm) => equal([realm.schema.map(({ name }) => name), realm.objects("Airfield")[0].name], [["Inspection", "Team", "Airfield"], "Højby"]));
});

test("without a callback: what has the same type is carried over, the rest gets its type's default", async () => {
  const path = await written();
  const schema = changed({ title: "int", priority: "int?", due: "date", cost: "decimal128", note: "string?", site: "objectId", follows: undefined });
  await reopened({ path, schema, schemaVersion: 1 }, (realm) => {
    const { _id, title, priority, team, due, cost, note, site } = realm.objects("Inspection")[1];
    equal([_id, title, priority, team.name, due, String(cost), note, site.toHexString(), realm.schemaVersion], [2, 0, 20, "North", new Date(0), "0", null, "0".repeat(24), 1]);
  });
  equal(Realm.schemaVersion(path), 1);
  await reopened({ path, schema, schemaVersion: 1 }, (realm) => equal([realm.objects("Inspection").length, realm.objects("Inspection")[2].priority], [3, 30]));
  await throws(() => Realm.open({ path, schema, schemaVersion: 0 }), "Provided schema version 0 is less than last set version 1.");
  equal(Realm.schemaVersion(path), 1);
});

test("onMigration sees the old objects and changes the new ones, by index", async () => {
  const path = await written();
  let calls = 0;
  const schema = changed({ title: undefined, name: "string", urgent: "bool" });
  const onMigration = (before, now) => {
    calls += 1;
    equal([before.schemaVersion, now.schemaVersion, now.isInMigration, before.isInMigration, before.isReadOnly], [0, 2, true, false, true]);
    const [old, fresh] = [before.objects("Inspection"), now.objects("Inspection")];
    for (let at = 0; at < old.length; at += 1) {
      fresh[at].name = `${old[at].title} of ${old[at].team.name}`;
      fresh[at].urgent = old[at].priority > 10;
    }
    throws(() => before.write(() => {}), "Can't perform transactions on a frozen Realm");
    now.create("Inspection", { _id: 9, name: "new", urgent: false, priority: 0 });
    now.delete(now.objectForPrimaryKey("Inspection", 1));
    onMigration.before = before;
  };
  await reopened({ path, schema, schemaVersion: 2, onMigration }, (realm) => {
    equal(realm.objects("Inspection").map(({ _id, name, urgent }) => [_id, name, urgent]), [[2, "T2 of North", true], [3, "T3 of North", true], [9, "new", false]]);
    equal([realm.isInMigration, realm.isInTransaction, onMigration.before.isClosed, realm.objects("Inspection")[1].follows._id], [false, false, true, 2]);
  });
  await reopened({ path, schema, schemaVersion: 2, onMigration }, (realm) => equal([calls, realm.objects("Inspection").length], [1, 3]));
  await reopened({ path: newPath(), schema, schemaVersion: 2, onMigration }, () => equal(calls, 1, "a new file is not migrated"));
  await reopened({ path, schema, schemaVersion: 3, onMigration: () => (calls += 1) }, () => equal(calls, 2, "called although nothing differs"));
});

test("an exception leaves the file as it was", async () => {
  const path = await written();
  const onMigration = (_, now) => {
    now.deleteAll();
    throw new Error("not like this");
  };
  await throws(() => Realm.open({ path, schema: changed({ due: "date" }), schemaVersion: 1, onMigration }), "not like this");
  equal(Realm.schemaVersion(path), 0);
  await reopened({ path, schema: OLD }, (realm) => equal([realm.schemaVersion, realm.objects("Inspection").length], [0, 3]));
});

test("keys may change in a migration, and links follow", async () => {
  const path = await written();
  const schema = changed({ _id: "string" });
  const migration = (name) => ({ path, schema, schemaVersion: 1, onMigration: (before, now) => now.objects("Inspection").forEach((each, at) => (each._id = name(before.objects("Inspection")[at]._id))) });
  await throws(() => Realm.open(migration(() => "same")), "Primary key property 'Inspection._id' has duplicate values after migration.");
  await throws(() => Realm.open({ path, schema, schemaVersion: 1 }), "Primary key property 'Inspection._id' has duplicate values after migration.");
  const check = (realm) => {
    equal(realm.objects("Inspection").map(({ _id, title, follows }) => [_id, title, follows?._id ?? null]), [["#1", "T1", null], ["#2", "T2", "#1"], ["#3", "T3", "#2"]]);
    equal(realm.objectForPrimaryKey("Inspection", "#2").title, "T2");
    equal(realm.objects("Inspection").filtered("_id == '#3'").length, 1);
    throws(() => realm.write(() => (realm.objects("Inspection")[0]._id = "x")), "Cannot change value of primary key outside migration function");
  };
  await reopened(migration((old) => `#${old}`), check);
  await reopened({ path, schema, schemaVersion: 1 }, check);
});

test("a primary key is added, and removed", async () => {
  const path = newPath();
  const line = (primaryKey) => [{ name: "Line", ...(primaryKey && { primaryKey }), properties: { code: "string" } }];
  await reopened({ path, schema: line() }, (realm) => {
    realm.write(() => ["a", "b"].forEach((code) => realm.create("Line", { code })));
    return realm.writesFlushed();
  });
  await throws(() => Realm.open({ path, schema: line("code") }), "Migration is required due to the following errors:\n- Primary Key for class 'Line' has been added.");
  await reopened({ path, schema: line("code"), schemaVersion: 1 }, (realm) => equal(realm.objectForPrimaryKey("Line", "b").keys(), ["code"]));
  await reopened({ path, schema: line(), schemaVersion: 2 }, (realm) => {
    realm.write(() => realm.create("Line", { code: "b" }));
    equal(realm.objects("Line").map(({ code }) => code), ["a", "b", "b"]);
  });
});

test("a class that is no longer declared keeps its objects until deleteModel", async () => {
  const path = await written();
  const { team, ...properties } = INSPECTION.properties;
  ok(team);
  const schema = [{ ...INSPECTION, properties }];
  await reopened({ path, schema, schemaVersion: 1 }, () => {});
  await reopened({ path }, (realm) => equal(realm.objects("Team").length, 1));
  await reopened({ path, schema, schemaVersion: 2, onMigration: (_, now) => now.deleteModel("Team") }, (realm) => throws(() => realm.deleteModel("Inspection"), "'deleteModel' is for 'onMigration' only."));
  await reopened({ path }, (realm) => equal([realm.schema.map(({ name }) => name), realm.objects("Inspection").length], [["Inspection"], 3]));
});

test("deleteRealmIfMigrationNeeded begins anew, only where it is needed", async () => {
  const path = await written();
  const config = { path, deleteRealmIfMigrationNeeded: true };
  await reopened({ ...config, schema: OLD }, (realm) => equal(realm.objects("Inspection").length, 3));
  await reopened({ ...config, schema: changed({ due: "date" }) }, (realm) => {
    equal([realm.objects("Inspection").length, realm.objects("Team").length, realm.schemaVersion], [0, 0, 0]);
    realm.write(() => realm.create("Inspection", { _id: 1, title: "", priority: 1, due: new Date() }));
    return realm.writesFlushed();
  });
  await reopened({ path, schema: changed({ due: "date" }) }, (realm) => equal(realm.objects("Inspection").length, 1));
  await reopened({ ...config, schema: [{ name: "Inspection", properties: { title: "string" } }] }, (realm) => equal(realm.objects("Inspection").length, 0));
  await reopened({ path }, (realm) => equal(realm.schema.map(({ name, properties }) => [name, ...Object.keys(properties)]), [["Inspection", "title"]]));
});

test("read-only: no writes, no other classes, no missing file", async () => {
  const path = await written();
  await reopened({ path, schema: OLD, readOnly: true }, (realm) => {
    equal([realm.isReadOnly, realm.objects("Inspection").length], [true, 3]);
    throws(() => realm.write(() => {}), "Can't perform transactions on read-only Realms.");
  });
  await throws(() => Realm.open({ path, schema: changed({ due: "date" }), schemaVersion: 4, readOnly: true }), "The following changes cannot be made in read-only schema mode:\n- Property 'Inspection.due' has been added.");
  const missing = newPath();
  await throws(() => Realm.open({ path: missing, schema: OLD, readOnly: true }), `Failed to open Realm file at path '${missing}'`);
  equal([Realm.exists(missing), Realm.schemaVersion(path)], [false, 0]);
});

test("new Realm migrates a moment later, and Results made before show it", async () => {
  const path = await written();
  const realm = new Realm({ path, schema: changed({ due: "date?" }), schemaVersion: 1, onMigration: (_, now) => (now.objects("Inspection")[0].title = "migrated") });
  const all = realm.objects("Inspection");
  realm.write(() => realm.create("Inspection", { _id: 7, title: "early", priority: 7, due: new Date(7) }));
  await realm.whenLoaded();
  equal(all.map(({ title }) => title).sort(), ["T2", "T3", "early", "migrated"]);
  realm.write(() => (realm.objectForPrimaryKey("Inspection", 2).due = new Date(2)));
  await realm.writesFlushed();
  realm.close();
  await reopened({ path }, (again) => equal(again.objects("Inspection").sorted("_id").map(({ title, due }) => [title, due]), [["migrated", null], ["T2", new Date(2)], ["T3", null], ["early", new Date(7)]]));
});

test("new Realm of a file that needs a migration is closed, with the reason in whenLoaded", async () => {
  const path = await written();
  const { error } = console;
  console.error = () => {};
  const realm = new Realm({ path, schema: changed({ due: "date?" }) });
  await throws(() => realm.whenLoaded(), "Migration is required due to the following errors:");
  await pause(0);
  console.error = error;
  ok(realm.isClosed);
});

test("a realm that is closed before it is migrated leaves the file to the next one", async () => {
  const path = await written();
  const config = { path, schema: changed({ due: "date?" }), schemaVersion: 1, onMigration: (_, now) => (now.objects("Inspection")[0].title = "migrated") };
  new Realm(config).close();
  await reopened(config, (realm) => equal(realm.objects("Inspection")[0].title, "migrated"));
});

test("embedded objects and elements are carried over as properties are", async () => {
  const path = newPath();
  const point = { name: "Point", embedded: true, properties: { x: "double", label: "string", mark: "int?", old: "Team", marks: "int?[]" } };
  const kit = { name: "Kit", primaryKey: "_id", properties: { _id: "int", at: "Point", route: "Point[]", places: "Point{}", notes: "string?[]", words: "string?<>", prices: "double?{}", teams: "Team[]" } };
  const team = { name: "Team", primaryKey: "_id", properties: { _id: "string" } };
  await reopened({ path, schema: [point, kit, team] }, async (realm) => {
    realm.write(() => {
      const value = { x: 1.5, label: "l", mark: null, old: { _id: "n" }, marks: [1, null] };
      const north = realm.create("Team", { _id: "n" });
      const made = { ...value, old: north };
      realm.create("Kit", { _id: 1, at: made, route: [made], places: { a: made, b: null }, notes: ["a", null], words: ["a", null], prices: { a: null, b: 2 }, teams: [north, north] });
    });
    await realm.writesFlushed();
  });
  const grown = { ...point, properties: { x: "double", label: "int", mark: "int", team: "Team", marks: "int[]", zip: "string", more: "string<>" } };
  const stricter = { ...kit, properties: { ...kit.properties, notes: "string[]", words: "string<>", prices: "double{}" } };
  await reopened({ path, schema: [grown, stricter, team], schemaVersion: 1 }, (realm) => {
    const now = { x: 1.5, label: 0, mark: 0, team: null, marks: [1, 0], zip: "", more: [] };
    const teams = [{ _id: "n" }, { _id: "n" }];
    equal(JSON.parse(JSON.stringify(realm.objectForPrimaryKey("Kit", 1))), { _id: 1, at: now, route: [now], places: { a: now, b: null }, notes: ["a", ""], words: ["", "a"], prices: { a: 0, b: 2 }, teams });
    realm.write(() => (realm.objectForPrimaryKey("Kit", 1).route[0].zip = "z"));
  });
});
