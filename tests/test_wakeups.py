"""A listener is woken soon after every commit, by whoever made it, and survives what a database does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from realm_sync import history, wakeups
from tests.postgres import Cluster
from tests.testapp.models import Airfield, Team


async def in_thread(function: Any, **arguments: Any) -> Any:
    """Runs in a thread of its own, with a connection of its own."""

    def run() -> Any:
        try:
            return function(**arguments)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


async def quiet(wakeup: wakeups.Wakeup) -> None:
    """Waits until no wake-up comes for a while."""
    while True:
        try:
            await asyncio.wait_for(wakeup.wait(), 0.3)
        except TimeoutError:
            return


@pytest.fixture(autouse=True)
def no_safety_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "SAFETY_SECONDS", 60.0)


async def test_a_commit_wakes_and_a_rollback_does_not(each_database: str) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await asyncio.wait_for(wakeup.wait(), 2)
        await quiet(wakeup)
        await in_thread(Airfield.objects.create, icao="EDDF")
        began = time.monotonic()
        await asyncio.wait_for(wakeup.wait(), 2)
        assert time.monotonic() - began < 0.5
        await quiet(wakeup)

        def roll_back() -> None:
            with transaction.atomic(each_database):
                Airfield.objects.create(icao="EDDM")
                transaction.set_rollback(True, each_database)

        await in_thread(roll_back)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wakeup.wait(), 0.3)


async def test_what_was_committed_while_nobody_waited_is_not_missed(each_database: str) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        await in_thread(Airfield.objects.create, icao="EDDF")
        await asyncio.sleep(0.3)
        await asyncio.wait_for(wakeup.wait(), 0.05)


async def test_two_listeners_are_both_woken(each_database: str) -> None:
    async with wakeups.listen(each_database) as first, wakeups.listen(each_database) as second:
        await asyncio.gather(quiet(first), quiet(second))
        await in_thread(Airfield.objects.create, icao="EDDF")
        await asyncio.wait_for(asyncio.gather(first.wait(), second.wait()), 2)


async def test_a_listener_is_woken_now_and_then_whatever_was_lost(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        monkeypatch.setattr(wakeups, "SAFETY_SECONDS", 0.1)
        await asyncio.wait_for(wakeup.wait(), 2)


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
async def test_another_process_wakes_within_the_polling_time(each_database: str) -> None:
    path = str(connections.settings["default"]["NAME"])
    script = "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); "
    script += "c.execute(\"INSERT INTO testapp_airfield (icao, name, country) VALUES ('EDDF', '', '')\"); c.commit(); "
    script += "print(time.time())"
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, path, stdout=subprocess.PIPE)
        await asyncio.wait_for(wakeup.wait(), 5)
        woken = time.time()
        output, _ = await process.communicate()
        assert woken - float(output) < 0.2


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
async def test_this_process_wakes_at_once_and_only_listeners_of_the_database(each_database: str, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "POLL_SECONDS": 10.0}
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        wakeups.notify("another")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wakeup.wait(), 0.1)
        began = time.monotonic()
        await asyncio.to_thread(wakeups.notify)
        await asyncio.wait_for(wakeup.wait(), 1)
        assert time.monotonic() - began < 0.1


async def test_nothing_runs_without_listeners(each_database: str) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await wakeup.wait()
    assert not wakeups._listeners
    assert not [thread for thread in threading.enumerate() if thread.name == "realm-sync-wakeups"]
    assert len(asyncio.all_tasks()) == 1
    wakeups.notify()


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
async def test_listening_goes_on_after_the_database_restarted(each_database: str, postgres_cluster: Cluster) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        await asyncio.to_thread(postgres_cluster.restart)
        await asyncio.wait_for(wakeup.wait(), 10)
        await quiet(wakeup)
        await in_thread(Airfield.objects.create, icao="EDDF")
        await asyncio.wait_for(wakeup.wait(), 2)


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
async def test_what_an_older_transaction_hid_wakes_when_it_ends(each_database: str) -> None:
    """It ends without a notification, having written no synced table."""
    started, may_end = threading.Event(), threading.Event()

    def older() -> None:
        with transaction.atomic(each_database), connections[each_database].cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            started.set()
            assert may_end.wait(10)

    def newest() -> int:
        return history.newest(connections[each_database])

    async with wakeups.listen(each_database) as wakeup:
        running = asyncio.ensure_future(in_thread(older))
        await asyncio.to_thread(started.wait, 5)
        await in_thread(Team.objects.create)
        await quiet(wakeup)
        before = await in_thread(newest)
        may_end.set()
        await running
        await asyncio.wait_for(wakeup.wait(), 2)
        batch = await in_thread(lambda: history.read(connections[each_database], before, 10))
        assert [change.class_name for change in batch.changes] == ["Team"]


def test_the_database_driver_is_imported_only_to_listen() -> None:
    program = "import django.conf, sys; django.conf.settings.configure(); import realm_sync.wakeups; "
    program += "sys.exit('psycopg' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent.parent, check=False).returncode == 0
    )
