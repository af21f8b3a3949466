import { equal, ok, test } from "../harness.js";
import { Decimal } from "/realm_sync/core/decimal.js";
import { OPERATORS, arithmetic, compareText, fold, foldBytes, likePattern } from "/realm_sync/core/operators.js";

const MAX = 2n ** 63n - 1n;

test("integer arithmetic wraps and divides towards zero", () => {
  for (const [operator, left, right, result] of [
    ["+", MAX, 1, -(2n ** 63n)], ["-", -(2n ** 63n), 1, MAX], ["*", 2n ** 62n, 4, 0n],
    ["/", 7, 2, 3], ["/", -7, 2, -3], ["/", 7, -2, -3], ["/", 0, 0, MAX], ["/", -1, 0, -(2n ** 63n)],
    ["/", -(2n ** 63n), -1, -(2n ** 63n)], ["/", null, 0, null], ["*", 94906267, 94906267, 9007199515875289n],
    ["+", 2 ** 53, 1, 2n ** 53n + 1n], ["*", -3, 5, -15],
  ]) {
    const found = arithmetic(operator, "int", left, right);
    ok(found === result || OPERATORS["=="](found, result), `${left} ${operator} ${right}: ${found}`);
  }
});

test("other arithmetic", () => {
  const decimal = (text) => Decimal.parse(text);
  equal(arithmetic("/", "double", 1, 0), Infinity);
  equal(arithmetic("/", "double", 1, -0), -Infinity);
  equal(arithmetic("/", "double", 0, 0), NaN);
  equal(arithmetic("+", "double", 2n ** 63n - 1n, 0.5), 2 ** 63);
  equal(`${arithmetic("/", "decimal128", decimal("1"), decimal("3"))}`, `0.${"3".repeat(34)}`);
  equal(`${arithmetic("/", "decimal128", decimal("1"), 0)}`, "Infinity");
  equal(`${arithmetic("+", "decimal128", 0.1, decimal("0.2"))}`, "0.3");
});

test("null and NaN", () => {
  const holds = (left, right) => Object.keys(OPERATORS).slice(0, 6).filter((operator) => OPERATORS[operator](left, right));
  equal(holds(null, null), ["==", "<=", ">="]);
  equal(holds(NaN, NaN), ["==", "<=", ">="]);
  equal(holds(Decimal.parse("NaN"), NaN), ["==", "<=", ">="]);
  for (const value of [0, -1, "", false, 5n, Decimal.parse("-1")]) {
    equal([holds(null, value), holds(value, null)], [["!="], ["!="]]);
  }
  equal([holds(NaN, 1), holds(1n, NaN), holds(Decimal.parse("1"), NaN)], [["!="], ["!="], ["!="]]);
  equal(holds(9007199254740993n, 9007199254740992), ["!=", ">", ">="]);
  equal(holds(Decimal.parse("9007199254740993"), 9007199254740993n), ["==", "<=", ">="]);
  equal(holds(false, true), ["!=", "<", "<="]);
});

test("text is ordered by code point", () => {
  const ordered = ["", "a", "aa", "ä", "\ud7ff", "\ue000", "\uffff", "😀", "😀\ue000", "😀😀", "😁"];
  ordered.forEach((a, at) => ordered.forEach((b, other) => equal(compareText(a, b), Math.sign(at - other), `${a}, ${b}`)));
});

test("folding", () => {
  equal(fold("ÀÖØÞ×÷ßŸΩЯ"), "àöøþ×÷ßŸΩЯ");
  equal(fold("Straße"), "straße");
  equal(foldBytes("A\xc3\x84"), "a\xc3\x84");
  equal([fold(null), foldBytes(null)], [null, null]);
});

for (const [pattern, yes, no] of [
  ["", [""], ["a"]],
  ["*", ["", "a\nb"], []],
  ["?", ["a", "😀", "\n"], ["", "ab"]],
  ["a*a", ["aa", "aba"], ["a"]],
  ["*ab*", ["ab", "xaby"], ["a b"]],
  ["a*b*c", ["abc", "axbxbxc"], ["acb", "abcd"]],
  ["?*?", ["ab", "abc", "😀😀"], ["a", "😀"]],
  ["*?b", ["ab", "aab", "😀b"], ["b"]],
  ["*??", ["a😀", "😀😀", "ab"], ["😀"]],
  ["[a].%_", ["[a].%_"], ["a.%_"]],
  ["(a+)|^$\\{1}/-", ["(a+)|^$\\{1}/-"], ["a", ""]],
  ["a?*", ["ab", "a\xc3\xc3"], ["a"]],
]) {
  test(`LIKE ${pattern}`, () => {
    const matches = likePattern(pattern);
    for (const value of yes) ok(matches(value), value);
    for (const value of no) ok(!matches(value), value);
  });
}

test("LIKE never backtracks", () => {
  const start = performance.now();
  ok(!likePattern(`${"*a".repeat(40)}*b`)("a".repeat(5_000)));
  ok(performance.now() - start < 2000);
});
