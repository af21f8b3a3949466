// What tests/test_agreement.py asks the browser: what queries select, and in which order.

import { bind } from "/realm_sync/core/binding.js";
import { equalityKeys } from "/realm_sync/core/lowering.js";
import { not } from "/realm_sync/core/nodes.js";
import { applyClauses, compilePredicate } from "/realm_sync/core/predicate.js";
import { parse } from "/realm_sync/core/query.js";
import { Schema } from "/realm_sync/core/schema.js";
import { toText } from "/realm_sync/core/text.js";
import { decode } from "/realm_sync/core/values.js";

/** A function that says of a query its text, what it implies, and the keys that it, its complement and its clauses
 * select. `classes` are those of the wire, the first is queried; arguments are [type, wire value] or null. */
export function answering({ classes, images }) {
  const schema = Schema.fromWire(classes);
  const cls = schema.get(classes[0].name);
  const keys = (found) => found.map((image) => image._id);
  return ([text, args]) => {
    const values = args.map((arg) => (arg === null ? null : arg[0] === "int" ? BigInt(arg[1]) : decode(...arg)));
    const query = bind(parse(text, values), cls, schema);
    const found = images.filter(compilePredicate(query.predicate));
    return {
      text: toText(query),
      again: toText(bind(parse(toText(query)), cls, schema)),
      implied: [...equalityKeys(query.predicate)].map(([name, values]) => [name, [...values]]),
      keys: keys(found),
      others: keys(images.filter(compilePredicate(not(query.predicate)))),
      ordered: keys(applyClauses(found, query.clauses)),
    };
  };
}
