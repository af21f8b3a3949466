// What tests/test_agreement.py and test_deep_agreement.py ask the browser: what queries select, and in which order.

import { bind } from "/realm_sync/core/binding.js";
import { equalityKeys } from "/realm_sync/core/lowering.js";
import { not } from "/realm_sync/core/nodes.js";
import { applyClauses, compilePredicate } from "/realm_sync/core/predicate.js";
import { parse } from "/realm_sync/core/query.js";
import { Schema } from "/realm_sync/core/schema.js";
import { checkSubscribable } from "/realm_sync/core/subscribable.js";
import { toText } from "/realm_sync/core/text.js";
import { decode } from "/realm_sync/core/values.js";
import { CLASSES, boundCase } from "./core/queries.js";

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

/** What deep queries, cases as those of collections.json, say of objects by class: the keys they select and their text, and
 * why no subscription can use them; or why there is no such query. */
export function answerDeep({ objects, cases }) {
  const reached = {
    get: (name, key) => objects[name].find((image) => image._id === key),
    linksTo: (name, property, key) => objects[name].filter((image) => [Object.values(image[property] ?? {}), image[property]].flat().includes(key)),
  };
  return cases.map((asked) => {
    let query;
    try {
      query = boundCase(asked);
    } catch (error) {
      return { error: [error.problem ?? String(error.stack), error.position ?? null] };
    }
    let refusal = "";
    try {
      checkSubscribable(query);
    } catch (error) {
      refusal = error.problem;
    }
    const images = objects[asked.class];
    const found = images.filter(compilePredicate(query.predicate, reached));
    const others = images.filter(compilePredicate(not(query.predicate), reached));
    return {
      keys: applyClauses(found, query.clauses, reached).map((image) => image._id),
      others: others.map((image) => image._id),
      text: toText(query),
      again: toText(bind(parse(toText(query)), CLASSES.get(asked.class), CLASSES)),
      refusal,
    };
  });
}
