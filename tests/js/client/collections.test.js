// Collections, embedded objects, mixed values and counters of a realm, as its users see them (reference 9).

import { equal, ok, test, throws, vectors } from "../harness.js";
import { heard, many, newPath, offline, pause } from "./inspections.js";
import Realm from "/realm_sync/realm.js";

const { BSON } = Realm;
const TEAM = { name: "Team", primaryKey: "_id", properties: { _id: "string", name: "string", kits: { type: "linkingObjects", objectType: "Kit", property: "teams" }, ledKits: { type: "linkingObjects", objectType: "Kit", property: "lead" } } };
const ADDRESS = { name: "Address", embedded: true, properties: { street: "string", zip: { type: "int", default: 1, mapTo: "code" }, lines: "string[]", team: "Team", visits: "counter?" } };
const KIT = {
  name: "Kit", primaryKey: "_id",
  properties: {
    _id: "string", tags: "string[]", numbers: { type: "list", objectType: "int", mapTo: "nums" }, maybes: "int?[]", teams: "Team[]", ids: "objectId<>", words: "string<>", crew: "Team<>", prices: "double{}", notes: "string?{}", byTeam: "Team{}",
    home: "Address", all: "Address[]", places: "Address{}", any: "mixed", anys: "mixed[]", bag: "mixed<>", count: { type: "int", presentation: "counter", default: 0 }, maybeCount: "counter?", lead: "Team",
  },
};
const EVENT = { name: "Event", asymmetric: true, primaryKey: "_id", properties: { _id: "string", at: "Address" } };
const SCHEMA = [TEAM, ADDRESS, KIT];

async function opened(config = {}) {
  const realm = await Realm.open({ path: newPath(), schema: SCHEMA, ...config });
  realm.kit = (values = {}) => realm.write(() => realm.create("Kit", { _id: "k", ...values }));
  realm.team = (_id) => realm.objectForPrimaryKey("Team", _id) ?? realm.write(() => realm.create("Team", { _id, name: `Team ${_id}` }));
  return realm;
}

const plain = (value) => JSON.parse(JSON.stringify(value));
const steps = (realm) => realm._store.pending.flatMap(({ instructions }) => instructions.map(({ class: _, _id: __, ...step }) => step));

// --- lists ----------------------------------------------------------------------------------------------------------

test("a list is an array whose changes are kept", async () => {
  const realm = await opened();
  const kit = realm.kit({ tags: ["a", "b"] });
  const { tags } = kit;
  ok(tags instanceof Realm.List && kit.tags !== tags);
  equal([tags.length, tags[0], tags.at(-1), tags[5], tags.type, tags.optional, kit.maybes.optional, kit.teams.type], [2, "a", "b", undefined, "string", false, true, "object"]);
  realm.write(() => {
    equal([tags.push("c", "d"), tags.pop(), tags.shift(), tags.unshift("x", "y")], [4, "d", "a", 4]);
    equal([...tags], ["x", "y", "b", "c"]);
    equal(tags.splice(1, 2, "m", "n", "o"), ["y", "b"]);
    tags[0] = "first";
    tags.remove(1);
    tags.move(0, 2);
    equal([...tags], ["n", "o", "first", "c"]);
    tags.swap(0, 3);
    equal([...tags], ["c", "o", "first", "n"]);
    tags.swap(1, 2);
  });
  equal([...kit.tags], ["c", "first", "o", "n"]);
  equal([tags.indexOf("o"), tags.includes("z"), tags.indexOf(5), tags.join("-"), tags.map((tag) => tag.length), tags.slice(1, 3), [...tags.entries()][0]], [2, false, -1, "c-first-o-n", [1, 5, 1, 1], ["first", "o"], [0, "c"]]);
  equal([tags.sorted(), tags.sorted(true), Object.keys(tags)], [["c", "first", "n", "o"], ["o", "n", "first", "c"], ["0", "1", "2", "3"]]);
  equal(kit.numbers.toJSON(), []);
  realm.write(() => (kit.numbers = [3, 1, 2]));
  equal([kit.numbers.min(), kit.numbers.max(), kit.numbers.sum(), kit.numbers.avg(), kit.maybes.min(), kit.maybes.sum()], [1, 3, 6, 2, undefined, 0]);
  realm.close();
});

