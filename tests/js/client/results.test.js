// Results of a local realm: live, as an array, filtered, sorted, aggregated, frozen.

import { Inspection, newPath, opened, pause } from "./inspections.js";
import { equal, ok, test, throws } from "../harness.js";
import Realm, { BSON } from "/realm_sync/realm.js";

const { Decimal128 } = BSON;
const ids = (results) => results.map(({ _id }) => _id).join(" ");

/** a to e, with priorities 3 1 2 null 1 */
async function filled() {
  const realm = await opened();
  realm.write(() => {
    const north = realm.create("Team", { _id: "n", name: "North" });
    [3, 1, 2, null, 1].forEach((priority, at) => realm.create("Inspection", { _id: "abcde"[at], title: `T${at}`, priority, team: at % 2 ? null : north }));
  });
  return [realm, realm.objects("Inspection")];
}

test("results are live, within a transaction as well", async () => {
  const [realm, all] = await filled();
  const urgent = all.filtered("priority > 1");
  equal([all.length, ids(urgent), all.type, all.optional, all.isEmpty()], [5, "a c", "Inspection", false, false]);
  realm.write(() => {
    realm.create("Inspection", { _id: "f", priority: 9 });
    equal(ids(urgent), "a c f");
    realm.delete(all[0]);
    equal(ids(urgent), "c f");
    urgent[0].priority = 0;
    equal(ids(urgent), "f");
  });
  realm.write(() => realm.deleteAll());
  equal([urgent.length, urgent.isEmpty(), urgent.isValid(), urgent[0]], [0, true, true, undefined]);
  realm.close();
});

test("queries through links and backlinks are live, whatever changes on the way", async () => {
  const [realm, all] = await filled();
  const north = all.filtered("team.name == 'North'");
  const teams = realm.objects("Team").filtered("inspections.@count > 2 AND ANY @links.Inspection.team.priority == 3");
  const followed = all.filtered("SUBQUERY(@links.Inspection.follows, $i, $i.team.name == 'North').@count > 0 SORT(follows.title DESC)");
  equal([ids(north), ids(teams), ids(followed)], ["a c e", "n", ""]);
  realm.write(() => {
    const [a, b] = all;
    a.follows = b;
    realm.objects("Team")[0].name = "Nord";
    equal([ids(north), ids(all.filtered("team.name == 'Nord'")), ids(followed)], ["", "a c e", ""]);
    realm.objects("Team")[0].name = "North";
    equal([ids(north), ids(followed)], ["a c e", "b"]);
    a.team = null;
    equal([ids(north), ids(teams), ids(followed)], ["c e", "", ""]);
  });
  realm.write(() => realm.delete(realm.objects("Team")));
  equal([ids(north), ids(all.filtered("team.name == null"))], ["", "a b c d e"]);
  throws(() => all.filtered("team.nothing == 1"), "Property 'Inspection.team' has no property 'nothing'");
  realm.close();
});

test("sorted over links: what has none is last, or first", async () => {
  const [realm, all] = await filled();
  realm.write(() => (all[4].team = realm.create("Team", { _id: "s", name: "East" })));
  equal([ids(all.sorted("team.name")), ids(all.sorted("team.name", true))], ["e a c b d", "b d a c e"]);
  const sorted = all.sorted([["team.name", true], "priority"]);
  equal(ids(sorted), "d b c a e");
  realm.write(() => (realm.objectForPrimaryKey("Team", "s").name = "Zulu"));
  equal(ids(sorted), "d b e c a");
  throws(() => all.sorted("team"), "Cannot sort on key path 'team': property 'Inspection.team' of type 'object' cannot be the final property in the key path");
  realm.close();
});

