// Deep queries: over collections, links, mixed values, embedded objects, text and geometry, on the vectors.

import { equal, ok, test, throws } from "../harness.js";
import { bind } from "/realm_sync/core/binding.js";
import { Decimal128, ObjectId } from "/realm_sync/core/bson.js";
import { QueryError } from "/realm_sync/core/errors.js";
import { Link } from "/realm_sync/core/mixed.js";
import { not } from "/realm_sync/core/nodes.js";
import { classesRead } from "/realm_sync/core/paths.js";
import { applyClauses, compilePredicate } from "/realm_sync/core/predicate.js";
import { parse } from "/realm_sync/core/query.js";
import { checkSubscribable } from "/realm_sync/core/subscribable.js";
import { toText } from "/realm_sync/core/text.js";
import { CLASSES, OBJECTS, WORLD, argument, boundCase } from "./queries.js";

const person = (query, args) => boundCase({ class: "Person", query, args });
const keys = (images) => images.map((image) => image._id);

test("there are enough vectors", () => ok(WORLD.cases.length >= 400 && WORLD.refusals.length >= 100));

for (const each of WORLD.cases) {
  test(`the text of ${each.query}`, () => {
    const cls = CLASSES.get(each.class);
    const query = boundCase(each);
    const text = toText(query);
    equal(text, each.text);
    equal(toText(parse(text)), text);
    equal(toText(bind(parse(text), cls, CLASSES)), text);
    equal(bind(query, cls, CLASSES), query, "binding again changes nothing");
  });

  test(`${each.query} selects`, () => {
    const { predicate, clauses } = boundCase(each);
    const images = WORLD.objects[each.class];
    const found = images.filter(compilePredicate(predicate, OBJECTS));
    equal(keys(images.filter(compilePredicate(not(predicate), OBJECTS))), keys(images.filter((image) => !found.includes(image))), "its complement");
    equal(keys(applyClauses(found, clauses, OBJECTS)), each.keys);
  });
}

for (const { error, position = null, code = "InvalidQuery", ...each } of WORLD.refusals) {
  test(`no ${each.query}`, () => {
    const caught = throws(() => boundCase(each));
    ok(caught instanceof QueryError && caught.problem.startsWith(error), `expected '${error}', got '${caught.problem}'`);
    equal([caught.position, caught.code], [position, code]);
  });
}

for (const [text, reason] of [
  ["TRUEPREDICATE SORT(name ASC)", /^SORT cannot be used in a subscription: sort and limit the objects when you read them\./],
  ["TRUEPREDICATE LIMIT(3)", /^LIMIT cannot/],
  ["TRUEPREDICATE DISTINCT(name)", /^DISTINCT cannot/],
  ["best.name == 'Rex'", /^The key path 'best.name' cannot .*: it follows a link/],
  ["ANY dogs.age > 3", /^The key path 'ANY dogs.age' cannot/],
  ["address.keeper.name == 'Bob'", /^The key path 'address.keeper.name' cannot/],
  ["minors.@count > 3", /^'minors.@count' cannot .*which objects link to this one/],
  ["@links.Person.boss.name == 'x'", /cannot .*which objects link to this one/],
  ["@links.@count > 3", /^'@links.@count' cannot .*which objects link to this one/],
  ["scores.@sum > 3", /^'scores.@sum' cannot .* only @count and @size/],
  ["dogs.@max.age > 3", /^'dogs.@max.age' cannot/],
  ["SUBQUERY(dogs, $d, $d.age > 3).@count > 1", /^SUBQUERY cannot/],
  ["bio TEXT 'x'", /^TEXT cannot .*CONTAINS/],
  ["ratings + 1 == 2", /^Arithmetic on 'double' values/],
  ["thing + 1 == 2", /^Arithmetic on 'mixed' values/],
]) {
  test(`no subscription can use ${text}`, () => throws(() => checkSubscribable(person(text)), reason));
}

for (const text of [
  "scores == 3 AND ALL tags BEGINSWITH 'a' AND prices['eur'] > 3 AND prices.@keys == 'usd'",
  "thing['a'][0] == 1 AND thing.@type == 'string' AND ANY anys IN {1, 2}",
  "best.@count == 1 AND dogs.@count > 1 AND $0 IN dogs AND best._id == 3",
  "address.city == 'Berlin' AND addresses.lines == 'a' AND homes['main'] != null AND address.keeper == null",
  "place GEOWITHIN geoCircle([1, 2], 0.5) AND address.location GEOWITHIN geoBox([1, 2], [3, 4])",
  "scores + 1 == 3 AND name.@size > 2 AND visits > 3",
]) {
  test(`a subscription can use ${text}`, () => checkSubscribable(person(text, [{ object: ["Dog", 1] }])));
}

