"""Hooks: what the realms of a file are told of their session: errors, and the stages of a client reset.

Decides who hears what (reference 6.4): every realm that has the file open, in the order of opening, where it was opened
(its asyncio loop, else the sync thread). A callback that raises is logged and stops nothing. The realm of before is
frozen for as long as somebody who got it may still look at it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .configuration import SyncConfiguration
from .errors import ClientResetError, SyncError
from .listeners import deliver

if TYPE_CHECKING:
    from .realm import Realm
    from .sync_session import SyncSession

logger = logging.getLogger("realm_sync.client")

Outcome = Literal["recover", "discard", "fallback", "failed"]
"""What became of a client reset. `fallback`: writes were to be recovered, and could not be."""


@dataclass(eq=False)
class RealmHooks:
    """Those of one realm."""

    realm: Realm
    sync: SyncConfiguration
    loop: asyncio.AbstractEventLoop | None


class Hooks:
    """Those of all realms of a file."""

    def __init__(self, session: SyncSession) -> None:
        self._session = session
        self._realms: list[RealmHooks] = []

    def add(self, hooks: RealmHooks) -> None:
        self._realms.append(hooks)

    def remove(self, hooks: RealmHooks) -> None:
        if hooks in self._realms:
            self._realms.remove(hooks)

    def failed(self, error: SyncError) -> None:
        """Something went wrong in the background: `on_error`, or the log if nobody has one."""
        listening = [each for each in list(self._realms) if each.sync.on_error is not None]
        if not listening:
            logger.warning("%s", error)
        for each in listening:
            self._tell_error(each, error)

    def left_to_the_app(self, error: ClientResetError) -> None:
        """A manual client reset: `on_manual`, or `on_error` of realms without one."""
        for each in list(self._realms):
            if each.sync.client_reset.on_manual is not None:
                deliver(each.loop, each.sync.client_reset.on_manual, self._session, str(error.config.path))
            else:
                self._tell_error(each, error)

    def resetting(self) -> Callable[[Outcome], None]:
        """The new content is here and replaces the old as soon as this returns: `on_before`. What it returns must be
        called when that is done or has failed: `on_after` or `on_fallback`."""
        realms = list(self._realms)
        befores: dict[RealmHooks, _Before] = {}
        for each in realms:
            if each not in self._realms:
                continue  # closed by a callback of another one
            reset = each.sync.client_reset
            if reset.on_before is not None or reset.on_after is not None:
                before = befores[each] = _Before(each.realm._freeze())
                if reset.on_before is not None:
                    before.tell(each.loop, reset.on_before)

        def done(outcome: Outcome) -> None:
            for each in realms:
                before, reset, is_open = befores.get(each), each.sync.client_reset, each in self._realms
                if is_open and outcome == "fallback" and reset.on_fallback is not None:
                    deliver(each.loop, reset.on_fallback, self._session, each.realm.path)
                if before is not None:
                    if is_open and outcome in ("recover", "discard") and reset.on_after is not None:
                        before.tell(each.loop, reset.on_after, each.realm)
                    before.release()

        return done

    def _tell_error(self, hooks: RealmHooks, error: SyncError) -> None:
        if hooks.sync.on_error is not None:
            deliver(hooks.loop, hooks.sync.on_error, self._session, error)


class _Before:
    """The frozen realm of before, closed when its last holder is done with it. Begins with one: the reset."""

    def __init__(self, realm: Realm) -> None:
        self.realm, self._holders, self._guard = realm, 1, threading.Lock()

    def tell(self, loop: asyncio.AbstractEventLoop | None, callback: Callable[..., object], *arguments: object) -> None:
        with self._guard:
            self._holders += 1

        def call() -> None:
            try:
                callback(self.realm, *arguments)
            finally:
                self.release()

        if not deliver(loop, call):
            self.release()

    def release(self) -> None:
        with self._guard:
            self._holders -= 1
            if self._holders:
                return
        self.realm.close()