test("a list refuses what cannot be", async () => {
  const realm = await opened();
  const kit = realm.kit({ tags: ["a", "b"] });
  throws(() => kit.tags.push("c"), "Cannot modify managed objects outside of a write transaction.");
  realm.write(() => {
    throws(() => (kit.tags[2] = "c"), "Requested index 2 calling set() on list 'Kit.tags' when max is 1");
    throws(() => (kit.tags[-1] = "c"), "Cannot set item at negative index -1.");
    throws(() => (kit.tags.length = 0), "Cannot assign to read only property 'length'");
    throws(() => kit.tags.remove(-1), "Index cannot be smaller than 0");
    throws(() => kit.tags.remove(2), "Index cannot be greater than the size of the list");
    throws(() => kit.tags.move(0, 2), "Indexes cannot be greater than the size of the list");
    throws(() => kit.tags.push("c", 5), "Expected 'tags[3]' to be a string, got a number");
    throws(() => (kit.tags = ["c", 5]), "Expected 'tags[1]' to be a string, got a number");
    throws(() => (kit.tags = null), "Expected 'tags' to be an iterable object, got null");
    throws(() => (kit.teams = [null]), "Expected 'teams[0]' to be an instance of Team, got null");
    throws(() => kit.tags.flat(), "Method not implemented.");
  });
  throws(() => kit.tags.indexOf("a", 1), "The second fromIndex argument is not yet supported");
  throws(() => kit.teams.indexOf("a"), "Expected value to be an instance of Realm.Object");
  throws(() => kit.tags.filtered("TRUEPREDICATE"), /only collections of objects can be queried/);
  equal([...kit.tags], ["a", "b"]);
  realm.close();
});

test("iterating sees a snapshot; what was deleted meanwhile is null", async () => {
  const realm = await opened();
  const kit = realm.kit({ numbers: [1, 2, 3] });
  realm.write(() => {
    for (const number of kit.numbers) if (number < 3) kit.numbers.remove(0);
    kit.teams = [realm.create("Team", { _id: "n", name: "North" }), realm.create("Team", { _id: "s", name: "South" })];
    const seen = [];
    for (const team of kit.teams) {
      seen.push(team?.name ?? null);
      if (seen.length === 1) realm.delete(kit.teams[1]);
    }
    equal(seen, ["North", null]);
  });
  equal([[...kit.numbers], kit.teams.length], [[3], 1]);
  realm.close();
});

test("assigning a list writes the edits that lead there; a list may be assigned to itself", async () => {
  const realm = await offline(["Kit", "Team"], {}, SCHEMA);
  const kit = realm.write(() => realm.create("Kit", { _id: "k", tags: ["a", "b", "c"] }));
  realm.write(() => (kit.tags = ["b", "x", "c"]));
  realm.write(() => (kit.tags = kit.tags));
  realm.write(() => (kit.tags = []));
  equal(steps(realm).slice(1), [
    { op: "remove", path: ["tags", 0] }, { op: "insert", path: ["tags", 1], value: "x" }, { op: "clear", path: ["tags"] },
  ]);
  realm.close();
});

test("links to what is not in the file are hidden, and not lost", async () => {
  const realm = await opened();
  const north = realm.team("n");
  const kit = realm.kit({ teams: ["gone", north, "away", "n"], lead: "gone", crew: ["gone", "n"], byTeam: { a: "gone", b: north } });
  equal([kit.teams.length, kit.teams[0]._id, kit.teams[2], [...kit.teams].map(({ _id }) => _id)], [2, "n", undefined, ["n", "n"]]);
  equal([kit.teams.linkedKeys(), kit.crew.linkedKeys(), kit.crew.size, kit.byTeam.a, kit.byTeam.b._id, kit.lead, kit.linkedKey("lead")], [["gone", "n", "away", "n"], ["gone", "n"], 1, null, "n", null, "gone"]);
  equal([kit.teams.indexOf(north), kit.teams.lastIndexOf(north), kit.crew.has(north)], [0, 1, true]);
  realm.write(() => {
    kit.teams.remove(1);
    kit.teams.push({ _id: "new", name: "New" });
  });
  equal(kit.teams.linkedKeys(), ["gone", "n", "away", "new"]);
  realm.team("away");
  equal([...kit.teams].map(({ _id }) => _id), ["n", "away", "new"]);
  realm.write(() => realm.delete(north));
  equal([[...kit.teams].map(({ _id }) => _id), kit.byTeam.b], [["away", "new"], null]);
  equal([...kit.teams.filtered("name BEGINSWITH 'Team'")].map(({ _id }) => _id), ["away"]);
  equal([...kit.teams.sorted("name")].map(({ _id }) => _id), ["new", "away"]);
  realm.close();
});

