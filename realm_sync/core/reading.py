"""Reading: the values that a bound operand has in an image.

Decides how wire values become values that Python orders as Realm does (text for everything whose wire text sorts right),
and walks the hops of deep paths (paths.py). Every operand reads as a list: of one value, of any number where it is
many, and of none where an index leads beyond the end of a list. Other objects are looked up through `Objects`, which
the caller provides: the client's store, or nothing, where a query that follows links would be a mistake. Knows no
operators. Called by predicate.py.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from .changes import Image
from .lowering import wire
from .mixed import mixed_type, wrapper
from .nodes import Arithmetic, Constant, Hop, ListValue, Operand, Path
from .operators import NUMBERS, Mixed, arithmetic, mixed_key, mixed_rank


class Objects(Protocol):
    """Whoever knows the objects that an image's links lead to. Keys are wire values."""

    def get(self, class_name: str, key: Any) -> Image | None:
        """The image of an object; None if it is not there."""

    def links_to(self, class_name: str, property_name: str, key: Any) -> Iterable[Image]:
        """The images of the objects of a class whose property holds the key, alone or in a collection; each once."""


class Nothing:
    """No objects: links lead nowhere."""

    def get(self, class_name: str, key: Any) -> Image | None:
        return None

    def links_to(self, class_name: str, property_name: str, key: Any) -> Iterable[Image]:
        return ()


Getter: TypeAlias = Callable[[Image], Any]
Reader: TypeAlias = Callable[[Image], "list[Any]"]
_Walk: TypeAlias = Callable[["list[Any]"], "list[Any]"]

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


# --- Plain operands: one value ---


def getter(operand: Operand) -> Getter:
    """Reads a plain operand as one comparable value."""
    match operand:
        case Constant(kind, value):
            constant = value if kind in ("int", "float", "double", "decimal128", "data") else wire(operand)
            return lambda image: constant
        case Path():
            return _size(operand) if operand.counted else _property(operand)
        case Arithmetic(operator, left, right, kind):
            get_left, get_right = getter(left), getter(right)
            return lambda image: arithmetic(operator, kind, get_left(image), get_right(image))
    raise TypeError(f"bind the query first: {operand!r}")


def _property(path: Path) -> Getter:
    name = path.name
    if path.type not in _READERS:
        return lambda image: image.get(name)
    read = _READERS[path.type]
    return lambda image: read(image.get(name))


def _read_int(value: Any) -> Any:
    return int(value) if value.__class__ is str else value


def _read_float(value: Any) -> Any:
    return _FLOATS[value] if value.__class__ is str else value


def _read_decimal(value: Any) -> Any:
    return None if value is None else Decimal(value)


def _read_data(value: Any) -> Any:
    return None if value is None else base64.b64decode(value)


def read_mixed(value: Any) -> Mixed:
    """A mixed wire value as operators.py compares it."""
    kind = mixed_type(value)
    if kind == "null":
        return None
    if isinstance(value, dict) and (key := wrapper(value)):
        value = value[key]
        if kind == "object":
            return kind, (value[0], value[1])
    return kind, _READERS[kind](value) if kind in _READERS else value


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "double": _read_float,
    "decimal128": _read_decimal,
    "data": _read_data,
    "mixed": read_mixed,
}
"""From wire value to comparable value, for the types whose wire values do not compare as they should."""


def _size(path: Path) -> Getter:
    name = path.name
    if path.counted == "link":
        return lambda image: int(image.get(name) is not None)
    read = _read_data if path.counted == "data" else lambda value: value
    return lambda image: _byte_size(read(image.get(name)))


def _byte_size(value: Any) -> int | None:
    if value is None:
        return None
    return len(value) if isinstance(value, bytes) else len(value.encode())


# --- All operands: any number of values ---


def reader(operand: Operand, objects: Objects) -> Reader:
    """Reads any operand but subqueries and geometry as a list of comparable values."""
    match operand:
        case ListValue(items):
            constants = [getter(item)({}) for item in items]
            return lambda image: constants
        case Path(hops=hops) if hops:
            walk = _compile(hops, objects)
            read = _last_reader(operand)
            if read is None:
                return lambda image: walk([image])
            return lambda image: [read(value) for value in walk([image])]
    get = getter(operand)
    return lambda image: [get(image)]


def _last_reader(path: Path) -> Callable[[Any], Any] | None:
    """What makes the wire values at the end of a path comparable; sizes, types and aggregates are already."""
    return None if path.hops and path.hops[-1].via in _COMPUTED else _READERS.get(path.type)


