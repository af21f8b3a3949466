import { equal, test, throws } from "../harness.js";
import { bind } from "/realm_sync/core/binding.js";
import { compilePredicate } from "/realm_sync/core/predicate.js";
import { parse } from "/realm_sync/core/query.js";
import { Schema, parseClass } from "/realm_sync/core/schema.js";
import { checkSubscribable } from "/realm_sync/core/subscribable.js";
import { toText } from "/realm_sync/core/text.js";
import { bound } from "./queries.js";

const SCHEMA = new Schema([
  parseClass({ name: "Team", primaryKey: "id", properties: { id: { type: "int", mapTo: "_id" }, label: { type: "string", mapTo: "name" } } }, { synced: true }),
  parseClass({ name: "Task", primaryKey: "id", properties: { id: { type: "int", mapTo: "_id" }, heading: { type: "string", mapTo: "title" }, team: { type: "object", objectType: "Team", mapTo: "team_ref" }, toString: "int?" } }, { synced: true }),
  parseClass({ name: "Note", properties: { text: "string", about: "Local" } }),
  parseClass({ name: "Local", primaryKey: "code", properties: { code: "string" } }),
]);
const canonical = (text, cls = "Task", ...args) => toText(bind(parse(text, args), SCHEMA.get(cls), SCHEMA));

test("names are those of JavaScript or the stored ones", () => {
  equal(canonical('heading == "x" AND title != "y" AND id > 3 SORT(heading ASC) DISTINCT(team)'), 'title == "x" and title != "y" and _id > 3 SORT(title ASC) DISTINCT(team_ref)');
  equal(canonical("team == 3 AND team_ref.id == 4 AND team._id == 5"), 'team_ref == obj("Team", 3) and team_ref._id == 4 and team_ref._id == 5');
  equal(canonical("toString == 3"), "toString == 3");
  for (const name of ["constructor", "__proto__", "hasOwnProperty", "name"]) throws(() => canonical(`${name} == 3`), `'Task' has no property '${name}'`);
  equal(canonical("team.label == 'x'"), 'team_ref.name == "x"');
  throws(() => canonical("team.colour == 'x'"), "Property 'Task.team' has no property 'colour'");
});

test("keys of local classes have any name", () => {
  equal(canonical("about == 'x' OR about.code == 'y'", "Note"), 'about == obj("Local", "x") or about.code == "y"');
  throws(() => canonical("about._id == 'y'", "Note"), "Property 'Note.about' has no property '_id'");
});

test("a class may be as plain as it is on the wire", () => {
  const cls = { name: "Team", properties: { name: { type: "string" } } };
  const schema = { get: () => cls, has: () => true, wireType: (prop) => prop.type };
  const query = bind({ kind: "Query", predicate: parse("name == 'x'").predicate, clauses: [{ kind: "Sort", keys: [[{ kind: "Path", steps: ["name"], quantifier: "" }, false]] }], text: "" }, cls, schema);
  equal(toText(query), 'name == "x" SORT(name DESC)');
  equal([{ name: "x" }, { name: "y" }].filter(compilePredicate(query.predicate)), [{ name: "x" }]);
});

test("what a subscription can use", () => {
  checkSubscribable(bound('team._id == "north" AND priority * 2 > 3 OR note CONTAINS[c] "x" AND due < T0:0'));
  throws(() => checkSubscribable(bound("hours * 2 > 3")), "Arithmetic on 'double' values cannot");
  throws(() => checkSubscribable(bound('photo ==[c] binary("x")')), "[c] on binary data cannot");
  throws(() => checkSubscribable(bound("photo LIKE note")), "LIKE with the pattern in a property cannot");
});