test("reading as an array", async () => {
  const [realm, all] = await filled();
  ok(all[0] instanceof Inspection);
  equal([all[0]._id, all.at(-1)._id, all[5], all.at(9), all[-1], 4 in all, 5 in all], ["a", "e", undefined, undefined, undefined, true, false]);
  ok(all[0] !== all[0] && all[0]._objectKey() === all[0]._objectKey());
  const id = ({ _id }) => _id;
  equal([...all].map(id).join(""), "abcde");
  equal([...all.values()].map(id), ["a", "b", "c", "d", "e"]);
  equal([[...all.keys()], [...all.entries()].map(([at, each]) => `${at}${each._id}`)], [[0, 1, 2, 3, 4], ["0a", "1b", "2c", "3d", "4e"]]);
  equal([all.filter((each) => each.priority === 1).map(id), all.find((each) => each.priority === 2)._id, all.findIndex((each) => each.priority === 2)], [["b", "e"], "c", 2]);
  equal([all.some((each) => each.priority === 9), all.every((each) => each.title), all.reduce((text, each) => text + each._id, ""), all.reduceRight((text, each) => text + each._id, "")], [false, true, "abcde", "edcba"]);
  const seen = [];
  all.forEach((each, at) => seen.push(at + each._id));
  equal([seen, all.slice(1, 3).map(id), all.concat([1], all).length, all.flatMap((each) => [each._id, 0]).length], [["0a", "1b", "2c", "3d", "4e"], ["b", "c"], 11, 10]);
  const c = realm.objectForPrimaryKey("Inspection", "c");
  equal([all.indexOf(c), all.lastIndexOf(c), all.includes(c), all.filtered("_id == 'a'").indexOf(c), all.indexOf(c.team), Object.keys(all)], [2, 2, true, -1, -1, ["0", "1", "2", "3", "4"]]);
  throws(() => all.indexOf(c, 1), "The second fromIndex argument is not yet supported");
  throws(() => all.indexOf("c"), "Expected value to be an instance of Realm.Object, got a string");
  throws(() => (all[0] = c), "Modifying a Results collection is not supported.");
  throws(() => (all.length = 0), "Cannot assign to read only property 'length'");
  throws(() => new Realm.Results(), "Illegal constructor: Results objects are read from managed objects only.");
  equal([String(all), all.join("-").split("-").length, JSON.parse(JSON.stringify(all.filtered("_id == 'b'")))[0].title], ["[object Realm.Results]", 5, "T1"]);
  realm.close();
});

test("an iteration is of the moment it began", async () => {
  const [realm, all] = await filled();
  const seen = [];
  realm.write(() => {
    for (const each of all) {
      seen.push(each && each._id);
      if (each?._id === "b") realm.delete(realm.objectForPrimaryKey("Inspection", "c"));
      else if (each) realm.delete(each);
    }
  });
  equal([seen, ids(all)], [["a", "b", null, "d", "e"], "b"]);
  realm.close();
});

test("filtered narrows, with arguments", async () => {
  const [realm, all] = await filled();
  equal(ids(all.filtered("priority == $0 AND title != $1", 1, "T4")), "b");
  equal([...ids(all.filtered("priority IN $0", [1, 2]))].sort().join("").trim(), "bce");
  equal(ids(all.filtered("priority == 1").filtered("_id == 'e' OR _id == 'a'")), "e");
  equal(ids(all.filtered("priority == $0", null)), "d");
  equal(ids(all.filtered("priority == $0", undefined)), "d");
  equal(ids(all.filtered("team == $0", realm.objects("Team")[0])), "a c e");
  equal(ids(all.filtered("title BEGINSWITH[c] $0 SORT(priority DESC) LIMIT(2)", "t")), "a c");
  throws(() => all.filtered("TRUEPREDICATE LIMIT(2)").filtered("priority == 1"), "Filtering a Results with a limit is not yet implemented");
  throws(() => all.filtered(5), "Expected 'query' to be a string, got a number");
  throws(() => all.filtered("priority IN $0", all), "Using a Results as a query argument is not supported.");
  throws(() => all.filtered("priority = ="), /\n {2}priority = =\n +\^/);
  throws(() => all.filtered("nothing == 1"), /'nothing'/);
  realm.close();
});

