import { equal, ok, test, throws } from "../harness.js";
import { Decimal } from "/realm_sync/core/decimal.js";

const parse = (text) => Decimal.parse(text);

test("a decimal has one plain text", () => {
  for (const [text, plain] of [
    ["0", "0"], ["-0", "0"], ["0.10", "0.1"], ["+1.50e1", "15"], ["1000", "1000"], ["1e3", "1000"], [".5", "0.5"], ["5.", "5"],
    ["-1.5E-3", "-0.0015"], ["007", "7"], ["1e-10", "0.0000000001"], ["nan", "NaN"], ["-inf", "-Infinity"], ["Infinity", "Infinity"],
    ["123456789012345678901234567890.1234", "123456789012345678901234567890.1234"],
  ]) {
    equal(parse(text).toString(), plain, text);
  }
});

test("34 digits, half to even", () => {
  const nines = "9".repeat(34);
  equal(`${parse(`${nines}4`)}`, `${nines}0`);
  equal(`${parse(`${nines}5`)}`, `1${"0".repeat(35)}`);
  equal(`${parse(`${"2".repeat(34)}5`)}`, `${"2".repeat(34)}0`);
  equal(`${parse(`${"1".repeat(34)}5`)}`, `${"1".repeat(33)}20`);
  equal(`${parse(`${"2".repeat(34)}50001`)}`, `${"2".repeat(33)}300000`);
  equal(`${Decimal.exact(`${nines}5`)}`, `${nines}5`);
});

test("the range of decimal128", () => {
  equal(parse("9e6144").adjusted, 6144);
  throws(() => parse("1e6145"), "Expected value to be a decimal within the range of decimal128");
  throws(() => parse(`${"9".repeat(35)}e6110`), "Expected value to be a decimal within the range");
  equal(`${parse("1e-6177")}`, "0");
  equal(parse("6e-6177").compare(parse("1e-6176")), 0);
  equal(`${parse("9e6144").multiply(parse("-10"))}`, "-Infinity");
  equal(`${parse("1e-6176").divide(parse("3"))}`, "0");
});

test("what is no decimal", () => {
  for (const text of ["", ".", "e5", "1e", "--1", "1,5", "0x1", "1_0", "one", " 1"]) throws(() => parse(text), "Expected value to be the text of a decimal");
});

// Computed by Python: decimal.Context(prec=34, Emin=-6143, Emax=6144, traps=[]).
const RESULTS = [
  ["5", "63", "68", "-58", "315", "0.07936507936507936507936507936507937"],
  ["0.1", "0.2", "0.3", "-0.1", "0.02", "0.5"],
  ["1", "3", "4", "-2", "3", "0.3333333333333333333333333333333333"],
  ["-2", "3", "1", "-5", "-6", "-0.6666666666666666666666666666666667"],
  ["1e33", "0.5", "1000000000000000000000000000000000", "999999999999999999999999999999999.5", "500000000000000000000000000000000", "2000000000000000000000000000000000"],
  ["1e33", "1.5", "1000000000000000000000000000000002", "999999999999999999999999999999998.5", "1500000000000000000000000000000000", "666666666666666666666666666666666.7"],
  ["9999999999999999999999999999999999", "1", "10000000000000000000000000000000000", "9999999999999999999999999999999998", "9999999999999999999999999999999999", "9999999999999999999999999999999999"],
  ["1.000000000000000000000000000000001", "1.000000000000000000000000000000001", "2.000000000000000000000000000000002", "0", "1.000000000000000000000000000000002", "1"],
  ["123456789012345678901234567890.1234", "987654321.987654321", "123456789012345678902222222212.1111", "123456789012345678900246913568.1357", "121932631246761163237311385323731100000", "124999998748437501153.1445300868356"],
  ["5e20", "7e-20", "500000000000000000000", "500000000000000000000", "35", "7142857142857142857142857142857143000000"],
  ["0", "7", "7", "-7", "0", "0"],
  ["-7", "7", "0", "-14", "-49", "-1"],
  ["Infinity", "-Infinity", "NaN", "Infinity", "-Infinity", "NaN"],
  ["Infinity", "2", "Infinity", "Infinity", "Infinity", "Infinity"],
  ["3", "-Infinity", "-Infinity", "Infinity", "-Infinity", "0"],
  ["NaN", "1", "NaN", "NaN", "NaN", "NaN"],
  ["1", "0", "1", "1", "0", "Infinity"],
  ["-1", "0", "-1", "-1", "0", "-Infinity"],
  ["0", "0", "0", "0", "0", "NaN"],
];

test("arithmetic as Python's", () => {
  for (const [a, b, sum, difference, product, quotient] of RESULTS) {
    equal(`${parse(a).add(parse(b))}`, sum, `${a} + ${b}`);
    equal(`${parse(a).subtract(parse(b))}`, difference, `${a} - ${b}`);
    equal(`${parse(a).multiply(parse(b))}`, product, `${a} * ${b}`);
    equal(`${parse(a).divide(parse(b))}`, quotient, `${a} / ${b}`);
  }
});

test("zero has a sign where it divides", () => {
  const zero = parse("1").subtract(parse("1"));
  equal(`${parse("1").divide(zero)}`, "Infinity");
  equal(`${parse("1").divide(parse("-1").multiply(zero))}`, "-Infinity");
  equal(`${parse("1").divide(parse("-0").add(parse("-0")))}`, "-Infinity");
});

test("decimals are ordered", () => {
  const sorted = ["-Infinity", "-10", "-9.5", "-1e-30", "0", "1e-30", "0.1", "0.11", "0.2", "9", "9.5", "10", "1e30", "Infinity"];
  sorted.forEach((a, at) => sorted.forEach((b, other) => equal(parse(a).compare(parse(b)), Math.sign(at - other), `${a}, ${b}`)));
  equal(parse("-0").compare(parse("0")), 0);
  equal(parse("1.50").compare(parse("1.5")), 0);
  for (const other of ["NaN", "1", "Infinity"]) ok(Number.isNaN(parse("NaN").compare(parse(other))));
});

test("numbers to decimals and back", () => {
  for (const value of [0.1, 5, -2.5e-300, 1.7976931348623157e308, 5e-324, 123456789.125, Infinity, -Infinity, NaN]) {
    ok(Object.is(Decimal.from(value).toNumber(), value), String(value));
  }
  equal(`${Decimal.from(0.1)}`, "0.1");
  ok(Object.is(Decimal.from(-0).toNumber(), -0));
  equal(`${Decimal.from(9223372036854775807n)}`, "9223372036854775807");
  equal(parse("9223372036854775807").toBigInt(), 9223372036854775807n);
  equal([parse("1e3").isInteger, parse("1.5").isInteger, parse("NaN").isInteger], [true, false, false]);
  ok(parse("1e400").toNumber() === Infinity);
});
