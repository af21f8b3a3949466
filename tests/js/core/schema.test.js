import { equal, ok, test, throws } from "../harness.js";
import { UUID } from "/realm_sync/core/bson.js";
import { AssertionError, ObjectSchemaParseError, PropertySchemaParseError } from "/realm_sync/core/errors.js";
import {
  Schema, canonical, parseClass, parseProperty, typeText,
} from "/realm_sync/core/schema.js";

const TEAM = { name: "Team", primaryKey: "_id", properties: { _id: "uuid", name: "string", inspections: { type: "linkingObjects", objectType: "Inspection", property: "team" } } };
const makeId = () => new UUID();
const INSPECTION = {
  name: "Inspection",
  primaryKey: "id",
  properties: {
    title: { type: "string", indexed: true, mapTo: "headline" },
    team: "Team",
    priority: { type: "int", default: 3 },
    due: "date?",
    id: { type: "uuid", mapTo: "_id", default: makeId },
  },
};

/** The canonical property of a declaration. */
const parsed = (declaration) => parseProperty("Team", "p", declaration);

test("a class has Realm's canonical form and a wire form with the key first", () => {
  const cls = parseClass(INSPECTION, { synced: true });
  equal([cls.name, cls.primaryKey, cls.keyName, cls.embedded, cls.asymmetric], ["Inspection", "id", "_id", false, false]);
  equal(cls.properties.title, { name: "title", type: "string", optional: false, indexed: true, mapTo: "headline" });
  equal(cls.properties.team, { name: "team", type: "object", objectType: "Team", optional: true, indexed: false, mapTo: "team" });
  equal(cls.properties.id, { name: "id", type: "uuid", optional: false, indexed: true, mapTo: "_id", default: makeId });
  equal(Object.keys(cls.wire), ["_id", "headline", "team", "priority", "due"]);
  equal(cls.wire, {
    _id: { type: "uuid", hasDefault: true },
    headline: { type: "string", indexed: true },
    team: { type: "object", objectType: "Team", optional: true },
    priority: { type: "int", hasDefault: true },
    due: { type: "date", optional: true },
  });
  equal(cls.aliases, { id: "_id", title: "headline" });
  const shown = canonical(cls);
  equal(Object.keys(shown), ["name", "primaryKey", "embedded", "asymmetric", "properties"]);
  equal(Object.keys(shown.properties), Object.keys(INSPECTION.properties));
  shown.properties.title.type = "int";
  equal(cls.properties.title.type, "string", "what is shown is a copy");
});

test("linking objects are properties, but not stored", () => {
  const cls = parseClass(TEAM, { synced: true });
  equal(cls.properties.inspections.type, "linkingObjects");
  equal(Object.keys(cls.wire), ["_id", "name"]);
});

test("a class model is its static schema", () => {
  class Base {}
  class Task extends Base {
    static schema = TEAM;
  }
  const cls = parseClass(Task, { base: Base });
  equal([cls.name, cls.ctor, canonical(cls).ctor], ["Team", Task, Task]);
  class Stray {
    static schema = { name: "Task", properties: {} };
  }
  throws(() => parseClass(Stray, { base: Base }), "Invalid schema for object 'Task': Class 'Stray' must extend Realm.Object");
  throws(() => parseClass(class Bare extends Base {}, { base: Base }), "Invalid schema for object 'Bare': Expected 'schema static' to be an object, got undefined");
});

test("a local class may go without a primary key: it has a hidden one", () => {
  const cls = parseClass({ name: "Note", properties: { text: "string" } });
  equal([cls.primaryKey, cls.keyName, cls.wire], [undefined, "_key", { _key: { type: "objectId" }, text: { type: "string" } }]);
  new Schema([cls]).check();
  const keyed = parseClass({ name: "Note", primaryKey: "slug", properties: { slug: { type: "string", mapTo: "name" } } });
  equal([keyed.primaryKey, keyed.keyName], ["slug", "name"]);
  equal(new Schema([keyed]).toWire()[0].primaryKey, "name");
});

