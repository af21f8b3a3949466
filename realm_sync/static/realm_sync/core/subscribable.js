/**
 * Subscribable queries: which of them the server can keep live.
 *
 * Decides what a subscription may not use although a client can read with it: sorting and limits, whatever does not
 * follow from an object's own properties (collections, mixed values and embedded objects are its own; what it links to is
 * not), and what the server's databases would compute in their own way (R4). The server decides again. Knows no class and
 * no user.
 */

import { QueryError } from "./errors.js"
import { lower } from "./lowering.js"
import { comparisons, isDeep, isMany, paths, typeOf } from "./nodes.js"
import { toText } from "./text.js"

/** Most values that each element of a collection is compared with, where they cannot be looked up. */
const LONGEST_LIST = 100;

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
  for (const comparison of comparisons(query.predicate)) {
    const { operator, left, right, position } = comparison;
    if (left.kind === "Subquery" || right.kind === "Subquery") {
      const problem = "SUBQUERY cannot be used in a subscription: it looks at other objects, or at parts of this one";
      refuse(`${problem} that the server does not count.`, position);
    }
    if (operator === "TEXT") refuse("TEXT cannot be used in a subscription: full-text search is for reads; use CONTAINS.", position);
    const problem = listProblem(comparison);
    if (problem) refuse(problem, position);
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

/** Two lists are compared each with each, for every change of the object; where values can be looked up, they are.
 * @param {import('./nodes.js').Comparison} comparison */
function listProblem({ operator, left, right }) {
  if (!isMany(left) || !isMany(right)) return "";
  const lists = [left, right].filter((side) => side.kind === "ListValue");
  if (!lists.length) return "Comparing two collections with each other cannot be used in a subscription.";
  const longest = Math.max(...lists.map((side) => ("items" in side ? side.items.length : 0)));
  const isAny = !("quantifier" in right) || right.quantifier === "" || right.quantifier === "ANY";
  const isLookedUp = isAny && (operator === "==" || operator === "IN") && ![left, right].some((side) => ["mixed", "@type"].includes(typeOf(side)));
  if (longest <= LONGEST_LIST || isLookedUp) return "";
  return `A list of more than ${LONGEST_LIST} values can be compared with a collection in a subscription by == and IN only, and not with mixed values.`;
}

/** @param {import('./nodes.js').Comparison} comparison */
function comparisonProblem(comparison) {
  const { operator, left, right, fold } = comparison;
  for (const side of [left, right]) {
    if (side.kind === "Arithmetic" && side.type && side.type !== "int") {
      return `Arithmetic on '${side.type}' values cannot be used in a subscription: only on 'int' ones.`;
    }
  }
  if ((typeOf(left) === "data" || typeOf(right) === "data") && !isDeep(comparison)) {
    if (fold) return "[c] on binary data cannot be used in a subscription.";
    if (operator === "LIKE" && right.kind !== "Constant") {
      return "LIKE with the pattern in a property cannot be used in a subscription on binary data.";
    }
  }
  return "";
}

/** @param {import('./nodes.js').Path} path */
function pathProblem(path) {
  for (const { via, inner } of path.hops) {
    if (via === "backlinks" || via === "incoming") {
      const problem = `'${toText(path)}' cannot be used in a subscription: it asks which objects link to this one,`;
      return `${problem} and only the object's own properties decide what is synchronized.`;
    }
    if (via === "link") {
      const problem = `The key path '${toText(path)}' cannot be used in a subscription: it follows a link,`;
      return `${problem} and only properties of the object itself decide what is synchronized.`;
    }
    if (inner) return `'${toText(path)}' cannot be used in a subscription: of the aggregates only @count and @size can.`;
  }
  return "";
}
