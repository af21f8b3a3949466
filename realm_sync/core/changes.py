"""Changes: one row of the history, what it means to a view, and how several fold into one.

Decides put, patch or erase (DESIGN §7) from images alone; knows neither the database that built the images nor the
socket they leave by. Images stay JSON text from the database to the socket (R12): only what queries look at is decoded.
Called by downloads.py (bootstrap and catch-up) and feed.py (live delivery).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

Image = Mapping[str, Any]
"""Wire values by property; what predicates read."""

decode_image = msgspec.json.Decoder(dict[str, Any]).decode
"""An image out of its JSON text."""
UNREADABLE = (msgspec.DecodeError, RecursionError)
"""What decoding raises for an image that is no JSON: raw SQL can write text into a column of numbers on SQLite."""
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(r"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..|\\.")


def well_formed(text: str) -> str:
    """JSON text with U+FFFD for halves of surrogate pairs: Django writes them and SQLite keeps them, as escapes, but they
    are no characters, and no strict reader takes the text."""
    if "\\u" not in text or not _SURROGATE.search(text):
        return text
    return _ESCAPE.sub(lambda found: found[0] if found[1] or len(found[0]) == 2 else "\\ufffd", text)


class Change(msgspec.Struct, frozen=True):
    """One row of the history; see models.Change for the columns."""

    version: int
    id: int
    class_name: str
    object_id: str
    kind: str
    before: str | None
    after: str | None
    timestamp: int
    origin: int
    sets: str | None = None

    def images(self) -> tuple[Image | None, Image | None]:
        """The object before and after, decoded; None where it did not exist."""
        after = decode_image(self.after) if self.after else None
        if self.before is None:
            return None, after
        before = decode_image(self.before)
        return (before, None) if after is None else ({**after, **before}, after)

    def written(self) -> Image:
        """The properties this change wrote, with their new wire values; empty for a delete."""
        if self.after is None:
            return {}
        after: dict[str, Any] = decode_image(self.after)
        if self.before is None:
            return after
        return {name: after.get(name) for name in decode_image(self.before)}

    def patch_text(self, names: Iterable[str] = ()) -> str:
        """The JSON of a patch: `_id` and what changed, or `names`, in the very words of the image."""
        raw = _decode_raw(self.after or "{}")
        changed = names or _decode_raw(self.before or "{}")
        pieces = [f'"{name}":{bytes(raw[name]).decode()}' for name in changed if name in raw and name != "_id"]
        return "{" + ",".join([f'"_id":{bytes(raw["_id"]).decode()}', *pieces]) + "}"

    def key_text(self) -> str:
        """The JSON of the object's key."""
        return key_text(self.after or self.before or "{}")


def key_text(image: str) -> str:
    """The JSON of the key inside an image's JSON text."""
    return bytes(_decode_raw(image)["_id"]).decode()


class ChangeList:
    """Collects puts, patches and erases as JSON text, in order, and joins them into the `changes` of a download."""

    _ORDER = ("put", "patch", "erase")

    def __init__(self) -> None:
        self._groups: list[tuple[str, dict[str, list[str]]]] = []
        self._class = ""
        self._stage = 0
        self.size = 0
        """Bytes, roughly: callers close a message when it has grown enough."""
        self.count = 0

    def add(self, kind: str, class_name: str, text: str) -> None:
        """`kind` is put, patch or erase; `text` the JSON of an object, a patch or a key."""
        stage = self._ORDER.index(kind)
        if class_name != self._class or stage < self._stage:
            self._groups.append((class_name, {}))
            self._class = class_name
        self._stage = stage
        self._groups[-1][1].setdefault(kind, []).append(text)
        self.size += len(text) + 1
        self.count += 1

    def text(self) -> str:
        """The JSON array. Class names are Python and Realm identifiers and need no escaping."""
        groups = []
        for class_name, lists in self._groups:
            joined = ",".join(f'"{kind}":[{",".join(texts)}]' for kind, texts in lists.items())
            groups.append(f'{{"class":"{class_name}",{joined}}}')
        return "[" + ",".join(groups) + "]"


Predicate = Callable[[Image], bool]


class Fold:
    """Several changes of one object, folded into the one thing a client file must be told about it.

    `old` says what the file's view contained while these changes happened, `new` what it shall contain now (the same
    predicate for a catch-up). A file is told to erase only keys of which one of them contained an image: it may hold
    them, and nothing else is any of its user's business.
    """

    __slots__ = ("_changed", "_held", "_last", "_left", "_new", "_old")

    def __init__(self, old: Predicate, new: Predicate) -> None:
        self._old, self._new = old, new
        self._held = self._left = False
        self._changed: dict[str, None] | None = {}
        self._last: Change | None = None

    def add(self, change: Change) -> None:
        before, after = change.images()
        in_before = before is not None and self._contains(before)
        in_after = after is not None and self._contains(after)
        self._held = self._held or in_before or in_after
        self._left = self._left or not in_before or not in_after
        if self._left or self._old is not self._new:
            self._changed = None
        elif self._changed is not None and change.before is not None:
            self._changed.update(dict.fromkeys(_decode_raw(change.before)))
        self._last = change

    def _contains(self, image: Image) -> bool:
        return self._old(image) or (self._new is not self._old and self._new(image))

    def result(self) -> tuple[str, str] | None:
        """(kind, JSON text) for a ChangeList, or None if the file need not know. Once all changes are added."""
        last = self._last
        if last is None:
            return None
        _, after = last.images()
        if after is not None and self._new(after):
            if self._changed:
                return "patch", last.patch_text(self._changed)
            return "put", last.after or ""
        return ("erase", last.key_text()) if self._held else None
