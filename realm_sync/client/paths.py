"""Paths: where the realm files of an app lie.

Decides the names below `<base_file_path>/mongodb-realm/<app id>/` (reference 1.7): a directory for each user, in it a
file for each realm, called by its path or by its partition. Looks for files that are there under an older name, creates
none.
"""

from __future__ import annotations

import os
import urllib.parse
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from realm_sync.core.values import ObjectId

from .errors import RealmError


class _Unset(Enum):
    UNSET = "not given"


UNSET: Final = _Unset.UNSET
"""Stands for a partition value that was not given: None is one."""
Partition = str | int | ObjectId | UUID | None
MaybePartition = Partition | Literal[_Unset.UNSET]

LONGEST_NAME = 255 - len("-journal")
"""Bytes that file systems allow in a name, less what the names of a realm's companion files add to its own."""
LONGEST_PATH = 4095 - len("-journal")
SUFFIX = ".realm"


def path_component(text: str) -> str:
    """Percent-encoded so that it is one name in a directory. Raises RealmError for what is none: `.`, `..` and nothing."""
    if text in ("", ".", ".."):
        raise RealmError(
            f"A path can't have an identifier reserved by the filesystem: '{text}'", code="InvalidArgument"
        )
    return urllib.parse.quote(text, safe="-_.").replace("~", "%7E")


def partition_name(value: MaybePartition) -> str:
    """The name of the realm of a partition; of the one without partition, flexible sync's."""
    match value:
        case _Unset.UNSET:
            return "flx_sync_default"
        case None:
            return "null"
        case str():
            return f"s_{value}"
        case int() if not isinstance(value, bool):
            return f"{'i' if -(2**31) <= value < 2**31 else 'l'}_{value}"
        case ObjectId():
            return f"o_{value}"
        case UUID():
            return f"u_{value}"
    accepted = "Only int, string UUID and ObjectId types are currently supported."
    raise RealmError(f"Unsupported partition key value: {value!r}. {accepted}", code="BadSyncPartitionValue")


def synced_path(directory: Path, user_id: str, path: str | Path | None, partition: MaybePartition = UNSET) -> Path:
    """Where a user's realm lies, or will: `directory` is the app's. No `path`: by its partition; relative: a file name,
    slashes and all; absolute: as it is. A name that is too long for the file system becomes its hash, beside the users'
    directories. Raises RealmError where nothing will do."""
    if path is not None and os.path.isabs(path):
        return Path(path)
    name = path_component(partition_name(partition) if path is None else str(path).removesuffix(SUFFIX))
    folder = directory / path_component(user_id)
    preferred = folder / f"{name}{SUFFIX}"
    hashed = directory / f"{sha256(os.fsencode(preferred)).hexdigest()}{SUFFIX}"
    for candidate in (folder / name, preferred, hashed):
        if os.path.isfile(candidate):
            return candidate
    for candidate in (preferred, hashed):
        if _fits(candidate):
            return candidate
    raise RealmError(
        f"A valid realm path cannot be created for the Realm identity '{name}': even '{hashed}' is too long. "
        "Choose a base_file_path nearer to the root.",
        code="InvalidArgument",
    )


def _fits(path: Path) -> bool:
    *folders, name = (len(os.fsencode(part)) for part in path.parts)
    return name <= LONGEST_NAME and max(folders, default=0) <= 255 and len(os.fsencode(path)) <= LONGEST_PATH
