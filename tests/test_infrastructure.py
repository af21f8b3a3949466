"""The fixtures of conftest.py keep what they promise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.test import Client
from playwright.async_api import Browser

from realm_sync.conf import settings as realm_sync_settings
from tests.postgres import Cluster, LocalCluster, candidates
from tests.servers import Server


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_an_empty_database_and_threads_share_it(each_database: str, turn: int) -> None:
    users = get_user_model().objects
    assert each_database == realm_sync_settings.DATABASE
    assert users.count() == 0
    seen = []

    def write() -> None:
        with transaction.atomic(using=each_database):
            users.create_user("nora")
        seen.append(users.db)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert users.get().username == "nora"
    assert connections[each_database].vendor == ("postgresql" if each_database == "postgres" else "sqlite")


@pytest.mark.django_db
def test_the_usual_mark_works_between_them() -> None:
    assert get_user_model().objects.count() == 0


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_the_cluster_restarts_and_keeps_what_was_committed(each_database: str, postgres_cluster: Cluster) -> None:
    get_user_model().objects.create_user("nora")
    postgres_cluster.restart()
    connections[each_database].close()
    assert get_user_model().objects.get().username == "nora"


@pytest.mark.parametrize("binaries", candidates(), ids=str)
def test_every_postgresql_that_was_found_starts_and_creates_databases(binaries: Path) -> None:
    cluster = LocalCluster(binaries)
    try:
        cluster.create(f"{cluster.prefix}first")
        cluster.create(f"{cluster.prefix}second", f"{cluster.prefix}first")
        theirs = Cluster(cluster.url("postgres"))
        with psycopg.connect(cluster.url(f"{cluster.prefix}second")) as connection:
            theirs.restart()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
    finally:
        cluster.stop()
    assert not cluster.directory.exists()


@pytest.mark.parametrize("asgi", ["daphne", "uvicorn"])
def test_a_server_process_shares_the_database_and_survives_kill_9(
    each_database: str, server: Callable[..., Server], settings: Any, asgi: str
) -> None:
    settings.REALM_SYNC |= {"APP_ID": "airfields"}
    process = server(asgi=asgi)
    user = get_user_model().objects.create_superuser("nora", password="demo")
    client = Client()
    client.force_login(user)
    request = Request(f"{process.url}/admin/", headers={"Cookie": f"sessionid={client.cookies['sessionid'].value}"})
    for _ in range(2):
        with urlopen(request) as response:
            assert "Log out" in response.read().decode()
        with urlopen(f"{process.url}/api/client/v2.0/app/airfields/config") as response:
            assert response.status == 200
        process.restart()


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_a_server_that_does_not_start_shows_its_log(server: Callable[..., Server]) -> None:
    with pytest.raises(RuntimeError, match="ModuleNotFoundError: No module named 'nowhere'"):
        server(environment={"DJANGO_SETTINGS_MODULE": "nowhere"})


async def test_chromium_opens_a_page(chromium: Browser) -> None:
    page = await chromium.new_page()
    await page.set_content("<title>Airfields</title>")
    assert await page.title() == "Airfields"
