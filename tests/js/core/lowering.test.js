import { equal, test } from "../harness.js";
import { equalityKeys, lower, wire } from "/realm_sync/core/lowering.js";
import { FALSE, TRUE, and, comparisons, constant, not, or, paths } from "/realm_sync/core/nodes.js";
import { toText } from "/realm_sync/core/text.js";
import { argument, bound } from "./queries.js";

for (const [text, keys] of [
  ['team == "north"', { team: ["north"] }],
  ['"north" == title', { title: ["north"] }],
  ["priority == 9007199254740993", { priority: ["9007199254740993"] }],
  ["priority IN {1, 2, null} AND priority IN {2, null, 4}", { priority: [2, null] }],
  ['team == "north" AND priority > 3', { team: ["north"] }],
  ['team == "north" AND done == true', { team: ["north"], done: [true] }],
  ['team == "north" OR team == null', { team: ["north", null] }],
  ['(team == "north" AND done == true) OR team IN {"south", "east"}', { team: ["north", "south", "east"] }],
  ['team == "north" OR done == true', {}],
  ['NOT team == "north"', {}],
  ['NOT (team != "north" OR FALSEPREDICATE)', {}],
  ['title ==[c] "north"', {}],
  ["title.@count == 5", {}],
  ["priority + 1 == 5", {}],
  ["title IN {}", {}],
  ["TRUEPREDICATE", {}],
]) {
  test(`what ${text} implies`, () => {
    const expected = new Map(Object.entries(keys).map(([name, values]) => [name, new Set(values)]));
    equal(equalityKeys(bound(text).predicate), expected);
  });
}

for (const [text, lowered] of [
  ["priority BETWEEN {1, 5}", "priority >= 1 and priority <= 5"],
  ["1 < priority", "priority > 1"],
  ["priority > ALL {1, 2}", "priority > 1 and priority > 2"],
  ["NONE {1, 2} < priority", "!(priority > 1 or priority > 2)"],
  ["priority == ANY {1, 2}", "priority IN {1, 2}"],
  ["priority IN ALL {1, 2}", "priority == 1 and priority == 2"],
  ["priority > ANY {}", "FALSEPREDICATE"],
  ['team == obj("Team", "north")', 'team == "north"'],
  ["null CONTAINS note", "note == NULL"],
]) {
  test(`${text} in fewer words`, () => equal(toText(lower(bound(text).predicate)), lowered));
}

test("constants on the wire", () => {
  const onWire = (name, value) => wire(bound(`${name} == $0`, argument(value)).predicate.right);
  for (const [name, value] of [
    ["priority", { int: "9007199254740993" }], ["hours", { double: "NaN" }], ["hours", { double: "-Infinity" }],
    ["cost", { decimal128: "0.1" }], ["photo", { data: "AP8=" }], ["due", { date: "2026-01-01T12:00:00.000001Z" }],
    ["badge", { objectId: "00000000000000000000000a" }], ["device", { uuid: "00000000-0000-0000-0000-00000000000a" }],
  ]) {
    equal(onWire(name, value), Object.values(value)[0]);
  }
  equal([onWire("priority", 5), onWire("hours", 5), onWire("done", true), onWire("title", "ä"), onWire("note", null)], [5, 5, true, "ä", null]);
});

test("conditions are kept flat", () => {
  const [a, b] = ["priority == 1", "visits == 1"].map((text) => bound(text).predicate);
  equal([and(), or(), not(TRUE), not(not(a)) === a], [TRUE, FALSE, FALSE, true]);
  equal([and(a, TRUE) === a, and(a, FALSE), or(a, FALSE) === a, or(a, TRUE)], [true, FALSE, true, TRUE]);
  equal(and(a, and(b, a)).nodes.map((node) => [a, b].indexOf(node)), [0, 1, 0]);
  equal(constant("int", 5), { kind: "Constant", type: "int", value: 5, argument: null, position: null });
});

test("what a query reads", () => {
  const { predicate } = bound('priority + limit > 3 AND NOT ("x" CONTAINS note OR team._id == "north")');
  equal([...paths(predicate)].map(toText), ["priority", "limit", "note", "team._id"]);
  equal([...comparisons(predicate)].map((each) => each.operator), [">", "CONTAINS", "=="]);
});
