"""What goes wrong, and that nobody else notices: bad input, bad networks, crashes, sockets that nobody reads.

After each fault two things hold: every client holds exactly the server's data, and every write is there exactly once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.db import connections, transaction
from django.test import Client
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from realm_sync import auth, downloads, feed, sync
from realm_sync.core import client_session
from realm_sync.core import messages as m
from tests.chaos import Proxy, SocketWire, claims, delete, log_in, peak_bytes, sync_url, token_of, until
from tests.devices import Device, Devices, come_back_soon, on_server, team_of
from tests.postgres import Cluster
from tests.servers import ROOT, Server
from tests.testapp.models import Inspection, Sample
from tests.wire import Wire
from tests.world import World, db


def inspections(world: World, count: int, **values: Any) -> list[Inspection]:
    fields = {"team": world.north, "airfield_id": "EDDM", "title": "old"} | values
    return Inspection.objects.bulk_create(Inspection(**fields) for _ in range(count))


def titles(wire: Wire) -> list[str]:
    return sorted(image["title"] for image in wire.of("Inspection").values())


# --- one version in parts (PostgreSQL: one transaction is one version, however large) ---------------------------------


async def test_a_transaction_in_parts_ends_for_those_whom_its_last_part_does_not_concern(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BATCH", 10)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")

        def write() -> None:
            with transaction.atomic(Inspection.objects.db):
                inspections(world, 25)
                Sample.objects.bulk_create(Sample() for _ in range(25))

        await db(write)
        await wire.until(lambda: len(titles(wire)) == 25)
        await wire.mark()


async def test_parts_that_were_given_up_do_not_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The window closes in the middle of a transaction; what the client had of it must not overwrite what follows."""
    monkeypatch.setattr(feed, "BATCH", 10)
    settings.REALM_SYNC = {**settings.REALM_SYNC, "WINDOW": 3}
    rows = await db(inspections, world, 45)
    everything = Inspection.objects.filter(team=world.north)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        for turn in ("first", "second"):
            wire.acknowledges, unread = False, wire.received
            await db(everything.update, title=turn)
            await wire.until(lambda unread=unread: wire.received - unread >= 3)
            await db(everything.filter(pk=rows[0].pk).update, title=f"after {turn}")
            await db(everything.filter(pk=rows[1].pk).update, team=world.south)
            wire.acknowledges = True
            wire.send(m.Upload(received=wire.received))
            await wire.mark()
            assert titles(wire) == [f"after {turn}"] + [turn] * 43
            await db(Inspection.objects.filter(pk=rows[1].pk).update, team=world.north, title=turn)
            await wire.mark()
            assert len(titles(wire)) == 45
            held = titles(wire)
            few = [row.pk for row in rows[:25]]
            await db(Inspection.objects.filter(pk__in=few).update, priority=len(turn))  # in parts that do fit
            await wire.mark()
            assert titles(wire) == held


