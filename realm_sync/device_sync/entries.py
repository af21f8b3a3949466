"""Entries: the changesets of one download, written as they come.

Decides where one entry ends and the next begins, and which versions they carry. All but the last leave the client's
cursor where it was, for it may commit in the middle of a message; partition sync, whose entries have rising versions,
gets one entry. Which objects are said is for downloads.py, how they are said for assertions.py. An object that cannot be
said, because its key is none of its class, is left out with a line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from ..core.changes import Change, Image
from ..core.device_sync.assertions import Assertions
from ..core.device_sync.changesets import Encoder
from ..core.device_sync.frames import Body, BodyWriter, DownloadEntry
from ..core.device_sync.instructions import AnyInstruction
from ..core.errors import ValueTypeError
from ..core.schema import Schema
from ..registry import registry
from .files import SERVER, wire_ident

logger = logging.getLogger("realm_sync.device_sync")

ENTRY_BYTES = 1 << 20
"""An entry is closed when it has grown beyond this: clients apply bootstraps in slices of about so much."""
EPOCH = 1_420_070_400_000
"""2015-01-01, from which the timestamps of entries count, in milliseconds since 1970."""

Stamp = tuple[int, int]
"""Timestamp and origin of an entry, as on the wire: what the client compares its own pending writes with."""
UNKNOWN: Stamp = (0, SERVER)
"""Loses against any pending write, until the server has decided about that."""


def stamp(change: Change | None, ident: int) -> Stamp:
    """Of what this row wrote, for the client file `ident`. No client takes an entry of its own origin."""
    if change is None:
        return UNKNOWN
    is_other = change.origin not in (0, ident)
    return max(change.timestamp - EPOCH, 0), wire_ident(change.origin) if is_other else SERVER


@lru_cache(maxsize=256)
def assertions(schema: Schema, class_name: str) -> Assertions:
    return Assertions(schema, schema[class_name])


class Entries:
    """Say what is to be said with `schema`, `whole`, `properties` and `erase`, in the order in which the client shall
    apply it; then call `finish`."""

    def __init__(self, before: int, version: int, client_version: int, *, is_flexible: bool) -> None:
        """`before`: the version of all entries but the last, which has `version`. All are for a state that contains the
        client's changesets up to `client_version`."""
        self._before, self._version, self._client_version = before, version, client_version
        self._is_flexible = is_flexible
        self._encoder, self._body = Encoder(), BodyWriter()
        self._stamp: Stamp | None = None
        self._waiting: DownloadEntry | None = None
        """The last entry so far: its version is known when the next one comes, or none."""

    @property
    def is_empty(self) -> bool:
        return not self._encoder.size and self._waiting is None

    def schema(self, instructions: Iterable[AnyInstruction]) -> None:
        self._begin(UNKNOWN)
        self._write(instructions)
        if self._is_flexible:
            self._close()

    def whole(self, class_name: str, image: Image, stamp: Stamp = UNKNOWN) -> None:
        """The object exists, and is this."""
        self._begin(stamp)
        self._say(class_name, image, lambda says: says.write(self._encoder, image))

    def properties(self, class_name: str, image: Image, names: Iterable[str], stamp: Stamp = UNKNOWN) -> None:
        """These properties of an object that the client has are as in the image."""
        self._begin(stamp)
        self._say(class_name, image, lambda says: self._write(says.properties(image, names)))

    def erase(self, class_name: str, key: Any) -> None:
        """The object with this wire value as its key is gone. When that happened decides nothing: an erased object
        stays so."""
        self._begin(UNKNOWN)
        self._say(class_name, {"_id": key}, lambda says: self._write(says.erase(key)))

    def fill(self) -> None:
        """An entry that changes nothing, where one is needed."""
        self._put(b"", UNKNOWN)

    def finish(self) -> Body:
        self._close()
        if self._waiting is not None:
            self._body.add(self._waiting._replace(server_version=self._version))
        return self._body.finish()

    def _say(self, class_name: str, image: Image, write: Callable[[Assertions], None]) -> None:
        try:
            write(assertions(registry.schema, class_name))
        except ValueTypeError as error:
            logger.error("%s %s cannot be sent to official SDKs: %s", class_name, image.get("_id"), error)

    def _write(self, instructions: Iterable[AnyInstruction]) -> None:
        for instruction in instructions:
            self._encoder.write(instruction)

    def _begin(self, stamp: Stamp) -> None:
        """What comes next has this stamp."""
        if self._is_flexible:
            if self._encoder.size > ENTRY_BYTES or stamp != self._stamp:
                self._close()
            self._stamp = stamp
        else:
            # Of several stamps the one entry has none.
            self._stamp = stamp if self._stamp in (None, stamp) else UNKNOWN

    def _close(self) -> None:
        if self._encoder.size:
            self._put(self._encoder.take(), self._stamp or UNKNOWN)

    def _put(self, changeset: bytes, stamp: Stamp) -> None:
        if self._waiting is not None:
            self._body.add(self._waiting)
        self._waiting = DownloadEntry(self._before, self._client_version, *stamp, changeset)