_COMPUTED = ("size", "exists", "incoming", "kind", "min", "max", "sum", "avg")


def mixed_constant(constant: Constant) -> Mixed:
    """A constant as a mixed value."""
    if constant.type == "null":
        return None
    if constant.type == "object":
        class_name, key = constant.value
        return "object", (class_name, wire(key))
    return constant.type, getter(constant)({})


def as_mixed(operand: Operand, read: Reader) -> Reader:
    """The values of an operand, read by `read`, as mixed values."""
    if isinstance(operand, Constant):
        constant = [mixed_constant(operand)]
        return lambda image: constant
    if isinstance(operand, ListValue):
        constants = [mixed_constant(item) for item in operand.items if isinstance(item, Constant)]
        return lambda image: constants
    kind = getattr(operand, "type", "")
    if kind == "mixed":
        return read
    if isinstance(operand, Path) and operand.target:
        target = operand.target
        return lambda image: [None if key is None else ("object", (target, key)) for key in read(image)]
    return lambda image: [None if value is None else (kind, value) for value in read(image)]


def objects_of(path: Path, objects: Objects) -> Reader:
    """The images of the objects that the path of a subquery leads to."""
    hops = path.hops
    if path.type == "embedded":
        walk = _compile(hops, objects)
        return lambda image: [each for each in walk([image]) if each is not None]
    if hops[-1].via == "property" and hops[-1].name == "_id" and len(hops) > 1 and hops[-2].via == "items":
        walk = _compile(hops[:-1], objects)  # linkingObjects: they are there already
    else:
        walk = _compile((*hops, Hop("link", cls=path.target, hides=True)), objects)
    return lambda image: walk([image])


def column(path: Path, objects: Objects) -> Callable[[Image], tuple[bool, Any]]:
    """What objects are sorted by or told apart by: whether a link (or embedded object) on the way is null, and the
    value."""
    hops = path.hops
    if not hops:
        get = _property(path)
        return lambda image: (False, get(image))
    last = max(at for at, hop in enumerate(hops) if hop.via == "property")
    ways, ends = _compile(hops[:last], objects), _compile(hops[last:], objects)
    read = _last_reader(path) or (lambda value: value)

    def value(image: Image) -> tuple[bool, Any]:
        way = ways([image])
        if not way or way[0] is None:
            return True, None
        end = ends(way)
        return False, read(end[0]) if end else None

    return value


def _compile(hops: tuple[Hop, ...], objects: Objects) -> _Walk:
    steps = [_HOPS[hop.via](hop, objects) for hop in hops]
    if len(steps) == 1:
        return steps[0]

    def walk(values: list[Any]) -> list[Any]:
        for step in steps:
            values = step(values)
        return values

    return walk


def _each(read: Callable[[Any], Any]) -> _Walk:
    return lambda values: [read(value) for value in values]


def _hop_property(hop: Hop, objects: Objects) -> _Walk:
    name = hop.name
    return _each(lambda value: None if value is None else value.get(name))


def _hop_link(hop: Hop, objects: Objects) -> _Walk:
    get, cls = objects.get, hop.cls
    if hop.hides:
        return lambda values: [found for key in values if key is not None and (found := get(cls, key)) is not None]
    return _each(lambda key: None if key is None else get(cls, key))


def _hop_items(hop: Hop, objects: Objects) -> _Walk:
    return lambda values: [item for value in values if value is not None for item in value]


def _hop_values(hop: Hop, objects: Objects) -> _Walk:
    return lambda values: [item for value in values if value is not None for item in _in_order(value)]


def _in_order(dictionary: Mapping[str, Any]) -> list[Any]:
    # Of the keys: jsonb has an order of its own, and so may every store.
    return [dictionary[key] for key in sorted(dictionary)]


def _hop_keys(hop: Hop, objects: Objects) -> _Walk:
    return lambda values: [key for value in values if value is not None for key in sorted(value)]


