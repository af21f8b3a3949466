"""Key paths: where a path of names, words and indexes leads, from the objects of a class.

Decides what each step means, and refuses, in Realm's words, those that lead nowhere. The steps become hops, each from a
list of values to the next:

    property   of an object, the wire value of `name`      link       of a key, the object of `cls`
    items      of lists or sets, every element             values     of dictionaries, every value
    all        of mixed values, every element or value     keys       of dictionaries, every key
    element    of a list, the one at `index` (-1: last)    entry      of a dictionary, the value of `name`
    backlinks  of an object, the objects of `cls` whose `name` links to it, as a list
    incoming   of an object, how many links lead to it: `inner` are the backlinks
    exists     of a link or an embedded object, 0 or 1     kind       of a mixed value, the name of its type
    size       elements, or bytes, by `type`: of `objects` together, of all other collections one by one
    min max sum avg    of the numbers (or dates) of `type` that `inner` finds in collections: of objects together

To-one steps keep null: what follows a null link is null. To-many steps hide elements that are not there. A path that
`bind` knows as plain gets no hops. Knows no values and no operators; called by binding.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NoReturn

from .errors import QueryError
from .nodes import (
    And,
    Arithmetic,
    Comparison,
    Constant,
    Distinct,
    Hop,
    Index,
    Node,
    Not,
    Operand,
    Or,
    Path,
    Query,
    Sort,
    Subquery,
)
from .schema import PRIMARY_KEY, ObjectSchema, Property, Schema
from .text import index_text

_AGGREGATES = ("@min", "@max", "@sum", "@avg")
_SIZES = ("@count", "@size")
_NUMERIC = ("int", "float", "double", "decimal128")
_INT = Property(type="int")


def resolve(path: Path, cls: ObjectSchema, schema: Schema, variable: str = "") -> Path:
    """The path bound to a class; `variable` is what a subquery calls its objects. Raises QueryError."""
    return _Walk(path, cls, schema).end(path.steps[1:] if variable and path.steps[0] == variable else path.steps)


def element_class(path: Path) -> str:
    """The class of the objects that a bound path leads to; "" if it leads to values."""
    return path.hops[-1].cls if path.type == "embedded" else path.target


def is_collection(path: Path) -> bool:
    """Whether a bound path ends in a collection itself, each of whose elements is compared."""
    if not path.many:
        return False
    last = path.hops[-1].via
    if path.target and last == "property" and len(path.hops) > 1:  # the key that linkingObjects are compared by
        last = path.hops[-2].via
    return last in ("items", "values")


class _Walk:
    """One path on its way: at objects of `cls`, or, where there is a `prop`, at what that property holds."""

    def __init__(self, path: Path, cls: ObjectSchema, schema: Schema) -> None:
        self.path, self.cls, self.schema = path, cls, schema
        self.prop: Property | None = None
        self.hops: list[Hop] = []
        self.many = self.optional = self.full_text = False
        self.start = ""
        self.name = self.where = ""
        """What errors name: the last property passed."""

    def end(self, steps: tuple[str | Index, ...]) -> Path:
        rest = iter(steps)
        for step in rest:
            self.step(step, rest)
        if self.prop is not None and _is_container(self.prop):
            self.spread()
        path = self.path
        if path.quantifier and not self.many:
            self.fail(f"The keypath following '{path.quantifier}' must contain a list")
        if self.prop is None:  # objects themselves: those of a subquery, or linkingObjects, by their keys
            self.start = self.start or PRIMARY_KEY
            self.hops.append(Hop("property", PRIMARY_KEY))
            return self.bound(self.cls.key_type, self.cls.name, False)
        optional = self.optional or self.prop.optional
        if self.prop.type != "object":
            return self.bound(self.prop.type, "", optional)
        target = self.class_named(self.prop.object_type)
        if target.embedded:
            self.hops[-1] = replace(self.hops[-1], cls=target.name)
            return self.bound("embedded", "", optional)
        return self.bound(target.key_type, target.name, optional)

    def bound(self, kind: str, target: str, optional: bool) -> Path:
        hops, counted = tuple(self.hops), ""
        if hops[0].via == "property" and len(hops) <= 2 and kind not in ("mixed", "embedded", "@type"):
            last = hops[-1]
            if len(hops) == 1:
                hops = ()
            elif last.via == "exists" or (last.via == "size" and last.type in ("string", "data")):
                hops, counted = (), "link" if last.via == "exists" else last.type
        return replace(
            self.path, type=kind, target=target, counted=counted, optional=optional, hops=hops, many=self.many,
            start=self.start, full_text=self.full_text,
        )  # fmt: skip

    def fail(self, problem: str) -> NoReturn:
        raise QueryError(problem, "", self.path.position)

    def class_named(self, name: str | None) -> ObjectSchema:
        cls = self.schema.get(name or "")
        return cls if cls is not None else self.fail(f"Object type '{name}' not found in schema.")

    # --- Steps ---

    def step(self, step: str | Index, rest: Iterator[str | Index]) -> None:
        self.full_text = False
        if self.prop is None:
            self.from_object(step, rest)
        elif _is_container(self.prop):
            self.from_container(step, rest, self.prop)
        elif self.prop.type == "object":
            self.from_link(step, rest, self.prop)
        elif self.prop.type == "mixed":
            self.from_mixed(step)
        else:
            self.from_scalar(step, self.prop)

    def from_object(self, step: str | Index, rest: Iterator[str | Index]) -> None:
        if step == "@links":
            return self.links(rest)
        if isinstance(step, Index) or step.startswith("@"):
            self.refuse(step, self.cls.name)
        prop = self.cls.properties.get(step)
        if prop is None:
            known = f"Property '{self.where}'" if self.where else f"'{self.cls.name}'"
            self.fail(f"{known} has no property '{step}'")
        self.name, self.where = step, f"{self.cls.name}.{step}"
        if prop.type == "linkingObjects":
            return self.backlinks(prop.object_type, prop.property)
        self.start = self.start or step
        self.full_text = prop.indexed == "full-text"
        self.hops.append(Hop("property", step))
        self.prop = prop

    def links(self, rest: Iterator[str | Index]) -> None:
        """`@links.Class.property`, `@links.@count`."""
        name = next(rest, "")
        if name in _SIZES:
            self.start = self.start or PRIMARY_KEY
            return self.counted(Hop("incoming", self.cls.name, inner=tuple(self.origins())))
        step = next(rest, "")
        if not isinstance(name, str) or not isinstance(step, str) or not step:
            self.fail("@links is followed by a class and one of its properties.")
        self.name, self.where = step, f"{name}.{step}"
        self.backlinks(name, step)

    def origins(self) -> Iterator[Hop]:
        """Every property that links to the class."""
        for origin in self.schema:
            for name, prop in origin.properties.items():
                if not origin.embedded and prop.type != "linkingObjects" and prop.object_type == self.cls.name:
                    yield Hop("backlinks", name, origin.name)

    def backlinks(self, class_name: str | None, property_name: str | None) -> None:
        origin = self.schema.get(class_name or "")
        prop = origin.properties.get(property_name or "") if origin and not origin.embedded else None
        if prop is None or prop.type == "linkingObjects" or prop.object_type != self.cls.name:
            problem = (
                f"No property '{property_name}' found in type '{class_name}' which links to type '{self.cls.name}'"
            )
            self.fail(problem)
        self.start = self.start or PRIMARY_KEY
        self.hops.append(Hop("backlinks", str(property_name), str(class_name)))
        self.prop = Property(type="linkingObjects", object_type=class_name)

    def from_container(self, step: str | Index, rest: Iterator[str | Index], prop: Property) -> None:
        element = self.schema.element(prop)
        if step in _SIZES:
            if element.type == "object":
                self.many = False
            return self.counted(Hop("size", type="objects" if element.type == "object" else prop.type))
        if step in _AGGREGATES:
            return self.aggregate(str(step), rest, prop, element)
        if isinstance(step, Index):
            return self.index(step, prop, element)
        if prop.type == "dictionary" and step == "@keys":
            self.hops.append(Hop("keys"))
            self.many, self.prop = True, Property(type="string")
            return None
        if prop.type == "dictionary" and step == "@values":
            return self.spread()
        if prop.type == "dictionary" and element.type != "object" and not step.startswith("@"):
            return self.entry(step, element)
        if step == "length" and element.type in ("string", "data"):
            self.spread()
            return self.counted(Hop("size", type=element.type), optional=element.optional)
        if element.type != "object" and (element.type, step) != ("mixed", "@type"):
            self.refuse(step, prop.type)
        self.spread()
        return self.step(step, rest)

    def index(self, step: Index, prop: Property, element: Property) -> None:
        key = _key_of(step)
        if key == ("*",):
            self.spread()
        elif prop.type == "dictionary" and isinstance(key, str):
            self.entry(key, element)
        elif prop.type == "list" and isinstance(key, int):
            self.hops.append(Hop("element", index=key))
            self.prop = element
        else:
            self.refuse(step, prop.type)

    def entry(self, key: str, element: Property) -> None:
        self.hops.append(Hop("entry", key))
        self.prop, self.optional = element, True

    def spread(self) -> None:
        """From a collection to each of its elements."""
        assert self.prop is not None
        prop, self.many = self.prop, True
        self.hops.append(Hop("values" if prop.type == "dictionary" else "items"))
        self.prop = self.schema.element(prop)
        if prop.type == "linkingObjects":
            self.cls, self.prop = self.class_named(prop.object_type), None

    def from_link(self, step: str | Index, rest: Iterator[str | Index], prop: Property) -> None:
        target = self.class_named(prop.object_type)
        if step in _SIZES:
            return self.counted(Hop("exists"))
        if isinstance(step, Index) or (step.startswith("@") and step != "@links"):
            self.refuse(step, "object")
        if not target.embedded:
            if step == PRIMARY_KEY:  # the key of the target is what a link holds
                self.prop, self.optional = Property(type=target.key_type), self.optional or prop.optional
                return None
            self.hops.append(Hop("link", cls=target.name, hides=self.hops[-1].via in ("items", "values")))
        self.cls, self.prop, self.optional = target, None, True
        return self.from_object(step, rest)

    def from_mixed(self, step: str | Index) -> None:
        if step in _SIZES:
            return self.counted(Hop("size", type="mixed"), optional=True)
        if step == "@type":
            self.hops.append(Hop("kind"))
            self.prop = Property(type="@type")
            return None
        key = _key_of(step) if isinstance(step, Index) else None if step.startswith("@") else step
        if key == ("*",):
            self.many = True
            self.hops.append(Hop("all"))
        elif isinstance(key, str):
            self.hops.append(Hop("entry", key))
        elif isinstance(key, int):
            self.hops.append(Hop("element", index=key))
        else:
            self.refuse(step, "mixed")
        return None

    def from_scalar(self, step: str | Index, prop: Property) -> None:
        if step in _SIZES and prop.type in ("string", "data"):
            return self.counted(Hop("size", type=prop.type), optional=prop.optional)
        self.refuse(step, prop.type)

    def counted(self, hop: Hop, optional: bool = False) -> None:
        self.hops.append(hop)
        self.optional = optional or (self.optional and hop.type in ("string", "data", "mixed"))
        self.prop = _INT

    def aggregate(self, word: str, rest: Iterator[str | Index], prop: Property, element: Property) -> None:
        """`scores.@avg`, `dogs.@max.age`."""
        inner = _Walk(self.path, self.cls, self.schema)
        inner.name, inner.where, inner.start = self.name, self.where, self.start
        inner.prop = prop
        inner.spread()
        if element.type == "object":
            step = next(rest, None)
            if step is None:
                self.fail(f"Operation '{word}' needs a property: '{self.name}.{word}.age', for example.")
            inner.step(step, rest)
            self.many = False
        kind = inner.prop.type if inner.prop is not None else ""
        ordering = word in ("@min", "@max")
        if kind not in (*_NUMERIC, "mixed") and not (ordering and kind == "date"):
            self.fail(f"Operation '{word}' is not supported on property '{inner.where}' of type '{kind}'")
        total = {"float": "double", "mixed": "decimal128"}.get(kind, kind)
        mean = "double" if total == "int" else total
        result = kind if ordering else total if word == "@sum" else mean
        objects = "objects" if element.type == "object" else ""
        self.hops.append(Hop(word[1:], name=objects, type=kind, inner=tuple(inner.hops)))
        self.prop, self.optional = Property(type=result, optional=word != "@sum"), False

    def refuse(self, step: str | Index, kind: str) -> NoReturn:
        if isinstance(step, Index):
            self.fail(f"Property '{self.where}' does not support index '{index_text(step)}'")
        if step in _AGGREGATES:
            self.fail(f"Operation '{step}' cannot apply to property '{self.name}' because it is not a list")
        if step.startswith("@"):
            self.fail(f"Operation '{step}' is not supported on property '{self.where}' of type '{kind}'")
        self.fail(f"Property '{self.where}' has no property '{step}'")


def _is_container(prop: Property) -> bool:
    return prop.is_collection or prop.type == "linkingObjects"


def _key_of(index: Index) -> str | int | tuple[str] | None:
    """The key of a dictionary, the place in a list, or ("*",) for all; None for what is none of these."""
    value = index.value
    if isinstance(value, str):
        words: dict[str, int | tuple[str]] = {"FIRST": 0, "LAST": -1, "*": ("*",)}
        return words.get(value)
    if not isinstance(value, Constant):
        return None
    if value.type == "text":
        return str(value.value.decode(errors="replace"))
    if value.type == "string":
        return ("*",) if value.value == "*" else str(value.value)
    return int(value.value) if value.type == "int" and 0 <= value.value < 2**53 else None


# --- What a query reads besides the objects it selects ---


def classes_read(query: Query) -> set[str]:
    """The other classes whose objects decide what a bound query selects, and in which order: their changes may change
    its answer. The class itself is among them if its objects are reached by links."""
    found: set[str] = set()
    _read_by_node(query.predicate, found)
    for clause in query.clauses:
        if isinstance(clause, Sort):
            _read_by_hops([hop for path, _ in clause.keys for hop in path.hops], found)
        elif isinstance(clause, Distinct):
            _read_by_hops([hop for path in clause.paths for hop in path.hops], found)
    return found


def _read_by_node(node: Node, found: set[str]) -> None:
    match node:
        case And(nodes) | Or(nodes):
            for inner in nodes:
                _read_by_node(inner, found)
        case Not(inner):
            _read_by_node(inner, found)
        case Comparison(left=left, right=right):
            _read_by_operand(left, found)
            _read_by_operand(right, found)


def _read_by_operand(operand: Operand, found: set[str]) -> None:
    match operand:
        case Path(hops=hops):
            _read_by_hops(hops, found)
        case Arithmetic(left=left, right=right):
            _read_by_operand(left, found)
            _read_by_operand(right, found)
        case Subquery(path=path, predicate=predicate):
            _read_by_hops(path.hops, found)
            _read_by_node(predicate, found)


def _read_by_hops(hops: Iterable[Hop], found: set[str]) -> None:
    for hop in hops:
        if hop.via in ("link", "backlinks"):
            found.add(hop.cls)
        _read_by_hops(hop.inner, found)
