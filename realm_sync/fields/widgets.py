"""Widgets for values with parts: rows for collections, labelled fields for embedded objects.

Decides what a person sees and how a submitted form becomes plain lists and dicts of raw values; forms.py makes values
of them. Rows are in the order in which the page sends them, so that moving one needs no numbers. Adding, moving and
removing is done by `realm_sync_forms/parts.js`; without scripts, what is there can still be edited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django import forms

MOST_CHOICES = 200
"""Targets of a link that are offered for choice; of more, a key is typed."""


class _Parts(forms.Widget):
    """What both kinds share: several inputs, and the marker that says that they were on the page."""

    use_fieldset = True

    class Media:
        css = {"all": ["realm_sync_forms/parts.css"]}
        js = ["realm_sync_forms/parts.js"]

    @property
    def is_hidden(self) -> bool:
        return False

    def id_for_label(self, id_: str) -> str:
        return ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}-here" not in data

    def inner_attrs(self, name: str, attrs: Any) -> dict[str, Any]:
        # As the whole may be required without every part being so, parts say it themselves.
        kept = {key: value for key, value in (attrs or {}).items() if key in ("disabled", "readonly")}
        return kept | {"id": f"id_{name}"}


class Rows(_Parts):
    """A row per element, with buttons to move and remove it, and one to add another."""

    template_name = "realm_sync/widgets/rows.html"

    def __init__(self, element: forms.Widget, new: Any = None, keyed: bool = False, ordered: bool = True) -> None:
        self.element, self.new, self.keyed, self.ordered = element, new, keyed, ordered
        """`new`: the raw value of a row that is added."""
        super().__init__()

    @property
    def media(self) -> forms.Media:
        return super().media + self.element.media

    def __deepcopy__(self, memo: Any) -> Rows:
        twin: Rows = super().__deepcopy__(memo)  # type: ignore[misc]
        twin.element = self.element.__class__.__deepcopy__(self.element, memo)
        return twin

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        items: Iterable[tuple[Any, Any]] = (
            value.items() if isinstance(value, Mapping) else value if self.keyed else ((None, each) for each in value)
        ) if value else ()  # fmt: skip
        # Rows within rows have placeholders of their own, for each template is filled in when it is used.
        blank = f"__row{name.count('-')}__"
        context["widget"] |= {
            "keyed": self.keyed,
            "ordered": self.ordered,
            "blank": blank,
            "rows": [self._row(name, str(number), key, each, attrs) for number, (key, each) in enumerate(items)],
            "empty_row": self._row(name, blank, "", self.new, attrs),
        }
        return context

    def _row(self, name: str, row: str, key: Any, value: Any, attrs: Any) -> dict[str, Any]:
        inner = f"{name}-{row}"
        html = self.element.render(inner, value, self.inner_attrs(inner, attrs))
        return {"id": row, "name": inner, "key": key, "html": html}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """The raw values in the order of the rows; with keys, pairs."""
        rows = data.getlist(name) if hasattr(data, "getlist") else data.get(name, [])
        values = [(row, self.element.value_from_datadict(data, files, f"{name}-{row}")) for row in rows]
        if self.keyed:
            return [(data.get(f"{name}-{row}-key", ""), value) for row, value in values]
        return [value for _, value in values]


class SubFields(_Parts):
    """The properties of an embedded object, each with its label; with a box to tick whether there is one at all."""

    template_name = "realm_sync/widgets/subfields.html"

    def __init__(self, fields: Mapping[str, forms.Field], optional: bool, noun: str) -> None:
        self.fields, self.optional, self.noun = fields, optional, noun
        super().__init__()

    @property
    def media(self) -> forms.Media:
        media = super().media
        for field in self.fields.values():
            media += field.widget.media
        return media

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        given = value if isinstance(value, Mapping) else {}
        context["widget"] |= {
            "optional": self.optional,
            "noun": self.noun,
            "present": value is not None or not self.optional,
            "parts": [self._part(name, key, field, given, attrs) for key, field in self.fields.items()],
        }
        return context

    def _part(self, name: str, key: str, field: forms.Field, given: Mapping[str, Any], attrs: Any) -> dict[str, Any]:
        inner = f"{name}-{key}"
        value = given[key] if key in given else field.prepare_value(field.get_initial_for_part())  # type: ignore[attr-defined]
        widget = field.widget
        return {
            "id": "" if widget.use_fieldset else f"id_{inner}",
            "label": field.label,
            "help": field.help_text,
            "required": field.required,
            "wide": isinstance(widget, _Parts | forms.Textarea),
            "html": widget.render(inner, value, self.inner_attrs(inner, attrs)),
        }

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """The raw values by property; None if the box is there and not ticked."""
        if self.optional and f"{name}-present" not in data:
            return None
        return {
            key: field.widget.value_from_datadict(data, files, f"{name}-{key}") for key, field in self.fields.items()
        }


class LinkInput(forms.Select):
    """The objects that can be linked to, by name; where there are many, a text field for the key."""

    def __init__(self, targets: Callable[[int], list[tuple[str, str]]], required: bool) -> None:
        self.targets, self.required = targets, required
        self._offered: list[tuple[str, str]] | None = None
        """Looked up once for all rows: a form has its own copy of its widgets."""
        super().__init__()

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        if self._offered is None:
            self._offered = self.targets(MOST_CHOICES + 1)
        if len(self._offered) > MOST_CHOICES:
            return forms.TextInput().render(name, value, attrs, renderer)
        return super().render(name, value, attrs, renderer)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        value = "" if value is None else str(value)
        offered = list(self._offered or ())
        if value and all(key != value for key, _ in offered):
            offered.append((value, f"{value} (missing)"))  # a link may lead to what is gone, or not here yet
        self.choices = [("", "---------"), *offered]
        return super().get_context(name, value, attrs)


class CounterInput(forms.NumberInput):
    """A number, and unseen what it was when the page was made: what is saved is the difference."""

    template_name = "realm_sync/widgets/counter.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value = super().value_from_datadict(data, files, name)
        return value, data.get(f"{name}-seen", "")

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        value, seen = value if isinstance(value, tuple) else (value, value)
        context = super().get_context(name, value, attrs)
        context["widget"]["seen"] = "" if seen is None else str(seen)
        return context
