import { equal, ok, test, throws } from "../harness.js";
import { bind } from "/realm_sync/core/binding.js";
import { Decimal128, ObjectId, UUID } from "/realm_sync/core/bson.js";
import { QueryError } from "/realm_sync/core/errors.js";
import { equalityKeys } from "/realm_sync/core/lowering.js";
import { MAX_BYTES, parse } from "/realm_sync/core/query.js";
import { toText } from "/realm_sync/core/text.js";
import { INSPECTION, SCHEMA, VECTORS, argument, bound } from "./queries.js";

/** A node without positions. */
const bare = (item) => {
  if (Array.isArray(item)) return item.map(bare);
  if (typeof item !== "object" || item === null || item instanceof Uint8Array || !item.kind) return item;
  return Object.fromEntries(Object.entries(item).filter(([key]) => key !== "position" && key !== "text").map(([key, value]) => [key, bare(value)]));
};
const left = (text) => bare(parse(text).predicate.left);
const path = (...steps) => ({ kind: "Path", steps, quantifier: "", type: "", target: "", hops: [], many: false, optional: true });
const int = (value) => ({ kind: "Constant", type: "int", value, argument: null });
const index = (value) => ({ kind: "Index", value });
const compared = (name) => ({ kind: "Comparison", operator: "==", left: path(name), right: int(1), fold: false });