test("an index gives what a scan gives", async () => {
  const [realm, all] = await filled();
  for (const query of ["priority == 1", "priority == 1 AND title == 'T4'", "priority IN {1, 3}", "priority == null", "_id == 'c'", "_id IN {'e', 'zz', 'a'}", "priority == 7"]) {
    const scanned = ids(all.filtered(`(${query}) OR _id == 'none'`));
    equal([...ids(all.filtered(query))].sort().join(""), [...scanned].sort().join(""), query);
  }
  const ones = all.filtered("priority == 1");
  equal(ids(ones), "b e");
  realm.write(() => {
    realm.objectForPrimaryKey("Inspection", "b").priority = 2;
    realm.objectForPrimaryKey("Inspection", "a").priority = 1;
    realm.delete(realm.objectForPrimaryKey("Inspection", "e"));
  });
  equal(ids(ones), "a");
  realm.close();
});

test("sorted in all its forms", async () => {
  const [realm, all] = await filled();
  equal(ids(all.sorted("priority")), "d b e c a");
  equal(ids(all.sorted("priority", true)), "a c b e d");
  equal(ids(all.sorted(["priority"])), "d b e c a");
  equal(ids(all.sorted([["priority", false], ["title", true]])), "d e b c a");
  equal(ids(all.sorted([["priority", true], "title"])), "a c b e d");
  equal(ids(all.sorted("title", true).sorted("priority")), "d e b c a", "the newest order is the primary one");
  equal(ids(all.sorted("priority").filtered("priority != null")), "b e c a");
  equal(ids(all.filtered("priority != null").sorted("priority", true).filtered("priority < 3")), "c b e");
  const byPriority = all.sorted("priority");
  realm.write(() => (realm.objectForPrimaryKey("Inspection", "a").priority = 0));
  equal(ids(byPriority), "d a b e c");
  throws(() => all.sorted(), "Cannot sort on key path 'self': ");
  throws(() => all.sorted(true), "Cannot sort on key path 'self': ");
  throws(() => all.sorted(""), "Cannot sort on key path '': missing property name");
  throws(() => all.sorted("nothing"), "Cannot sort on key path 'nothing': property 'Inspection.nothing' does not exist");
  throws(() => all.sorted("team"), "Cannot sort on key path 'team': property 'Inspection.team' of type 'object' cannot be the final property in the key path");
  throws(() => realm.objects("Team").sorted("inspections"), "Cannot sort on key path 'inspections': property 'Team.inspections' is of unsupported type 'linkingObjects'");
  throws(() => all.sorted({}), "Expected 'descriptor' to be a string or an array, got an object");
  equal(ids(all.sorted("due")), "a b c d e", "by the page's name");
  realm.close();
});

test("strings sort by their bytes, booleans false first", async () => {
  const [realm, all] = await filled();
  const titles = ["b", "Z", "a", "ä", "\u{1f600}"];
  realm.write(() => titles.forEach((title, at) => (all[at].title = title)));
  equal(all.sorted("title").map(({ title }) => title), ["Z", "a", "b", "ä", "\u{1f600}"]);
  realm.write(() => (all[0].done = true));
  equal(all.sorted("done").map(({ done }) => done), [false, false, false, false, true]);
  realm.close();
});

test("a snapshot keeps its members and their order", async () => {
  const [realm, all] = await filled();
  const taken = all.sorted("priority").snapshot();
  realm.write(() => {
    realm.delete(realm.objectForPrimaryKey("Inspection", "b"));
    realm.objectForPrimaryKey("Inspection", "a").priority = 0;
    realm.create("Inspection", { _id: "f" });
  });
  equal([taken.length, taken.map((each) => each && each._id)], [5, ["d", null, "e", "c", "a"]]);
  equal([taken[4].priority, taken[1], taken.snapshot().length], [0, null, 5]);
  equal([...taken].map((each) => each && each._id), ["d", null, "e", "c", "a"]);
  equal(taken.toJSON()[1], null);
  throws(() => taken.addListener(() => {}), "Cannot create asynchronous query for snapshotted Results.");
  equal(ids(taken.filtered("priority == 1")), "e", "narrowed, it stays what it was taken of");
  realm.write(() => realm.delete(taken));
  equal(ids(all), "f");
  realm.close();
});

