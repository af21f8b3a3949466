"""Results: live collections of objects, as RQL selects and sorts them.

A Results is a query, not a list: every access sees the present state. Decides how predicate, sort, distinct and limit
become one SQL statement; the meaning of each is core/sql.py's, and client/queries.py's where SQL cannot say it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from realm_sync.core.binding import bind
from realm_sync.core.nodes import TRUE, Clause, Constant, Distinct, Index, Limit, Node, Path, Query, Sort, and_
from realm_sync.core.paths import classes_read
from realm_sync.core.query import parse
from realm_sync.core.schema import ObjectSchema
from realm_sync.core.sql import quoted, to_groups, to_order, to_where
from realm_sync.core.text import to_text

from .errors import RealmError
from .listeners import CollectionChanges
from .objects import Object
from .operation import Operation
from .tables import REVISION, Table

if TYPE_CHECKING:
    from .elements import Elements
    from .realm import Realm

T = TypeVar("T", bound=Object)
SortDescriptor = str | tuple[str, bool]


class Results(Generic[T], Sequence[T]):
    """Live results. Made by `realm.objects()`; `filtered` and `sorted` narrow and order, and return new ones."""

    def __init__(self, realm: Realm, table: Table, predicate: Node = TRUE, clauses: tuple[Clause, ...] = ()) -> None:
        self._realm, self._table, self._predicate, self._clauses = realm, table, predicate, clauses
        self._keys_cache: tuple[int, list[Any]] | None = None
        self._first_asked = -1
        """The version in which only the first object was looked at."""
        self.subscription_name: str | None = None

    @property
    def type(self) -> str:
        """The class name."""
        return self._table.name

    @property
    def object_schema(self) -> ObjectSchema:
        return self._realm._class_schema(self._table.name)

    # --- narrowing ---------------------------------------------------------------------------------------------------

    def filtered(self, query: str, *arguments: Any) -> Results[T]:
        """The objects that also match `query`, with `$0`, `$1` … for `arguments`. Raises QueryError with a caret."""
        if any(isinstance(clause, Limit) for clause in self._clauses):
            raise RealmError("Filtering a Results with a limit is not yet implemented")
        bound = self._bind(parse(query, arguments))
        return self._with(and_(self._predicate, bound.predicate), self._clauses + bound.clauses)

    def sorted(self, by: SortDescriptor | Sequence[SortDescriptor], reverse: bool = False) -> Results[T]:
        """Ordered by a property, or by several: `sorted("due")`, `sorted([("priority", True), "title"])`; True is
        descending. Key paths over to-one links (`team.name`) and dictionary entries (`prices[eur]`) are properties too.
        Sorting sorted results: the newest order is the primary one."""
        descriptors = [(by, reverse)] if isinstance(by, str) else [by] if isinstance(by, tuple) else list(by)
        keys = []
        for descriptor in descriptors:
            path, descending = (descriptor, reverse) if isinstance(descriptor, str) else descriptor
            keys.append((_key_path(path), not descending))
        bound = self._bind(Query(clauses=(Sort(tuple(keys)),)))
        return self._with(self._predicate, self._clauses + bound.clauses)

    def _with(self, predicate: Node, clauses: tuple[Clause, ...]) -> Results[T]:
        return Results(self._realm, self._table, predicate, clauses)

    def snapshot(self) -> Results[T]:
        """The same objects in the same order from now on; a deleted one reads as None."""
        return FrozenResults(self._realm, self._table, self._keys())

    def description(self) -> str:
        """The query as canonical RQL."""
        return to_text(Query(self._predicate, self._clauses))

    def _classes_read(self) -> set[str]:
        """The classes whose changes may change the members or their order."""
        return {self.type, *classes_read(Query(self._predicate, self._clauses))}

    def _bind(self, query: Query) -> Query:
        return bind(query, self.object_schema, self._realm._schema_for_queries)

    # --- reading -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if self._keys_cache is not None and self._keys_cache[0] == self._realm._version:
            return len(self._keys_cache[1])
        sql, parameters = self._sql("_id", ordered=False)
        return int(self._realm._connection.execute(f"SELECT count(*) FROM ({sql})", parameters).fetchone()[0])

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        keys = self._keys_from_first() if index == 0 else self._keys()
        if isinstance(index, slice):
            return [self._object(key) for key in keys[index]]
        return self._object(keys[index])

    def __iter__(self) -> Iterator[T]:
        """The objects of this moment: changing the collection on the way does no harm."""
        version = self._realm._version
        columns = ", ".join(map(quoted, self._table.properties))
        sql, parameters = self._sql(columns)
        rows = self._realm._connection.execute(sql, parameters).fetchall()
        wrap, table = self._realm._wrap, self._table
        return (wrap(table, row[0], (version, row)) for row in rows)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, Object) and value._table.name == self._table.name and value._key in self._keys()

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        if not isinstance(value, Object) or value._table.name != self._table.name:
            raise ValueError(f"{value!r} is not in the results")
        return self._keys().index(value._key, start, *(() if stop is None else (stop,)))

    def is_empty(self) -> bool:
        return len(self) == 0

    def first(self) -> T | None:
        """The first object, or None."""
        keys = self._keys_from_first()
        return self._object(keys[0]) if keys else None

    def to_dicts(self) -> list[dict[str, Any]]:
        return [instance.to_dict() for instance in self]

    def min(self, property: str) -> Any:
        """The least value, nulls aside; None if there is none."""
        values = self._values(property, ("int", "float", "double", "decimal128", "date"), "min")
        return min(values, default=None)

    def max(self, property: str) -> Any:
        values = self._values(property, ("int", "float", "double", "decimal128", "date"), "max")
        return max(values, default=None)

    def sum(self, property: str) -> Any:
        """The sum, nulls aside; 0 if there is none."""
        return sum(self._values(property, ("int", "float", "double", "decimal128"), "sum"))

    def avg(self, property: str) -> float | Decimal | None:
        values = self._values(property, ("int", "float", "double", "decimal128"), "avg")
        return sum(values) / len(values) if values else None

    def _values(self, property: str, types: tuple[str, ...], operation: str) -> list[Any]:
        prop = self.object_schema.properties.get(property)
        if prop is None:
            raise RealmError(f"Property '{property}' does not exist on '{self.type}' objects", code="InvalidProperty")
        if prop.type not in types:
            kind = prop.type + ("?" if prop.optional else "")
            raise RealmError(f"Operation '{operation}' not supported for {kind} property '{self.type}.{property}'")
        sql, parameters = self._sql(quoted(property))
        rows = self._realm._connection.execute(sql, parameters)
        return [self._table.to_python(property, value) for (value,) in rows if value is not None]

    # --- writing -----------------------------------------------------------------------------------------------------

    def update(self, property: str, value: Any) -> None:
        """Sets the property on every object; needs a write transaction."""
        for instance in self:
            self._realm._set(instance, property, value)

    # --- listeners and subscriptions ---------------------------------------------------------------------------------

    def add_listener(self, callback: Callable[[Results[T], CollectionChanges], object]) -> None:
        """`callback(collection, changes)`: once soon with empty changes, then after commits that changed something.

        `collection` holds exactly the objects that the indices of `changes` speak of. Called in the asyncio loop that
        is running now (or ran when the realm was opened), else on the notifier's thread.
        """
        self._realm._add_collection_listener(self, callback)

    def remove_listener(self, callback: Callable[[Results[T], CollectionChanges], object]) -> None:
        self._realm._remove_listener(("collection", id(self)), callback)

    def remove_all_listeners(self) -> None:
        self._realm._remove_listener(("collection", id(self)), None)

    def subscribe(
        self,
        name: str | None = None,
        *,
        behavior: str = "first-time",
        throw_on_update: bool = False,
        timeout: float | None = None,
    ) -> Operation[Results[T]]:
        """Subscribes to these objects. `behavior`: wait for the data `first-time`, `always` or `never`; after `timeout`
        seconds the operation ends all the same, and synchronization goes on."""
        return self._realm._subscribe(self, name, behavior, throw_on_update, timeout)

    def unsubscribe(self) -> None:
        """Removes the subscription made by `subscribe`; the data goes when the server has been told."""
        self._realm._unsubscribe(self)

    def __repr__(self) -> str:
        return f"<Results of {self.type}: {self.description()}>"

    # --- SQL ---------------------------------------------------------------------------------------------------------

    def _object(self, key: Any) -> T:
        instance: T = self._realm._wrap(self._table, key, None)
        return instance

    def _keys(self) -> list[Any]:
        version = self._realm._version
        if self._keys_cache is None or self._keys_cache[0] != version:
            sql, parameters = self._sql("_id")
            self._keys_cache = (version, [key for (key,) in self._realm._connection.execute(sql, parameters)])
        return self._keys_cache[1]

    def _keys_from_first(self) -> list[Any]:
        """The keys, or only the first: who looks at one object once need not wait for all keys."""
        version = self._realm._version
        cached = self._keys_cache is not None and self._keys_cache[0] == version
        if cached or self._first_asked == version:
            return self._keys()
        self._first_asked = version
        sql, parameters = self._sql("_id")
        return [key for (key,) in self._realm._connection.execute(f"{sql} LIMIT 1", parameters)]

    def _versions(self) -> list[tuple[Any, Any]]:
        """Keys and revisions, in order: what listeners compare."""
        sql, parameters = self._sql(f"_id, {REVISION}")
        rows: list[tuple[Any, Any]] = self._realm._connection.execute(sql, parameters).fetchall()
        return rows

    def _source(self) -> tuple[str, str, list[Any]]:
        """What the members are chosen from, their order, and the parameters of that."""
        return self._table.sql_name, "rowid", []

    def _sql(self, columns: str, ordered: bool = True) -> tuple[str, list[Any]]:
        """SELECT `columns` of the members. Clauses apply in written order, each around what was before; ties keep the
        order of the table."""
        numbering = self._realm._store.queries.numbering(self.object_schema, self._realm._schema_for_queries)
        where, parameters = to_where(self._predicate, numbering)
        table, order, more = self._source()
        source, parameters = f"{table} WHERE {where}", [*more, *parameters]
        kept = ", ".join(map(quoted, [*self._table.properties, REVISION]))
        nested = False
        for clause in self._clauses:
            match clause:
                case Sort():
                    order = f"{to_order([clause], numbering)}, {order}"
                case Distinct(paths):
                    groups, condition = to_groups(paths, numbering)
                    if condition:
                        source = f"(SELECT {kept}, {'__row' if nested else 'rowid AS __row'} FROM {source})"
                        source += f" WHERE {condition}"
                        order, nested = order.replace("rowid", "__row"), True
                    numbered = f"row_number() OVER (PARTITION BY {', '.join(groups)} ORDER BY {order}) AS __place"
                    row = "rowid AS __row" if not nested else "__row"
                    source = f"(SELECT {kept}, {row}, {numbered} FROM {source}) WHERE __place = 1"
                    order, nested = order.replace("rowid", "__row"), True
                case Limit(count):
                    row = "rowid AS __row" if not nested else "__row"
                    source = f"(SELECT {kept}, {row} FROM {source} ORDER BY {order} LIMIT {count})"
                    order, nested = order.replace("rowid", "__row"), True
        return f"SELECT {columns} FROM {source}" + (f" ORDER BY {order}" if ordered else ""), parameters


def _key_path(text: str) -> Path:
    """`team.name`, `prices[eur]`."""
    steps: list[str | Index] = []
    for part in text.split("."):
        name, bracket, key = part.partition("[")
        steps.append(name)
        if bracket:
            steps.append(Index(Constant("string", key.removesuffix("]").strip("'\""))))
    return Path(tuple(steps))


class ElementResults(Results[T]):
    """The objects in a list or set of links, in its order; one that is in a list twice is here twice."""

    def __init__(
        self,
        realm: Realm,
        table: Table,
        elements: Elements[Any],
        predicate: Node = TRUE,
        clauses: tuple[Clause, ...] = (),
    ) -> None:
        super().__init__(realm, table, predicate, clauses)
        self._elements = elements

    def _source(self) -> tuple[str, str, list[Any]]:
        names = ", ".join(f"own.{quoted(name)}" for name in [*self._table.properties, REVISION])
        found = f"(SELECT {names}, place.key AS rowid FROM json_each(?) AS place JOIN {self._table.sql_name} AS own"
        return (
            f"{found} ON own._id = place.value)",
            "rowid",
            [self._realm._key_list(self._table, self._elements._wire())],
        )

    def _with(self, predicate: Node, clauses: tuple[Clause, ...]) -> Results[T]:
        return ElementResults(self._realm, self._table, self._elements, predicate, clauses)

    def subscribe(self, *_: Any, **__: Any) -> Operation[Results[T]]:
        raise RealmError(f"A collection cannot be subscribed to: subscribe to objects of '{self.type}' by a query.")


class LinkingResults(Results[T]):
    """The objects with a collection that links to one object."""

    def __init__(
        self,
        realm: Realm,
        table: Table,
        property: str,
        key: Any,
        predicate: Node = TRUE,
        clauses: tuple[Clause, ...] = (),
    ) -> None:
        """`key`: the wire value of the key that is linked to."""
        super().__init__(realm, table, predicate, clauses)
        self._property, self._key = property, key

    def _source(self) -> tuple[str, str, list[Any]]:
        linking = f"SELECT 1 FROM json_each({quoted(self._property)}) WHERE value = ?"
        found = f"(SELECT *, rowid AS rowid FROM {self._table.sql_name} WHERE EXISTS ({linking}))"
        return found, "rowid", [self._key]

    def _with(self, predicate: Node, clauses: tuple[Clause, ...]) -> Results[T]:
        return LinkingResults(self._realm, self._table, self._property, self._key, predicate, clauses)

    def subscribe(self, *_: Any, **__: Any) -> Operation[Results[T]]:
        raise RealmError("Linking objects cannot be subscribed to: subscribe to objects by a query.")


class FrozenResults(Results[T]):
    """Results with fixed members in fixed order. The members are live; a deleted one reads as None."""

    def __init__(self, realm: Realm, table: Table, keys: list[Any]) -> None:
        super().__init__(realm, table)
        self._fixed = keys

    def _keys(self) -> list[Any]:
        return self._fixed

    def _keys_from_first(self) -> list[Any]:
        return self._fixed

    def __len__(self) -> int:
        return len(self._fixed)

    def __iter__(self) -> Iterator[T]:
        return (self._object(key) for key in self._fixed)

    def _object(self, key: Any) -> T:
        instance: T = super()._object(key)
        return instance if instance.is_valid() else None  # type: ignore[return-value]

    def snapshot(self) -> Results[T]:
        return self

    def filtered(self, query: str, *arguments: Any) -> Results[T]:
        raise RealmError("A snapshot cannot be queried: query the live results.")

    def add_listener(self, callback: Callable[[Results[T], CollectionChanges], object]) -> None:
        raise RealmError("Cannot create asynchronous query for snapshotted Results.")
