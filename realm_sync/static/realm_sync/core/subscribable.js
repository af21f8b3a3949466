/**
 * Subscribable queries: which of them the server can keep live.
 *
 * Decides what a subscription may not use although a client can read with it: sorting and limits, whatever does not
 * follow from an object's own properties, and what the server's databases would compute in their own way (R4). The server
 * decides again. Knows no class and no user.
 */

import { QueryError } from "./errors.js"
import { lower } from "./lowering.js"
import { comparisons, paths, typeOf } from "./nodes.js"
import { toText } from "./text.js"

/** Throws a QueryError, with the reason, for a bound query that a subscription cannot keep live.
 * @param {import('./nodes.js').Query} query */
export function checkSubscribable(query) {
  /** @param {string} problem @param {number | null} position */
  const refuse = (problem, position = null) => {
    throw new QueryError(problem, query.text, position);
  };
  for (const { kind } of query.clauses) {
    refuse(`${kind.toUpperCase()} cannot be used in a subscription: sort and limit the objects when you read them.`);
  }
  for (const { operator, left, right, position } of comparisons(query.predicate)) {
    const word = left.kind === "Subquery" || right.kind === "Subquery" ? "SUBQUERY" : operator;
    if (["TEXT", "GEOWITHIN", "SUBQUERY"].includes(word)) refuse(`${word} cannot be used in a subscription.`, position);
  }
  for (const comparison of comparisons(lower(query.predicate))) {
    const problem = comparisonProblem(comparison);
    if (problem) refuse(problem);
  }
  for (const path of paths(query.predicate)) {
    const problem = pathProblem(path);
    if (problem) refuse(problem, path.position);
  }
}

/** @param {import('./nodes.js').Comparison} comparison */
function comparisonProblem({ operator, left, right, fold }) {
  for (const side of [left, right]) {
    if (side.kind === "Arithmetic" && side.type && side.type !== "int") {
      return `Arithmetic on '${side.type}' values cannot be used in a subscription: only on 'int' ones.`;
    }
  }
  if (typeOf(left) === "data" || typeOf(right) === "data") {
    if (fold) return "[c] on binary data cannot be used in a subscription.";
    if (operator === "LIKE" && right.kind !== "Constant") {
      return "LIKE with the pattern in a property cannot be used in a subscription on binary data.";
    }
  }
  return "";
}

/** @param {import('./nodes.js').Path} path */
function pathProblem(path) {
  const { steps, quantifier } = path;
  if (quantifier || steps.some((step) => typeof step !== "string")) return "Collections cannot be used in a subscription.";
  if (steps.some((step) => String(step).startsWith("@"))) {
    return `'${toText(path)}' cannot be used in a subscription: aggregates and relations are for reads.`;
  }
  if (steps.length > 1 && !(steps.length === 2 && steps[1] === "_id")) {
    return `The key path '${toText(path)}' cannot be used in a subscription: only properties of the object itself.`;
  }
  return "";
}