test("deleting a list deletes its objects, and empties one of values", async () => {
  const realm = await opened();
  const kit = realm.kit({ teams: [realm.team("n"), realm.team("s")], tags: ["a"], all: [{ street: "a" }] });
  realm.write(() => {
    realm.delete(kit.teams);
    realm.delete(kit.tags);
    realm.delete(kit.all[0]);
  });
  equal([realm.objects("Team").length, kit.tags.length, kit.all.length], [0, 0, 0]);
  const { tags } = kit;
  realm.write(() => realm.delete(kit));
  equal(tags.isValid(), false);
  throws(() => tags.length, "Accessing object which has been invalidated or deleted");
  realm.close();
});

// --- sets and dictionaries ------------------------------------------------------------------------------------------

test("a set holds each value once", async () => {
  const realm = await opened();
  const id = new BSON.ObjectId();
  const kit = realm.kit({ words: ["b", "a", "b"], ids: [id, new BSON.ObjectId(id)] });
  const { words } = kit;
  ok(words instanceof Realm.Set);
  equal([words.size, words.length, kit.ids.size, words.has("a"), words.has("z"), words.has(5), kit.ids.has(id)], [2, 2, 1, true, false, false, true]);
  realm.write(() => {
    ok(words.add("c").add("a") === words);
    equal([words.delete("b"), words.delete("b")], [true, false]);
    words[0] = "z";
    kit.bag = [1, "1", null, true];
    kit.bag.add(1n).add(null);
    throws(() => kit.bag.add([1]), "Lists within a Set are not supported.");
    throws(() => (kit.words = "ab"), "Expected 'values' to be an array, got a string");
    throws(() => kit.words.add(5), /to be a string, got a number/);
  });
  equal([[...words].sort(), kit.bag.size, words.map((word) => word)], [["a", "c"], 4, ["a", "c"]]);
  realm.write(() => words.clear());
  equal([words.size, words.isEmpty()], [0, true]);
  realm.close();
});

test("a dictionary is an object whose keys are kept", async () => {
  const realm = await opened();
  const kit = realm.kit({ prices: { a: 1, b: 2 } });
  const { prices } = kit;
  ok(prices instanceof Realm.Dictionary);
  equal([prices.a, prices["b"], prices.z, "a" in prices, "z" in prices, Object.keys(prices), { ...prices }, [...prices], [...prices.keys()], [...prices.values()]], [1, 2, undefined, true, false, ["a", "b"], { a: 1, b: 2 }, [["a", 1], ["b", 2]], ["a", "b"], [1, 2]]);
  realm.write(() => {
    prices.c = 3;
    delete prices.a;
    ok(prices.set("d", 4).set({ e: 5, b: 6 }) === prices);
    prices.remove(["e", "missing"]);
    prices.remove("missing");
    prices.set("set", 7);
    throws(() => (prices.$a = 1), "Dictionary::insert: key must not start with '$'");
    throws(() => (prices["a.b"] = 1), "Dictionary::insert: key must not contain '.'");
    throws(() => (prices[Symbol("x")] = 1), "Symbols cannot be used as keys of a dictionary");
    throws(() => (prices.x = "1"), /to be a number, got a string/);
    throws(() => (kit.prices = [1]), "Expected 'values of prices' to be an object, got an array");
  });
  equal(prices.toJSON(), { b: 6, c: 3, d: 4, set: 7 });
  equal([typeof prices.set, prices.length, prices.forEach], ["function", undefined, undefined]);
  realm.write(() => {
    kit.notes = { a: null, b: "x" };
    kit.prices = kit.prices;
    kit.prices = {};
  });
  equal([kit.notes.a, kit.notes.toJSON(), Object.keys(kit.prices)], [null, { a: null, b: "x" }, []]);
  realm.close();
});

