"""Elements: what lists and sets have in common.

Decides how elements are read, hidden and counted: elements that are links to what is not in this file are hidden, and
indexes of the surface do not count them, while those on the wire do. Aggregates and queries over the elements, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from realm_sync.core.encoding import wire_key
from realm_sync.core.errors import ValueTypeError
from realm_sync.core.schema import Property
from realm_sync.core.values import SCALARS

from .embedded import EmbeddedObject
from .errors import RealmError
from .live import Live

if TYPE_CHECKING:
    from .results import Results

T = TypeVar("T")
NUMBERS = ("int", "float", "double", "decimal128")
MIXED = Property(type="mixed", optional=True)


class Elements(Live, Generic[T]):
    """A list or a set."""

    _kind = list

    _seen: tuple[Any, int, list[int]] | None = None
    """The shown places, of this wire value as of this version of the file."""

    @property
    def _element(self) -> Property:
        """The type of one element."""
        return MIXED if self._prop.type == "mixed" else self._realm._schema_for_queries.element(self._prop)

    @property
    def type(self) -> str:
        """`object`, or the type of the elements."""
        return self._element.type

    @property
    def optional(self) -> bool:
        """Whether elements can be null."""
        return self._element.optional

    @property
    def _name(self) -> str:
        return f"{self._owner._table.name}.{self._where}"

    @property
    def _target(self) -> str | None:
        """The class of the links that are here; None: these are no links."""
        name = self._prop.object_type
        element = self._element
        return None if element.type != "object" or self._realm._schema_for_queries.is_embedded(name) else name

    def clear(self) -> None:
        """Removes all that is here; what others add meanwhile stays."""
        self._writing()
        if self._wire():
            self._edit("clear")

    def __len__(self) -> int:
        return len(self._shown())

    def is_empty(self) -> bool:
        return len(self) == 0

    def first(self) -> T | None:
        """The first element, or None."""
        shown = self._shown()
        return self._value(shown[0]) if shown else None

    def linked_keys(self) -> list[Any]:
        """Of a collection of links: the keys of all targets, also of those that are not in this file."""
        if self._target is None:
            raise RealmError(f"'{self._name}' holds no links.", code="InvalidProperty")
        table = self._realm._table_or_none(self._target)
        wire = self._wire()
        return wire if table is None else [table.to_python("_id", table.key_from_wire(each)) for each in wire]

    def to_list(self) -> list[Any]:
        """Plain Python values; objects as `to_dict` gives them."""
        return [self._realm._plain(self._element, self._wire()[place]) for place in self._shown()]

    # --- queries -----------------------------------------------------------------------------------------------------

    def filtered(self, query: str, *arguments: Any) -> Results[Any]:
        """Of a collection of links: live results of the objects that match."""
        return self._results().filtered(query, *arguments)

    def sorted(self, by: Any = False, reverse: bool = False) -> Any:
        """Of a collection of links: live results, ordered as `Results.sorted` says. Of values: a list of them now."""
        if self._target is not None:
            return self._results().sorted(by, reverse)
        if not isinstance(by, bool) and by != "self":
            raise RealmError(
                f"Cannot sort on key path '{by}': arrays of '{self.type}' can only be sorted on 'self'",
                code="InvalidProperty",
            )
        wire, element, decode = self._wire(), self._element, self._realm._plain
        if element.type == "mixed":
            ordered = [decode(element, each) for each in sorted(wire, key=wire_key)]
        else:
            some = sorted(decode(element, each) for each in wire if each is not None)
            ordered = [None] * (len(wire) - len(some)) + some
        return ordered[::-1] if (by is True or reverse) else ordered

    def _results(self) -> Results[Any]:
        if self._target is None:
            raise RealmError(
                f"'{self._name}' is a collection of '{self.type}': only collections of objects can be queried.",
                code="IllegalOperation",
            )
        return self._realm._element_results(self, self._target)

    def min(self, property: str | None = None) -> Any:
        """The least value, nulls aside; None if there is none. `property`: of objects, and only of these."""
        return self._results().min(property) if property else min(self._numbers("min", ("date",)), default=None)

    def max(self, property: str | None = None) -> Any:
        return self._results().max(property) if property else max(self._numbers("max", ("date",)), default=None)

    def sum(self, property: str | None = None) -> Any:
        return self._results().sum(property) if property else sum(self._numbers("sum"))

    def avg(self, property: str | None = None) -> float | Decimal | None:
        if property:
            return self._results().avg(property)
        values = self._numbers("avg")
        return sum(values) / len(values) if values else None

    def _numbers(self, operation: str, also: Sequence[str] = ()) -> list[Any]:
        if self.type == "mixed":
            values = [v for v in self._values(self._shown()) if isinstance(v, (int, float, Decimal)) and v is not True]
            exact = any(isinstance(value, Decimal) for value in values)
            return [Decimal(v) if exact else v for v in values if v is not False]
        if self.type not in (*NUMBERS, *also):
            kind = self.type + ("?" if self.optional and self.type in SCALARS else "")
            raise RealmError(f"Operation '{operation}' not supported for {kind} list '{self._name}'")
        return [value for value in self._values(self._shown()) if value is not None]

    # --- elements ----------------------------------------------------------------------------------------------------

    def _shown(self) -> Sequence[int]:
        """Where on the wire the elements are that are shown, in order."""
        wire = self._wire()
        if self._target is None:
            return range(len(wire))
        version = self._realm._version
        if self._seen is None or self._seen[0] is not wire or self._seen[1] != version:
            present = self._realm._present_keys(self._target, wire)
            self._seen = (wire, version, [at for at, key in enumerate(wire) if key in present])
        return self._seen[2]

    def _value(self, place: int) -> Any:
        return self._realm._value(self._owner, (*self._path, place), self._element, self._wire()[place], self._root)

    def _values(self, places: Iterable[int]) -> list[Any]:
        wire, element, path, owner = self._wire(), self._element, self._at, self._owner
        value = self._realm._value
        return [value(owner, (*path, place), element, wire[place], self._root) for place in places]

    def _found(self, value: Any) -> set[int]:
        """The places on the wire where this value is."""
        if isinstance(value, EmbeddedObject) and value._owner == self._owner and len(value._at) == len(self._path) + 1:
            return {int(value._path[-1])} if value._path[:-1] == self._path else set()
        try:
            wanted = self._encode(value, None)
        except (ValueTypeError, RealmError):
            return set()
        return {at for at, wire in enumerate(self._wire()) if same(wire, wanted)}

    def _encode(self, value: Any, index: int | None) -> Any:
        """The wire value of an element; `index`: where it is to be, None: it is only looked for."""
        where = self._where if index is None else f"{self._where}[{index}]"
        return self._realm._to_wire(where, self._element, value, None if index is None else "never")


def same(first: Any, second: Any) -> bool:
    """Whether two wire values are equal; true is not 1."""
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)