test("object schemas are refused in Realm's words", () => {
  const table = [
    [undefined, "Invalid schema for unnamed object: Expected 'object schema' to be an object, got undefined"],
    [{}, "Invalid schema for unnamed object: Expected 'name' to be a string, got undefined"],
    [{ name: 5 }, "Invalid schema for unnamed object: Expected 'name' to be a string, got a number"],
    [{ name: "" }, "Invalid schema for unnamed object: 'name' must be specified."],
    [{ name: "X", foo: 1, bar: 2, properties: {} }, "Invalid schema for object 'X': Unexpected field(s) found on the schema for object 'X': 'foo', 'bar'."],
    [{ name: "X", properties: [] }, "Invalid schema for object 'X': Array of properties are no longer supported. Use an object instead."],
    [{ name: "X" }, "Invalid schema for object 'X': Expected 'properties' to be an object, got undefined"],
    [{ name: "X", properties: {}, primaryKey: 5 }, "Invalid schema for object 'X': Expected 'primaryKey' to be a string, got a number"],
    [{ name: "X", properties: {}, primaryKey: "pk" }, "Invalid schema for object 'X': 'pk' is set as the primary key field but was not found in 'properties'."],
    [{ name: "X", properties: {}, embedded: "yes" }, "Invalid schema for object 'X': Expected 'embedded' to be a boolean, got a string"],
    [{ name: "X", properties: {}, embedded: true, asymmetric: true }, "Invalid schema for object 'X': A class cannot be both embedded and asymmetric."],
  ];
  for (const [declaration, message] of table) {
    const error = throws(() => parseClass(declaration), message);
    ok(error instanceof ObjectSchemaParseError);
  }
  equal(parseClass({ name: "X", properties: {}, ctor: 1 }).name, "X");
});

test("shorthands", () => {
  equal(parsed("int"), { name: "p", type: "int", optional: false, indexed: false, mapTo: "p" });
  equal(parsed("int?").optional, true);
  equal([parsed("Dog").type, parsed("Dog").objectType, parsed("Dog?").optional], ["object", "Dog", true]);
  const form = ({ type, objectType, optional, presentation }) => [type, objectType ?? presentation, optional];
  equal(["string[]", "string?[]", "int<>", "double?{}", "Dog[]", "Dog<>", "Dog{}", "Dog?{}"].map((text) => form(parsed(text))), [
    ["list", "string", false], ["list", "string", true], ["set", "int", false], ["dictionary", "double", true],
    ["list", "Dog", false], ["set", "Dog", false], ["dictionary", "Dog", true], ["dictionary", "Dog", true],
  ]);
  equal(["mixed", "mixed?", "mixed[]", "mixed{}", "counter", "counter?"].map((text) => form(parsed(text))), [
    ["mixed", undefined, true], ["mixed", undefined, true], ["list", "mixed", true], ["dictionary", "mixed", true], ["int", "counter", false], ["int", "counter", true],
  ]);
  const table = [
    ["", "The type must be specified."],
    ["?", "The type must be specified."],
    ["[]", "The element type must be specified."],
    ["?{}", "The element type must be specified."],
    ["int[]?", "Collections cannot be optional."],
    ["int[][]", "Nested collections are not supported."],
    ["counter[]", "Counters cannot be used in collections."],
    ["counter?<>", "Counters cannot be used in collections."],
    ["list", "Cannot use the collection name 'list'."],
    ["dictionary?", "Cannot use the collection name 'dictionary'."],
    ["object", "To define a relationship, use the class name or the object form"],
    ["linkingObjects", "To define a relationship, use the class name or the object form"],
    ["Dog?[]", "Elements of type 'Dog' in a list are never null: leave out '?'."],
    ["Dog?<>", "Elements of type 'Dog' in a set are never null: leave out '?'."],
    ["in?t", "'in?t' is not a type."],
    ["<int", "'<int' is not a type."],
    [5, "Expected 'p' to be a string or an object, got a number"],
    [["int"], "Expected 'p' to be a string or an object, got an array"],
  ];
  for (const [declaration, message] of table) {
    const error = throws(() => parsed(declaration), `Invalid type declaration for property 'p' on 'Team': ${message}`);
    ok(error instanceof PropertySchemaParseError);
  }
});