// --- embedded objects -----------------------------------------------------------------------------------------------

test("an embedded object lives in its parent", async () => {
  const realm = await opened();
  const kit = realm.kit({ home: { street: "Runway 1", lines: ["x"], visits: 2 }, all: [{ street: "a" }, { street: "b", zip: 7 }], places: { here: { street: "c" } } });
  const { home } = kit;
  ok(home instanceof Realm.Object && home.isValid());
  equal([home.street, home.zip, [...home.lines], home.team, home.visits.value, kit.all[1].zip, kit.places.here.street], ["Runway 1", 1, ["x"], null, 2, 7, "c"]);
  equal(plain(home), { street: "Runway 1", zip: 1, lines: ["x"], team: null, visits: 2 });
  realm.write(() => {
    home.street = "Runway 2";
    home.lines.push("y");
    home.team = { _id: "n", name: "North" };
    home.visits.increment(3);
    kit.all[0].zip = 5;
    kit.all[0].lines = ["p", "q"];
    kit.places.here.street = "d";
    throws(() => (home.street = 5), "Expected 'home.street' to be a string, got a number");
    throws(() => (kit.home = { zip: 5 }), "Missing value for property 'street'");
    throws(() => (kit.home = 5), "Expected 'home' to be an instance of Address, got a number");
  });
  equal([kit.home.street, [...home.lines], home.team.name, home.visits.value, plain(kit.all[0]), kit.places.here.street], ["Runway 2", ["x", "y"], "North", 5, { street: "a", zip: 5, lines: ["p", "q"], team: null, visits: null }, "d"]);
  realm.write(() => (kit.all[1] = home));
  equal([kit.all[1].street, home.isValid()], ["Runway 2", true], "assignment copies");
  realm.write(() => (kit.home = { street: "new" }));
  equal([home.isValid(), kit.home.street], [false, "new"], "what is replaced is gone");
  throws(() => home.street, "Accessing object which has been invalidated or deleted");
  realm.write(() => (kit.home = null));
  equal(kit.home, null);
  throws(() => realm.objects("Address"), "You cannot query an embedded object.");
  throws(() => realm.write(() => realm.create("Address", { street: "a" })), /is created by assigning it to a property/);
  throws(() => realm.write(() => (kit.any = kit.all[0])), "Using an embedded object (Address) as a Mixed value is not supported.");
  realm.close();
});

test("an element keeps its place while others come and go", async () => {
  const realm = await opened();
  const kit = realm.kit({ all: ["a", "b", "c"].map((street) => ({ street })) });
  const [a, b, c] = kit.all;
  realm.write(() => {
    kit.all.unshift({ street: "new" });
    b.street = "B";
    kit.all.move(3, 0);
    c.zip = 9;
  });
  equal([[...kit.all].map(({ street }) => street), a.street, b.street, c.zip, kit.all.indexOf(b)], [["c", "new", "a", "B"], "a", "B", 9, 3]);
  realm.write(() => kit.all.remove(2));
  equal([a.isValid(), b.street, c.street], [false, "B", "c"]);
  realm.beginTransaction();
  kit.all = [];
  equal(b.isValid(), false);
  realm.cancelTransaction();
  equal([b.isValid(), b.street, kit.all.length], [true, "B", 3]);
  realm.close();
});

// --- mixed ----------------------------------------------------------------------------------------------------------