async def test_a_bootstrap_after_a_long_absence_misses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More changes than are read at a time."""
    monkeypatch.setattr(downloads, "CHUNK", 4)
    rows = await db(inspections, world, 20)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")

    def write() -> None:
        for row in rows:
            Inspection.objects.filter(pk=row.pk).update(title="new")
        world.south.members.add(world.nora)
        sync.access_changed(world.nora)

    await db(write)
    async with Wire(world.nora, wire) as wire:
        await wire.mark()
        assert titles(wire) == ["new"] * 20


async def test_subscriptions_and_access_may_change_at_the_same_time(world: World) -> None:
    await db(inspections, world, 3, priority=7)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        for turn in range(6):
            wire.query(f"Inspection: priority != {turn}")
            await db(sync.access_changed, world.nora)
            await wire.until(lambda: wire.progress.query_version == wire.query_version)
            assert len(wire.objects) == 3


async def test_thousands_of_refused_writes_are_all_reported(world: World) -> None:
    """In frames that every server can send: Daphne drops larger ones without a word."""
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        frames = []
        take = wire._take

        async def measured(frame: str) -> None:
            frames.append(len(frame))
            await take(frame)

        wire.session._send = measured
        await wire.write(*(m.Delete(class_name="Colour", id=number) for number in range(12_000)))
        assert [write.id for write in wire.rejected] == list(range(12_000))
        assert max(frames) < 768 * 1024
        one = await db(world.inspection)
        await wire.until(lambda: wire.objects)
        await wire.write(m.Update(class_name="Inspection", id=str(one.pk), values={"x" * 300_000: 1}))
        assert len(wire.rejected) == 12_001 and len(wire.rejected[-1].reason) <= 500


async def test_an_object_too_large_to_send_ends_in_a_coded_error_however_it_is_met(world: World) -> None:
    one = await db(world.inspection)
    async with Wire(world.nora) as live, Wire(world.nora) as away:
        for wire in (live, away):
            await wire.subscribe("Inspection")
        await away.drop()
        await db(Inspection.objects.filter(pk=one.pk).update, notes="x" * 900_000)
        async with Wire(world.nora, away) as caught_up, Wire(world.nora) as new:
            await new.next(m.Bound)
            new.query("Inspection")
            for wire in (live, caught_up, new):
                error = await wire.ended()
                assert (error.code, error.action) == ("LimitExceeded", "stop") and str(one.pk) in error.message


async def test_frames_stay_below_what_every_server_can_send(world: World) -> None:
    """Large values of characters of four bytes: live, as a bootstrap, and as a catch-up."""
    async with Wire(world.nora) as live, Wire(world.nora) as away:
        for wire in (live, away):
            await wire.subscribe("Inspection")
        await away.drop()

        def write() -> None:
            with transaction.atomic(Inspection.objects.db):
                for size in (20_000, 60_000, 130_000, 150_000, 20_000, 20_000):
                    world.inspection(notes="🛬" * size)

        await db(write)
        async with Wire(world.nora, away) as caught_up, Wire(world.nora) as new:
            await new.subscribe("Inspection")
            for wire in (live, caught_up, new):
                await wire.mark()
                assert sorted(len(image["notes"]) for image in wire.objects.values()) == [
                    *(20_000, 20_000, 20_000, 60_000, 130_000, 150_000)
                ]
                assert max(len(m.encode(message).encode()) for message in wire.log) < 800 * 1024


# --- bad input over a real socket -------------------------------------------------------------------------------------

ONE_PROCESS = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)


def subscriptions(count: int, query: str = "TRUEPREDICATE") -> m.Query:
    item = m.SubscriptionItem(id="", class_name="Airfield", query=query, created_at="", updated_at="")
    return m.Query(query_version=1, subscriptions=[item] * count)


def bad_frames() -> list[tuple[str, Any, str]]:
    """(what, frame, the code that the session ends with)."""
    changeset = m.Changeset(client_version=1, base_version=0, timestamp=0, instructions=[])
    return [
        ("malformed", "{", "BadSyntax"),
        ("nested deeply", "[" * 100_000, "BadSyntax"),
        ("binary", b"\x00\x01", "BadSyntax"),
        ("an unknown message", '{"type":"nothing"}', "UnknownMessage"),
        ("an unknown field", '{"type":"ping","timestamp":1,"colour":2}', "BadSyntax"),
        ("a wrong type", '{"type":"ping","timestamp":"soon"}', "BadSyntax"),
        ("out of order", m.Bind(), "BadMessageOrder"),
        ("a download never sent", m.Upload(received=99), "BadSyntax"),
        ("changesets that fall", m.Upload(changesets=[changeset, changeset], received=1), "BadChangeset"),
        ("a query version of the past", m.Query(query_version=0, subscriptions=[]), "BadMessageOrder"),
        ("a message above the limit", '{"type":"' + "x" * 800_000, "LimitExceeded"),
        ("a query of 1 MB", subscriptions(1, "_id == 'x' OR " * 65_000), "LimitExceeded"),
        ("10 000 subscriptions", subscriptions(10_000), "LimitExceeded"),
        ("a flood", [m.Mark(request_ident=number) for number in range(3000)], "LimitExceeded"),
    ]


@ONE_PROCESS
async def test_bad_input_ends_its_own_session_only(world: World, server: Callable[..., Server]) -> None:
    url = server().url
    token = await db(token_of, url)
    async with SocketWire(url, token) as good:
        await good.subscribe("Inspection")
        for what, frames, code in bad_frames():
            async with SocketWire(url, token) as bad:
                await bad.next(m.Download)  # the one there is, and it has been acknowledged
                for frame in frames if isinstance(frames, list) else [frames]:
                    bad.send(frame)
                try:
                    error = await bad.next(m.Error)
                except AssertionError as failure:
                    raise AssertionError(what) from failure
                assert (error.code, error.action) == (code, "stop"), what
                assert await bad.closed() == 1000, what
        async with SocketWire(url, token) as bad:
            await bad.next(m.Bound)
            bad.send("x" * 2_000_000)  # above what Daphne takes: it closes, and we never hear of it
            assert await bad.closed() != 1000
        async with SocketWire(url, token) as refused:
            for query in (subscriptions(5000), subscriptions(1, "_id == 'x' OR " * 20_000 + "_id == 'y'")):
                refused.log.clear()
                refused.send(m.Query(query_version=query.query_version + refused.query_version,
                                     subscriptions=query.subscriptions))  # fmt: skip
                refused.query_version += 1
                answer = await refused.next(m.QueryError)
                assert answer.code == "LimitExceeded" and "limit" in answer.message or "allowed" in answer.message
            refused.query_version += 1
            await refused.subscribe("Airfield")
            assert len(refused.objects) == 3, "the session goes on"
        one = await db(world.inspection)
        await good.until(lambda: str(one.pk) in good.of("Inspection"))


@ONE_PROCESS
async def test_a_query_larger_than_the_database_can_compute(world: World, server: Callable[..., Server]) -> None:
    """It is refused, instead of being tried again for ever; nobody else waits for it."""
    url = server().url
    token = await db(token_of, url)
    async with SocketWire(url, token) as good, SocketWire(url, token) as heavy:
        await good.subscribe("Inspection")
        await heavy.subscribe("Airfield")
        query = " OR ".join(f"_id == '{number}' AND name != 'x'" for number in range(6_000))
        heavy.query(f"Airfield: {query}")
        waits = []
        while not any(isinstance(message, m.QueryError) for message in heavy.log):
            began = time.monotonic()
            one = await db(world.inspection)
            await good.until(lambda one=one: str(one.pk) in good.of("Inspection"))
            waits.append(time.monotonic() - began)
            assert len(waits) < 3000 and not any(isinstance(it, m.Error) for it in heavy.log), heavy.log[-1]
        assert max(waits) < 2, waits
        assert (await heavy.next(m.QueryError)).code == "LimitExceeded"
        await heavy.mark()
        assert len(heavy.objects) == 3, "the set before is in force"
        await heavy.subscribe("Airfield: _id == 'EDDM'")
        assert len(heavy.objects) == 1


# --- who is this ------------------------------------------------------------------------------------------------------


@ONE_PROCESS
async def test_who_may_open_a_session(world: World, server: Callable[..., Server]) -> None:
    process = server(realm_sync={"RECHECK_SECONDS": 0.2})
    url = process.url
    tokens = await db(log_in, url)
    token = tokens["access_token"]

    async def status(app: str = "realm-sync", **options: Any) -> int:
        with pytest.raises(InvalidStatus) as refused:
            await connect(sync_url(url, app), **options)
        return refused.value.response.status_code

    assert await status() == 403, "no subprotocol"
    assert await status(subprotocols=["realm-sync.v0"]) == 403
    assert await status(app="another", subprotocols=["realm-sync.v1"]) == 403

    head, payload, signature = token.split(".")
    expired = jwt.encode({**claims(token), "exp": 1_700_000_000}, next(auth._keys()))
    forged = jwt.encode(claims(token), "another key, at least thirty-two bytes long")
    swapped = f"{head}.{payload}.{signature[::-1]}"
    for bad in (expired, forged, swapped, tokens["refresh_token"], "", "x" * 100_000):
        async with SocketWire(url, bad) as wire:
            error = await wire.next(m.Error)
            assert (error.code, error.action) == ("AuthError", "reauthenticate"), bad[:80]
            assert await wire.closed() == 1000

    # The page's cookie: only from pages of this server.
    page = Client()
    await db(page.force_login, world.nora)
    cookie = f"sessionid={page.cookies['sessionid'].value}"
    for origin, allowed in ((url, True), ("http://elsewhere.example", False), (None, False), ("null", False)):
        headers = {"Cookie": cookie} | ({"Origin": origin} if origin else {})
        async with SocketWire(url, None, headers=headers) as wire:
            if allowed:
                await wire.subscribe("Airfield")
                # Every session of the socket asks anew whose cookie it is.
                await wire.unbind()
                wire.bind()
                await wire.mark()
                await wire.unbind()
                await db(page.logout)
                wire.bind()
                error = await wire.next(m.Error)
                assert (error.code, await wire.closed()) == ("AuthError", 1000)
                await db(page.force_login, world.nora)
                cookie = f"sessionid={page.cookies['sessionid'].value}"
            else:
                assert (await wire.next(m.Error)).code == "AuthError", origin
    async with SocketWire(url, None, headers={"Cookie": "sessionid=guessed", "Origin": url}) as wire:
        assert (await wire.next(m.Error)).code == "AuthError"

    # One socket after another session: what the first one proved counts for nothing.
    for bad in (None, expired):
        async with SocketWire(url, token) as wire:
            await wire.subscribe("Airfield")
            await wire.unbind()
            wire.bind(token=bad)
            error = await wire.next(m.Error)
            assert (error.code, await wire.closed()) == ("AuthError", 1000)

    # Nor does the handshake's cookie, once its user has logged out, if a token came first.
    headers = {"Cookie": cookie, "Origin": url}
    async with SocketWire(url, token, headers=headers) as wire:
        await wire.subscribe("Airfield")
        await wire.unbind()
        await db(page.logout)
        wire.bind(token=None)
        assert (await wire.next(m.Error)).code == "AuthError"

    # Logged out elsewhere: the session ends within seconds; others of the same user go on.
    async with SocketWire(url, token) as wire, SocketWire(url, await db(token_of, url)) as other:
        await wire.subscribe("Inspection")
        await other.subscribe("Inspection")
        await db(delete, f"{url}/api/client/v2.0/auth/session", tokens["refresh_token"])
        assert (await wire.next(m.Error)).code == "AuthError"
        one = await db(world.inspection)
        await other.until(lambda: str(one.pk) in other.of("Inspection"))
        assert str(one.pk) not in wire.of("Inspection")


@ONE_PROCESS
async def test_an_access_token_that_expires_ends_the_session(world: World, server: Callable[..., Server]) -> None:
    url = server(realm_sync={"RECHECK_SECONDS": 0.2, "ACCESS_TOKEN_SECONDS": 2}).url
    async with SocketWire(url, await db(token_of, url)) as wire:
        await wire.subscribe("Inspection")
        error = await wire.next(m.Error)
        assert (error.code, error.action) == ("AuthError", "reauthenticate") and "expired" in error.message
    async with SocketWire(url, await db(token_of, url), wire) as again:
        await again.mark()


# --- sockets that nobody reads ----------------------------------------------------------------------------------------


@ONE_PROCESS
async def test_a_client_that_never_reads_costs_no_memory(world: World, server: Callable[..., Server]) -> None:
    process = server()
    assert process.process is not None
    one, url = await db(world.inspection), process.url
    rows = Inspection.objects.filter(pk=one.pk)
    async with SocketWire(url, await db(token_of, url)) as deaf, SocketWire(url, await db(token_of, url)) as good:
        for wire in (deaf, good):
            await wire.subscribe("Inspection")
        deaf.reads.clear()

        def write(numbers: range) -> None:
            for number in numbers:
                rows.update(priority=number, notes=f"{number:05} " * 8_400)

        await db(write, range(100))
        await good.until(lambda: good.of("Inspection")[str(one.pk)]["priority"] == 99)
        before = peak_bytes(process.process.pid)
        await db(write, range(100, 2100))  # 100 MB
        await good.until(lambda: good.of("Inspection")[str(one.pk)]["priority"] == 2099)
        grown = peak_bytes(process.process.pid) - before
        assert grown < 40e6, f"{grown / 1e6:.0f} MB more"
        deaf.reads.set()
        await deaf.until(lambda: deaf.of("Inspection")[str(one.pk)]["priority"] == 2099)
        await deaf.mark()
        grown = peak_bytes(process.process.pid) - before
        assert grown < 80e6, f"{grown / 1e6:.0f} MB more after catching up"


# --- crashes and bad networks -----------------------------------------------------------------------------------------


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Devices]:
    come_back_soon(monkeypatch)
    with Devices(tmp_path) as devices:
        yield devices


def check_applied_once(world: World, created: Collection[str]) -> None:
    """Each object was inserted once and is there, and nothing else is; no changeset was integrated twice (R6).

    The last is asked of the history: a create that is applied again is merged with itself, and inserts nothing.
    """
    sql = "SELECT object_id, count(*) FROM realm_sync_change WHERE class = 'Inspection' AND kind = 'insert' GROUP BY 1"
    with connections[Inspection.objects.db].cursor() as cursor:
        cursor.execute(sql)
        inserts = dict(cursor.fetchall())
        cursor.execute("SELECT object_id, after FROM realm_sync_change WHERE kind = 'advance' ORDER BY version, id")
        advances: dict[str, list[int]] = {}
        for ident, after in cursor.fetchall():
            advances.setdefault(ident, []).append(json.loads(after)["clientVersion"])
    assert advances and all(versions == sorted(set(versions)) for versions in advances.values()), advances
    assert set(on_server(world)) == set(created), "every write is there"
    assert {key: inserts.get(key) for key in created} == dict.fromkeys(created, 1), "and once"


def write_many(device: Device, count: int) -> list[str]:
    team, airfield = team_of(device, "North"), device.realm.objects("Airfield")[0]
    return [device.create(title=f"{number}", team=team, airfield=airfield) for number in range(count)]


def test_kill_9_of_the_server_in_the_middle_of_an_upload(
    world: World, server: Callable[..., Server], device: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_session, "UPLOAD_BYTES", 1500)
    process = server()
    nora, tablet = device("nora", process.url), device("nora", process.url)
    nora.session.pause()
    created = write_many(nora, 400)
    nora.session.resume()
    for part in (10, 150):
        until(lambda part=part: Inspection.objects.count() > part, "a part of the upload")
        process.restart()
        assert Inspection.objects.count() < 400, "it was in the middle"
    for each in (nora, tablet):
        each.settle()
    check_applied_once(world, created)
    assert nora.titles() == tablet.titles() == on_server(world)
    assert not nora.errors and not tablet.errors


APP_THAT_DIES = """
import sys, uuid
from realm_sync.client import *
url, directory, what = sys.argv[1:]
app = App("realm-sync", base_url=url, base_file_path=directory)
user = app.current_user or app.log_in(Credentials.email_password("nora", "pw")).result(20)
def subscribe(subscriptions, realm):
    for name in ("Inspection", "Team", "Airfield"):
        subscriptions.add(realm.objects(name))