def _members(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return _in_order(value) if isinstance(value, Mapping) and not wrapper(value) else []


def _hop_all(hop: Hop, objects: Objects) -> _Walk:
    return lambda values: [item for value in values for item in _members(value)]


def _hop_element(hop: Hop, objects: Objects) -> _Walk:
    index = hop.index
    return lambda values: [
        value[index] for value in values if isinstance(value, list) and -len(value) <= index < len(value)
    ]


def _hop_entry(hop: Hop, objects: Objects) -> _Walk:
    name = hop.name
    return _each(lambda value: value.get(name) if isinstance(value, Mapping) else None)


def _hop_backlinks(hop: Hop, objects: Objects) -> _Walk:
    cls, name = hop.cls, hop.name

    def backlinks(target: Any) -> list[Any]:
        if target is None:
            return []
        key = target["_id"]
        return [image for image in objects.links_to(cls, name, key) for _ in range(_times(image.get(name), key))]

    return _each(backlinks)


def _times(held: Any, key: Any) -> int:
    """How often a property links to the object of a key."""
    if isinstance(held, (list, Mapping)):
        return sum(each == key for each in (held.values() if isinstance(held, Mapping) else held))
    return int(held == key)


def _hop_incoming(hop: Hop, objects: Objects) -> _Walk:
    backlinks = [_hop_backlinks(inner, objects) for inner in hop.inner]
    return _each(lambda value: sum(len(found) for each in backlinks for found in each([value])))


def _hop_exists(hop: Hop, objects: Objects) -> _Walk:
    return _each(lambda value: int(value is not None))


def _hop_size(hop: Hop, objects: Objects) -> _Walk:
    if hop.type == "objects":
        return lambda values: [sum(len(value) for value in values if value is not None)]
    if hop.type in ("string", "data"):
        read = _read_data if hop.type == "data" else lambda value: value
        return _each(lambda value: _byte_size(read(value)))
    if hop.type == "mixed":
        return _each(_mixed_size)
    return _each(lambda value: 0 if value is None else len(value))


def _mixed_size(value: Any) -> int | None:
    mixed = read_mixed(value)
    if mixed is None or mixed[0] not in ("string", "data", "list", "dictionary"):
        return None
    return len(mixed[1]) if mixed[0] in ("list", "dictionary") else _byte_size(mixed[1])


def _hop_kind(hop: Hop, objects: Objects) -> _Walk:
    return _each(mixed_type)


def _hop_aggregate(hop: Hop, objects: Objects) -> _Walk:
    inner, read = _compile(hop.inner, objects), _READERS.get(hop.type, lambda value: value)

    def aggregate(values: list[Any]) -> Any:
        return _aggregated(hop.via, hop.type, [read(value) for value in inner(values)])

    if hop.name == "objects":
        return lambda values: [aggregate(values)]
    return lambda values: [aggregate([value]) for value in values]


def _aggregated(word: str, kind: str, values: list[Any]) -> Any:
    """Nulls aside, and of @min and @max NaN too; as a wire value, because what is read comes after the hops."""
    if kind == "mixed":
        return _mixed_aggregated(word, values)
    present = [value for value in values if value is not None]
    if word in ("min", "max"):
        numbers = [value for value in present if value == value]
        return None if not numbers else min(numbers) if word == "min" else max(numbers)
    number = "double" if kind == "float" else kind
    total: Any = {"int": 0, "double": 0.0, "decimal128": Decimal(0)}[number]
    for value in present:  # not sum(), which rounds its own way
        total = arithmetic("+", number, total, value)
    if word == "sum":
        return total
    if not present:
        return None
    return arithmetic("/", "decimal128" if number == "decimal128" else "double", total, len(present))


def _mixed_aggregated(word: str, values: list[Any]) -> Any:
    """@sum and @avg of the numbers; @min and @max of all values but null."""
    if word in ("min", "max"):
        present = sorted((value for value in values if value is not None), key=mixed_key)
        return None if not present else present[0 if word == "min" else -1]
    numbers = [value for value in values if value is not None and mixed_rank(value) == NUMBERS]
    total: Any = Decimal(0)
    for _, number in numbers:
        total = arithmetic("+", "decimal128", total, number)
    if word == "sum":
        return total
    return arithmetic("/", "decimal128", total, len(numbers)) if numbers else None


_HOPS: dict[str, Callable[[Hop, Objects], _Walk]] = {
    "property": _hop_property, "link": _hop_link, "items": _hop_items, "values": _hop_values, "keys": _hop_keys,
    "all": _hop_all, "element": _hop_element, "entry": _hop_entry, "backlinks": _hop_backlinks,
    "incoming": _hop_incoming, "exists": _hop_exists, "size": _hop_size, "kind": _hop_kind,
    "min": _hop_aggregate, "max": _hop_aggregate, "sum": _hop_aggregate, "avg": _hop_aggregate,
}  # fmt: skip
