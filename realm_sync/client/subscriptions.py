"""Subscriptions: what this realm wants from the server.

A set is a snapshot of one version; `update` makes the next one. Offline it is stored and sent later. Decides what a
set contains (reference 4.2); when it is sent is the session's, what it selects the server's.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from realm_sync.core.messages import SubscriptionItem
from realm_sync.core.nodes import Query, Sort
from realm_sync.core.subscribable import check_subscribable
from realm_sync.core.text import to_text
from realm_sync.core.values import ObjectId, decode, encode

from .errors import RealmError
from .operation import Operation
from .store import StoredSet
from .transport import wait_for

if TYPE_CHECKING:
    from .realm import Realm
    from .results import Results

SetState = Literal["pending", "complete", "error", "superseded"]


def new_object_id() -> ObjectId:
    """An ObjectId of now."""
    return ObjectId.build(int(time.time()), os.urandom(8))


class Subscription:
    """One query of a set."""

    def __init__(self, item: SubscriptionItem) -> None:
        self._item = item

    @property
    def id(self) -> ObjectId:
        return ObjectId(self._item.id)

    @property
    def name(self) -> str | None:
        return self._item.name

    @property
    def object_type(self) -> str:
        return self._item.class_name

    @property
    def query_string(self) -> str:
        return self._item.query

    @property
    def created_at(self) -> datetime:
        return cast(datetime, decode("date", self._item.created_at))

    @property
    def updated_at(self) -> datetime:
        return cast(datetime, decode("date", self._item.updated_at))

    def __repr__(self) -> str:
        name = f"{self.name!r}: " if self.name is not None else ""
        return f"<Subscription {name}{self.object_type} {self.query_string}>"


class _BaseSet:
    _items: list[SubscriptionItem]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Subscription]:
        return iter([Subscription(item) for item in self._items])

    def __getitem__(self, index: int) -> Subscription:
        return Subscription(self._items[index])

    def is_empty(self) -> bool:
        return not self._items

    def find_by_name(self, name: str) -> Subscription | None:
        return next((Subscription(item) for item in self._items if item.name == name), None)

    def find_by_query(self, results: Results[Any]) -> Subscription | None:
        """The first subscription, named or not, with the class and query of `results`."""
        wanted = (results.type, query_text(results))
        return next((Subscription(item) for item in self._items if (item.class_name, item.query) == wanted), None)


class SubscriptionSet(_BaseSet):
    """The set as of one version. `realm.subscriptions` is the newest."""

    def __init__(self, realm: Realm, stored: StoredSet) -> None:
        self._realm = realm
        self._load(stored)

    def _load(self, stored: StoredSet) -> None:
        self._items = list(stored.subscriptions)
        self._version = stored.version

    @property
    def version(self) -> int:
        """0 in a new realm; rises with every update."""
        return self._version

    @property
    def state(self) -> SetState:
        complete, states = self._realm._store.set_states()
        if self._version == 0 and complete == 0:
            return "complete"
        return cast(SetState, states[self._version][0]) if self._version in states else "superseded"

    @property
    def error(self) -> str | None:
        """The server's reason, in state `error`."""
        return self._realm._store.set_states()[1].get(self._version, ("", None))[1]

    def update(self, callback: Callable[..., object]) -> Operation[None]:
        """Calls `callback(subscriptions)`, or `callback(subscriptions, realm)`, at once with a set to change; stores
        the result as the newest set. The operation ends when its data is here; `.state` tells without waiting.

        Raises what the callback raises, and nothing is changed then. Must not be called in a write transaction."""
        realm = self._realm
        with realm._update_subscriptions():
            mutable = MutableSubscriptionSet(self._items)
            arity = len(inspect.signature(callback).parameters)
            callback(*(mutable, realm)[: max(1, min(arity, 2))])
            version = realm._store.add_set(mutable._items)
        stored = realm._store.subscription_set(version)
        if stored is not None:
            self._load(stored)
        realm._committed()
        return self.wait_for_synchronization()

    def wait_for_synchronization(self, timeout: float | None = None) -> Operation[None]:
        """Ends when this set is complete or superseded; fails with the server's reason if it is refused."""
        version = self._version
        transport = self._realm._transport
        if transport is None:
            raise RealmError("This realm does not sync.")
        future = transport.wait_for_set(version)
        if timeout is None:
            return Operation(future)
        return Operation.run(
            lambda: wait_for(future, timeout, f"The subscriptions were not synchronized in {timeout:g} s.")
        )

    def __repr__(self) -> str:
        return f"<SubscriptionSet version {self._version}, {self.state}: {list(self)}>"


class MutableSubscriptionSet(_BaseSet):
    """The set while `update` runs."""

    def __init__(self, items: list[SubscriptionItem]) -> None:
        self._items = list(items)
        self._now = encode("date", datetime.now(UTC))

    def add(self, results: Results[Any], *, name: str | None = None, throw_on_update: bool = False) -> Subscription:
        """Adds the query of `results`, or renews the subscription of that name, or without a name of that query.
        Sorting is left out. Raises QueryError for what cannot be subscribed to."""
        query = query_text(results)
        for at, item in enumerate(self._items):
            same = (item.class_name, item.query) == (results.type, query)
            if item.name == name and (name is not None or same):
                if throw_on_update and not same:
                    raise RealmError(
                        f"A subscription with the name '{name}' already exists but has a different query. "
                        "If you meant to update it, remove 'throw_on_update=True' from the subscription options."
                    )
                renewed = msgspec.structs.replace(item, class_name=results.type, query=query, updated_at=self._now)
                self._items[at] = renewed
                return Subscription(renewed)
        added = SubscriptionItem(
            id=str(new_object_id()),
            class_name=results.type,
            query=query,
            name=name,
            created_at=self._now,
            updated_at=self._now,
        )
        self._items.append(added)
        results.subscription_name = name
        return Subscription(added)

    def remove(self, results: Results[Any]) -> bool:
        """The first subscription, named or not, with this class and query."""
        found = self.find_by_query(results)
        return found is not None and self.remove_subscription(found)

    def remove_by_name(self, name: str) -> bool:
        return self._keep(lambda item: item.name != name) > 0

    def remove_subscription(self, subscription: Subscription) -> bool:
        return self._keep(lambda item: item.id != str(subscription.id)) > 0

    def remove_by_object_type(self, object_type: str) -> int:
        return self._keep(lambda item: item.class_name != object_type)

    def remove_all(self) -> int:
        return self._keep(lambda item: False)

    def remove_unnamed(self) -> int:
        return self._keep(lambda item: item.name is not None)

    def _keep(self, wanted: Callable[[SubscriptionItem], bool]) -> int:
        before = len(self._items)
        self._items = [item for item in self._items if wanted(item)]
        return before - len(self._items)


def query_text(results: Results[Any]) -> str:
    """The canonical query of a subscription. Sorting is dropped, as in Realm; LIMIT and DISTINCT would change what is
    selected and are refused by `check_subscribable`, as is everything else that cannot be kept live."""
    clauses = tuple(clause for clause in results._clauses if not isinstance(clause, Sort))
    check_subscribable(Query(results._predicate, clauses, results.description()))
    return to_text(results._predicate)
