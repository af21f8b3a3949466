"""Form fields for values with parts: lists, sets, dictionaries, embedded objects, mixed values, counters and links.

Decides how raw values of widgets.py become Python values, and names the part that is wrong (`tags[2]: …`). What a part
may be, its model field says: a part's form field is that of its model field, where Django's keeps every value of it,
and plain text for the model field otherwise. Called by the `formfield` of each field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ..core.errors import ValueTypeError
from ..core.mixed import encode_mixed
from .errors import Key, Problems, named
from .scalars import Decimal128Field
from .types import from_wire, to_wire
from .widgets import CounterInput, LinkInput, Rows, SubFields


class PartField(forms.CharField):
    """A scalar as text that the model field reads: every value of its type can be written, NaN and microseconds too."""

    def __init__(self, field: Any, **kwargs: Any) -> None:
        self.field = field
        super().__init__(**kwargs)
        self.empty_value = None

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        if isinstance(self.field, models.BinaryField | models.FloatField):
            return to_wire(self.field, value)
        return str(timezone.localtime(value) if isinstance(value, datetime) and timezone.is_aware(value) else value)

    def clean(self, value: Any) -> Any:
        if isinstance(self.field, models.BinaryField) and not value and not self.field.null:
            return b""
        text = super().clean(value)
        if text is None:
            return None
        if isinstance(self.field, models.BinaryField):
            decoded = from_wire(self.field, text)
            if isinstance(decoded, str):
                raise ValidationError(_("Expected binary data in base64."), code="invalid")
            return decoded
        return self.field.to_python(text)


class LinkFormField(PartField):
    """A link to an object: one that there is, or any key."""

    def __init__(self, field: Any, **kwargs: Any) -> None:
        super().__init__(field, **kwargs)
        self.widget = LinkInput(self._targets, self.required)

    def _targets(self, most: int) -> list[tuple[str, str]]:
        rows = self.field.target._default_manager.order_by("pk")[:most]
        return [(str(row.pk), str(row)) for row in rows]


def part_field(field: Any) -> Any:
    """The form field of a part."""
    required = not field.null and not (field.blank and field.empty_strings_allowed)
    required = getattr(field, "is_required", required)
    options: dict[str, Any] = {
        "required": required, "label": capfirst(field.verbose_name or ""), "help_text": field.help_text,
    }  # fmt: skip
    if hasattr(field, "part_form"):
        made = field.part_form(**options)
    elif isinstance(field, _AS_TEXT) and not field.choices:
        made = PartField(field, **options)
    elif isinstance(field, models.DateField):
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
        made = field.formfield(widget=widget, **options)
    elif isinstance(field, models.BooleanField) and not field.null:
        made = field.formfield(label=options["label"], help_text=field.help_text, required=False)
    else:
        made = field.formfield(**options) or PartField(field, **options)
    if isinstance(field, models.IntegerField | models.FloatField | models.DecimalField) and not field.choices:
        made.widget.attrs.setdefault("inputmode", "decimal")
    made.get_initial_for_part = field.get_default
    return made


_AS_TEXT = (models.FloatField, models.DecimalField, Decimal128Field, models.DateTimeField, models.BinaryField)
"""Django's form fields of these lose values: NaN and infinities, microseconds, or all of them."""


def _told(name: str | None) -> AbstractContextManager[None]:
    """Errors of parts are told by the name of the column; a part of a part leaves that to the outermost."""
    return nullcontext() if name is None else named(name)


class RowsField(forms.Field):
    """A list or set: a row per element. `collect` makes the collection of a list of values."""

    keyed = False

    def __init__(
        self, *, name: str | None = None, element: Any, collect: Callable[[Any], Any], ordered: bool, **kwargs: Any
    ) -> None:
        self.name, self.element, self.collect = name, element, collect
        new = element.prepare_value(element.get_initial_for_part())
        kwargs["widget"] = Rows(element.widget, new, self.keyed, ordered)
        super().__init__(**kwargs)

    def __deepcopy__(self, memo: Any) -> Any:
        twin = super().__deepcopy__(memo)
        twin.element = self.element.__deepcopy__(memo)
        twin.widget.element = twin.element.widget
        return twin

    def prepare_value(self, value: Any) -> Any:
        """Raw values for the widget, whether they are the object's or come back from a page with errors."""
        if isinstance(value, set):
            value = sorted(value, key=lambda each: (each is not None, str(type(each)), each if each is not None else 0))
        if not isinstance(value, list | tuple):
            return []
        return [self.element.prepare_value(each) for each in value]

    def clean(self, value: Any) -> Any:
        with _told(self.name):
            collected = self.gather(value or [])
        if self.required and not collected:
            raise ValidationError(self.error_messages["required"], code="required")
        return collected

    def gather(self, raw: list[Any]) -> Any:
        found, values = Problems(), []
        for index, each in enumerate(raw):
            with found.at(index):
                values.append(self.element.clean(each))
        found.done()
        return self.collect(values)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or self.collect([])) != self.gather(data or []))
        except ValidationError:
            return True