test("a mixed property holds anything, and says what", async () => {
  const realm = await opened();
  const north = realm.team("n");
  const kit = realm.kit();
  const set = (any) => realm.write(() => (kit.any = any));
  for (const [value, type] of [[1, "double"], [1n, "int"], ["a", "string"], [true, "bool"], [null, "null"], [new Date(5), "date"], [new BSON.Decimal128("1.5"), "decimal128"], [new BSON.UUID(), "uuid"], [north, "<Team>"]]) {
    set(value);
    equal(kit.getPropertyType("any"), type);
    if (type === "<Team>") equal(kit.any._id, "n");
    else equal(String(kit.any), String(value));
  }
  set({ list: [1, { deep: "a" }], link: north });
  equal([kit.getPropertyType("any"), kit.any.list[1].deep, kit.any.link.name, plain(kit.any.list)], ["dictionary", "a", "Team n", [1, { deep: "a" }]]);
  const { list } = kit.any;
  realm.write(() => {
    list[1].deep = "b";
    list.push([2]);
    kit.any.more = { x: null };
    list.unshift("first");
  });
  equal(plain({ ...kit.any, link: 0 }), { list: ["first", 1, { deep: "b" }, [2]], link: 0, more: { x: null } });
  const inner = list[2];
  realm.write(() => list.shift());
  equal(inner.deep, "b");
  set([1]);
  equal([list.isValid(), inner.isValid(), kit.any.length], [false, false, 1]);
  throws(() => set(new Set([1])), "Using a Set as a Mixed value is not supported.");
  throws(() => set(kit.words), "Using a Set as a Mixed value is not supported.");
  throws(() => set(kit.count), "Using a Counter as a Mixed value is not supported.");
  set(kit.tags);
  equal([...kit.any], []);
  realm.write(() => kit.anys.push(1, [2], { a: 3 }, null));
  equal(plain(kit.anys), [1, [2], { a: 3 }, null]);
  const other = await opened();
  throws(() => other.kit({ any: north }), "Realm object is from another Realm");
  other.close();
  realm.close();
});

// --- counters -------------------------------------------------------------------------------------------------------

test("a counter counts by its methods", async () => {
  const realm = await offline(["Kit", "Team"], {}, SCHEMA);
  const kit = realm.write(() => realm.create("Kit", { _id: "k", count: 5 }));
  const { count } = kit;
  ok(count instanceof Realm.Counter);
  equal([count.value, kit.maybeCount], [5, null]);
  throws(() => count.increment(), "Cannot modify managed objects outside of a write transaction.");
  realm.write(() => {
    count.increment();
    count.increment(3);
    count.decrement(2);
    throws(() => count.increment(1.5), "Expected 'by' to be an integer, got a decimal number");
    throws(() => (count.value = 5), "To update the value, use the methods on the Counter.");
    throws(() => (kit.count = 5), "You can only reset a Counter instance when initializing a previously null Counter or");
    kit.maybeCount = 7;
    throws(() => (kit.maybeCount = 8), "You can only reset a Counter");
    throws(() => realm.create("Kit", { _id: "k", count: 1 }, "modified"), "You can only reset a Counter");
  });
  equal([count.value, kit.maybeCount.value], [7, 7]);
  realm.write(() => count.set(100));
  realm.write(() => (kit.maybeCount = null));
  equal([kit.count.value, kit.maybeCount], [100, null]);
  equal(steps(realm).slice(1), [{ op: "add", path: ["count"], by: 2 }, { op: "update", values: { maybeCount: 7 } }, { op: "update", values: { count: 100 } }, { op: "update", values: { maybeCount: null } }]);
  realm.close();
});

// --- creating -------------------------------------------------------------------------------------------------------

test("create makes nested objects, and its modes apply to them", async () => {
  const realm = await opened();
  const values = { _id: "k", teams: [{ _id: "n", name: "North" }], lead: { _id: "s", name: "South" }, byTeam: { x: { _id: "e", name: "East" } }, home: { street: "a", team: { _id: "w", name: "West" } } };
  const kit = realm.write(() => realm.create("Kit", values));
  equal([realm.objects("Team").length, kit.home.team.name, kit.byTeam.x.name], [4, "West", "East"]);
  throws(() => realm.write(() => realm.create("Kit", { ...values, _id: "other" })), /existing primary key value 'n'/);
  realm.write(() => realm.create("Kit", { _id: "k", teams: [{ _id: "n", name: "north" }], tags: ["a"] }, "modified"));
  equal([kit.teams[0].name, [...kit.tags], kit.lead.name, kit.teams.length], ["north", ["a"], "South", 1]);
  realm.write(() => realm.create("Kit", { _id: "k", tags: [], home: null }, "all"));
  equal([[...kit.tags], kit.home], [[], null]);
  realm.close();
});

