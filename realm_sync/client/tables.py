"""Tables: how the objects of one class lie in SQLite.

One table per class, named like it; one column per property, `_id` first, and `__rev`, the number of the commit that
changed the row last (listeners find modifications by it). Collections, embedded objects and mixed values lie in their
column as the JSON of their wire value, computed properties have none. Decides the column of every Realm type and converts between
wire values, columns and Python values. Knows SQL text, but runs none: `store.py` does.
"""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from realm_sync.core.edits import Shape
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Property, Schema
from realm_sync.core.sql import quoted
from realm_sync.core.values import SCALARS, ObjectId, decode, encode

REVISION = "__rev"
Convert = Callable[[Any], Any]


_json_text = msgspec.json.Encoder(order="deterministic").encode
"""Keys in order: PostgreSQL's jsonb has an order of its own, and the same value again is to be no change."""
_parsed = msgspec.json.decode


class Column(NamedTuple):
    """How a type lies in a column. None: the value as it is. Null is not asked."""

    declaration: str
    from_wire: Convert | None
    to_wire: Convert | None
    to_python: Convert | None


def _number_from_wire(wire: Any) -> Any:
    return math.inf if wire == "Infinity" else -math.inf if wire == "-Infinity" else wire


def _number_to_python(value: Any) -> Any:
    return math.nan if value == "NaN" else value


def _number_to_wire(value: Any) -> Any:
    return value if value == "NaN" else encode("double", value)


_JSON = Column("TEXT", lambda wire: _json_text(wire).decode(), _parsed, None)

# Integers beyond 2^53 come as text, which a column of INTEGER affinity turns into the integer. NaN, which SQLite would
# store as NULL, stays the text that it is on the wire.
COLUMNS: dict[str, Column] = {
    "bool": Column("INTEGER", None, bool, bool),
    "int": Column("INTEGER", int, lambda value: encode("int", value), None),
    "float": Column("REAL", _number_from_wire, _number_to_wire, _number_to_python),
    "double": Column("REAL", _number_from_wire, _number_to_wire, _number_to_python),
    "decimal128": Column("TEXT", None, None, Decimal),
    "string": Column("TEXT", None, None, None),
    "data": Column("BLOB", base64.b64decode, lambda value: base64.b64encode(value).decode(), bytes),
    "date": Column("TEXT", None, None, lambda value: decode("date", value)),
    "objectId": Column("TEXT", None, None, ObjectId),
    "uuid": Column("TEXT", None, None, uuid.UUID),
    "mixed": _JSON,
    "list": _JSON,
    "set": _JSON,
    "dictionary": _JSON,
    "embedded": _JSON,
}
_BULK_SKIPS = {"int"}
"""Types whose `from_wire` SQLite's column affinity does as well, and faster, for whole rows."""


