"""How soon after `Realm(config)` the first object of a file can be read, whether or not there is a server (R11)."""

from __future__ import annotations

import sqlite3
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from realm_sync.client import App, Realm, SyncConfiguration, User
from realm_sync.client.store import Store
from realm_sync.core.declarations import parse_class
from realm_sync.core.messages import Changes, Download, SubscriptionItem
from realm_sync.core.schema import Schema

from .setting import Figure, Setting

ROUNDS = 15
KEY = bytes(range(64))
SCHEMA = Schema(
    [
        parse_class(
            {
                "name": "Inspection",
                "primaryKey": "_id",
                "properties": {"_id": "uuid", "title": "string", "priority": "int", "notes": "string"},
            }
        )
    ]
)


def run(setting: Setting) -> Iterator[Figure]:
    """Opened, counted with a condition, and the first object that meets it read: what bare SQLite does with the same
    statements is the baseline. The server is not there: opening never waits for it."""
    app = App("realm-sync", base_url="http://127.0.0.1:1", base_file_path=setting.directory / "opening")
    user = User(app, {"id": "nora", "provider": "local-userpass", "state": "LoggedOut"})
    count = setting.size(100_000, 5000)
    plain, encrypted = (setting.directory / "opening" / f"{name}.realm" for name in ("plain", "encrypted"))
    _fill(Store(plain), count)
    _fill(Store(encrypted, encryption_key=KEY), count)

    def bare() -> float:
        begin = time.perf_counter()
        with closing(sqlite3.connect(plain)) as connection:
            where = 'FROM "Inspection" WHERE priority = 3'
            assert connection.execute(f"SELECT count(*) {where}").fetchone() == (count // 5,)
            assert connection.execute(f"SELECT * {where} ORDER BY rowid LIMIT 1").fetchone()
            return (time.perf_counter() - begin) * 1000

    def realm(path: Path, encryption_key: bytes | None) -> float:
        begin = time.perf_counter()
        with Realm(path, sync=SyncConfiguration(user), encryption_key=encryption_key) as realm:
            found = realm.objects("Inspection").filtered("priority == 3")
            assert len(found) == count // 5
            assert found[0].title
            return (time.perf_counter() - begin) * 1000

    timings = []
    for _ in range(setting.size(ROUNDS, 1) + 1):  # in turns, so that a disturbance meets all of them
        timings.append((bare(), realm(plain, None), realm(encrypted, KEY)))
    # The first round also reads the grammar of queries, once in a process, as an import does its module.
    baseline, ours, with_key = map(statistics.median, zip(*timings[1:], strict=True))
    what = f"open an existing file of {count:,} objects, until the first object is read"
    yield Figure(what, "none", ours, "ms", "bare sqlite3", baseline, 50.0, at_most=True)
    yield Figure(f"{what}, encrypted", "none", with_key, "ms", "bare sqlite3, not encrypted", baseline)


def _fill(store: Store, count: int) -> None:
    """The file of a device that has downloaded everything."""
    created = "2026-01-01T00:00:00.000000Z"
    item = SubscriptionItem(
        id="0" * 24, class_name="Inspection", query="TRUEPREDICATE", created_at=created, updated_at=created
    )
    images = [
        {
            "_id": str(uuid.UUID(int=number)),
            "title": f"Runway lights {number}",
            "priority": number % 5,
            "notes": "Threshold lights of runway 08L: two lamps are out, the others are clean.",
        }
        for number in range(count)
    ]
    with closing(store):
        store.add_schema(SCHEMA)
        with store.transaction():
            version = store.add_set([item])
        store.apply(
            Download(
                query_version=version, batch_state="last", server_version=1, client_version=0, progress=1.0, view=1,
                changes=[Changes(class_name="Inspection", put=images)],
            ),
            with_parts=False,
        )  # fmt: skip
        store.set_opened()
