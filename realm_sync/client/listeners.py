"""Listeners: who is told what when a realm file changes, and the thread that tells them.

Decides the change sets (reference 9.7): insertions, deletions and modifications by index, computed from keys and row
revisions, so that it does not matter who wrote: this process, its sync thread or another process. Notices commits of
this process at once and those of others within a fifth of a second.

Callbacks run on the notifier's thread, one at a time; a listener that was added while an asyncio loop was running is
called in that loop instead. Realm's own `change` listeners are called by the realm, at the end of a local commit.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .store import Store

logger = logging.getLogger("realm_sync.client")
POLL_SECONDS = 0.2
"""How often commits of other processes are looked for."""

Version = tuple[Any, Any]
"""Key and revision of one member of a collection."""


@dataclass(frozen=True)
class CollectionChanges:
    """`deletions` and `old_modifications` are indices in the previous state, the others in the new one; ascending."""

    insertions: tuple[int, ...] = ()
    deletions: tuple[int, ...] = ()
    new_modifications: tuple[int, ...] = ()
    old_modifications: tuple[int, ...] = ()

    @property
    def modifications(self) -> tuple[int, ...]:
        """Short for `new_modifications`."""
        return self.new_modifications

    def __bool__(self) -> bool:
        return bool(self.insertions or self.deletions or self.new_modifications)


@dataclass(frozen=True)
class DictionaryChanges:
    """Keys, in their order."""

    insertions: tuple[str, ...] = ()
    deletions: tuple[str, ...] = ()
    modifications: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.insertions or self.deletions or self.modifications)


@dataclass(frozen=True)
class ObjectChanges:
    deleted: bool = False
    changed_properties: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.deleted or self.changed_properties)


def collection_changes(old: Sequence[Version], new: Sequence[Version]) -> CollectionChanges:
    """What makes `new` of `old`. A member that moved is a deletion and an insertion."""
    # Most commits touch little of a large collection: only what lies between the equal ends needs the full comparison.
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at][0] != new[at][0]), shorter)
    tail = next((at for at in range(shorter - head) if old[-1 - at][0] != new[-1 - at][0]), shorter - head)
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    old_place = {key: at for at, (key, _) in enumerate(middle_old, head)}
    common = [(at, old_place[key]) for at, (key, _) in enumerate(middle_new, head) if key in old_place]
    stayed = _longest_rising([before for _, before in common])
    kept = {now: before for (now, before), stays in zip(common, stayed, strict=True) if stays}
    kept_before = set(kept.values())
    pairs = [(at, at) for at in range(head)] + list(kept.items())
    pairs += [(len(new) - at, len(old) - at) for at in range(tail, 0, -1)]
    modified = [(now, before) for now, before in pairs if new[now][1] != old[before][1]]
    return CollectionChanges(
        insertions=tuple(at for at in range(head, len(new) - tail) if at not in kept),
        deletions=tuple(at for at in range(head, len(old) - tail) if at not in kept_before),
        new_modifications=tuple(now for now, _ in modified),
        old_modifications=tuple(sorted(before for _, before in modified)),
    )


def _longest_rising(places: list[int]) -> list[bool]:
    """Which of `places` belong to a longest rising subsequence: those did not move."""
    if all(a < b for a, b in zip(places, places[1:], strict=False)):
        return [True] * len(places)
    tails: list[int] = []
    tail_at: list[int] = []
    previous = [-1] * len(places)
    for at, place in enumerate(places):
        length = bisect_left(tails, place)
        if length == len(tails):
            tails.append(place)
            tail_at.append(at)
        else:
            tails[length], tail_at[length] = place, at
        previous[at] = tail_at[length - 1] if length else -1
    chosen = [False] * len(places)
    at = tail_at[-1] if tail_at else -1
    while at >= 0:
        chosen[at] = True
        at = previous[at]
    return chosen


class Observer(Protocol):
    """Something that looks at the file after every commit and tells its listener if there is news."""

    def look(self) -> None: ...


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def deliver(loop: asyncio.AbstractEventLoop | None, callback: Callable[..., object], *arguments: object) -> bool:
    """Calls an app's callback where it belongs; false if its loop is closed. What it raises is logged: there is nobody
    to raise it to."""

    def call() -> None:
        try:
            callback(*arguments)
        except Exception:
            logger.exception("A listener raised an exception")

    if loop is None:
        call()
        return True
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return False
    return True


class CollectionObserver:
    """One listener of a collection. `read` gives the present members, `freeze` a collection of exactly these, `touched`
    a number that rises whenever the members may have changed."""

    def __init__(
        self,
        touched: Callable[[], int],
        read: Callable[[], list[Version]],
        freeze: Callable[[list[Any]], object],
        callback: Callable[[Any, CollectionChanges], object],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.touched, self.read, self.freeze, self.callback, self.loop = touched, read, freeze, callback, loop
        self.members: list[Version] | None = None
        self.seen = -1
        self.collection: object = None
        """Held so that it lives as long as it is listened to."""

    def look(self) -> None:
        seen = self.touched()
        if seen == self.seen:
            return
        members = self.read()
        self.seen = seen
        if self.members is None:
            changes = CollectionChanges()
        else:
            changes = collection_changes(self.members, members)
            if not changes:
                return
        self.members = members
        deliver(self.loop, self.callback, self.freeze([key for key, _ in members]), changes)


class ObjectObserver:
    """One listener of an object. `read` gives its values by property, None once it is deleted."""

    def __init__(
        self,
        read: Callable[[], dict[str, Any] | None],
        target: object,
        callback: Callable[[Any, ObjectChanges], object],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.read, self.target, self.callback, self.loop = read, target, callback, loop
        self.values: dict[str, Any] | None = None
        self.told = False

    def look(self) -> None:
        values = self.read()
        if not self.told:
            changes = ObjectChanges(deleted=values is None)
        elif values is None:
            if self.values is None:
                return
            changes = ObjectChanges(deleted=True)
        else:
            before = self.values or {}
            changed = tuple(name for name, value in values.items() if name not in before or before[name] != value)
            if not changed:
                return
            changes = ObjectChanges(changed_properties=changed)
        self.told, self.values = True, values
        deliver(self.loop, self.callback, self.target, changes)


class Notifier:
    """One per open file: counts its versions, and runs the observers in a thread of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.version = 0
        """Rises with every commit that this process knows of: what was read before may be stale."""
        self.on_commit: Callable[[], None] = lambda: None
        """Called after every commit to the file, whoever wrote."""
        self._observers: list[Observer] = []
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="realm-sync notifier", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """This process has committed."""
        self.version += 1
        self._wake.set()

    def add(self, observer: Observer) -> None:
        with self._guard:
            self._observers.append(observer)
        self._wake.set()

    def remove(self, observer: Observer) -> None:
        with self._guard:
            if observer in self._observers:
                self._observers.remove(observer)

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            seen = self.store.data_version()
            while not self._stopped:
                woken = self._wake.wait(POLL_SECONDS)
                self._wake.clear()
                if self._stopped:
                    return
                found = self.store.data_version()
                if found == seen and not woken:
                    continue
                if found != seen:
                    if not woken:  # another process; what this one commits it counts itself
                        self.version += 1
                    self.on_commit()
                seen = found
                with self._guard:
                    observers = list(self._observers)
                for observer in observers:
                    if not self._stopped:
                        self._look(observer)
        except Exception:
            if not self._stopped and not self.store.closed:
                logger.exception("The notifier of '%s' failed", self.store.path)

    def _look(self, observer: Observer) -> None:
        try:
            observer.look()
        except Exception:
            with self._guard:
                gone = observer not in self._observers
            if not (gone or self._stopped or self.store.closed):  # else its realm was closed in this moment
                logger.exception("A listener of '%s' cannot go on", self.store.path)
                self.remove(observer)
