"""The column that holds wire JSON: what lists, sets, dictionaries, embedded objects and mixed values have in common.

Decides how such a column is stored (`jsonb`, or text on SQLite), what happens to values on the way in and out, and how
the validation of parts names them (`tags[2]: …`). What the parts are, each field decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from django.core import checks
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.fields.json import KeyTransform
from django.utils.text import capfirst

from .errors import Problems, Step, named
from .lookups import Exact, ToPart, extracted


class JSONColumn(models.JSONField):
    """A column whose JSON is exactly the wire value of the property (R12). Subclasses say what it is.

    `parse` makes Python values of what is given, `examine` validates them, `to_wire` and `from_wire` convert: all four
    for a part as well as for a column. They raise ValidationErrors whose leaves have a `path` below this field.
    """

    realm_type: ClassVar[str]
    non_db_attrs = (*models.JSONField.non_db_attrs, "base", "embedded")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.encoder = self.decoder = None

    def parse(self, value: Any) -> Any:
        """The Python value of a value as people give it: a tuple for a list, text for numbers, wire values."""
        raise NotImplementedError

    def examine(self, value: Any, instance: Any) -> None:
        """Validates a parsed value: null, blank and choices, validators, and every part."""
        if isinstance(value, set) and not value and not self.blank:
            raise ValidationError(self.error_messages["blank"], code="blank")
        if value is None and self.null:
            return
        models.Field.validate(self, value, instance)
        found = Problems()
        for step, part, each in self.parts(value):
            with found.at(step):
                examine(part, each, instance)
        found.done()
        self.run_validators(value)

    def parts(self, value: Any) -> Iterator[tuple[Step, models.Field, Any]]:
        """(step, field, value) of every part of a parsed value."""
        return iter(())

    def part_fields(self) -> Iterator[tuple[str, models.Field]]:
        """The fields of its parts, with what names each in a check: `[…]`, `.street`."""
        return iter(())

    def to_wire(self, value: Any) -> Any:
        raise NotImplementedError

    def from_wire(self, wire: Any) -> Any:
        raise NotImplementedError

    def bind(self, model: type[models.Model]) -> None:
        """Tells parts whose column they are in."""
        for _, part in self.part_fields():
            if hasattr(part, "bind"):
                part.bind(model)

    # --- as a field of Django ----------------------------------------------------------------------------------------

    def contribute_to_class(self, cls: Any, name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        self.bind(cls)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self.check_parts(str(self.name), self)]

    def check_parts(self, where: str, column: models.Field) -> list[checks.CheckMessage]:
        """What makes a part one that cannot be stored or synced; `where` names this field, a part of `column`."""
        found: list[checks.CheckMessage] = []
        for step, part in self.part_fields():
            place = where + step
            found += [
                checks.Error(f"{place} {problem}.", hint=hint, obj=column, id="realm_sync.E014")
                for problem, hint in self.refused_part(part)
            ]
            if isinstance(part, JSONColumn):
                found += part.check_parts(place, column)
        return found

    def refused_part(self, part: models.Field) -> Iterator[tuple[str, str]]:
        """(problem, hint) of a part that this column cannot hold."""
        if hasattr(part, "problems"):
            yield from part.problems()

    def to_python(self, value: Any) -> Any:
        with named(self.name):
            return self.parse(value)

    def validate(self, value: Any, model_instance: Any) -> None:
        with named(self.name):
            self.examine(value, model_instance)

    def clean(self, value: Any, model_instance: Any) -> Any:
        value = self.to_python(value)
        self.validate(value, model_instance)  # which runs the validators, too
        return value

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        with named(self.name):
            return self.to_wire(self.parse(value))

    def get_transform(self, name: str) -> Any:
        """To a part that there is, or that there may be; of a mixed value that is anything."""
        found = models.Field.get_transform(self, name)
        if found is not None:
            return found
        part = self.part_at(name)
        return super().get_transform(name) if part is None else ToPart(name, part)

    def part_at(self, name: str) -> models.Field | None:
        """The field of the part that a step of a lookup leads to."""
        return None

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        if isinstance(expression, KeyTransform):
            return self.from_wire(extracted(self, value, connection))
        try:
            wire = json.loads(value)
        except (TypeError, ValueError):
            return value
        return self.from_wire(wire)

    def formfield(self, **kwargs: Any) -> Any:
        kwargs = {key: value for key, value in kwargs.items() if key not in ("form_class", "choices_form_class")}
        usual = {
            "required": not self.blank,
            "label": capfirst(self.verbose_name),
            "help_text": self.help_text,
            "initial": self.get_default,
        }
        return self.part_form(**usual | kwargs)

    def part_form(self, **options: Any) -> Any:
        """The form field, of a column as of a part."""
        raise NotImplementedError

    @property
    def is_required(self) -> bool:
        """Whether it must be given where it is a part."""
        return not self.null

    def value_to_string(self, obj: models.Model) -> Any:
        value = self.value_from_object(obj)
        return None if value is None else self.get_prep_value(value)


def examine(field: Any, value: Any, instance: Any) -> None:
    """Validates the parsed value of a part."""
    if isinstance(field, JSONColumn):
        field.examine(value, instance)
    elif value is not None or not field.null:  # in Realm what can be null may be null, whatever `blank` tells forms
        field.validate(value, instance)
        field.run_validators(value)


JSONColumn.register_lookup(Exact)