class KeyedRowsField(RowsField):
    """A dictionary: a row per key and value."""

    keyed = True

    def prepare_value(self, value: Any) -> Any:
        pairs = value.items() if isinstance(value, Mapping) else value if isinstance(value, list) else []
        return [(key, self.element.prepare_value(each)) for key, each in pairs]

    def gather(self, raw: list[Any]) -> Any:
        found = Problems()
        values: dict[str, Any] = {}
        for key, each in raw:
            with found.at(Key(key)):
                if key in values:
                    raise ValidationError(_("This key is there twice."), code="duplicate")
                values[key] = None
                values[key] = self.element.clean(each)
        found.done()
        return self.collect(values)


class ObjectField(forms.Field):
    """An embedded object: its properties."""

    def __init__(self, *, name: str | None = None, embedded: Any, **kwargs: Any) -> None:
        self.name, self.embedded = name, embedded
        self.parts = {key: part_field(field) for key, field in embedded.fields.items()}
        kwargs["widget"] = SubFields(self.parts, not kwargs.get("required", True), _noun(embedded))
        super().__init__(**kwargs)

    def __deepcopy__(self, memo: Any) -> Any:
        twin = super().__deepcopy__(memo)
        twin.parts = {key: part.__deepcopy__(memo) for key, part in self.parts.items()}
        twin.widget.fields = twin.parts
        return twin

    def prepare_value(self, value: Any) -> Any:
        if value is None:
            return None
        given = value if isinstance(value, Mapping) else vars(value) if hasattr(value, "fields") else {}
        return {key: part.prepare_value(given[key]) for key, part in self.parts.items() if key in given}

    def clean(self, value: Any) -> Any:
        with _told(self.name):
            return self.gather(value)

    def gather(self, raw: Any) -> Any:
        if raw is None:
            if self.required:
                raise ValidationError(self.error_messages["required"], code="required")
            return None
        found, values = Problems(), {}
        for key, part in self.parts.items():
            with found.at(key):
                values[key] = part.clean(raw.get(key))
        found.done()
        return self.embedded(**values)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(initial != self.gather(data))
        except ValidationError:
            return True


def _noun(embedded: type) -> str:
    name = embedded.__name__
    return "".join(f" {letter.lower()}" if at and letter.isupper() else letter for at, letter in enumerate(name))


class MixedFormField(forms.CharField):
    """A mixed value as JSON: `5` is an int, `5.0` a double, and wrappers are what JSON has not."""

    widget = forms.Textarea(attrs={"rows": 1, "cols": 60, "spellcheck": "false", "class": "realm-json"})

    def prepare_value(self, value: Any) -> Any:
        if value is None:
            return ""
        if isinstance(value, _Raw):
            return value
        return json.dumps(_written(value), ensure_ascii=False, indent=2 if isinstance(value, list | dict) else None)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return _Raw(data or "")

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return json.loads(text, parse_constant=float)
        except RecursionError:
            raise ValidationError(_("This is nested too deeply."), code="invalid") from None
        except ValueError as error:
            where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise ValidationError(
                _("This is not JSON: %(said)s%(where)s. Text is written in double quotes."),
                code="invalid",
                params={"said": said, "where": f" ({where})" if where else ""},
            ) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial).strip() != str(data or "").strip())


class _Raw(str):
    """What was typed: it is not a value to be shown as JSON."""

    __slots__ = ()


def _written(value: Any) -> Any:
    """What a person reads and writes for a mixed value: as on the wire, but ints are ints."""
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_written(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _written(each) for key, each in value.items()}
    if isinstance(value, int):
        return value
    try:
        return encode_mixed(value)
    except ValueTypeError:
        return str(value)


class Edited(int):
    """What a form says of a counter: what it shall be, and what its reader saw."""

    seen: int | None = None


class CounterFormField(forms.IntegerField):
    """A counter: what is saved is the difference to what the page showed, so that nobody's increments are lost."""

    widget = CounterInput

    def clean(self, value: Any) -> Any:
        value, seen = value if isinstance(value, tuple) else (value, "")
        number = super().clean(value)
        if number is None:
            return None
        edited = Edited(number)
        try:
            edited.seen = int(seen)
        except (TypeError, ValueError):
            edited.seen = None
        return edited

    def has_changed(self, initial: Any, data: Any) -> bool:
        value, seen = data if isinstance(data, tuple) else (data, "")
        try:
            initial = int(seen) if seen else initial
        except ValueError:
            return True
        return super().has_changed(initial, value)
