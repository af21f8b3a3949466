"""The Python client: realms that sync with a realm_sync server. Never imports Django.

    app = App("realm-sync", base_url="http://127.0.0.1:8000")
    user = app.log_in(Credentials.email_password("nora@example.org", "…")).result()
    realm = Realm.open(sync=SyncConfiguration(user)).result()
    inspections = realm.objects("Inspection").filtered("team == $0", "North")
    inspections.subscribe().result()

Inside: `realm.py` is the surface, `opening.py` what opening waits for, `store.py` the file, `transport.py` the thread
that syncs it by the rules of `core/client_session.py`. Every call that needs the network returns an Operation: await
it, or call `.result()`.
"""

from __future__ import annotations

from realm_sync.core.errors import QueryError, RealmSyncError, SchemaError, SchemaMismatch, ValueTypeError
from realm_sync.core.mixed import Link
from realm_sync.core.values import ObjectId

from .app import App, Credentials, User
from .configuration import ClientReset, Configuration, InitialSubscriptions, SyncConfiguration
from .counters import Counter
from .declared import Mixed, field, linking_objects
from .dictionaries import Dictionary
from .embedded import EmbeddedObject
from .errors import (
    AppError,
    ClientResetError,
    CompensatedWrite,
    CompensatingWriteError,
    RealmError,
    RealmFileError,
    SyncError,
    WaitTimeout,
)
from .listeners import CollectionChanges, DictionaryChanges, ObjectChanges
from .lists import List
from .objects import Object
from .open_files import initiate_client_reset
from .opening import OpeningRealm
from .operation import Operation
from .realm import Realm
from .results import Results
from .sets import Set
from .settings import OpenBehavior, Timeouts
from .subscriptions import MutableSubscriptionSet, Subscription, SubscriptionSet, new_object_id
from .sync_session import SyncSession

__all__ = [
    "App",
    "AppError",
    "ClientReset",
    "ClientResetError",
    "CollectionChanges",
    "CompensatedWrite",
    "CompensatingWriteError",
    "Configuration",
    "Counter",
    "Credentials",
    "Dictionary",
    "DictionaryChanges",
    "EmbeddedObject",
    "InitialSubscriptions",
    "Link",
    "List",
    "Mixed",
    "MutableSubscriptionSet",
    "Object",
    "ObjectChanges",
    "ObjectId",
    "OpenBehavior",
    "OpeningRealm",
    "Operation",
    "QueryError",
    "Realm",
    "RealmError",
    "RealmFileError",
    "RealmSyncError",
    "Results",
    "SchemaError",
    "SchemaMismatch",
    "Set",
    "Subscription",
    "SubscriptionSet",
    "SyncConfiguration",
    "SyncError",
    "SyncSession",
    "Timeouts",
    "User",
    "ValueTypeError",
    "WaitTimeout",
    "field",
    "initiate_client_reset",
    "linking_objects",
    "new_object_id",
]