test("aggregates", async () => {
  const properties = { _id: "int", small: "int?", large: "int?", part: "double?", single: "float?", cost: "decimal128?", at: "date?", text: "string?", must: "string" };
  const realm = await opened({ schema: [{ name: "Row", primaryKey: "_id", properties }] });
  const rows = realm.objects("Row");
  equal([rows.min("small"), rows.max("small"), rows.avg("small"), rows.sum("small"), rows.min("cost"), String(rows.sum("cost")), rows.avg("part")], [undefined, undefined, undefined, 0, undefined, "0", undefined]);
  realm.write(() => {
    realm.create("Row", { _id: 1, small: 3, large: 2n ** 53n + 1n, part: 0.5, single: 0.25, cost: new Decimal128("0.1"), at: new Date(5), must: "" });
    realm.create("Row", { _id: 2, small: -1, large: 5, part: 1.5, cost: new Decimal128("0.2"), at: new Date(3), must: "" });
    realm.create("Row", { _id: 3, must: "" });
  });
  equal([rows.min("small"), rows.max("small"), rows.sum("small"), rows.avg("small")], [-1, 3, 2, 1]);
  equal([rows.min("large"), rows.max("large"), rows.sum("large"), rows.avg("large")], [5, 2n ** 53n + 1n, 2n ** 53n + 6n, (2 ** 53 + 6) / 2]);
  equal([rows.min("part"), rows.max("part"), rows.sum("part"), rows.avg("part"), rows.avg("single")], [0.5, 1.5, 2, 1, 0.25]);
  equal([rows.min("cost"), rows.max("cost"), rows.sum("cost"), rows.avg("cost")].map(String), ["0.1", "0.2", "0.3", "0.15"]);
  ok(rows.sum("cost") instanceof Decimal128);
  realm.write(() => (rows[1].large = -(2n ** 53n) - 1n));
  realm.write(() => (rows[2].large = 7));
  equal(rows.sum("large"), 7, "exact, whatever the sum is on the way");
  equal([rows.min("at"), rows.max("at")], [new Date(3), new Date(5)]);
  throws(() => rows.sum("nothing"), "Property 'nothing' does not exist on 'Row' objects");
  throws(() => rows.sum("text"), "Operation 'sum' not supported for string? property 'Row.text'");
  throws(() => rows.max("must"), "Operation 'max' not supported for string property 'Row.must'");
  throws(() => rows.avg("at"), "Operation 'avg' not supported for date? property 'Row.at'");
  realm.close();
});

test("update sets a property of every member", async () => {
  const [realm, all] = await filled();
  const ones = all.filtered("priority == 1");
  realm.write(() => ones.update("priority", 8));
  equal([ones.length, all.filtered("priority == 8").length], [0, 2]);
  throws(() => all.update("priority", 1), "Cannot modify managed objects outside of a write transaction.");
  throws(() => realm.write(() => all.update("nothing", 1)), "Property 'nothing' does not exist on 'Inspection' objects");
  realm.close();
});

test("description is canonical RQL, and selects the same", async () => {
  const [realm, all] = await filled();
  equal(all.description(), "TRUEPREDICATE");
  const chosen = all.filtered("priority>1&&title!=$0", "x").sorted("priority", true);
  equal(chosen.description(), 'priority > 1 and title != "x" SORT(priority DESC)');
  equal(ids(all.filtered(chosen.description())), ids(chosen));
  realm.close();
});

test("frozen in a callback: reading never waits, a thousand rows are evaluated once per state", async () => {
  const realm = await opened({ path: newPath() });
  realm.write(() => {
    for (let at = 0; at < 1000; at += 1) realm.create("Inspection", { _id: `${at}`, priority: at % 7 });
  });
  const some = realm.objects("Inspection").filtered("priority == 3").sorted("_id", true);
  const images = some._images();
  await pause(0);
  ok(images === some._images(), "not evaluated again");
  realm.add("x", { priority: 3 });
  ok(images !== some._images() && some[0]._id === "x");
  realm.close();
});
