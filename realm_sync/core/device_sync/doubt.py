"""Doubt: what a client file of an official SDK may not know of an object, though it has the history up to a version.

Such a client merges by itself, by rules that are not ours, and nobody sees the result. So whatever it may not arrive at
by itself is told it absolutely; and whatever it was told may have undone edits that it had not uploaded yet. Hence one
predicate for both: a download asks it from the file's cursor, and says what it answers; an upload asks it from its base,
and what it answers is in conflict: the outcome must be told. Two answers would part the client from the server for good.

Own rows are no news, however they look: told its own creation again, a client loses what it wrote since. What of its own
upload a file has to be told is in the advance of that upload (`owed`). Pure; called by device_sync/downloads.py and
device_sync/uploads.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

import msgspec

from ..changes import Change, Image, Predicate, decode_image
from ..messages import RejectedWrite

Owed = Literal[True] | list[str]
"""True: the whole object, or that it is gone; else these properties."""


class Advance(msgspec.Struct, rename="camel", omit_defaults=True):
    """What an `advance` row of such a file says in `after`. Readers of the other encoding know the first two, too."""

    client_version: int
    rejected: list[RejectedWrite] = []
    server_version: int = 0
    """The upload's progress: what the client had integrated when it sent it."""
    base: int = 0
    """Of the changesets that this advance closes."""
    owed: dict[str, dict[str, Owed]] = {}
    """Class → key as text → what the file has to be told of what it wrote itself."""
    bootstrap: bool = False
    """A bootstrap begins: it tells the file everything, and takes a version so that a base says what came before it."""


decode_advance = msgspec.json.Decoder(Advance).decode
encode_advance = msgspec.json.Encoder().encode


def advances(changes: Iterable[Change], ident: int) -> list[Advance]:
    """Those of a client file, among rows of the history."""
    mine = str(ident)
    return [
        decode_advance(change.after or "")
        for change in changes
        if change.kind == "advance" and change.object_id == mine
    ]


class Verdict(NamedTuple):
    kind: Literal["nothing", "properties", "whole", "erase"]
    """What to tell: nothing, the present values of `names`, the object with all its properties, or that it is gone."""
    names: frozenset[str] = frozenset()


NOTHING = Verdict("nothing")


class Doubt:
    """About one object, since a version. `see` its rows above that version in order, `owe` what the file's own advances
    above it owe, `bootstrap` if one of them begins one; in any order among the three."""

    __slots__ = ("_contains", "_file", "created", "held", "last", "names", "whole", "writers")

    def __init__(self, ident: int, contains: Predicate) -> None:
        """`contains`: whether the file's view of the class shows an image."""
        self._file, self._contains = ident, contains
        self.whole = False
        """The file may lack the object, hold another of that key, or hold one that it shall not."""
        self.held = False
        """It may hold an object of that key; otherwise no key is any of its user's business."""
        self.names: set[str] = set()
        """Properties whose values it may not have."""
        self.last: Change | None = None
        self.created: Change | None = None
        """The last row that created the object."""
        self.writers: dict[str, Change] = {}
        """The last row that wrote a property, if it was not `created`."""

    def see(self, change: Change) -> None:
        """Raises one of UNREADABLE for an image that is no JSON."""
        before, after = change.images()
        was = before is not None and self._contains(before)
        now = after is not None and self._contains(after)
        ours = change.origin == self._file
        self.held = self.held or was or now or (ours and change.kind != "update")
        if change.kind == "update":
            written = [name for name in decode_image(change.before or "{}") if name != "_id"]
            self.writers.update(dict.fromkeys(written, change))
            if was != now:
                self.whole = True
            elif now and not ours:
                self.names.update(written)
        else:
            # What the file deleted is not there, what it created is, unless its view does not show it.
            self.whole = self.whole or not ours or (after is not None and not now)
            self.created = change if after is not None else None
            self.writers = {}
        self.last = change

    def owe(self, owed: Owed) -> None:
        if owed is True:
            self.whole = self.held = True
        else:
            self.names.update(owed)

    def bootstrap(self) -> None:
        """Everything that the view shows was told, and everything that it does not was taken."""
        self.whole = True

    def about(self, names: Collection[str]) -> Owed:
        """What an upload that writes these properties has to owe, if this is the doubt since its base."""
        return True if self.whole else sorted(self.names.intersection(names))

    def writer(self, name: str) -> Change | None:
        """The row that made the property what it is; None: none since."""
        return self.writers.get(name, self.created)

    def verdict(self, image: Image | None, wanted: Predicate | None = None) -> Verdict:
        """What to tell the file of the object that is `image` now, or gone. `wanted`: the view it is to hold from now
        on, if another."""
        if image is not None and (wanted or self._contains)(image):
            if self.whole or not self._contains(image):
                return Verdict("whole")
            return Verdict("properties", frozenset(self.names)) if self.names else NOTHING
        # What the file erased itself makes it hold nothing; nobody else erases without making all of it doubtful.
        return Verdict("erase") if self.held and (self.whole or image is not None) else NOTHING


def doubt(
    changes: Iterable[Change], since: Iterable[Advance], ident: int, contains: Predicate, key: tuple[str, str]
) -> Doubt:
    """Of the object `key` (class, key as text): `changes` are its rows above a version, `since` the file's own advances
    above it."""
    result = Doubt(ident, contains)
    for change in changes:
        result.see(change)
    class_name, object_id = key
    for advance in since:
        owed = advance.owed.get(class_name, {}).get(object_id)
        if owed is not None:
            result.owe(owed)
        if advance.bootstrap:
            result.bootstrap()
    return result
