"""Fixtures every test may use: both databases, server processes, a browser.

* `each_database`: the test runs twice, on SQLite and on PostgreSQL, with real commits, threads and connections.
  It yields the alias. To run on one only: `@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)`.
* `server`: a factory of real server processes on the database of the test.
* `postgres_cluster`: the cluster of the session, with `restart()`.
* `chromium`: a browser for async tests.

A plain `@pytest.mark.django_db` works as everywhere, on SQLite. Where PostgreSQL or Chromium is missing, tests that
need it are skipped with a sentence; with CI set in the environment, they fail with it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
import pytest_asyncio
from django.core.management import call_command
from django.db import connections
from django.db.backends.signals import connection_created
from django.test import override_settings
from playwright.async_api import Browser, async_playwright

from tests.postgres import Cluster, NoPostgres, find_cluster, free_port
from tests.servers import Server

SERVERS = pytest.StashKey[list[Server]]()

MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 2**30:
    # Stores and databases write to the disk before they go on, thousands of times; nothing here pulls the plug.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_configure() -> None:
    # So that a test run ended by `timeout` or by CI stops its servers and its PostgreSQL, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    report = yield
    if report.failed:
        for server in item.stash.get(SERVERS, []):
            report.sections.append((f"Log of the server on port {server.port}", server.log.read_text()[-20000:]))
    return report


def unavailable(sentence: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


# Databases. A migrated template of each is made once; every test gets a copy, so that it may commit, crash and leave
# connections open as it likes, and there is nothing to clean up but connections.


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """The PostgreSQL of this session. `restart()` breaks every connection and keeps what was committed."""
    try:
        cluster = find_cluster()
    except NoPostgres as error:
        unavailable(str(error))
    yield cluster
    cluster.stop()


class Databases:
    """Points the aliases at databases and closes whatever was opened there, in whichever thread."""

    def __init__(self) -> None:
        self.opened: weakref.WeakSet[Any] = weakref.WeakSet()
        connection_created.connect(self.remember)

    def remember(self, connection: Any, **_: Any) -> None:
        self.opened.add(connection)

    def close(self) -> None:
        for connection in list(self.opened):
            connection.inc_thread_sharing()
            connection.close()
            connection.dec_thread_sharing()
        self.opened.clear()
        for alias in connections:
            if hasattr(connections._connections, alias):
                del connections[alias]

    def point(self, alias: str, **location: Any) -> None:
        self.close()
        connections.settings[alias].update(location)

    def migrate(self, alias: str) -> None:
        """Apps with migrations first: the test app has none, and its tables refer to theirs."""
        with override_settings(REALM_SYNC={"DATABASE": alias}):
            call_command("migrate", database=alias, verbosity=0)
            call_command("migrate", database=alias, verbosity=0, run_syncdb=True)
        self.close()


@pytest.fixture(scope="session")
def databases() -> Databases:
    return Databases()


@pytest.fixture(scope="session")
def sqlite_template(databases: Databases, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    path = tmp_path_factory.mktemp("databases") / "template.sqlite3"
    with django_db_blocker.unblock():
        databases.point("default", NAME=path)
        databases.migrate("default")
    return path


@pytest.fixture(scope="session")
def postgres_template(databases: Databases, postgres_cluster: Cluster, django_db_blocker: Any) -> Iterator[str]:
    name = f"{postgres_cluster.prefix}template"
    postgres_cluster.create(name)
    with django_db_blocker.unblock():
        databases.point("postgres", **postgres_cluster.settings(name))
        databases.migrate("postgres")
    yield name
    postgres_cluster.drop(name)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, databases: Databases, sqlite_template: Path, django_db_blocker: Any
) -> Iterator[None]:
    """Replaces pytest-django's: `@pytest.mark.django_db` means a copy of the SQLite template, in a file."""
    path = shutil.copy(sqlite_template, sqlite_template.with_name("django_db.sqlite3"))
    with django_db_blocker.unblock():
        databases.point("default", NAME=path)
    yield
    with django_db_blocker.unblock():
        databases.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(
    request: pytest.FixtureRequest,
    settings: Any,
    databases: Databases,
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path: Path,
) -> Iterator[str]:
    """The alias of an empty, migrated database with triggers; real commits, any number of threads and connections."""
    if request.node.get_closest_marker("django_db"):
        raise pytest.UsageError("each_database brings its own database: remove the mark django_db from this test")
    before = {"NAME": connections.settings["default"]["NAME"]}
    if request.param == "sqlite":
        alias = "default"
        template = request.getfixturevalue("sqlite_template")
        location: dict[str, Any] = {"NAME": shutil.copy(template, tmp_path / "test.sqlite3")}
    else:
        alias = "postgres"
        template = request.getfixturevalue("postgres_template")
        cluster: Cluster = request.getfixturevalue("postgres_cluster")
        name = f"{cluster.prefix}test"
        cluster.create(name, template)
        location = cluster.settings(name)
        # Code that forgets to name the alias fails loudly, instead of working on the wrong database.
        databases.point("default", NAME=tmp_path / "this test runs on PostgreSQL" / "not here")
    settings.REALM_SYNC = {**getattr(settings, "REALM_SYNC", {}), "DATABASE": alias}
    with django_db_blocker.unblock():
        databases.point(alias, **location)
        yield alias
        databases.point("default", **before)
    if alias == "postgres":
        cluster.drop(name)


