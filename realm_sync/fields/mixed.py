"""Mixed values: a column whose values bring their types along.

Decides how such a value is given, validated and stored, and what of it a plain JSONField can hold. The types and their
wrappers are those of core/mixed.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..core.errors import ValueTypeError, describe
from ..core.mixed import Link, decode_mixed, encode_mixed, wrapper
from .columns import JSONColumn
from .forms import MixedFormField
from .types import to_wire


class MixedField(JSONColumn):
    """A Realm `mixed`: None, bool, int, float, str, Decimal, datetime, bytes, ObjectId, UUID, `core.mixed.Link`, and
    lists and dicts of them, nested. Always nullable.

    An int stays an int, and a float a float. Wrappers (`{"$date": …}`) are read as what they stand for.
    """

    description = _("Value of any type")
    realm_type = "mixed"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "null": True, "blank": True})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["null"], kwargs["blank"]
        return name, path, args, kwargs

    def parse(self, value: Any) -> Any:
        value = _unwrapped(value)
        self.to_wire(value)
        return value

    @property
    def is_required(self) -> bool:
        return False

    def part_form(self, **options: Any) -> Any:
        return MixedFormField(**options)

    def to_wire(self, value: Any) -> Any:
        try:
            return encode_mixed(value, "")
        except ValueTypeError as error:
            raise _misfit(error) from error

    def from_wire(self, wire: Any) -> Any:
        try:
            return decode_mixed(wire)
        except ValueTypeError:
            return wire


def plain_json(value: Any) -> Any:
    """What a JSONField holds of a mixed value: ints and floats are numbers there. ValidationError for what JSON has
    not: dates, bytes, decimals, ids, links, infinities."""
    wire = encode_mixed(value, "")
    return _plain(wire, value, "")


def _plain(wire: Any, value: Any, where: str) -> Any:
    if kind := wrapper(wire):
        if kind == "$numberLong":
            return value
        raise ValidationError(
            _("%(where)sJSON has no such value: %(value)s."),
            code="PropertyTypeMismatch",
            params={"where": f"{where}: " if where else "", "value": describe(value)},
        )
    if isinstance(wire, list):
        return [_plain(each, value[at], f"{where}[{at}]") for at, each in enumerate(wire)]
    if isinstance(wire, dict):
        return {key: _plain(each, value[key], f"{where}['{key}']") for key, each in wire.items()}
    return wire


def _misfit(error: ValueTypeError) -> ValidationError:
    where = f"{error.target}: " if error.target not in ("", "value") else ""
    return ValidationError(
        f"{where}Expected {error.expected}, got {describe(error.value)}.", code="PropertyTypeMismatch"
    )


def _unwrapped(value: Any, depth: int = 0) -> Any:
    """The value with wrappers read, tuples made lists, and dates without a time or a zone completed."""
    if depth > 100:  # more than Realm nests; refused by to_wire
        return value
    if isinstance(value, Link):
        return value
    if isinstance(value, list | tuple):
        return [_unwrapped(each, depth + 1) for each in value]
    if isinstance(value, Mapping):
        if wrapper(value):
            try:
                return decode_mixed(value)
            except ValueTypeError as error:
                raise _misfit(error) from error
        return {key: _unwrapped(each, depth + 1) for key, each in value.items()}
    if isinstance(value, datetime):
        return timezone.make_aware(value) if timezone.is_naive(value) else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.get_fixed_timezone(0))
    if isinstance(value, models.Model):
        return _link(value)
    return value


def _link(target: models.Model) -> Any:
    return Link(type(target).__name__, to_wire(target._meta.pk, target.pk))