test("what links here: through links, lists, sets and dictionaries", async () => {
  const realm = await opened();
  const north = realm.team("n");
  const kit = realm.kit({ teams: [north, north], lead: north, crew: [north], byTeam: { a: north }, home: { street: "a", team: north }, any: [north] });
  equal([[...north.kits].map(({ _id }) => _id), north.ledKits.length, north.linkingObjects("Kit", "crew").length, north.linkingObjects("Kit", "byTeam").length, north.linkingObjectsCount()], [["k"], 1, 1, 1, 7]);
  throws(() => north.linkingObjects("Kit", "tags"), "'Kit#tags' is not a relationship to 'Team'");
  realm.write(() => (kit.teams = []));
  equal([north.kits.length, north.linkingObjectsCount()], [0, 5]);
  equal(kit.getPropertyType("teams") + kit.getPropertyType("prices") + kit.getPropertyType("home"), "list<Team>dictionary<double><Address>");
  equal(kit.toJSON().home.team.name, "Team n");
  realm.close();
});

test("asymmetric objects are written and never seen", async () => {
  const realm = await offline(["Kit"], {}, [...SCHEMA, EVENT]);
  realm.write(() => equal(realm.create("Event", { _id: "e", at: { street: "a" } }), undefined));
  throws(() => realm.objects("Event"), "You cannot query an asymmetric object.");
  throws(() => realm.objectForPrimaryKey("Event", "e"), "You cannot query an asymmetric object.");
  equal(steps(realm), [{ op: "create", values: { at: { street: "a", code: 1, lines: [], team: null, visits: null } } }]);
  realm.close();
});

test("everything is there after the realm is opened again", async () => {
  const path = newPath();
  const realm = await opened({ path });
  const kit = realm.kit({ tags: ["a"], any: { x: [1n] }, all: [{ street: "s" }] });
  realm.write(() => {
    kit.tags.push("b");
    kit.all[0].lines.push("l");
    kit.any.x.push("y");
    kit.count.increment(2);
    kit.words.add("w");
    kit.prices.a = 1;
  });
  realm.write(() => kit.tags.remove(0));
  const before = plain(kit);
  await realm.writesFlushed();
  realm.close();
  const again = await opened({ path });
  equal(plain(again.objects("Kit")[0]), before);
  equal(before.tags, ["b"]);
  again.close();
});

// --- listeners ------------------------------------------------------------------------------------------------------

test("listeners of lists, sets, dictionaries and embedded objects", async () => {
  const realm = await opened();
  const north = realm.team("n");
  const kit = realm.kit({ tags: ["a", "b", "c"], teams: [north], words: ["x"], prices: { a: 1, b: 2 }, home: { street: "s" }, all: [{ street: "p" }, { street: "q" }] });
  const { tags, teams, words, prices, home, all } = kit;
  const calls = [tags, teams, words, prices, home, all].map((each) => heard(each));
  await Promise.all(calls.map((each) => many(each, 1)));
  const nothing = { insertions: [], deletions: [], newModifications: [], oldModifications: [] };
  equal(calls.map(([first]) => first), [nothing, nothing, nothing, { insertions: [], deletions: [], modifications: [] }, { deleted: false, changedProperties: [] }, nothing]);
  realm.write(() => {
    tags.remove(0);
    tags.push("d");
    north.name = "renamed";
    words.add("y");
    prices.a = 5;
    prices.c = 6;
    delete prices.b;
    home.street = "t";
    all[1].street = "r";
  });
  await Promise.all(calls.map((each) => many(each, 2)));
  equal(calls.map((each) => each[1]), [
    { ...nothing, insertions: [2], deletions: [0] }, { ...nothing, newModifications: [0], oldModifications: [0] }, { ...nothing, insertions: [1] },
    { insertions: ["c"], deletions: ["b"], modifications: ["a"] }, { deleted: false, changedProperties: ["street"] }, { ...nothing, newModifications: [1], oldModifications: [1] },
  ]);
  realm.write(() => tags.move(0, 2));
  await many(calls[0], 3);
  equal(calls[0][2], { ...nothing, insertions: [2], deletions: [0] });
  realm.write(() => realm.delete(kit));
  await Promise.all(calls.map((each, at) => many(each, at ? 3 : 4)));
  equal(calls.map((each) => each.at(-1).deletions ?? each.at(-1).deleted), [[0, 1, 2], [0], [0, 1], ["a", "c"], true, [0, 1]]);
  await pause();
  equal(calls.map((each) => each.length), [4, 3, 3, 3, 3, 3]);
  realm.close();
});

// --- many elements --------------------------------------------------------------------------------------------------