class Table:
    """One class. `key` in its methods is the key as it lies in the column."""

    def __init__(self, cls: ObjectSchema, schema: Schema) -> None:
        self.cls = cls
        self.schema = schema
        self.name = cls.name
        self.sql_name = quoted(cls.name)
        stored = {name: prop for name, prop in cls.properties.items() if prop.type != "linkingObjects"}
        self.properties: tuple[str, ...] = tuple(stored)
        self.kinds = {name: schema.wire_type(prop) for name, prop in stored.items()}
        self.columns = [COLUMNS[kind] for kind in self.kinds.values()]
        self.live = {name: prop for name, prop in stored.items() if prop.type not in SCALARS or prop.is_counter}
        """Properties whose values are more than the Python value of a column."""
        self.links = {name for name, prop in self.live.items() if prop.type == "object" and self.kinds[name] in SCALARS}
        """Properties that are one link, and lie in their column as the target's key."""
        self._shapes: dict[str, Shape] = {}
        self._may_link: dict[str, bool] = {}
        self.place = {name: at for at, name in enumerate(self.properties)}
        self.key_column = self.columns[0]
        self.blank: dict[str, Any] = dict.fromkeys(self.properties)
        names = ", ".join(map(quoted, self.properties))
        marks = ", ".join("?" * len(self.properties))
        rest = self.properties[1:]
        self.select = f"SELECT {names} FROM {self.sql_name}"
        self.select_one = f"{self.select} WHERE _id = ?"
        # An upsert keeps the row's place in the table; rows that change nothing keep their revision, so that
        # applying a change twice (R3) tells no listener.
        self.upsert = f"INSERT INTO {self.sql_name} ({names}, {REVISION}) VALUES ({marks}, ?) ON CONFLICT (_id) DO "
        if rest:
            sets = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in (*rest, REVISION))
            old, new = (
                ", ".join(f"{prefix}{quoted(name)}" for name in rest) for prefix in (f"{self.sql_name}.", "excluded.")
            )
            different = f"({old}) IS NOT ({new})" if len(rest) > 1 else f"{old} IS NOT {new}"
            self.upsert += f"UPDATE SET {sets} WHERE {different}"
        else:
            self.upsert += "NOTHING"
        self.insert = f"INSERT INTO {self.sql_name} ({names}, {REVISION}) VALUES ({marks}, ?)"
        self.delete = f"DELETE FROM {self.sql_name} WHERE _id = ?"
        self._pick: Callable[[Mapping[str, Any]], Any] = itemgetter(*self.properties)
        self._converted = [
            (at, column.from_wire)
            for at, column in enumerate(self.columns)
            if column.from_wire and self.kinds[self.properties[at]] not in _BULK_SKIPS
        ]

    def create_sql(self) -> list[str]:
        key = f"_id {self.key_column.declaration} NOT NULL PRIMARY KEY"
        # `INTEGER PRIMARY KEY` would make the key the rowid, and the order of unsorted results that of the keys.
        key = key.replace("INTEGER NOT NULL", "INT NOT NULL")
        rest = [
            f"{quoted(name)} {column.declaration}"
            for name, column in list(zip(self.properties, self.columns, strict=True))[1:]
        ]
        return [
            f"CREATE TABLE {self.sql_name} ({', '.join([key, *rest, f'{REVISION} INTEGER NOT NULL DEFAULT 0'])})",
            *(sql for name in self.properties for sql in self.index_sql(name)),
        ]

    def add_column_sql(self, name: str) -> list[str]:
        declaration = self.columns[self.place[name]].declaration
        return [f"ALTER TABLE {self.sql_name} ADD COLUMN {quoted(name)} {declaration}", *self.index_sql(name)]

    def index_sql(self, name: str) -> list[str]:
        prop = self.cls.properties[name]
        if name == PRIMARY_KEY or self.kinds[name] not in SCALARS or not (prop.indexed or prop.type == "object"):
            return []
        index = quoted(f"__index_{self.name}_{name}")
        return [f"CREATE INDEX IF NOT EXISTS {index} ON {self.sql_name} ({quoted(name)})"]

    def update_sql(self, names: Iterable[str]) -> str:
        """Parameters: the values of `names`, the revision, the key. Unlike an upsert it counts as a change even if
        the values are the same: so does a write in Realm."""
        sets = ", ".join(f"{quoted(name)} = ?" for name in names)
        return f"UPDATE {self.sql_name} SET {sets}, {REVISION} = ? WHERE _id = ?"

    def patch_sql(self, names: Iterable[str]) -> str:
        """As `update_sql`, for what comes from the server: values that are there already are no change."""
        numbered = list(enumerate(names, 1))
        sets = ", ".join(f"{quoted(name)} = ?{at}" for at, name in numbered)
        different = " OR ".join(f"{quoted(name)} IS NOT ?{at}" for at, name in numbered)
        count = len(numbered)
        return (
            f"UPDATE {self.sql_name} SET {sets}, {REVISION} = ?{count + 1} WHERE _id = ?{count + 2} AND ({different})"
        )

    def shape(self, name: str) -> Shape:
        """What places in a property can hold."""
        if name not in self._shapes:
            self._shapes[name] = Shape(self.schema, self.cls.properties[name])
        return self._shapes[name]

    def may_link(self, name: str) -> bool:
        """Whether there may be links inside the property's value."""
        if name not in self._may_link:
            self._may_link[name] = name not in self.links and holds_links(self.schema, self.cls.properties[name])
        return self._may_link[name]

    # --- conversions -------------------------------------------------------------------------------------------------

    def rows(self, images: Iterable[Mapping[str, Any]], revision: int) -> list[tuple[Any, ...]]:
        """Parameters of `upsert` for many wire images at once. A property the image lacks is null."""
        pick, converted, tail = self._pick, self._converted, (revision,)
        single = len(self.properties) == 1
        rows = []
        for image in images:
            try:
                row = pick(image)
            except KeyError:
                row = tuple(map(image.get, self.properties)) if not single else image[PRIMARY_KEY]
            if single:
                row = (row,)
            if converted:
                mutable = list(row)
                for at, convert in converted:
                    if mutable[at] is not None:
                        mutable[at] = convert(mutable[at])
                row = tuple(mutable)
            rows.append(row + tail)
        return rows

    def from_wire(self, name: str, wire: Any) -> Any:
        convert = self.columns[self.place[name]].from_wire
        return wire if wire is None or convert is None else convert(wire)

    def to_wire(self, name: str, value: Any) -> Any:
        """The wire value of a column."""
        convert = self.columns[self.place[name]].to_wire
        return value if value is None or convert is None else convert(value)

    def key_from_wire(self, wire: Any) -> Any:
        return self.key_column.from_wire(wire) if self.key_column.from_wire else wire

    def key_to_wire(self, key: Any) -> Any:
        return self.key_column.to_wire(key) if self.key_column.to_wire else key

    def image(self, row: Iterable[Any]) -> dict[str, Any]:
        """The wire image of a row of `select`."""
        return {
            name: value if value is None or column.to_wire is None else column.to_wire(value)
            for name, column, value in zip(self.properties, self.columns, row, strict=True)
        }

    def to_python(self, name: str, value: Any) -> Any:
        """The Python value of a column; of a link, that of the target's key."""
        convert = self.columns[self.place[name]].to_python
        return value if value is None or convert is None else convert(value)


def holds_links(schema: Schema, prop: Property) -> bool:
    """Whether a value of the property may be a link, or contain one."""
    kind = prop.object_type if prop.is_collection else prop.type
    if kind == "mixed":
        return True
    target = schema.get(prop.object_type or "") if kind not in SCALARS else None
    if target is None:
        return False
    return not target.embedded or any(holds_links(schema, inner) for inner in target.properties.values())
