"""User files: the end of what a removed user leaves on this device.

Decides when a realm file counts as in use, and deletes none that is: a realm of this process has it, another process
syncs it (it holds `<file>.lock`), or anybody at all has the database open. What is left then is deleted another time.
Knows neither apps nor realms: `open_files.py` says here what this process has open.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import shutil
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path

from .reset import is_unlocked

logger = logging.getLogger("realm_sync.client")

_COMPANIONS = ("-wal", "-shm", "-journal", ".lock", ".reset")

_is_open: Callable[[str], bool] = lambda path: False  # noqa: E731 (as long as no realm was ever opened)
_end: Callable[[str], None] = lambda path: None  # noqa: E731


def register(is_open: Callable[[str], bool], end: Callable[[str], None]) -> None:
    """`is_open(path)`: whether a realm of this process uses the file. `end(path)`: nobody does, so its session, which may
    still be uploading, ends."""
    global _is_open, _end
    _is_open, _end = is_open, end


def realm_files(directory: Path, others: Iterable[Path] = ()) -> list[Path]:
    """The databases of a user: those in the directory and `others`, as far as they exist."""
    inside = directory.iterdir() if directory.is_dir() else ()
    return [file for file in (*inside, *others) if file.is_file() and not file.name.endswith(_COMPANIONS)]


def open_here(files: Iterable[Path]) -> Path | None:
    """The first of the files that a realm of this process has open."""
    return next((file for file in files if _is_open(str(file))), None)


def delete_user_files(directory: Path, others: Iterable[Path] = ()) -> bool:
    """Deletes a user's directory and his `others`; nothing, as long as one of the files is in use or the system refuses.
    Whether they are gone."""
    try:
        files = realm_files(directory, others)
        if open_here(files):
            return False
        for file in files:
            _end(str(file))
        with contextlib.ExitStack() as locks:
            if not all(take(file, locks) for file in files):
                return False
            for other in others:
                for each in (other, *(other.with_name(f"{other.name}{end}") for end in _COMPANIONS)):
                    each.unlink(missing_ok=True)
                shutil.rmtree(other.with_name(f"{other.name}.management"), ignore_errors=True)
            if directory.is_dir():
                shutil.rmtree(directory)
    except OSError as error:
        logger.warning("The files of a removed user in '%s' cannot be deleted: %s", directory, error)
        return False
    return True


def take(file: Path, locks: contextlib.ExitStack) -> bool:
    """Takes the lock of whoever syncs the file, until `locks` close; false if the file is in use by another process."""
    lock = locks.enter_context(file.with_name(f"{file.name}.lock").open("a"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    uri = f"file:{urllib.parse.quote(str(file))}?mode=rw"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as database:
            # Leaving WAL needs the file for oneself: SQLite refuses it as long as another connection exists.
            database.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    except sqlite3.DatabaseError:  # encrypted, or no database
        with file.open("r+b") as content:
            return is_unlocked(content)
    return True
