"""Client files and the server's engine on a network that loses, delays and repeats, all in one process.

The client's store and session and the server's session and database are the real ones; only the wire is not. A `Device`
is one client file; `connect()` opens a `Link`, which ends by `cut()` or by a fault that was planned for it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from realm_sync.client.store import Store
from realm_sync.core import client_session as core
from realm_sync.core import messages as m
from realm_sync.sessions import Session

UPLOAD = '{"type":"upload"'


class Link:
    """One connection between a device and the server."""

    def __init__(self, device: Device, chaos: random.Random | None, frames: int | None) -> None:
        """It breaks after `frames` frames (None: never); with `chaos`, frames are late and uploads come twice."""
        self.device, self._chaos, self._left = device, chaos, frames
        self._down: asyncio.Queue[str] = asyncio.Queue()
        self._server = Session(self._send_down, self._page_user)
        self._task = asyncio.create_task(self._run())
        self.ended: core.Ended | None = None

    async def _page_user(self) -> Any:
        return self.device.user

    async def _send_down(self, frame: str) -> None:
        self._down.put_nowait(frame)

    async def cut(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_open(self) -> bool:
        return not self._task.done()

    async def _run(self) -> None:
        server = asyncio.create_task(self._server.run())
        try:
            await self._converse()
        finally:
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    async def _converse(self) -> None:
        device, store = self.device, self.device.store
        # Back after long, or at once: everybody must come to the same in either case.
        waits = self._chaos.random() < 0.5 if self._chaos else store.file().client_file is not None
        self.session = core.ClientSession(store.file_state(), None, None, download_first=waits)
        if not await self._perform(self.session.opened(time.monotonic())):
            return
        while True:
            frame = await self._next()
            if self._lost():
                return
            effects: list[core.Effect] = []
            if frame is not None:
                effects = self.session.receive(m.decode_from_server(frame), time.monotonic())
            elif device.woken.is_set():
                device.woken.clear()
                effects = self.session.subscriptions_changed(store.unsent_sets()) + self.session.local_commit()
                while device.marks_wanted:
                    effects += self.session.request_mark(device.marks_wanted.pop())
            if not await self._perform(effects):
                return

    async def _next(self) -> str | None:
        get, woken = asyncio.ensure_future(self._down.get()), asyncio.ensure_future(self.device.woken.wait())
        try:
            await asyncio.wait((get, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            if not get.done():
                get.cancel()
        if get.done() and not get.cancelled():
            if self._chaos:
                await asyncio.sleep(self._chaos.random() * 0.004)
            return get.result()
        return None

    def _lost(self) -> bool:
        if self._left is not None:
            self._left -= 1
        return self._left is not None and self._left < 0

    async def _perform(self, effects: list[core.Effect]) -> bool:
        device, store, queue = self.device, self.device.store, deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case core.Send(message):
                    if self._lost():
                        return False
                    frame = m.encode(message)
                    self._server.receive(frame)
                    if self._chaos and frame.startswith(UPLOAD) and self._chaos.random() < 0.2:
                        self._server.receive(frame)
                case core.StoreBound(client_file, bound):
                    store.store_bound(client_file, bound)
                case core.DropParts():
                    store.drop_parts()
                case core.StorePart(download):
                    store.store_part(download)
                    queue.extendleft(reversed(self.session.stored()))
                case core.ApplyDownload(download, with_parts):
                    applied = store.apply(download, with_parts)
                    device.told += [write for report in applied.rejected for write in report.writes]
                    store.reports_told(applied.rejected)
                    queue.extendleft(reversed(self.session.applied(download)))
                case core.ReadPending(after, upto, max_bytes):
                    queue.extendleft(reversed(self.session.pending_read(store.pending(after, upto, max_bytes))))
                case core.HoldRejected(rejected):
                    device.told += [write for report in store.hold_rejected(rejected) for write in report.writes]
                case core.RefuseSet(error):
                    raise AssertionError(error.message)
                case core.Marked(ident):
                    device.marked = max(device.marked, ident)
                case core.Ended():
                    self.ended = effect
                    if effect.action == "reset":
                        store.begin_reset("recover", getattr(effect.error, "client_version", None))
                    elif effect.action == "stop":
                        raise AssertionError(effect.error)
                    return False
        return True


class Device:
    """One client file and what its user does."""

    def __init__(self, path: Path, user: Any) -> None:
        self.path, self.user = path, user
        self.store = Store(path)
        self.link: Link | None = None
        self.woken = asyncio.Event()
        self.marks_wanted: list[int] = []
        self.marked = self._asked = 0
        self.told: list[m.RejectedWrite] = []

    def connect(self, chaos: random.Random | None = None, frames: int | None = None) -> None:
        if self.link is None or not self.link.is_open:
            self.woken.set()
            self.link = Link(self, chaos, frames)

    async def disconnect(self) -> None:
        if self.link:
            await self.link.cut()
            failure = None if self.link._task.cancelled() else self.link._task.exception()
            self.link = None
            if failure:
                raise failure

    async def restart(self) -> None:
        """The process is killed and started again: only the file is left."""
        await self.disconnect()
        self.store.close()
        self.store = Store(self.path)

    def close(self) -> None:
        self.store.close()

    def write(self, op: str, class_name: str, key: Any, timestamp: int, **values: Any) -> bool:
        """A local write transaction of one step; False if the object does not allow it (present, absent)."""
        table = self.store.table(class_name)
        if table is None:
            return False
        with self.store.transaction() as connection:
            writer = self.store.writer(connection)
            present = writer.get(table, table.key_from_wire(key)) is not None
            if present == (op == "create"):
                return False
            if op == "create":
                writer.create(table, {"_id": key, **values})
            elif op == "update":
                writer.update(table, table.key_from_wire(key), values)
            else:
                writer.delete(table, table.key_from_wire(key))
            writer.finish(timestamp)
        self.woken.set()
        return True

    def edit(self, timestamp: int, edits: Sequence[m.AnyEdit]) -> bool:
        """A local write transaction of edits of one property; False if the object is gone."""
        table = self.store.table(edits[0].class_name)
        assert table is not None
        with self.store.transaction() as connection:
            writer, key = self.store.writer(connection), table.key_from_wire(edits[0].id)
            row = writer.get(table, key)
            if row is None:
                return False
            name = str(edits[0].path[0])
            column = row[table.place[name]]
            writer.edit(table, key, edits, column, table.to_wire(name, column))
            writer.finish(timestamp)
        self.woken.set()
        return True

    def ident(self) -> int | None:
        """The client file's, once the server has given it one."""
        client_file = self.store.file().client_file
        return client_file.ident if client_file else None

    def subscribe(self, *queries: tuple[str, str]) -> None:
        now = datetime.now(UTC).isoformat()
        self.store.add_set(
            m.SubscriptionItem(id=f"{number:024}", class_name=name, query=query, created_at=now, updated_at=now)
            for number, (name, query) in enumerate(queries)
        )
        self.woken.set()

    def objects(self, class_name: str) -> dict[Any, dict[str, Any]]:
        """Wire images by key, as the user sees them."""
        table = self.store.table(class_name)
        if table is None:
            return {}
        rows = self.store.connection.execute(table.select).fetchall()
        images = [table.image(row) for row in rows]
        return {image["_id"]: image for image in images}

    async def settle(self, seconds: float = 20) -> None:
        """Connects for good and waits until everything is uploaded and everything there is has come down."""
        deadline = time.monotonic() + seconds
        await self.disconnect()
        while time.monotonic() < deadline:
            self.connect()
            self._asked += 1
            self.marks_wanted.append(self._asked)
            self.woken.set()
            while time.monotonic() < deadline and self.link is not None and self.link.is_open:
                if self.marked >= self._asked and not self.store.pending_count() and not self.store.unsent_sets():
                    return
                if self.marked >= self._asked:
                    self._asked += 1
                    self.marks_wanted.append(self._asked)
                    self.woken.set()
                await asyncio.sleep(0.005)
            with suppress(AttributeError, asyncio.InvalidStateError):
                self.link._task.result()  # a failure of the link is a failure of the test
        raise AssertionError(
            f"{self.path.name} did not settle: {self.store.pending_count()} pending, {self.marked=} of {self._asked}, {self.store.file()}, "
            f"sets {self.store.unsent_sets()}"
        )