@pytest.fixture
def server(
    request: pytest.FixtureRequest, settings: Any, each_database: str, tmp_path: Path
) -> Iterator[Callable[..., Server]]:
    """`server()` starts a process on this test's database and returns when it answers: `.url`, `.kill()`, `.restart()`.

    `asgi="uvicorn"` instead of Daphne, `port=` a port instead of a free one, `realm_sync={…}` more settings,
    `environment={…}` more variables, `options=[…]` more on its command line. Settings of the
    test (`settings.REALM_SYNC`) at the time of the call apply too.
    """
    servers = request.node.stash.setdefault(SERVERS, [])
    location = connections.settings[each_database]
    if each_database == "default":
        url = f"sqlite:///{location['NAME']}"
    else:
        url = request.getfixturevalue("postgres_cluster").url(location["NAME"])

    def start(
        asgi: str = "daphne",
        port: int | None = None,
        realm_sync: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> Server:
        configured = settings.REALM_SYNC | (realm_sync or {}) | {"DATABASE": "default"}
        variables = {
            "REALM_SYNC_TEST_DATABASE_URL": url,
            "REALM_SYNC_TEST_SETTINGS": json.dumps(configured),
        }
        log = tmp_path / f"server-{len(servers)}.log"
        chosen = Server(port or free_port(), variables | (environment or {}), log, asgi, options=options)
        servers.append(chosen)
        return chosen.start()

    yield start
    for each in servers:
        each.kill()


SLOW_FILES = (
    "test_types_convergence", "test_convergence", "test_web_client", "test_faults", "test_javascript", "test_open",
    "test_web_types", "test_side_by_side", "test_web_client_reset", "test_demo_page", "test_end_to_end", "test_cable", "test_client_reset",
)  # fmt: skip
"""Begun first, so that two processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    # The browser is started once, and belongs to the event loop it was started in.
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next((path for path in map(shutil.which, names) if path), None)
    if executable is None:
        unavailable("Chromium is needed for this test and is not on PATH: apt-get install chromium")
    async with async_playwright() as playwright:
        # Chromium's own sandbox does not work for root.
        arguments = ["--js-flags=--expose-gc", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = await playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(browser: Browser) -> AsyncIterator[Browser]:
    """The machine's Chromium, headless. Open pages with `await chromium.new_page()`, profiles with `new_context()`; what
    a test opened is closed after it."""
    yield browser
    for context in browser.contexts:
        await context.close()


@pytest.fixture
def world(each_database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Teams North and South, their inspectors, three airfields: on both databases."""
    from tests.world import World

    # Async tests may look at their own database without a thread for each look.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    return World()
