"""Bootstrap: rows/s of the first download of a large class, out of the server and into a client's store."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import connect

from realm_sync.client import App, Credentials, InitialSubscriptions, OpenBehavior, Realm, SyncConfiguration

from .clients import raw_client
from .setting import PASSWORD, Figure, Setting, median_seconds

QUERY = "Inspection: TRUEPREDICATE"


def run(setting: Setting) -> Iterator[Figure]:
    count = setting.size(100_000, 10_000)
    setting.fill(count)
    repetitions = setting.repetitions
    with setting.server("benchmarks.bare:application") as bare:
        plain = median_seconds(lambda: asyncio.run(_bare_rows(bare.port, None)), repetitions)
        stored = median_seconds(lambda: asyncio.run(_bare_rows(bare.port, setting.directory / "bare.db")), repetitions)
    with setting.server() as server:
        token = setting.token()
        sent = median_seconds(lambda: asyncio.run(_subscribe(server.port, token)), repetitions)
        app = App("realm-sync", base_url=server.url, base_file_path=setting.directory)
        user = app.log_in(Credentials.email_password("nora", PASSWORD)).result()
        paths = (setting.directory / f"{number}.realm" for number in range(repetitions + 1))
        opened = median_seconds(lambda: _open(user, next(paths), count), repetitions)
    yield Figure(
        f"bootstrap of {count:,} rows, to a raw client", setting.name, count / sent, "rows/s",
        "SELECT → JSON → bare websocket", count / plain, 150_000,
    )  # fmt: skip
    yield Figure(
        f"bootstrap of {count:,} rows, into a client's store", setting.name, count / opened, "rows/s",
        "bare websocket → executemany into SQLite", count / stored, 50_000,
    )  # fmt: skip


async def _subscribe(port: int, token: str) -> None:
    async with raw_client(port, token) as client:
        await client.subscribe(QUERY)


async def _bare_rows(port: int, path: Path | None) -> None:
    """Receives the rows; with a path, also stores them as one transaction of the simplest kind."""
    async with connect(f"ws://127.0.0.1:{port}/rows", compression=None, max_size=None) as socket:
        frames = [frame async for frame in socket]
    if path is not None:
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as connection:
            for frame in frames:
                _store(connection, msgspec.json.decode(frame))


def _store(connection: sqlite3.Connection, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    connection.execute(f"CREATE TABLE IF NOT EXISTS inspection ({', '.join(columns)}, PRIMARY KEY (id))")
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO inspection VALUES ({marks})", [list(row.values()) for row in rows])


def _open(user: Any, path: Path, count: int) -> None:
    """From nothing to a realm with everything in it."""
    subscriptions = InitialSubscriptions(lambda subscriptions, realm: subscriptions.add(realm.objects("Inspection")))
    config = SyncConfiguration(user, subscriptions, new_realm_file_behavior=OpenBehavior("download_before_open"))
    realm = Realm.open(path=path, sync=config).result()
    assert len(realm.objects("Inspection")) == count
    realm.close()
