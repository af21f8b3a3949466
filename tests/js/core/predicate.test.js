import { equal, ok, test } from "../harness.js";
import { not } from "/realm_sync/core/nodes.js";
import { applyClauses, compilePredicate } from "/realm_sync/core/predicate.js";
import { VECTORS, argument, bound } from "./queries.js";

const OBJECTS = VECTORS.objects;
const keys = (images) => images.map((image) => image._id);
/** The keys of the images that a query selects, in its order. */
const selected = (images, text, ...args) => {
  const { predicate, clauses } = bound(text, ...args);
  const found = images.filter(compilePredicate(predicate));
  equal(images.filter(compilePredicate(not(predicate))), images.filter((image) => !found.includes(image)), `NOT ${text}`);
  return keys(applyClauses(found, clauses));
};
/** Images with these values of one property, and their places as keys. */
const images = (name, values) => values.map((value, at) => ({ _id: String(at), [name]: value }));

for (const { query, args = [], keys } of VECTORS.cases) {
  test(`${query} selects`, () => equal(selected(OBJECTS, query, ...argument(args)), keys));
}

test("a missing key is null", () => {
  ok(compilePredicate(bound("note == null AND NOT priority > 3 AND team == null").predicate)({}));
  ok(compilePredicate(bound("note IN {null} AND NOT (title < 'x' OR cost < 5 OR hours >= 0 OR priority != null)").predicate)({}));
  equal(keys(applyClauses([{ _id: "a", note: "x" }, { _id: "b" }], bound("TRUEPREDICATE SORT(note ASC)").clauses)), ["b", "a"]);
});

test("integers beyond 2^53 are compared exactly", () => {
  const some = images("priority", [9007199254740992, "9007199254740993", "-9007199254740993", "9223372036854775807", 1, null]);
  for (const [text, found] of [
    ["priority > 9007199254740992", "13"], ["priority >= 9007199254740993", "13"], ["priority < 9007199254740993", "024"],
    ["priority <= -9007199254740993", "2"], ["priority < 1e300", "01234"], ["priority > 1.5", "013"], ["priority <= 9.3e18", "01234"],
    ["priority == 9007199254740993", "1"], ["priority + 1 < 0", "23"], ["priority - 1 == 9007199254740992", "1"],
    ["TRUEPREDICATE SORT(priority ASC)", "524013"], ["TRUEPREDICATE SORT(priority DESC)", "310425"],
  ]) {
    equal(selected(some, text).join(""), found, text);
  }
});

test("doubles that JSON has no number for", () => {
  const some = images("hours", ["NaN", "Infinity", "-Infinity", 1.5, -0, 0, null, -1.7976931348623157e308]);
  for (const [text, found] of [
    ["hours > 0", "13"], ["hours <= 0", "2457"], ["hours == 0", "45"], ["hours IN {0.0, NaN}", "045"], ["hours >= inf", "1"],
    ["hours < -1.7976931348623157e308", "2"], ["hours < NaN", ""], ["hours <= NaN", "0"], ["hours != NaN", "1234567"],
    ["hours * 0 == NaN", "012"], ["TRUEPREDICATE SORT(hours ASC)", "60274531"], ["TRUEPREDICATE SORT(hours DESC)", "13457206"],
    ["TRUEPREDICATE DISTINCT(hours)", "0123467"], ["TRUEPREDICATE DISTINCT(hours, note)", "0123467"],
  ]) {
    equal(selected(some, text).join(""), found, text);
  }
});

test("decimals are compared exactly", () => {
  const some = images("cost", ["0.1", "0.10000000000000000000000000000001", "9007199254740993", "9007199254740992", "NaN", "-Infinity", null, "-5"]);
  for (const [text, found] of [
    ["cost > 0.1", "123"], ["cost <= 0.1", "057"], ["cost > 9007199254740992", "2"], ["cost < 0", "57"], ["cost <= NaN", "4"],
    ["cost == 0.1", "0"], ["cost * 10 == 1", "0"], ["TRUEPREDICATE SORT(cost ASC)", "64570132"],
  ]) {
    equal(selected(some, text).join(""), found, text);
  }
});