test("many elements come and go in one step in memory, and are as many edits for others", async () => {
  const realm = await offline(["Kit", "Team"], {}, SCHEMA);
  const kit = realm.write(() => realm.create("Kit", { _id: "k", tags: ["a", "z"] }));
  const table = realm._store.tables.get("Kit");
  const first = realm._store.pending.length;
  const tags = Array.from({ length: 3000 }, (_, at) => `${at}`);
  const { revision } = table;
  realm.write(() => equal(kit.tags.push(...tags), 3002));
  equal(table.revision, revision + 1);
  realm.write(() => equal(kit.tags.splice(1.9, "3000.5", "m", "n").length, 3000));
  equal(table.revision, revision + 3);
  equal([...kit.tags], ["a", "m", "n", "2999"]);
  equal(realm._store.pending.slice(first).map(({ instructions }) => instructions.length), [3000, 3002]);
  realm.write(() => equal([kit.tags.splice(NaN, NaN, "x"), kit.tags.push(), [...kit.tags]], [[], 5, ["x", "a", "m", "n", "2999"]]));
  realm.close();
});

test("a local file replays many edits of something large in little time", async () => {
  const path = newPath();
  const realm = await opened({ path });
  const kit = realm.kit();
  const words = Array.from({ length: 4000 }, (_, at) => `${at}`);
  realm.write(() => {
    kit.words = words;
    kit.tags = words;
    kit.prices = Object.fromEntries(words.map((word) => [word, 1]));
  });
  realm.write(() => {
    kit.tags = [...words].reverse();
    kit.words = words.slice(2000);
    kit.prices = { __proto__: null, ["__proto__"]: 3, ...Object.fromEntries(words.slice(10).map((word) => [word, 2])) };
  });
  const expected = plain(kit);
  const began = performance.now();
  await realm.writesFlushed();
  ok(performance.now() - began < 5000, `${performance.now() - began} ms`);
  realm.close();
  const again = await opened({ path });
  equal(plain(again.objectForPrimaryKey("Kit", "k")), expected);
  again.close();
});

test("a held collection keeps no values that it had meanwhile", async () => {
  const realm = await opened();
  const kit = realm.kit({ tags: ["a"], anys: [[1]] });
  const held = [kit.tags, kit.anys[0], kit.anys];
  equal(held.map((each) => each.length), [1, 1, 1]);
  const seen = [];
  for (let at = 0; at < 5; at += 1) {
    realm.write(() => {
      kit.tags.push("b");
      kit.anys[0].push(2);
    });
    const { tags, anys } = realm._store.tables.get("Kit").objects.get("k");
    seen.push(new WeakRef(at < 4 ? tags : {}), new WeakRef(at < 4 ? anys[0] : {}));
  }
  await realm.writesFlushed();
  await pause();
  gc();
  await pause();
  gc();
  equal(seen.map((each) => each.deref()), seen.map(() => undefined));
  equal(held.map((each) => each.length), [6, 6, 1]);
  realm.close();
});

test("'modified' leaves alone what is equal, whatever its type", async () => {
  const realm = await offline(["Kit", "Team"], {}, SCHEMA);
  const values = { _id: "k", home: { street: "a", lines: ["x"] }, any: { a: [1] }, all: [{ street: "b" }], byTeam: { a: null }, tags: ["t"] };
  const kit = realm.write(() => realm.create("Kit", values));
  const { home, any } = kit;
  const before = realm._store.pending.length;
  realm.write(() => realm.create("Kit", values, "modified"));
  equal([realm._store.pending.length, home.isValid(), any.isValid()], [before, true, true]);
  realm.write(() => realm.create("Kit", { ...values, any: { a: [2] } }, "modified"));
  equal(realm._store.pending.at(-1).instructions.map(({ values: written }) => Object.keys(written)), [["any"]]);
  equal([home.isValid(), any.isValid()], [true, false]);
  realm.close();
});

test("`__proto__` is a key as any other", async () => {
  const realm = await opened();
  const kit = realm.kit({ any: JSON.parse('{"__proto__": 5, "b": {"__proto__": [1]}}') });
  equal(JSON.stringify(kit.any), '{"__proto__":5,"b":{"__proto__":[1]}}');
  realm.write(() => {
    [...kit.any.b.values()][0].push(2);
    kit.prices.set("__proto__", 1);
  });
  equal(JSON.stringify([kit.any.b, kit.prices]), '[{"__proto__":[1,2]},{"__proto__":1}]');
  realm.close();
});

