// no Python twin: realm_sync/client/__init__.py. The browser SDK: what `import Realm from "realm"` gives a page.
//
// Named as the npm package `realm` names it. Inside: client/realm.js is the surface, client/store.js the data,
// client/transport.js the sync by the rules of core/clientSession.js.

import { Realm } from "./client/realm.js"

export default Realm;
export { Realm };
export { App, Credentials, ProviderType, User, UserState } from "./client/app.js"
export { ClientResetMode, OpenRealmBehaviorType, OpenRealmTimeOutBehavior } from "./client/configuration.js"
export { Counter } from "./client/counters.js"
export { Dictionary } from "./client/dictionaries.js"
export { List } from "./client/lists.js"
export { NumericLogLevel, setLogger, setLogLevel } from "./client/logging.js"
export { RealmObject as Object, RealmObject } from "./client/objects.js"
export { ProgressRealmPromise } from "./client/opening.js"
export { SubscriptionSetState, UpdateMode, WaitForSync } from "./client/realm.js"
export { Results } from "./client/results.js"
export { RealmSet as Set } from "./client/sets.js"
export { MutableSubscriptionSet, Subscription, SubscriptionSet } from "./client/subscriptions.js"
export { ConnectionState, ProgressDirection, ProgressMode, SessionState, SessionStopPolicy, SyncSession } from "./client/syncSession.js"
export * as BSON from "./core/bson.js"
export {
  AssertionError, ClientResetError, CompensatingWriteError, PropertySchemaParseError, SchemaParseError, SyncError, TypeAssertionError,
} from "./core/errors.js"

/** @typedef {Exclude<ConstructorParameters<typeof Realm>[0], string | undefined>} Configuration */
/** @typedef {NonNullable<Configuration["sync"]>} SyncConfiguration */
