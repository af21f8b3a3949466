"""The demo starts from nothing, and what `make demo` prints and its page shows is true."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import airportsdata
import pytest
from playwright.async_api import Browser

from tests.postgres import free_port
from tests.servers import ROOT, Server


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo's server after migrate and seed, which every module that asks shares. `environment` names its database."""

    def on(path: Path) -> dict[str, str]:
        return {"DJANGO_SETTINGS_MODULE": "demo_project.settings", "DATABASE_URL": f"sqlite:///{path}"}

    directory, seeded = tmp_path_factory.mktemp("demo"), tmp_path_factory.getbasetemp() / "seeded.sqlite3"
    if not seeded.exists():
        manage(on(seeded), "migrate", "--verbosity", "0")
        assert "Inspections: 40" in manage(on(seeded), "seed")
    environment = on(shutil.copy(seeded, directory / "demo.sqlite3"))
    server = Server(free_port(), environment, directory / "log", application="demo_project.asgi:application")
    yield server.start()
    server.kill()


def test_seeding_again_adds_nothing(demo: Server) -> None:
    assert manage(demo.environment, "seed") == ""


def test_migrations_are_complete(demo: Server) -> None:
    assert "No changes detected" in manage(demo.environment, "makemigrations", "--check", "--dry-run")


def test_the_system_check_has_no_complaints(demo: Server) -> None:
    assert "no issues" in manage(demo.environment, "check", "--database", "default")


@pytest.mark.parametrize("username", ["nora", "noah", "sol", "admin"])
def test_users_of_the_page_can_log_in_as_clients(demo: Server, username: str) -> None:
    url = f"{demo.url}/api/client/v2.0/app/realm-sync/auth/providers/local-userpass/login"
    body = json.dumps({"username": username, "password": "demo"}).encode()
    with urlopen(Request(url, body, {"Content-Type": "application/json"})) as response:
        assert json.load(response)["access_token"]


async def test_pages_fit_a_phone_and_show_what_is_there(demo: Server, chromium: Browser) -> None:
    page = await chromium.new_page(viewport={"width": 360, "height": 740})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for path in ("/about/", "/"):
        await page.goto(demo.url + path)
        assert f"{len(airportsdata.load('ICAO')):,}" in await page.inner_text("main"), path
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert not complaints
    await page.click("text=admin's list of inspections")
    await page.fill("[name=username]", "admin")
    await page.fill("[name=password]", "demo")
    await page.click("[type=submit]")
    await page.wait_for_selector("#changelist >> text=40 inspections")


async def test_the_about_page_names_commands_that_exist(demo: Server, chromium: Browser) -> None:
    page = await chromium.new_page()
    await page.goto(f"{demo.url}/about/")
    commands = "\n".join(await page.locator("pre").all_inner_texts())
    assert {f"--email {name}" in commands for name in ("nora", "sol")} == {True}
    assert demo.url in commands and "realm_sync triggers" in commands
