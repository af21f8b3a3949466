"""The setting of a benchmark: a fresh database with triggers, its world of inspections, and servers on it.

Databases and servers are those of the tests (tests/postgres.py, tests/servers.py): PostgreSQL is a throw-away cluster,
here one that waits for the disk, unless REALM_SYNC_TEST_POSTGRES names another. Import this module before any model.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402  (the app registry must be ready)
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from realm_sync import auth  # noqa: E402
from tests.postgres import Cluster, LocalCluster, find_cluster, free_port  # noqa: E402
from tests.servers import Server  # noqa: E402
from tests.testapp.models import Airfield, Inspection, Team  # noqa: E402

DatabaseName = Literal["sqlite", "postgresql"]
DATABASES: tuple[DatabaseName, ...] = ("sqlite", "postgresql")
PASSWORD = "benchmark"


@dataclass(frozen=True)
class Figure:
    """One line of the table. `target` is in the unit of `value`; `at_most`: less is better."""

    what: str
    database: str
    value: float
    unit: str
    baseline: str
    baseline_value: float
    target: float | None = None
    at_most: bool = False
    targets_ratio: bool = False
    """The target is one of the ratio to the baseline."""

    @property
    def ratio(self) -> float:
        return self.value / self.baseline_value

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        found = self.ratio if self.targets_ratio else self.value
        return found <= self.target if self.at_most else found >= self.target


class Setting:
    """One database, empty but for two airfields, team North and its inspector Nora."""

    def __init__(self, name: DatabaseName, alias: str, url: str, directory: Path, quick: bool) -> None:
        self.name, self.alias, self.url, self.directory, self.quick = name, alias, url, directory, quick
        self.nora = get_user_model().objects.create_user("nora", "nora@example.org", PASSWORD)
        self.north = Team.objects.create(name="North")
        self.north.members.add(self.nora)
        Airfield.objects.create(icao="EDDM", name="Munich", country="DE", latitude=48.35, longitude=11.79)
        Airfield.objects.create(icao="ENSB", name="Longyear", country="NO", latitude=78.25, longitude=15.47)

    def size(self, full: int, quick: int) -> int:
        """How many of something: all of it, or what `--quick` makes do with."""
        return quick if self.quick else full

    @property
    def repetitions(self) -> int:
        return self.size(3, 1)

    def token(self) -> str:
        """An access token of Nora."""
        return auth.log_in_with_password("nora", PASSWORD).access_token

    def fill(self, count: int) -> list[Inspection]:
        """`count` inspections of team North, and no others."""
        with connections[self.alias].cursor() as cursor:
            cursor.execute("DELETE FROM testapp_inspection")  # a hundred thousand by delete() take half a minute
        rows = [
            Inspection(
                airfield_id=("EDDM", "ENSB")[number % 2],
                team=self.north,
                title=f"Runway lights {number}",
                priority=number % 5,
                notes="Threshold lights of runway 08L: two lamps are out, the others are clean.",
            )
            for number in range(count)
        ]
        Inspection.objects.bulk_create(rows, batch_size=5000)
        with connections[self.alias].cursor() as cursor:
            cursor.execute("ANALYZE")
        return rows

    @contextmanager
    def server(self, application: str = "tests.asgi:application") -> Iterator[Server]:
        """A Daphne process on this database: realm_sync's, or one with a bare application to compare with."""
        log = self.directory / f"server-{free_port()}.log"
        server = Server(free_port(), {"REALM_SYNC_TEST_DATABASE_URL": self.url}, log, application=application)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def open_setting(name: DatabaseName, quick: bool = False) -> Iterator[Setting]:
    """A migrated database of its own, which goes away again."""
    directory = Path(tempfile.mkdtemp(prefix="realm-sync-benchmark-"))
    cluster: Cluster | None = None
    alias = "default" if name == "sqlite" else "postgres"
    settings.REALM_SYNC = {"DATABASE": alias}
    try:
        if name == "sqlite":
            location: dict[str, Any] = {"NAME": str(directory / "benchmark.sqlite3")}
            url = f"sqlite:///{location['NAME']}"
        else:
            LocalCluster.durability = {"fsync": "on", "full_page_writes": "on"}
            cluster = find_cluster()
            database = f"{cluster.prefix}benchmark"
            cluster.create(database)
            location, url = cluster.settings(database), cluster.url(database)
        connections[alias].close()
        del connections[alias]
        connections.settings[alias].update(location)
        call_command("migrate", database=alias, verbosity=0)
        call_command("migrate", database=alias, verbosity=0, run_syncdb=True)
        yield Setting(name, alias, url, directory, quick)
    finally:
        connections.close_all()
        if cluster is not None:
            cluster.drop(f"{cluster.prefix}benchmark")
            cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median_seconds(work: Callable[[], Any], repetitions: int, warm_up: bool = True) -> float:
    """The median of some repetitions, after one that does not count."""
    if warm_up:
        work()
    return statistics.median(seconds(work) for _ in range(repetitions))
