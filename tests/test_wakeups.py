"""A listener is woken soon after every commit, by whoever made it, and survives what a database does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction

from realm_sync import history, wakeups
from tests.postgres import Cluster
from tests.testapp.models import Airfield, Team

PATIENCE = 10.0
"""Seconds that a wake-up may take on a machine that is busy with other things."""


async def in_thread(function: Any, **arguments: Any) -> Any:
    """Runs in a thread of its own, with a connection of its own."""

    def run() -> Any:
        try:
            return function(**arguments)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


async def woken(wakeup: wakeups.Wakeup, seconds: float = PATIENCE) -> None:
    """TimeoutError where no wake-up comes: without the safety net, one that does is no accident however late it is."""
    await asyncio.wait_for(wakeup.wait(), seconds)


async def quiet(wakeup: wakeups.Wakeup) -> None:
    """Waits until no wake-up comes for a while."""
    while True:
        try:
            await woken(wakeup, 0.5)
        except TimeoutError:
            return


@pytest.fixture(autouse=True)
def no_safety_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "SAFETY_SECONDS", 60.0)


async def test_a_commit_wakes_and_a_rollback_does_not(each_database: str) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await woken(wakeup)
        await quiet(wakeup)
        await in_thread(Airfield.objects.create, icao="EDDF")
        await woken(wakeup)
        await quiet(wakeup)

        def roll_back() -> None:
            with transaction.atomic(each_database):
                Airfield.objects.create(icao="EDDM")
                transaction.set_rollback(True, each_database)

        await in_thread(roll_back)
        with pytest.raises(TimeoutError):
            await woken(wakeup, 0.3)


async def test_what_was_committed_while_nobody_waited_is_not_missed(each_database: str) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        await in_thread(Airfield.objects.create, icao="EDDF")
        async with asyncio.timeout(PATIENCE):
            while not wakeup._event.is_set():
                await asyncio.sleep(0.01)
        await woken(wakeup, 0.5)


async def test_two_listeners_are_both_woken(each_database: str) -> None:
    async with wakeups.listen(each_database) as first, wakeups.listen(each_database) as second:
        await asyncio.gather(quiet(first), quiet(second))
        await in_thread(Airfield.objects.create, icao="EDDF")
        await asyncio.gather(woken(first), woken(second))


async def test_a_listener_is_woken_now_and_then_whatever_was_lost(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        monkeypatch.setattr(wakeups, "SAFETY_SECONDS", 0.1)
        await woken(wakeup)


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
async def test_another_process_wakes_within_the_polling_time(each_database: str) -> None:
    path = str(connections.settings["default"]["NAME"])
    script = "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); "
    script += "c.execute(\"INSERT INTO testapp_airfield (icao, name, country) VALUES ('EDDF', '', '')\"); c.commit(); "
    script += "print(time.time())"
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, path, stdout=subprocess.PIPE)
        await woken(wakeup)
        at = time.time()
        output, _ = await process.communicate()
        assert at - float(output) < 2


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
async def test_this_process_wakes_at_once_and_only_listeners_of_the_database(each_database: str, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "POLL_SECONDS": 30.0}
    async with wakeups.listen(each_database) as wakeup:
        await quiet(wakeup)
        wakeups.notify("another")
        with pytest.raises(TimeoutError):
            await woken(wakeup, 0.1)
        await asyncio.to_thread(wakeups.notify)
        await woken(wakeup)


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
        await woken(wakeup, 30)
        await quiet(wakeup)
        await in_thread(Airfield.objects.create, icao="EDDF")
        await woken(wakeup)


@asynccontextmanager
async def older_transaction(alias: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Hides what others commit, until the function it yields is called; it ends without a notification, having written
    no synced table."""
    started, may_end = threading.Event(), threading.Event()

    def older() -> None:
        with transaction.atomic(alias), connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            started.set()
            assert may_end.wait(60)

    running = asyncio.ensure_future(in_thread(older))

    async def end() -> None:
        may_end.set()
        await running

    try:
        assert await asyncio.to_thread(started.wait, PATIENCE)
        yield end
    finally:
        await end()


async def readable(alias: str, after: int) -> list[str]:
    batch = await in_thread(lambda: history.read(connections[alias], after, 10))
    return [change.class_name for change in batch.changes]


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
async def test_what_an_older_transaction_hid_wakes_when_it_ends(each_database: str) -> None:
    async with wakeups.listen(each_database) as wakeup, older_transaction(each_database) as end:
        await in_thread(Team.objects.create)
        await quiet(wakeup)
        before = await in_thread(lambda: history.newest(connections[each_database]))
        assert await readable(each_database, 0) == []
        await end()
        await woken(wakeup)
        assert await readable(each_database, before) == ["Team"]


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
async def test_what_was_hidden_when_a_reader_was_woken_wakes_it_again(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it comes to light before the listener asks the next time whether anything is hidden."""
    async with wakeups.listen(each_database) as wakeup, older_transaction(each_database) as end:
        await quiet(wakeup)
        execute, read = psycopg.AsyncConnection.execute, asyncio.Event()

        async def execute_after_the_reader(connection: Any, query: Any, *rest: Any, **options: Any) -> Any:
            await asyncio.sleep(0)  # the listener's wake-up arrives
            if query == wakeups._HIDDEN and wakeup._event.is_set() and not read.is_set():
                await woken(wakeup)
                assert await readable(each_database, 0) == []
                await end()
                read.set()
            return await execute(connection, query, *rest, **options)

        monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute_after_the_reader)
        await in_thread(Team.objects.create)
        await asyncio.wait_for(read.wait(), PATIENCE)
        await woken(wakeup)
        assert await readable(each_database, 0) == ["Team"]


def test_the_database_driver_is_imported_only_to_listen() -> None:
    program = "import django.conf, sys; django.conf.settings.configure(); import realm_sync.wakeups; "
    program += "sys.exit('psycopg' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent.parent, check=False).returncode == 0
    )
