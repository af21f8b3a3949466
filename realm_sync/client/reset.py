"""Reset: a file that a client reset could not mend is put aside, so that the next opening begins anew.

Decides when that may happen and in which order the files move, so that a crash at any point loses nothing. The session
that met the reset only leaves a marker beside the file, which says where to: others still have it open. Knows neither
SQL nor keys; an encrypted file moves like any other.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import shutil
import sqlite3
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

SQLITE = b"SQLite format 3\0"
SQLITE_LOCK = (510, 0x40000002)
"""Length and place of the bytes that every connection in WAL mode holds a shared lock on (SQLite's os_unix.c)."""

logger = logging.getLogger("realm_sync.client")


def schedule(path: str | Path, directory: Path) -> Path:
    """Marks the file at `path` to be put aside, in `directory` (the app's), and says where it will be then. A second
    call changes nothing."""
    known = scheduled(path)
    if known is not None:
        return known
    letters = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(6))
    at = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    backup = (directory / "recovered-realms" / f"recovered_realm-{at}-{letters}").absolute()
    marker = _marker(path)
    unfinished = marker.with_name(f"{marker.name}.{os.getpid()}")
    with unfinished.open("w") as file:
        file.write(str(backup))
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, marker)
    synchronize(marker.parent)
    return backup


def scheduled(path: str | Path) -> Path | None:
    """Where the file will be put aside; None: it will not."""
    try:
        return Path(_marker(path).read_text())
    except FileNotFoundError:
        return None


def carry_out(path: str | Path) -> bool:
    """Puts the file aside if that is scheduled and nobody has it open; false if not. No realm of this process may have
    it open. Interrupted, it goes on with the next call."""
    try:
        marker = _marker(path).open()
    except FileNotFoundError:
        return False
    with marker:
        # Another process may be at it, and make a new file as soon as this one is gone: that must stay.
        fcntl.flock(marker, fcntl.LOCK_EX)
        backup = Path(marker.read())
        return scheduled(path) == backup and _put_aside(path, backup)


def _put_aside(path: str | Path, backup: Path) -> bool:
    if not _is_free(Path(path)):
        logger.warning("'%s' is in use by another process: it is put aside as '%s' later", path, backup)
        return False
    path = os.path.realpath(path)
    backup.parent.mkdir(parents=True, exist_ok=True)
    # The database comes last: what is at the backup's path is then complete, and until then the next call finds it.
    for suffix in ("-shm", "-wal", ""):
        _move(Path(f"{path}{suffix}"), Path(f"{backup}{suffix}"))
        synchronize(backup.parent)
    _marker(path).unlink()
    synchronize(Path(path).parent)
    logger.warning("'%s' was put aside as '%s'", path, backup)
    return True


def is_unlocked(file: IO[bytes]) -> bool:
    """Whether no other process has the database open, which SQLite need not be able to read. This process must not."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, *SQLITE_LOCK)
    except OSError:
        return False
    return True


def _marker(path: str | Path) -> Path:
    return Path(f"{os.path.realpath(path)}.reset")


def _is_free(path: Path) -> bool:
    """Whether nobody has it open. Its write-ahead log is in the database then, if SQLite can read that."""
    if not path.exists():
        return True
    with path.open("r+b") as file:
        if file.read(len(SQLITE)) != SQLITE:
            # Encrypted, or no database any more: SQLite must not see it, it would take the log for garbage.
            return is_unlocked(file)
    try:
        connection = sqlite3.connect(path, timeout=1, isolation_level=None)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True  # damaged: all its files move as they are
    return not Path(f"{path}-wal").exists()  # the last connection takes the log with it


def _move(source: Path, target: Path) -> None:
    if not source.exists():
        return
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = target.with_name(f"{target.name}.copy")  # another file system
        shutil.copy2(source, copy)
        synchronize(copy)
        os.replace(copy, target)
        source.unlink()


def synchronize(path: Path) -> None:
    """Waits until what is at `path`, a file or a directory's entries, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