// --- instructions ---------------------------------------------------------------------------------------------------

test("every instruction is written as the shared vectors say", async () => {
  const { written } = (await vectors("messages.json")).instructions;
  const home = { name: "Home", embedded: true, properties: { street: "string", lines: "string[]" } };
  const properties = { _id: "string", tags: "string[]", words: "string<>", prices: "decimal128{}", homes: "Home[]", home: "Home", any: "mixed", count: { type: "int", presentation: "counter", default: 0 }, title: "string" };
  const realm = await offline(["Kit"], {}, [home, { name: "Kit", primaryKey: "_id", properties }]);
  const kit = () => realm.objectForPrimaryKey("Kit", "k");
  const one = () => new BSON.Decimal128("0.1");
  const actions = {
    "create": () => realm.create("Kit", { _id: "k", tags: ["a", "b"], words: ["x"], prices: { a: one() }, homes: [{ street: "s", lines: [] }], home: { street: "s", lines: [] }, any: { a: [1, 5n] }, title: "t" }),
    "update": () => (kit().title = "u"),
    "update an embedded object": () => (kit().home = { street: "t", lines: ["l"] }),
    "update mixed": () => (kit().any = { b: new Date("2026-01-01T12:00:00.123Z") }),
    "set an element": () => (kit().tags[0] = "A"),
    "set a key": () => (kit().prices.b = new BSON.Decimal128("2")),
    "set inside": () => (kit().homes[0].street = "r"),
    "set null": () => (kit().home = null),
    "set in mixed": () => (kit().any.c = [new Uint8Array([0, 1, 2])]),
    "add": () => kit().count.increment(3),
    "add much": () => kit().count.decrement(9007199254740993n),
    "insert": () => kit().tags.splice(1, 0, "n"),
    "insert inside": () => kit().homes[0].lines.push("l"),
    "insert in mixed": () => kit().any.c.push(1.5),
    "move": () => kit().tags.move(0, 2),
    "remove an element": () => kit().tags.remove(1),
    "remove a key": () => delete kit().prices.a,
    "clear a set": () => kit().words.clear(),
    "setInsert": () => kit().words.add("y"),
    "setRemove": () => kit().words.delete("y"),
    "clear a list": () => (kit().tags = []),
    "delete": () => realm.delete(kit()),
  };
  equal(Object.keys(actions), written.map(([did]) => did));
  for (const [did, instruction] of written) {
    realm.write(() => void actions[did]());
    equal(realm._store.pending.at(-1).instructions, [instruction], did);
  }
  realm.close();
});

test("listeners hear of what an element links to though the element itself was written again, and of embedded values by key path", async () => {
  const realm = await opened();
  const north = realm.team("n");
  const address = { street: "s", lines: [], team: north };
  const kit = realm.kit({ all: [address], places: { a: address }, anys: [[north]] });
  const calls = [heard(kit.all), heard(kit.places), heard(kit.anys), heard(kit.places, "street"), heard(kit.all, "street")];
  await Promise.all(calls.map((each) => many(each, 1)));
  realm.write(() => {
    kit.all = [address];
    kit.places = { a: address };
    kit.anys = [[north]];
    kit.all[0].street = "t";
    kit.all[0].street = "s";
    kit.anys[0][0] = null;
    kit.anys[0][0] = north;
    kit.places.a = address;
    north.name = "renamed";
  });
  await Promise.all(calls.slice(0, 3).map((each) => many(each, 2)));
  const first = { insertions: [], deletions: [], newModifications: [0], oldModifications: [0] };
  equal(calls.slice(0, 3).map((each) => each[1]), [first, { insertions: [], deletions: [], modifications: ["a"] }, first]);
  realm.write(() => {
    kit.places.a.zip = 7;
    kit.all[0].zip = 7;
  });
  await many(calls[0], 3);
  equal(calls.map((each) => each.length), [3, 3, 2, 1, 1]);
  realm.write(() => (kit.places.a.street = "u"));
  await many(calls[3], 2);
  equal(calls[3][1], { insertions: [], deletions: [], modifications: ["a"] });
  realm.close();
});