test("the classes that a query reads besides its own", () => {
  for (const [text, names] of [
    ["name == 'Ada' AND scores == 3 AND address.city == 'Berlin' AND dogs.@count > 1 AND best == null", []],
    ["best.name == 'Rex'", ["Dog"]], ["minors.age > 3", ["Person"]], ["dogs.@max.age > 3", ["Dog"]],
    ["address.keeper.best.name == 'Rex'", ["Dog", "Person"]], ["@links.@count > 3", ["Dog", "Person"]],
    ["SUBQUERY(dogs, $d, $d.owner.name == 'Ada').@count > 0", ["Dog", "Person"]], ["NOT (best.age + 1 > 3 OR age > 3)", ["Dog"]],
  ]) {
    equal([...classesRead(person(text).predicate)].sort(), names, text);
  }
  equal([...classesRead(person("TRUEPREDICATE SORT(best.name ASC)").clauses[0])], ["Dog"]);
  equal([...classesRead(person("TRUEPREDICATE DISTINCT(best.name)").clauses[0])], ["Dog"]);
});

test("images without what a query asks for are as empty ones", () => {
  for (const text of [
    "scores.@count == 0 AND ALL scores > 3 AND prices.@count == 0 AND NONE dogs.name == 'Rex' AND addresses.@count == 0",
    "address.city == null AND thing == null AND thing['a'] == null AND best.name == null AND prices['eur'] == null",
    "dogs.@count == 0 AND dogs.@sum.age == 0 AND dogs.@max.age == null AND scores.@avg == null AND homes['main'].city == null",
    "NOT (scores[0] == null OR thing[0] == null OR place GEOWITHIN geoBox([-180, -90], [180, 90]) OR bio TEXT 'dog')",
    "SUBQUERY(dogs, $d, TRUEPREDICATE).@count == 0 AND minors.@count == 0 AND thing.@type == 'null' AND thing.@size == null",
  ]) {
    ok(compilePredicate(person(text).predicate)({ _id: "x" }), text);
  }
});

test("keys that objects have by nature are no keys of dictionaries", () => {
  for (const key of ["constructor", "__proto__", "toString"]) {
    ok(!compilePredicate(person(`prices['${key}'] != null OR thing['${key}'] != null`).predicate)({ prices: {}, thing: {} }), key);
  }
});

test("arguments of every kind", () => {
  equal(toText(parse("a == $0 AND b == $1", [new ObjectId("000000000000000000000001"), new Decimal128("1.50")])), "a == oid(000000000000000000000001) and b == 1.5");
  const badge = { $oid: "000000000000000000000001" };
  equal(toText(parse("a == $0 AND b IN $1", [badge, [{ $numberDecimal: "1.5" }, { $date: "2026-01-01T00:00:00Z" }]])), "a == oid(000000000000000000000001) and b IN {1.5, T1767225600:0}");
  const { predicate } = bind(parse("thing == $0 OR best == $0", [new Link("Dog", 1)]), CLASSES.get("Person"), CLASSES);
  equal(keys(WORLD.objects.Person.filter(compilePredicate(predicate, OBJECTS))), ["ada"]);
  class Counter {}
  throws(() => parse("a == $0", [new Counter()]), "Using a Counter as a query argument is not supported. Use 'Counter.value'.");
  throws(() => parse("a == $0", [{ x: 1 }]), "Using a Object as a query argument is not supported (argument $0).");
  throws(() => parse("a GEOWITHIN $0", [{ x: 1 }]), "The Geospatial query argument region is invalid: 'it is no box");
  throws(() => parse("a GEOWITHIN geoCircle([1, 2], $0)", ["x"]), "Expected a number of radians as argument $0.");
});

test("a subquery's objects are found through what is here", () => {
  const { predicate } = person("SUBQUERY(dogs, $d, $d.age > $0).@count == 1", argument([4]));
  equal(keys(WORLD.objects.Person.filter(compilePredicate(predicate))), [], "without objects");
});