opening = Realm.open(sync=SyncConfiguration(user, subscribe))
if what == "download":
    opening.progress(lambda estimate: print(estimate, flush=True))
realm = opening.result(30)
team, airfield = realm.objects("Team")[0], realm.objects("Airfield")[0]
while what == "write":
    pair = [uuid.uuid4(), uuid.uuid4()]
    with realm.write():
        for key in pair:
            realm.create("Inspection", {"_id": key, "title": str(pair[0]), "team": team, "airfield": airfield})
    print(*pair, flush=True)
"""


def run_until_killed(url: str, directory: Path, what: str, enough: Callable[[list[str]], bool]) -> list[str]:
    """What the app printed before it was killed with -9."""
    command = [sys.executable, "-c", APP_THAT_DIES, url, str(directory), what]
    lines: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if enough(lines):
                process.kill()
                break
        # What it had printed by the time it died was committed.
        lines += [line for line in process.stdout if line.endswith("\n")]
    assert lines and enough(lines), "it ended by itself"
    return lines


@ONE_PROCESS
def test_kill_9_of_a_client_in_the_middle_of_a_download(
    world: World, server: Callable[..., Server], device: Devices, tmp_path: Path
) -> None:
    created = {str(row.pk) for row in inspections(world, 5_000, notes="x" * 500)}
    url = server().url
    directory = tmp_path / "device-0"
    for _ in range(2):
        run_until_killed(url, directory, "download", lambda lines: 0.3 < float(lines[-1]) < 1)
    nora = device("nora", url)
    until(lambda: nora.titles(), "the download")
    assert nora.titles() == on_server(world) and set(nora.titles()) == created


@ONE_PROCESS
def test_kill_9_of_a_client_in_the_middle_of_writing(
    world: World, server: Callable[..., Server], device: Devices, tmp_path: Path
) -> None:
    url = server().url
    committed: set[str] = set()
    for count in (40, 150):
        lines = run_until_killed(url, tmp_path / "device-0", "write", lambda lines, count=count: len(lines) >= count)
        committed.update(key for line in lines for key in line.split())
    nora = device("nora", url)
    nora.settle()
    held = nora.titles()
    assert committed <= set(held), "what write() reported is durable (R9)"
    assert len(held) - len(committed) in (0, 2, 4), "and the last one is there as a whole or not at all"
    check_applied_once(world, held)
    assert held == on_server(world)


def test_a_network_that_delays_splits_drops_and_delivers_twice(
    world: World, server: Callable[..., Server], device: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_session, "UPLOAD_BYTES", 4000)
    process = server()
    rng, chance = random.Random(11), random.Random(12)
    # Every stage sends more than these: about 2 200 bytes up, 4 500 down.
    up, down = 1500, 3000
    with Proxy(process.port) as proxy:
        nora, office = device("nora", proxy.url), device("nora", process.url)
        created = write_many(office, 5)
        until(lambda: len(nora.titles()) == 5, "the first writes")
        faults: list[tuple[dict[str, Any], Callable[[], None]]] = [
            ({"piece": 13}, lambda: None),
            ({}, lambda: proxy.cut_after(chance.randrange(up), "up")),
            ({}, lambda: proxy.cut_after(chance.randrange(down), "down")),
            ({"piece": 65536, "duplicates": True}, proxy.cut),
            ({}, lambda: proxy.cut_after(chance.randrange(up), "up")),
            ({"delay": 0.005}, lambda: None),
            ({}, proxy.cut),
            ({"refuses": True}, proxy.cut),
            ({"refuses": False, "delay": 0.0}, lambda: proxy.cut_after(chance.randrange(down), "down")),
        ]
        for conditions, fault in faults:
            if not proxy.refuses:
                until(nora.session.is_connected, "a connection")
            vars(proxy).update(conditions)
            fault()
            for each in (nora, office):
                created += write_many(each, 6)
                with each.realm.write():
                    for found in rng.sample(list(each.realm.objects("Inspection")), 3):
                        found.priority = rng.randrange(100)
            until(lambda: proxy.has_cut, "the cut")
        proxy.duplicates = False
        proxy.cut()
        for each in (nora, office, nora):
            each.settle()
        check_applied_once(world, created)
        assert nora.titles() == office.titles() == on_server(world)
        assert not nora.errors and not office.errors


def test_uploads_that_arrive_twice_at_the_same_time_are_applied_once(
    world: World, server: Callable[..., Server], device: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sessions of one client file, with the same changesets (R6)."""
    monkeypatch.setattr(client_session, "UPLOAD_BYTES", 1500)
    process = server()
    with Proxy(process.port) as proxy:
        nora = device("nora", proxy.url)
        nora.session.pause()
        created = write_many(nora, 60)
        proxy.cut()  # the socket that a pause keeps
        proxy.duplicates = True
        nora.session.resume()
        nora.settle()
        # Messages are handled in turn: whoever answers the mark has handled the uploads before it.
        until(lambda: b'"type":"mark"' in proxy.lost, "the answer to the duplicate of the mark")
        assert b'"type":"error"' not in proxy.lost
        check_applied_once(world, created)
        assert nora.titles() == on_server(world) and not nora.errors