test("object forms", () => {
  equal(parsed({ type: "string", optional: true, indexed: "full-text", name: "ignored" }), {
    name: "p", type: "string", optional: true, indexed: "full-text", mapTo: "p",
  });
  equal(parsed({ type: "object", objectType: "Dog" }).optional, true);
  const table = [
    [{}, "'type' must be specified."],
    [{ type: 5 }, "Expected 'type' to be a string, got a number"],
    [{ type: "int", size: 1, unit: 2 }, "Unexpected field(s) found: 'size', 'unit'."],
    [{ type: "int?" }, "Cannot use shorthand '?' in 'type' or 'objectType' when defining property objects."],
    [{ type: "int[]" }, "Cannot use shorthand '[]' in 'type' or 'objectType' when defining property objects."],
    [{ type: "object", objectType: "Dog?" }, "Cannot use shorthand '?' in 'type' or 'objectType'"],
    [{ type: "Dog" }, "'Dog' is not a type. If you meant to define a relationship, use { type: 'object', objectType: 'Dog' }."],
    [{ type: "int", objectType: "Dog" }, "'objectType' cannot be defined when 'type' is 'int'."],
    [{ type: "object" }, "'objectType' must be specified when 'type' is 'object'."],
    [{ type: "list" }, "'objectType' must be specified when 'type' is 'list'."],
    [{ type: "object", objectType: "int" }, "'int' cannot be the 'objectType' when 'type' is 'object'."],
    [{ type: "object", objectType: "Dog", optional: false }, "Links to objects are always optional and cannot be made non-optional."],
    [{ type: "dictionary", objectType: "Dog", optional: false }, "Links to objects are always optional and cannot be made non-optional."],
    [{ type: "mixed", optional: false }, "'mixed' values are always optional and cannot be made non-optional."],
    [{ type: "list", objectType: "Dog", optional: true }, "'list' of objects is never optional and cannot be made optional."],
    [{ type: "linkingObjects", objectType: "Dog", property: "p", optional: true }, "'linkingObjects' of objects is never optional"],
    [{ type: "linkingObjects", objectType: "Dog" }, "'property' must be specified when 'type' is 'linkingObjects'."],
    [{ type: "int", property: "p" }, "'property' cannot be defined when 'type' is 'int'."],
    [{ type: "int", optional: 1 }, "Expected 'optional' to be a boolean, got a number"],
    [{ type: "int", indexed: "yes" }, "'indexed' must be true, false or 'full-text'."],
    [{ type: "string", presentation: "counter" }, "'presentation' cannot be defined when 'type' is 'string'."],
  ];
  for (const [declaration, message] of table) {
    throws(() => parsed(declaration), `Invalid type declaration for property 'p' on 'Team': ${message}`);
  }
  const key = (declaration) => () => parseProperty("Team", "_id", declaration, true);
  throws(key({ type: "int", indexed: false }), /Primary keys must always be indexed\.$/);
  throws(key({ type: "string", indexed: "full-text" }), /Primary keys cannot be full-text indexed\.$/);
  throws(key("counter"), /Counters cannot be primary keys\.$/);
});

test("core validation lists everything in one error", () => {
  const classes = [
    { name: "A", primaryKey: "_id", properties: {
      _id: "double", price: { type: "decimal128", indexed: true }, gone: "Nowhere",
      b1: { type: "linkingObjects", objectType: "B", property: "none" },
      b2: { type: "linkingObjects", objectType: "B", property: "name" },
      b3: { type: "linkingObjects", objectType: "B", property: "b" },
    } },
    { name: "B", properties: { name: "string", b: "B", x: { type: "int", mapTo: "z" }, y: { type: "int", mapTo: "z" }, w: { type: "int", mapTo: "name" } } },
    { name: "C", primaryKey: "key", properties: { key: "int" } },
    { name: "D", primaryKey: "_id", properties: { _id: "int?", text: { type: "int", indexed: "full-text" } } },
  ];
  const schema = new Schema(classes.map((each) => parseClass(each, { synced: true })));
  const error = throws(() => schema.check(), "Schema validation failed due to the following errors:\n- ");
  ok(error instanceof AssertionError);
  equal(error.message.split("\n").slice(1), [
    "- Property 'A._id' of type 'double' cannot be made the primary key.",
    "- Property 'A.price' of type 'decimal128' cannot be indexed.",
    "- Property 'A.gone' of type 'Nowhere' has unknown object type 'Nowhere'",
    "- Property 'B.none' declared as origin of linking objects property 'A.b1' does not exist",
    "- Property 'B.name' declared as origin of linking objects property 'A.b2' is not a link",
    "- Property 'B.b' declared as origin of linking objects property 'A.b3' links to type 'B'",
    "- Alias 'z' appears more than once in the schema for type 'B'.",
    "- Property 'B.w' has an alias 'name' that conflicts with a property of the same name.",
    "- There must be a primary key property named '_id' on a synchronized Realm but none was found for type 'B'",
    "- There must be a primary key property named '_id' on a synchronized Realm but none was found for type 'C'",
    "- Property 'D._id' of type 'int?' cannot be made the primary key.",
    "- Property 'D.text' of type 'int' cannot be indexed.",
  ]);
  const team = parseClass({ name: "Team", properties: {} });
  throws(() => new Schema([team, team]), "Schema validation failed due to the following errors:\n- Type 'Team' appears more than once in the schema.");
});

