"""Deep queries in SQLite: the functions that the SQL of core/sql.py calls for what SQL cannot say.

    realm_test(number, columns…)     whether a deep comparison holds for a row
    realm_order(number, whole, column)    what rows are sorted by, or told apart by (whole), as text: see core/sql.py

Both run the closures of core/predicate.py on the row's wire values, and follow links on the connection that called them,
so that all is read in one state of the file. A number stands for a comparison or a path bound to one class and schema;
it is given out when the SQL is written. What links to an object through a collection is found by an index that is made
in memory, once per state of the file, when a query asks. Knows tables, not realms. One StoredQueries per store.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

from realm_sync.core.changes import Image, Predicate
from realm_sync.core.nodes import Comparison, Path, own_properties
from realm_sync.core.predicate import compile_predicate
from realm_sync.core.reading import column
from realm_sync.core.schema import ObjectSchema, Schema
from realm_sync.core.sql import order_text, quoted
from realm_sync.core.values import SCALARS

from .tables import Table

REMEMBERED = 1000
"""How many comparisons have numbers at a time: those of statements that are running, and some to spare."""

Tables = Callable[[str], Table | None]


class _Numbered(NamedTuple):
    item: Comparison | Path
    cls: ObjectSchema
    schema: Schema


class StoredQueries:
    """The deep comparisons that are asked of one store, by number."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._numbers = count(1)
        self._items: OrderedDict[int, _Numbered] = OrderedDict()
        self._known: dict[tuple[int, Comparison | Path], int] = {}

    def numbering(self, cls: ObjectSchema, schema: Schema) -> Callable[[Comparison | Path], int]:
        """What core/sql.py calls for the number of a comparison or a path."""

        def number(item: Comparison | Path) -> int:
            known = self._known.get((id(schema), item))
            if known is not None and (entry := self._items.get(known)) is not None and entry.schema is schema:
                self._items.move_to_end(known)
                return known
            found = next(self._numbers)
            self._items[found] = _Numbered(item, cls, schema)
            self._known[id(schema), item] = found
            if len(self._items) > REMEMBERED:
                forgotten, (old, _, its_schema) = self._items.popitem(last=False)
                if self._known.get((id(its_schema), old)) == forgotten:
                    del self._known[id(its_schema), old]
            return found

        return number

    def register(self, connection: sqlite3.Connection) -> None:
        """Gives a connection both functions; every connection needs them, once."""
        # SQLite holds the functions, and Python's collector does not see that: they must not hold the connection.
        own: Any = weakref.proxy(connection)
        tests: dict[int, Callable[[tuple[Any, ...]], bool]] = {}
        orders: dict[int, Callable[[bool, Any], str]] = {}
        links = _IncomingLinks(own)

        def test(number: int, *columns: Any) -> bool:
            found = tests.get(number)
            if found is None:
                found = _remember(tests, number, self._test(number, own, links))
            return found(columns)

        def order(number: int, whole: int, held: Any) -> str:
            found = orders.get(number)
            if found is None:
                found = _remember(orders, number, self._order(number, own, links))
            return found(bool(whole), held)

        connection.create_function("realm_test", -1, test)
        connection.create_function("realm_order", 3, order)

    def _test(
        self, number: int, connection: sqlite3.Connection, links: _IncomingLinks
    ) -> Callable[[tuple[Any, ...]], bool]:
        item, cls, schema = self._items[number]
        assert isinstance(item, Comparison)
        image = self._image_of(cls, own_properties(item))
        matches: Predicate = compile_predicate(item, cls, schema, StoredObjects(connection, self._tables, links))
        return lambda columns: matches(image(columns))

    def _order(self, number: int, connection: sqlite3.Connection, links: _IncomingLinks) -> Callable[[bool, Any], str]:
        item, cls, _ = self._items[number]
        assert isinstance(item, Path)
        image = self._image_of(cls, [item.name])
        get = column(item, StoredObjects(connection, self._tables, links))
        return lambda whole, held: order_text(item.type, *get(image((held,))), whole)

    def _image_of(self, cls: ObjectSchema, names: list[str]) -> Callable[[tuple[Any, ...]], Image]:
        """From the columns of these properties to an image that has no others."""
        table = self._tables(cls.name)
        assert table is not None
        converts = [(name, table.columns[table.place[name]].to_wire) for name in names]

        def image(columns: tuple[Any, ...]) -> Image:
            return {
                name: value if value is None or convert is None else convert(value)
                for (name, convert), value in zip(converts, columns, strict=True)
            }

        return image


def _remember(compiled: dict[int, Any], number: int, function: Any) -> Any:
    if len(compiled) >= REMEMBERED:
        compiled.clear()
    compiled[number] = function
    return function


class StoredObjects:
    """The objects of a store, for queries that follow links (core/reading.py): read on one connection."""

    def __init__(self, connection: sqlite3.Connection, tables: Tables, links: _IncomingLinks | None = None) -> None:
        self._connection, self._lookup = connection, tables
        self._links = links or _IncomingLinks(connection)
        self._tables: dict[str, Table | None] = {}

    def get(self, class_name: str, key: Any) -> Image | None:
        table = self._table(class_name)
        if table is None:
            return None
        row = self._connection.execute(table.select_one, (table.key_from_wire(key),)).fetchone()
        return None if row is None else table.image(row)

    def links_to(self, class_name: str, property_name: str, key: Any) -> Iterable[Image]:
        table = self._table(class_name)
        if table is None or property_name not in table.place:
            return ()
        prop = table.cls.properties[property_name]
        if table.schema.wire_type(prop) not in SCALARS:
            keys = self._links.to(table, property_name).get(key, ())
            return self._rows(table, keys)
        column = table.columns[table.place[property_name]]
        held = column.from_wire(key) if column.from_wire else key
        rows = self._connection.execute(f"{table.select} WHERE {quoted(property_name)} = ?", (held,)).fetchall()
        return map(table.image, rows)

    def _rows(self, table: Table, keys: Iterable[Any]) -> Iterator[Image]:
        for key in keys:
            row = self._connection.execute(table.select_one, (key,)).fetchone()
            if row is not None:
                yield table.image(row)

    def _table(self, name: str) -> Table | None:
        if name not in self._tables:
            self._tables[name] = self._lookup(name)
        return self._tables[name]


class _IncomingLinks:
    """For collections of links: target key → keys of the rows that hold it, as of one state of the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._state: tuple[int, int] | None = None
        self._found: dict[tuple[str, str], Mapping[Any, list[Any]]] = {}

    def to(self, table: Table, property_name: str) -> Mapping[Any, list[Any]]:
        connection = self._connection
        # The first counts what this connection changes, the second what others commit.
        state = connection.total_changes, int(connection.execute("PRAGMA data_version").fetchone()[0])
        if state != self._state:
            self._state, self._found = state, {}
        place = table.name, property_name
        if place not in self._found:
            found: defaultdict[Any, list[Any]] = defaultdict(list)
            rows = connection.execute(
                f"SELECT DISTINCT held.value, _id FROM {table.sql_name}, json_each({quoted(property_name)}) AS held "
                f"WHERE held.value IS NOT NULL ORDER BY {table.sql_name}.rowid"
            )
            for target, key in rows.fetchall():
                found[target].append(key)
            self._found[place] = dict(found)
        return self._found[place]
