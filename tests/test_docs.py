"""What docs/ says is true: its snippets make a site of their own, with the demo's models, and run, in Chromium or here.

The JavaScript blocks of a page are one module, in their order; after `console.log(…); // this` just that is expected.
Blocks that begin with the name of another file are that file; other language tags than js do not run. The Python blocks
of opening.md are one program, those of python-clients.md another.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.test import override_settings
from playwright.async_api import Browser, Page, expect

from realm_sync import checks, conf
from realm_sync.client import Realm
from tests.postgres import free_port
from tests.servers import ROOT, Server
from tests.test_demo import manage

GUIDE = (ROOT / "docs" / "web-clients.md").read_text()
OPENING = (ROOT / "docs" / "opening.md").read_text()
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\S+)\n(.*?)^```", re.M | re.S)
BLOCKS: list[tuple[str, str]] = BLOCK.findall(GUIDE)

(TEMPLATE,) = (text for language, text in BLOCKS if language == "html+django")
(CLASSES,) = (text for language, text in BLOCKS if language == "javascript")
(URLS,) = (text for language, text in BLOCKS if language == "python" and text.startswith("# urls.py"))
SETTINGS = "".join(text for language, text in BLOCKS if language == "python" and text is not URLS)
(WORKER,) = (text for _, text in BLOCKS if text.startswith("// templates/field/sw.js"))
MODULE = "".join(text for language, text in BLOCKS if language == "js" and text is not WORKER)
SAID = re.findall(r"^ *console\.log\(.*\); // (.*)$", MODULE, re.M)
((_, SHORT),) = BLOCK.findall(README.partition("\n## Web clients\n")[2].partition("\n## ")[0])
"""The README's own example, on a page that differs by its module only."""

PYTHON = (ROOT / "docs" / "python-clients.md").read_text()
OPENING_MODULE = "".join(text for language, text in BLOCK.findall(OPENING) if language == "js")
OPENING_PYTHON = [text for language, text in BLOCK.findall(OPENING) if language == "python"]

DONE = '\ndocument.body.dataset.done = "yes";\n'
FILES = {
    "field/__init__.py": "",
    "field/urls.py": f"from django.contrib import admin\n{URLS}\n"
    'urlpatterns += [path("admin/", admin.site.urls)]\n'
    'urlpatterns += [path("short/", TemplateView.as_view(template_name="field/short.html"))]\n'
    'urlpatterns += [path("opening/", TemplateView.as_view(template_name="field/opening.html"))]\n',
    "field/templates/field/board.html": TEMPLATE,
    "field/templates/field/short.html": TEMPLATE.replace("field/board.js", "field/short.js"),
    "field/templates/field/opening.html": TEMPLATE.replace("field/board.js", "field/opening.js"),
    "field/static/field/opening.js": OPENING_MODULE + DONE,
    "field/templates/field/sw.js": WORKER,
    "field/static/field/board.js": MODULE + DONE,
    "field/static/field/short.js": SHORT + DONE,
}
SITE = """
import sys
from demo_project.settings import *

sys.path.insert(0, {directory!r})
INSTALLED_APPS = [*INSTALLED_APPS, "field"]
ROOT_URLCONF = "field.urls"
"""
SEED = """
import airportsdata
from django.core.management import call_command
from demo_project.inspections.management.commands.seed import AIRFIELDS

everything = airportsdata.load
named = " ".join(AIRFIELDS.values())
airportsdata.load = lambda by: {k: v for k, v in everything(by).items() if k in named or v["country"] == "GL"}
call_command("seed")
"""
"""`manage.py seed` with some dozens of airfields instead of all."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("site")
    settings = {"site_settings.py": SITE.format(directory=str(directory)) + SETTINGS}
    for name, text in (FILES | settings).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    environment = {
        "DJANGO_SETTINGS_MODULE": "site_settings",
        "DATABASE_URL": f"sqlite:///{directory / 'site.sqlite3'}",
        "PYTHONPATH": f"{directory}:{ROOT}",
    }
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "shell", "-c", SEED)
    server = Server(free_port(), environment, directory / "log", application="demo_project.asgi:application")
    yield server.start()
    server.kill()


class Listening:
    """A page, what its modules say by `console.log`, and what it complains about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.complaints: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text, message.location["url"]))
        page.on("pageerror", lambda error: self.complaints.append(f"{error.message}\n{error.stack}"))

    def _hear(self, kind: str, text: str, url: str) -> None:
        if kind == "log":
            self.said.append(text)
        elif kind in ("error", "warning") and not url.endswith("/favicon.ico"):
            self.complaints.append(text)

    async def visit(self, url: str) -> None:
        """Returns when the page's module has run to its end."""
        await self.page.goto(url)
        await expect(self.page.locator("body")).to_have_attribute("data-done", "yes", timeout=30_000)