test("core validation of collections, embedded and asymmetric classes", () => {
  const check = (synced, ...classes) => new Schema(classes.map((each) => parseClass(each, { synced }))).check();
  const refused = (synced, ...classes) => throws(() => check(synced, ...classes)).message.split("\n").slice(1);
  const address = { name: "Address", embedded: true, properties: { street: "string" } };
  const kit = (properties) => ({ name: "Kit", primaryKey: "_id", properties: { _id: "int", ...properties } });
  const made = check(true, address, kit({ home: "Address", all: "Address[]", by: "Address{}", tags: { type: "list", objectType: "string", indexed: true }, any: "mixed" }));
  const wire = made.get("Kit").wire;
  equal(["home", "all", "any", "tags"].map((name) => made.wireType(wire[name])), ["embedded", "list", "mixed", "list"]);
  equal([made.element(wire.all), made.element(wire.tags), made.element(wire.by).optional], [{ type: "object", objectType: "Address", optional: false }, { type: "string" }, true]);
  equal(made.toWire(), [
    { name: "Address", properties: { street: { type: "string" } }, embedded: true }, { name: "Kit", properties: wire },
  ]);
  equal([wire.home, wire.tags], [{ type: "object", objectType: "Address", optional: true }, { type: "list", objectType: "string", indexed: true }]);
  equal([made.isEmbedded("Address"), made.isEmbedded("Kit"), made.isEmbedded(undefined)], [true, false, false]);
  equal(Schema.fromWire(made.toWire()).get("Address").embedded, true);

  equal(refused(true, address, kit({})), ["- Embedded object 'Address' is unreachable by any link path from top level objects."]);
  equal(refused(true, { ...address, properties: { inner: "Address" } }, kit({ home: "Address" })), ["- Cycles containing embedded objects are not currently supported: 'Address -> Address'"]);
  equal(refused(true, { ...address, primaryKey: "street" }, kit({ home: "Address" })), ["- Embedded object type 'Address' cannot have a primary key."]);
  equal(refused(true, address, kit({ all: "Address<>", home: "Address" })), ["- Set property 'Kit.all' cannot contain embedded object type 'Address'. Use a list."]);
  equal(refused(true, { ...kit({}), name: "Event", asymmetric: true }, kit({ last: "Event", all: "Event[]" })), [
    "- Property 'Kit.last' of type 'Event' cannot be a link to an asymmetric object.", "- Property 'Kit.all' of type 'Event[]' cannot be a link to an asymmetric object.",
  ]);
  equal(refused(false, { ...kit({}), asymmetric: true }), ["- Asymmetric table 'Kit' not allowed in a local Realm"]);
  equal(refused(true, kit({ counts: { type: "list", objectType: "int", indexed: true } })), ["- Property 'Kit.counts' of type 'int[]' cannot be indexed."]);
  check(false, address, kit({ homes: "Address[]", back: { type: "linkingObjects", objectType: "Kit", property: "kits" }, kits: "Kit[]" }));
});

const SERVER = [
  { name: "Team", properties: { _id: { type: "uuid" }, name: { type: "string", maxLength: 80, indexed: true } } },
  { name: "Inspection", readOnly: true, properties: { _id: { type: "int" }, team: { type: "object", objectType: "Team", optional: true } } },
];

test("the server's classes are read from the wire, and not sent back", () => {
  const schema = Schema.fromWire(SERVER);
  equal(schema.names(), ["Team", "Inspection"]);
  equal(schema.toWire(), []);
  const team = schema.get("Team");
  equal([team.primaryKey, team.keyName, team.readOnly, team.declared], ["_id", "_id", false, false]);
  equal(team.properties.name, { name: "name", type: "string", optional: false, indexed: true, mapTo: "name" });
  equal(team.wire, SERVER[0].properties);
  equal(schema.get("Inspection").readOnly, true);
  equal([schema.has("Team"), schema.has("Dog"), schema.get("Dog")], [true, false, undefined]);
  const mixed = new Schema([parseClass(INSPECTION, { synced: true }), team]).check();
  equal(mixed.toWire(), [{ name: "Inspection", properties: mixed.get("Inspection").wire }]);
});

test("a property's value is that of its type; a link's that of the key it holds", () => {
  const schema = Schema.fromWire(SERVER);
  const { team } = schema.get("Inspection").wire;
  const { name } = schema.get("Team").wire;
  equal([schema.wireType(team), schema.wireType(name)], ["uuid", "string"]);
  throws(() => schema.wireType({ type: "object", objectType: "Dog" }), "Object type 'Dog' not found in schema.");
  equal([typeText(team), typeText(name), typeText({ type: "int", optional: true })], ["Team", "string", "int?"]);
  for (const text of ["int?", "string[]", "string?[]", "Dog[]", "Dog{}", "Dog", "counter", "counter?", "mixed", "mixed<>"]) equal(typeText(parsed(text)), text);
});