@ON_POSTGRESQL
def test_a_database_restarted_under_two_servers(
    world: World, server: Callable[..., Server], device: Devices, postgres_cluster: Cluster
) -> None:
    first, second = server(), server()
    nora, tablet = device("nora", first.url), device("nora", second.url)
    created = write_many(nora, 5)
    until(lambda: len(tablet.titles()) == 5, "the first writes")
    for _ in range(2):
        for each in (nora, tablet):
            created += write_many(each, 20)
        postgres_cluster.restart()
        for each in (nora, tablet):
            created += write_many(each, 20)
        for each in (nora, tablet, nora):
            each.settle()
    connections.close_all()
    check_applied_once(world, created)
    assert nora.titles() == tablet.titles() == on_server(world)
    # And live again, through both.
    created.append(nora.create(title="live", team=team_of(nora, "North"), airfield=nora.realm.objects("Airfield")[0]))
    until(lambda: created[-1] in tablet.titles(), "a live change")
    assert not nora.errors and not tablet.errors


@ON_POSTGRESQL
async def test_writers_with_long_transactions_make_no_gaps(world: World, server: Callable[..., Server]) -> None:
    """R2, through two processes: what commits late is not overtaken for good by what began later."""
    urls = [server().url, server().url]
    tokens = [await db(token_of, url) for url in urls]

    def write(seed: int) -> None:
        rng = random.Random(seed)
        for number in range(25):
            with contextlib.suppress(ZeroDivisionError), transaction.atomic(Inspection.objects.db):
                one = world.inspection(title=f"{seed}.{number}")
                time.sleep(rng.choice((0, 0.002, 0.03, 0.1)))
                Inspection.objects.filter(pk=one.pk).update(priority=1)
                if rng.random() < 0.2:
                    raise ZeroDivisionError("rolled back")
        connections.close_all()

    async with contextlib.AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(SocketWire(*it)) for it in zip(urls, tokens, strict=True)]
        for wire in wires:
            await wire.subscribe("Inspection")
        late = SocketWire(urls[0], tokens[0])
        writers = [asyncio.create_task(db(write, seed)) for seed in range(6)]
        await asyncio.sleep(0.3)
        await stack.enter_async_context(late)
        await late.subscribe("Inspection: priority == 1")
        await asyncio.gather(*writers)
        rows = await db(on_server, world)
        for wire in (*wires, late):
            await wire.mark()
            assert {key: (it["title"], it["priority"]) for key, it in wire.of("Inspection").items()} == rows