test("strings are ordered by code point", () => {
  const texts = ["", "a", "aa", "ab", "abcdefgh", "abcdefghi", "b", "ä", "\ud7ff", "\ue000", "ﬁ", "\uffff", "😀", "😀a", "😁", "z😀", "z\uffff"];
  const bytes = (text) => [...new TextEncoder().encode(text)].map((byte) => String.fromCharCode(byte)).join("");
  const order = [...texts.keys()].sort((a, b) => (bytes(texts[a]) < bytes(texts[b]) ? -1 : 1));
  const some = images("note", texts);
  equal(selected(some, "TRUEPREDICATE SORT(note ASC)"), order.map(String));
  equal(selected(some, "TRUEPREDICATE SORT(note DESC)"), order.toReversed().map(String));
  for (const text of texts) {
    equal(selected(some, "note < $0", text), keys(some.filter((image) => bytes(image.note) < bytes(text))), `< ${text}`);
    equal(selected(some, "note >= $0", text), keys(some.filter((image) => bytes(image.note) >= bytes(text))), `>= ${text}`);
  }
});

test("data is ordered by byte and searched in text", () => {
  const some = images("photo", ["", "AA==", "fw==", "gA==", "/w==", "QcOE", null]);
  equal(selected(some, "photo.@size < 2").join(""), "01234");
  equal(selected(some, "photo.@size == null").join(""), "6");
  equal(selected(some, 'photo ENDSWITH[c] binary(B64"w4Q=")').join(""), "5");
  equal(selected(some, 'photo LIKE "a?*"').join(""), "");
  equal(selected(some, 'photo LIKE[c] "a?*"').join(""), "5");
  equal(selected(images("photo", ["ww==", "4w=="]), 'photo ==[c] binary(B64"ww==") OR photo BEGINSWITH[c] binary(B64"ww==")'), ["0"]);
  equal(selected([{ _id: "0", title: "aÄ😀" }], 'title ENDSWITH binary(B64"gA==")'), ["0"]);
  equal(selected([{ _id: "0", title: "aÄ😀" }], "title.@size == 7"), ["0"]);
});

test("sorting is stable, whatever the number of rows", () => {
  const some = Array.from({ length: 1000 }, (_, at) => ({ _id: String(at), visits: (at * 7919) % 10, title: `T${(at * 31) % 7}`, done: at % 3 === 0 }));
  for (const [clauses, compare] of [
    ["SORT(visits ASC)", (a, b) => a.visits - b.visits],
    ["SORT(visits DESC)", (a, b) => b.visits - a.visits],
    ["SORT(visits DESC, title ASC)", (a, b) => b.visits - a.visits || (a.title < b.title ? -1 : Number(a.title > b.title))],
    ["SORT(visits ASC) SORT(done DESC)", (a, b) => b.done - a.done || a.visits - b.visits],
  ]) {
    equal(keys(applyClauses(some, bound(`TRUEPREDICATE ${clauses}`).clauses)), keys(some.toSorted(compare)), clauses);
  }
  equal(keys(some.slice(0, 3)), ["0", "1", "2"], "what is sorted is a copy");
});

test("dates are sorted to the microsecond", () => {
  const some = images("due", ["2026-01-01T12:00:00.000002Z", "2026-01-01T12:00:00.000001Z", null, "0001-01-01T00:00:00.000000Z", "2026-01-01T11:59:59.999999Z"]);
  equal(selected(some, "TRUEPREDICATE SORT(due ASC)").join(""), "23410");
});

test("a hundred thousand images are filtered and sorted", () => {
  const many = Array.from({ length: 100_000 }, (_, at) => ({
    _id: String(at), title: at % 3 ? "open" : "done", visits: (at * 7919) % 6, due: `${new Date(1.7e12 + ((at * 7919) % 99991) * 3e5).toISOString().slice(0, -1)}000Z`,
  }));
  const { predicate, clauses } = bound('title == "open" AND visits >= 3 SORT(due ASC)');
  const found = applyClauses(many.filter(compilePredicate(predicate)), clauses);
  ok(found.length > 30_000 && found.every((image, at) => at === 0 || found[at - 1].due <= image.due));
});
