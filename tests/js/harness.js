// Unit tests of the browser SDK: ES modules that run in a real page, driven by tests/test_javascript.py.
//
//   import { test, equal, throws } from "../harness.js";
//   test("a decimal keeps its digits", () => equal(decode("decimal128", "0.10").toString(), "0.1"));
//
// `run()` is called by the driver once the module is loaded; a test may be async.

const tests = [];

/** Registers a test; `body` fails by throwing. */
export function test(name, body) {
  tests.push({ name, body });
}

/** Runs what was registered. → [{name, error: string | null}] */
export async function run() {
  const results = [];
  for (const { name, body } of tests) {
    let error = null;
    try {
      await body();
    } catch (problem) {
      error = problem instanceof Error ? `${problem.message}\n${problem.stack}` : String(problem);
    }
    results.push({ name, error });
  }
  return results;
}

/** Deep equality of plain values, arrays, maps, sets, dates, bytes, bigints and objects with `equals`. */
export function equal(actual, expected, note = "") {
  if (!same(actual, expected)) {
    throw new Error(`${note && `${note}: `}expected ${show(expected)}, got ${show(actual)}`);
  }
}

/** That `condition` holds. */
export function ok(condition, note = "expected it to hold") {
  if (!condition) throw new Error(note);
}

/** That `body` throws (or its promise rejects) with a message that starts with, or matches, `message`. → the error */
export function throws(body, message = "") {
  const check = (error) => {
    const text = String(error?.message ?? error);
    if (!(message instanceof RegExp ? message.test(text) : text.startsWith(message))) {
      throw new Error(`expected an error '${message}', got '${text}'\n${error?.stack}`);
    }
    return error;
  };
  let result;
  try {
    result = body();
  } catch (error) {
    return check(error);
  }
  const missing = () => {
    throw new Error(`expected an error '${message}', got none`);
  };
  return typeof result?.then === "function" ? result.then(missing, check) : missing();
}

/** Resolves once `condition()` is true; fails after `seconds`. → what it returned */
export async function until(condition, note = String(condition), seconds = 10) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > end) throw new Error(`did not happen within ${seconds} s: ${note}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The parsed JSON of `tests/vectors/<name>`. */
export async function vectors(name) {
  return (await fetch(`/tests/vectors/${name}`)).json();
}

function same(a, b) {
  if (Object.is(a, b) || (a === 0 && b === 0)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof ArrayBuffer) return same([...new Uint8Array(a)], [...new Uint8Array(b)]);
  if (typeof a.equals === "function") return a.equals(b);
  if (a instanceof Map || a instanceof Set) return same([...a], [...b]);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

function show(value) {
  try {
    return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `${each}n` : each)) ?? String(value);
  } catch {
    return String(value);
  }
}
