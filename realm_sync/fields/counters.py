"""Counters: integers that many writers change at once, by adding.

Decides how `obj.visits.increment(3)` reaches the row, and that saving an instance does not undo what others added.
What the sum of clients' increments is, the merge decides.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ObjectDoesNotExist
from django.db import DataError, models, router
from django.db.models.query_utils import DeferredAttribute
from django.utils.translation import gettext_lazy as _

from .forms import CounterFormField, Edited
from .widgets import CounterInput

SMALLEST, LARGEST = -(2**63), 2**63 - 1


class Counter(int):
    """The value of a counter, and the verbs that change it in the database: each is one atomic UPDATE.

    An int otherwise, and as immutable: after `increment` the instance's attribute is a new Counter.
    """

    _owner: models.Model | None = None
    _name: str = ""

    def increment(self, by: int = 1) -> Counter:
        """Adds to the row and returns what the counter is now, increments of others included.

        ValueError if the object is not saved, TypeError unless `by` is an integer, DataError if the sum has more than
        64 bits: nothing is changed then.
        """
        if isinstance(by, bool) or not isinstance(by, int):
            raise TypeError(f"Expected 'by' to be an integer, got {type(by).__name__}.")
        if not SMALLEST <= by <= LARGEST:
            raise DataError(f"Adding {by} to '{self._name}' leaves 64 bits.")
        room = models.Q(**{f"{self._name}__lte": LARGEST - by} if by > 0 else {f"{self._name}__gte": SMALLEST - by})
        return self._write(models.F(self._name) + by, room, f"Adding {by} to '{self._name}' leaves 64 bits.")

    def decrement(self, by: int = 1) -> Counter:
        """Subtracts; otherwise as `increment`."""
        if isinstance(by, bool) or not isinstance(by, int):
            raise TypeError(f"Expected 'by' to be an integer, got {type(by).__name__}.")
        return self.increment(-by)

    def set(self, value: int) -> Counter:
        """Writes a value at once, whatever others added."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"Expected 'value' to be an integer, got {type(value).__name__}.")
        if not SMALLEST <= value <= LARGEST:
            raise DataError(f"{value} has more than 64 bits.")
        return self._write(value, models.Q(), "")

    @property
    def value(self) -> int:
        return int(self)

    def _write(self, value: Any, room: models.Q, refusal: str) -> Counter:
        owner, name = self._owner, self._name
        if owner is None or owner._state.adding or owner.pk is None:
            raise ValueError(
                f"'{name or 'The counter'}' cannot be changed in the database before its object is saved: "
                f"save it first, or assign a number."
            )
        using = owner._state.db or router.db_for_write(type(owner), instance=owner)
        rows = type(owner)._base_manager.using(using).filter(pk=owner.pk)
        if not rows.filter(room).update(**{name: value}):
            if rows.filter(**{f"{name}__isnull": False}).exists():
                raise DataError(refusal)
            raise ObjectDoesNotExist(f"The object of '{name}' is gone, or the counter is null.")
        setattr(owner, name, Stored(rows.values_list(name, flat=True).get()))
        return getattr(owner, name)  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        return int, (int(self),)

    def __copy__(self) -> int:
        return int(self)

    def __deepcopy__(self, memo: Any) -> int:
        return int(self)


class Stored(int):
    """A value that came from the row and was not assigned since."""


class _CounterAttribute(DeferredAttribute):
    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is None or isinstance(value, bool) or not isinstance(value, int):
            return value
        counter = Counter(value)
        counter._owner, counter._name = instance, self.field.attname
        return counter

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = int(value) if isinstance(value, Counter) else value


class CounterField(models.BigIntegerField):
    """A Realm counter: a 64-bit integer whose attribute is a `Counter`, or None where it is null.

    `save()` writes the column only if a value was assigned since it was read, so that an instance that was loaded
    before others added does not undo them.
    """

    description = _("Counter")
    realm_type = "int"
    presentation = "counter"
    descriptor_class = _CounterAttribute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("null"):
            kwargs.setdefault("default", 0)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        if not self.null and kwargs.get("default") == 0:
            del kwargs["default"]
        return name, path, args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return Stored(value) if isinstance(value, int) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname)
        if isinstance(value, Stored) and not add:
            return models.F(self.attname)
        return super().pre_save(model_instance, add)

    def formfield(self, **kwargs: Any) -> Any:
        # The admin proposes its own widget for every integer.
        return super().formfield(**{**kwargs, "form_class": CounterFormField, "widget": CounterInput})

    def part_form(self, **options: Any) -> Any:
        return forms.IntegerField(min_value=SMALLEST, max_value=LARGEST, **options)

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        present = getattr(instance, self.attname)
        if isinstance(data, Edited) and data.seen is not None and present is not None and not instance._state.adding:
            by = data - data.seen
            if not by:
                return  # and what was read from the row stays unassigned
            data = present + by
        setattr(instance, self.attname, None if data is None else int(data))