@pytest_asyncio.fixture(loop_scope="session")
async def tab(chromium: Browser) -> AsyncIterator[Listening]:
    context = await chromium.new_context()
    yield Listening(await context.new_page())
    await context.close()


async def log_in_as_admin(page: Page, url: str) -> None:
    await page.goto(f"{url}/admin/")
    await page.fill("[name=username]", "admin")
    await page.fill("[name=password]", "demo")
    await page.click("[type=submit]")
    await expect(page.locator("#user-tools")).to_be_visible()


async def test_the_guide_runs_and_its_page_opens_without_the_server(site: Server, tab: Listening) -> None:
    await log_in_as_admin(tab.page, site.url)
    await tab.visit(f"{site.url}/board/")
    told = [line for line in tab.said if line in SAID]
    assert told == SAID, f"the page said {tab.said}, and complained {tab.complaints}"
    refused = [text for text in tab.complaints if "401" not in text]  # the wrong password
    assert not refused, "\n".join(refused)
    shown = await tab.page.locator("li").all_inner_texts()
    assert len(shown) == 21 and "Windsock and mast" in shown

    site.stop()
    try:
        await tab.page.reload()
        await expect(tab.page.locator("li")).to_have_count(22)  # it made another one, offline
    finally:
        site.start()


async def test_the_example_of_the_readme_runs(site: Server, tab: Listening) -> None:
    await tab.visit(f"{site.url}/short/")
    assert re.fullmatch(r"\d+ \[\]", tab.said[0]), tab.said
    assert not tab.complaints, "\n".join(tab.complaints)


async def test_every_way_of_opening_runs(site: Server, tab: Listening) -> None:
    await tab.visit(f"{site.url}/opening/")
    assert not tab.complaints, "\n".join(tab.complaints)


def test_every_way_of_opening_runs_in_python(
    site: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, *program = OPENING_PYTHON
    names: dict[str, Any] = {}
    exec("".join(program).replace("http://127.0.0.1:8000", site.url), names)
    opened = [each for each in names.values() if isinstance(each, Realm)]
    assert len(opened) == 7
    for realm in opened:
        with realm:
            assert realm.subscriptions.wait_for_synchronization(10).result() is None and realm.objects("Inspection")
    assert "100%" in capsys.readouterr().out


def test_the_settings_of_opening_pass_the_checks() -> None:
    names: dict[str, Any] = {}
    exec(OPENING_PYTHON[0], names)
    with override_settings(REALM_SYNC=names["REALM_SYNC"]):
        assert checks.check_settings() == checks.check_client_settings() == []
        assert conf.client_configuration("", "python")["timeouts"]["connect"] == 10_000


def test_the_classes_are_those_that_the_command_prints() -> None:
    printed = manage(
        {"DJANGO_SETTINGS_MODULE": "demo_project.settings"}, "realm_sync", "schema", "--format", "javascript"
    )
    start, _, cls = CLASSES.partition("\n\n")
    assert printed.startswith(start) and cls in printed


def test_the_settings_exist() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", GUIDE))
    ours = {name for name in named if hasattr(conf.Settings, name)}
    assert named - ours == {
        "ASGI_APPLICATION",
        "CSRF_TRUSTED_ORIGINS",
        "INSTALLED_APPS",
        "REALM_SYNC",
        "SECURE_PROXY_SSL_HEADER",
    }


def test_what_the_troubleshooting_table_quotes_is_what_is_said() -> None:
    sources = [*(ROOT / "realm_sync").rglob("*.js"), *(ROOT / "realm_sync").rglob("*.py")]
    said = "\n".join(path.read_text() for path in sources)
    elsewhere = {'Failed to resolve module specifier "realm"', 'Realm.setLogLevel("info")'}
    tables = [GUIDE.split("\n## Troubleshooting\n")[1], OPENING.split("\n## When it fails\n")[1]]
    rows = [row for table in tables for row in table.splitlines()]
    quoted = [quote for row in rows for quote in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(quoted) > 10
    for quote in set(quoted) - elsewhere:
        for part in re.split(r"…|\(.*\)", quote):
            assert part.strip("'") in said, quote


def test_links_lead_somewhere() -> None:
    def headings(text: str) -> set[str]:
        titles = re.findall(r"^##+ (.*)", text, re.M)
        return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}

    for page in (GUIDE, OPENING):
        for file, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page):
            text = (ROOT / "docs" / file).read_text() if file else page
            assert not anchor or anchor in headings(text), f"{file}#{anchor}"


def test_the_python_classes_are_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("python_clients")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    program = "\n".join(text for language, text in BLOCK.findall(PYTHON) if language == "python")
    exec(compile(program, "docs/python-clients.md", "exec"), vars(module))
    module.realm.close()
    assert capsys.readouterr().out.splitlines() == [
        "<List Inspection.tags ['urgent', 'new']> 1 -12.5",
        "['Fence'] Tromsø",
        "gate",
    ]