/** The QueryError of parsing or binding. */
const refusal = (body) => {
  try {
    body();
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
  throw new Error(`nothing refused: ${body}`);
};

test("there are enough vectors", () => ok(VECTORS.cases.length >= 150 && VECTORS.refusals.length >= 90));

for (const { query, args = [], text } of VECTORS.cases) {
  test(`the text of ${query}`, () => {
    const parsed = parse(query, argument(args));
    equal(toText(parse(toText(parsed))), toText(parsed));
    const once = bind(parsed, INSPECTION, SCHEMA);
    equal(toText(once), text);
    equal(toText(parse(text)), text);
    equal(bare(bind(parse(text), INSPECTION, SCHEMA).predicate).kind, once.predicate.kind);
    equal(bare(bind(once, INSPECTION, SCHEMA)), bare(once), "binding again changes nothing");
  });
}

for (const { query, args = [], error, position = null, code = "InvalidQuery" } of VECTORS.refusals) {
  test(`no ${query}`, () => {
    const caught = refusal(() => bound(query, ...argument(args)));
    ok(caught.problem.startsWith(error), `expected '${error}', got '${caught.problem}'`);
    equal([caught.position, caught.code], [position, code]);
  });
}

test("an error points at its place", () => {
  equal(
    refusal(() => parse("status == 'open' AND")).message,
    "Invalid predicate: 'status == 'open' AND': syntax error, unexpected end of query\n" +
      "  status == 'open' AND\n" +
      "                      ^",
  );
  ok(refusal(() => bound('title == "x" AND colour == 1')).message.endsWith('\n  title == "x" AND colour == 1\n                   ^'));
});

test("positions count characters", () => {
  equal(refusal(() => parse('title == "😀😀" AND ==')).position, 18);
  equal(refusal(() => parse('title == "😀" AND 😀 ; 1')).problem.slice(-13), "character ';'");
  equal(refusal(() => bound('title == "😀" AND colour == 1')).position, 17);
});

test("queries for NaN are equal", () => {
  for (const name of ["hours", "ratio", "cost"]) {
    const texts = [bound(`${name} == $0`, NaN), bound(`${name} == NaN`), bound(`${name} == $0`, new Decimal128("NaN"))].map(toText);
    equal(new Set(texts), new Set([`${name} == NaN`]));
  }
});

// --- Limits ---

for (const text of [
  `${"(".repeat(200_000)}a == 1`, `${"!".repeat(200_000)}a == 1`, `a == 1${" + 1".repeat(60_000)}`, "{".repeat(100_000),
  "a".repeat(1_000_000), `a == ${"(1 + ".repeat(50_000)}`, "(a == 1 AND ".repeat(20_000), "a[".repeat(100_000),
  "SUBQUERY(a, $a, ".repeat(10_000), `a == "${"x".repeat(250_000)}`, `a == "${"\\n".repeat(120_000)}`,
]) {
  test(`the monster ${text.slice(0, 12)} is refused at once`, () => {
    const start = performance.now();
    refusal(() => parse(text));
    ok(performance.now() - start < 2000);
  });
}

test("size is counted in bytes and has a code", () => {
  const caught = refusal(() => parse(`title == "${"ä".repeat(MAX_BYTES / 2)}"`));
  equal([caught.code, caught.position], ["LimitExceeded", null]);
  ok(caught.problem.endsWith(`at most ${MAX_BYTES} are allowed.`));
});

test("the depth is counted as the server counts it", () => {
  const nested = (depth) => `${"(".repeat(depth)}done == true${")".repeat(depth)}`;
  equal(toText(parse(nested(50))), "done == true");
  equal(refusal(() => parse(nested(51))).code, "LimitExceeded");
  equal(toText(parse(nested(60), [], { trusted: true })), "done == true");
  equal(refusal(() => parse(nested(61), [], { trusted: true })).position, 60);
  parse(`visits${" + 1".repeat(16)} == 19 AND visits${" + 1".repeat(16)} == 19`);
  equal(refusal(() => parse(`visits${" + 1".repeat(17)} == 19`)).code, "LimitExceeded");
  equal(refusal(() => parse(`${"!".repeat(40)}(a == 1 AND ${"!".repeat(10)}b == 1)`)).position, 61);
  parse(`${"!".repeat(40)}a == 1 AND ${"!".repeat(50)}b == 1`);
});

test("long queries within the limit work", () => {
  const numbers = Array.from({ length: 10_000 }, (_, number) => number);
  const query = bound(numbers.map((number) => `priority == ${number}`).join(" OR "));
  equal([...equalityKeys(query.predicate)], [["priority", new Set(numbers)]]);
});

test("trusted text may be longer", () => {
  const long = Array.from({ length: 3_000 }, (_, number) => `title == "${String(number).padStart(100, "0")}"`).join(" or ");
  equal(toText(parse(long, [], { trusted: true })), long);
  refusal(() => parse(long));
});

test("lone surrogates are refused", () => {
  throws(() => parse('title == "\ud800"'), /lone surrogate/);
  throws(() => parse("title == $0", ["\udc00"]), "Argument $0 holds a lone surrogate.");
});

// --- The tree ---

test("precedence", () => {
  const [a, b, c] = ["a", "b", "c"].map(compared);
  equal(bare(parse("a == 1 OR b == 1 AND c == 1").predicate), { kind: "Or", nodes: [a, { kind: "And", nodes: [b, c] }] });
  equal(bare(parse("NOT a == 1 AND b == 1").predicate), { kind: "And", nodes: [{ kind: "Not", node: a }, b] });
  const product = { kind: "Arithmetic", operator: "*", left: int(2), right: path("a"), type: "" };
  equal(left("1 + 2 * a == 1"), { kind: "Arithmetic", operator: "+", left: int(1), right: product, type: "" });
  equal(toText(parse("((a + 1)) * 2 == (3 - (b)) AND ((c == 1) OR (d == 1))")), "(a + 1) * 2 == 3 - b and (c == 1 or d == 1)");
});

test("a sum in parentheses is no condition", () => {
  for (const [text, position] of [["(a == 1 AND b)", 13], ["(a)", 3], ["(a + 1) BEGINSWITH 'x'", 8], ["a == (b == 1)", 8], ["(a AND b == 1)", 3], ["NOT (a)", 7], ["(a == 1) == 2", 9], ["(a == 1) + 2 == 3", 9]]) {
    equal(refusal(() => parse(text)).position, position, text);
  }
});

for (const [text, tree] of [
  ["dogs.age == 1", path("dogs", "age")],
  ["ALL dogs.age == 1", { ...path("dogs", "age"), quantifier: "ALL" }],
  ["SOME dogs.@max.age == 1", { ...path("dogs", "@max", "age"), quantifier: "ANY" }],
  ["prices[0] == 1", path("prices", index(int(0)))],
  ["prices[FIRST] == 1", path("prices", index("FIRST"))],
  ["prices[*] == 1", path("prices", index("*"))],
  ["prices[SIZE] == 1", path("prices", "@size")],
  ["words['key'].@type == 1", path("words", index({ ...int("key"), type: "string" }), "@type")],
  ["words.@keys == 1", path("words", "@keys")],
  ["@links.Person.dogs.@count == 1", path("@links", "Person", "dogs", "@count")],
  ["first\\ name == 1", path("first name")],
  ["$d.größe == 1", path("$d", "größe")],
  ["NONE {1, 2} == 1", { kind: "ListValue", items: [int(1), int(2)], quantifier: "NONE" }],
]) {
  test(`grammar of ${text}`, () => {
    equal(left(text), tree);
    equal(left(toText(parse(text))), tree);
  });
}

test("grammar of subqueries and geometry", () => {
  const query = parse('SUBQUERY(dogs, $d, $d.age > $0 AND NOT $d.name == "R").@count > 1', [3]);
  equal(toText(query), 'SUBQUERY(dogs, $d, $d.age > 3 and !($d.name == "R")).@count > 1');
  equal(toText(parse(toText(query))), toText(query));
  for (const text of [
    "place GEOWITHIN geoBox([1.0, 2.5], [3.0, 4.0])",
    "place GEOWITHIN geoCircle([1.0, 2.5, 7.0], 0.5)",
    "place GEOWITHIN geoPolygon({[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]}, {[0.1, 0.1], [0.2, 0.1], [0.1, 0.1]})",
  ]) {
    equal(parse(text).predicate.right.kind, "Geometry");
    equal(toText(parse(text)), text);
  }
});

test("words that may name a property, and words that may not", () => {
  for (const word of "BEGINSWITH contains LIKE BETWEEN SORT distinct LIMIT ASC Descending IN in TEXT BIN FIRST size".split(" ")) {
    equal(left(`${word} == 1`), path(word));
  }
  for (const word of "ANY all none and OR not true NULL nil inf NaN obj SUBQUERY geoBox O12".split(" ")) {
    refusal(() => bound(`${word} == 1`));
  }
});

// --- Arguments ---

test("arguments of JavaScript", () => {
  const text = (value) => toText(parse("a == $0", [value]).predicate.right);
  for (const [value, expected] of [
    [null, "NULL"], [undefined, "NULL"], [true, "true"], [5, "5"], [-0, "-0.0"], [5.5, "5.5"], [1e300, "1.0e+300"], [-Infinity, "-inf"],
    [2 ** 53, "9007199254740992.0"], [9007199254740993n, "9007199254740993"], [-5n, "-5"],
    ["plain", '"plain"'], ["Ä", 'B64"w4Q="'],
    [new Uint8Array([0, 255]), 'binary(B64"AP8=")'], [new Uint8Array([0, 255]).buffer, 'binary(B64"AP8=")'],
    [new Uint16Array([1, 2]).subarray(1), 'binary(B64"AgA=")'],
    [new Date(1005), "T1:5000000"], [new Date(-1), "T-1:999000000"],
    [new ObjectId("00000000000000000000000A"), "oid(00000000000000000000000a)"],
    [new UUID("00000000-0000-0000-0000-00000000000A"), "uuid(00000000-0000-0000-0000-00000000000a)"],
    [new Decimal128("1.50"), "1.5"],
    [[1, "x", null], '{1, "x", NULL}'], [new Set([1n]), "{1}"], [[], "{}"],
  ]) {
    equal(text(value), expected);
  }
});

test("dates read from a realm keep their microseconds", () => {
  equal(toText(bound("due == $0", argument({ date: "2026-01-01T12:00:00.000001Z" }))), "due == T1767268800:1000");
});

test("Realm objects are the object with their key", () => {
  const team = { [Symbol.for("realm-sync.key")]: { className: "Team", type: "string", wire: "north" } };
  equal(toText(bound("team == $0 OR lead IN $1", team, [team, null])), 'team == obj("Team", "north") or lead IN {obj("Team", "north"), NULL}');
  const numbered = { [Symbol.for("realm-sync.key")]: { className: "Team", type: "int", wire: "9007199254740993" } };
  equal(toText(parse("team == $0", [numbered])), 'team == obj("Team", 9007199254740993)');
});

test("what cannot be an argument", () => {
  const caught = (value) => refusal(() => parse("a == 1 OR b == $0", [value]));
  equal([caught({}).problem, caught({}).position], ["Using a Object as a query argument is not supported (argument $0).", 15]);
  equal(caught(new Map()).problem, "Using a Map as a query argument is not supported (argument $0).");
  equal(caught(() => 1).problem, "Using a Function as a query argument is not supported (argument $0).");
  equal(caught(new Date(NaN)).problem, "The date argument $0 is outside the years 1 to 9999.");
  equal(caught(new Date(1e15)).problem, "The date argument $0 is outside the years 1 to 9999.");
  equal(caught([{}]).position, 15);
  throws(() => bound("title == $0", "a\0b"), "Expected a string without U+0000 in the query.");
  throws(() => bound("airfield == $0", "x".repeat(50)), `Cannot compare argument $0 with value '${"x".repeat(39)}…' to a uuid`);
});

test("an argument is looked at where the syntax is right and it counts, as in Python", () => {
  equal(refusal(() => parse("a == $5 AND AND")).position, 12);
  equal(toText(parse("FALSEPREDICATE AND a == $5")), "FALSEPREDICATE");
  equal(refusal(() => parse("a == {1, $3} AND b == $5")).position, 9);
});
