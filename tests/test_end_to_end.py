"""The whole way, through real server processes: Python clients log in over HTTP, sync, go offline, come back, converge.

SQLite has one process; PostgreSQL has two, and the clients are spread over both. What every test ends with is R8: each
client holds exactly what the server holds and its user may see, and every write is there exactly once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connections

from realm_sync.client import CompensatingWriteError
from tests.chaos import SocketWire, token_of, until
from tests.devices import Devices, come_back_soon, on_server, team_of
from tests.servers import Server
from tests.testapp.models import Inspection
from tests.world import World, db


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    come_back_soon(monkeypatch)


@pytest.fixture
def servers(server: Callable[..., Server], each_database: str) -> list[Server]:
    """One process on SQLite, two on PostgreSQL."""
    return [server() for _ in range(1 if each_database == "default" else 2)]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Devices]:
    with Devices(tmp_path) as devices:
        yield devices


def test_two_users_edit_offline_and_converge(world: World, servers: list[Server], device: Devices) -> None:
    first, last = servers[0], servers[-1]
    world.south.members.add(world.nora)  # she sees both teams, Sol one
    mine = [world.inspection(title=f"North {number}") for number in range(20)]
    ours = [world.inspection(world.south, title=f"South {number}") for number in range(20)]
    nora, tablet, sol = device("nora", first.url), device("nora", last.url), device("sol", last.url)
    assert len(nora.titles()) == len(tablet.titles()) == 40 and len(sol.titles()) == 20

    # Online: a write of one is seen by the others, whichever process they are at.
    made = nora.create(title="Windsock", team=team_of(nora, "South"), airfield=nora.realm.objects("Airfield")[0])
    for each in (tablet, sol):
        until(lambda each=each: made in each.titles(), "a write of another client")

    # Offline, all at once: clients, and writers on the server who know nothing of it.
    for each in (nora, tablet, sol):
        each.session.pause()
    rng = random.Random(7)
    new = []
    for each in (nora, tablet, sol):
        old = list(each.realm.objects("Inspection"))
        for number in range(15):
            with each.realm.write():
                found = rng.choice(old)
                found.title = f"{each.name} {number}"
                found.priority = rng.randrange(9)
            if number % 5 == 0:
                airfield = each.realm.objects("Airfield")[0]
                new.append(each.create(title="new", team=team_of(each, "South"), airfield=airfield))
        with each.realm.write():
            each.realm.delete(rng.choice(old))
    Inspection.objects.filter(pk__in=[it.pk for it in mine[:5]]).update(title="by the office")
    ours[0].delete()

    # The server restarts, so do two of the clients: nothing is lost, and nothing happens twice.
    for server in servers:
        server.restart()
    for each, url in ((tablet, first.url), (sol, first.url)):
        each.close()
        each.open(url)
    nora.session.resume()
    for each in (nora, tablet, sol):
        each.settle()
    for each in (nora, tablet, sol):
        each.settle()
    everything = on_server(world, world.north, world.south)
    assert len(new) == 9 and all(everything[key] == ("new", 0) for key in new)
    assert nora.titles() == tablet.titles() == everything
    assert sol.titles() == on_server(world, world.south)
    assert not [error for each in (nora, tablet, sol) for error in each.errors]


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_uvicorn_serves_as_well(world: World, server: Callable[..., Server], device: Devices) -> None:
    process = server(asgi="uvicorn")
    nora, tablet = device("nora", process.url), device("nora", process.url)
    made = nora.create(title="Windsock", team=team_of(nora, "North"), airfield=nora.realm.objects("Airfield")[0])
    until(lambda: made in tablet.titles(), "a write of another client")
    process.restart()
    with tablet.realm.write():
        tablet.realm.objects("Inspection")[0].title = "after the restart"
    tablet.settle()
    until(lambda: nora.titles() == on_server(world) == {made: ("after the restart", 0)}, "convergence")


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_refused_writes_are_undone_and_reported(world: World, server: Callable[..., Server], device: Devices) -> None:
    one = world.inspection(title="Runway lights")
    nora = device("nora", server().url)
    with nora.realm.write():
        found = nora.realm.objects("Inspection")[0]
        found.title, found.status = "Fence", "no such status"
    south = nora.create(title="not hers", airfield=nora.realm.objects("Airfield")[0])
    nora.settle()
    assert nora.titles() == {str(one.pk): ("Fence", 0)}
    until(lambda: len(nora.errors) >= 1, "the report")
    writes = [write for error in nora.errors if isinstance(error, CompensatingWriteError) for write in error.writes]
    assert {(str(write.primary_key), write.code) for write in writes} == {
        (str(one.pk), "ValidationFailed"),
        (south, "WriteNotAllowed"),
    }


# --- one large transaction, and long ones ----------------------------------------------------------------------------


async def test_a_bulk_update_of_20_000_rows_arrives_as_a_whole(world: World, server: Callable[..., Server]) -> None:
    """PostgreSQL: one transaction is one version, so no client ever sees half of it (R2, R10)."""
    fields = {"team": world.north, "airfield_id": "EDDM"}
    await db(Inspection.objects.bulk_create, [Inspection(title="old", **fields) for _ in range(20_000)])
    url = server().url
    async with SocketWire(url, await db(token_of, url)) as wire, SocketWire(url, await db(token_of, url)) as late:
        await wire.subscribe("Inspection")
        await late.subscribe("Inspection: priority == 1")
        seen = set()
        whole = connections[Inspection.objects.db].vendor == "postgresql"

        def counted() -> bool:
            seen.add(sum(image["title"] == "new" for image in wire.of("Inspection").values()))
            return 20_000 in seen

        await db(Inspection.objects.update, title="new", priority=1)
        await wire.until(counted)
        assert not whole or seen <= {0, 20_000}
        await late.until(lambda: len(late.of("Inspection")) == 20_000)
        await wire.mark()
        assert set(wire.of("Inspection")) == set(late.of("Inspection"))
