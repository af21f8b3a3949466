"""Display: how the console tool shows objects: a value as people read it, one line, one table that fits.

Decides what is shortened and what is left out, never what is read: `console.py` asks the realm. What comes from a
server is text and nothing else: characters that a terminal would obey are replaced.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from realm_sync.core.encoding import encode_property
from realm_sync.core.mixed import Link
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Schema

SHORT_KEY = 8
"""Characters that a UUID or ObjectId is cut to, where so many tell it from the others."""
LONGEST_VALUE = 60
"""Characters of a value in a line."""
WIDEST_COLUMN = 32
"""Characters that a column may claim while others find no place."""
GAP = 2
"""Spaces between columns."""
NUMBERS = ("int", "float", "double", "decimal128")
LABELS = ("title", "name", "label", "subject")

Values = Mapping[str, Any]


def value_text(value: Any) -> str:
    """A value on one line; null is empty. Dates are local time, and whole days where they are midnight in UTC."""
    if value is None:
        return ""
    if isinstance(value, Link):
        return f"{value.class_name} {value_text(value.key)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{value_text(key)}: {_inner(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_inner, value)) + "]"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        whole_day = value.timetz().replace(tzinfo=None) == time()
        return value.date().isoformat() if whole_day else f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in re.sub(r"\s+", " ", str(value)))


def _inner(value: Any) -> str:
    return "null" if value is None else value_text(value)


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def label(cls: ObjectSchema, values: Values) -> str:
    """What people call the object: its title or name, else its first string that is not empty."""
    strings = [name for name, prop in cls.properties.items() if prop.type == "string" and name != PRIMARY_KEY]
    return next((value_text(values[name]) for name in _labels_first(strings) if values.get(name)), "")


def _labels_first(names: Sequence[str]) -> list[str]:
    return [name for name in LABELS if name in names] + [name for name in names if name not in LABELS]


class ShortKeys:
    """Keys as people type them: the shortest beginning, from 8 characters on, that no other key of the class in the
    file has. Only of UUIDs and ObjectIds; other keys mean something and stay whole."""

    def __init__(self, keys: Callable[[str], Iterable[Any]]) -> None:
        """`keys(class)`: all that the file holds; asked once per class."""
        self._keys = keys
        self._lengths: dict[str, int] = {}

    def text(self, class_name: str, kind: str, key: Any) -> str:
        text = value_text(key)
        if kind not in ("uuid", "objectId") or key is None:
            return text
        if class_name not in self._lengths:
            self._lengths[class_name] = _telling_length(sorted(map(str, self._keys(class_name))))
        return text[: self._lengths[class_name]]


def _telling_length(ordered: Sequence[str]) -> int:
    """How many characters tell every one of these sorted texts from the others."""
    longest = 0
    for before, after in zip(ordered, ordered[1:], strict=False):
        while longest < len(after) and before[: longest + 1] == after[: longest + 1]:
            longest += 1
    return max(SHORT_KEY, longest + 1)


Show = Callable[[str, Any], str]
"""A property's value as text; of keys and links the short key."""


def change_line(sign: str, key: str, name: str, values: Values, show: Show, moment: datetime) -> Text:
    """`12:03:44 ~ 3fa85f64 Perimeter fence  priority=5`: when, what happened, to whom, and what it is now."""
    style = {"+": "green", "~": "yellow", "−": "red"}[sign]
    line = Text.assemble((f"{moment:%H:%M:%S} ", "dim"), (f"{sign} ", f"bold {style}"), (f"{key} ", "dim"))
    line.append(cut(name, LONGEST_VALUE), "bold" if sign != "−" else "strike")
    for property_name, value in values.items():
        shown = "null" if value is None else cut(show(property_name, value), LONGEST_VALUE) or '""'
        line.append(f"  {property_name}=", "dim").append(shown, style)
    return line


def table_lines(
    cls: ObjectSchema,
    rows: Sequence[Values],
    show: Show,
    columns: Sequence[str],
    first: Sequence[str],
    width: int | None,
) -> tuple[list[Text], list[str]]:
    """A heading and one line per row, not wider than `width` (None: as wide as it takes); and the properties that
    found no place.

    `columns`: exactly these, cut where they must be. Empty: the key and the label, then as many others as fit, those
    of `first` first; properties without any value in these rows are left out."""
    texts = {name: [show(name, row[name]) for row in rows] for name in columns or cls.properties}
    full = {name: max(map(cell_len, [name, *values])) for name, values in texts.items()}
    chosen, left_out = list(columns), []
    if not columns:
        filled = [name for name, values in texts.items() if name == PRIMARY_KEY or any(values)]
        strings = [name for name in filled if name != PRIMARY_KEY and cls.properties[name].type == "string"]
        wanted = [PRIMARY_KEY, *_labels_first(strings)[:1], *(name for name in first if name in filled), *filled]
        fitting = _fitting(wanted, full, width)
        chosen = [name for name in filled if name in fitting]
        left_out = [name for name in filled if name not in fitting]
    widths = _shrunk({name: full[name] for name in chosen}, width)
    right = {name for name in chosen if cls.properties[name].type in NUMBERS}
    lines = [_row([(Text(name), widths[name], name in right) for name in chosen], "bold")]
    for at in range(len(rows)):
        cells = [Text(texts[name][at], "dim" if name == PRIMARY_KEY else "") for name in chosen]
        lines.append(_row(list(zip(cells, widths.values(), [name in right for name in chosen], strict=True))))
    return lines, left_out


def _fitting(wanted: Iterable[str], full: Mapping[str, int], width: int | None) -> set[str]:
    """Those that find place, the first ones first, while none takes more than WIDEST_COLUMN."""
    if width is None:
        return set(wanted)
    chosen: set[str] = set()
    left = width + GAP
    for name in wanted:
        needed = min(full[name], WIDEST_COLUMN) + GAP
        if name not in chosen and (needed <= left or not chosen):
            chosen.add(name)
            left -= needed
    return chosen


def _shrunk(widths: dict[str, int], width: int | None) -> dict[str, int]:
    """The widths, with the widest made narrower until all fit."""
    if width is None:
        return widths
    while sum(widths.values()) + GAP * (len(widths) - 1) > width and max(widths.values()) > 1:
        widths[max(widths, key=lambda name: widths[name])] -= 1
    return widths


def _row(cells: Iterable[tuple[Text, int, bool]], style: str = "") -> Text:
    line = Text(style=style)
    for cell, width, right in cells:
        cell.truncate(width, overflow="ellipsis")
        cell.align("right" if right else "left", width)
        line.append_text(cell).append(" " * GAP)
    line.rstrip()
    return line


def wire_values(cls: ObjectSchema, schema: Schema, values: Values) -> dict[str, Any]:
    """The object as JSON can hold it: what PROTOCOL.md sends of it."""
    return {name: encode_property(schema, name, prop, values[name]) for name, prop in cls.properties.items()}
