"""What README.md says is true: its commands and snippets run, and what it names exists.

The snippets of "Add it to your project" make a new project; the others run against a server of the demo.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from realm_sync import conf
from realm_sync.core.declarations import parse_class
from realm_sync.core.schema import Schema, compare
from realm_sync.management.commands.realm_sync import SUBCOMMANDS
from tests.servers import ROOT, Server
from tests.test_demo import demo  # noqa: F401 (a fixture)

README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    found = re.search(rf"^##+ {title}\n(.*?)(?=^##+ |\Z)", README, re.M | re.S)
    assert found, f"README.md has no section '{title}'"
    return found[1]


def snippets(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(title), re.M | re.S)


def run(arguments: list[str], directory: Path, **environment: str) -> str:
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(arguments, cwd=directory, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_does_what_try_it_says(demo: Server, tmp_path: Path) -> None:  # noqa: F811
    def realm_sync(line: str, *more: str) -> str:
        line = line.replace("http://127.0.0.1:8000", demo.url).replace("KEY", key)
        arguments = shlex.split(line, comments=True)
        assert arguments.pop(0) == ".venv/bin/realm-sync"
        return run([sys.executable, "-m", "realm_sync.client.console", *arguments, *more], tmp_path)

    key = ""
    watches, offline = (block.splitlines() for block in snippets("Try it", "sh"))
    for watch in watches:
        assert re.search(r"\d+ objects of Inspection", realm_sync(watch, "--once"))
    (orm,) = re.findall(r"`\.venv/bin/python manage\.py shell -c '(.*)'`", section("Try it"))
    run([sys.executable, "manage.py", "shell", "-c", orm], ROOT, **demo.environment)
    realm_sync(watches[0], "--once")
    query, edit, status = offline
    rows = [json.loads(row) for row in realm_sync(query, "--json").splitlines()]
    assert rows and {row["priority"] for row in rows} == {5}
    key = realm_sync(query).splitlines()[1].split()[0]
    assert rows[0]["_id"].startswith(key)
    assert "notes=Fence is torn  status=done" in realm_sync(edit)
    assert re.search(r"To be uploaded\s+1 transaction\n", realm_sync(status))
    assert "everything is uploaded" in realm_sync(watches[0], "--once")


def test_the_client_snippet_runs(demo: Server, tmp_path: Path) -> None:  # noqa: F811
    (snippet,) = snippets("Python clients", "python")
    # Listeners are called by a thread, soon: a script that ends at once may not live to see it, and one that prints at
    # once may print into its line.
    asking = "import time; time.sleep(1); print('asked:', open_ones[0].title, len(open_ones))\n"
    snippet = snippet.replace("http://127.0.0.1:8000", demo.url).replace(
        "\nwith realm.write", f"\n{asking}with realm.write"
    )
    heard, title, *_ = run([sys.executable, "-c", snippet], tmp_path).splitlines()
    assert heard == f"{title.split()[-1]} ()"
    title = title.removeprefix("asked: ")
    look = (
        "from demo_project.inspections.models import Inspection as I; print(*I.objects.values_list('title', 'status'))"
    )
    written = run([sys.executable, "manage.py", "shell", "-v", "0", "-c", look], ROOT, **demo.environment)
    assert f"('{title.rpartition(' ')[0]}', 'in progress')" in written


def test_the_class_of_the_official_sdks_snippet_is_the_demos(demo: Server) -> None:  # noqa: F811
    """An SDK whose class contradicts the server's is refused. The snippet itself runs only where the SDK's addon is."""
    (snippet,) = snippets("Official Realm SDKs", "js")
    (listed,) = re.findall(r"properties: \{(.*?)\}", snippet)
    properties = dict(re.findall(r'(\w+): "(.*?)"', listed))
    text = run([sys.executable, "manage.py", "realm_sync", "schema"], ROOT, **demo.environment)
    (inspection,) = (each for each in json.loads(text) if each["name"] == "Inspection")
    declared = Schema([parse_class(inspection)])
    snippets_own = Schema([parse_class({"name": "Inspection", "primaryKey": "_id", "properties": properties})])
    compare(snippets_own, declared)  # raises SchemaMismatch
    assert set(properties) <= set(declared["Inspection"].properties)
    for url in re.findall(r"http://[\w.:]+", snippet):
        assert url == "http://127.0.0.1:8000"


MODELS = """
from django.conf import settings
from django.db import models
from django.db.models import Q
from realm_sync import sync

class Project(models.Model):
    name = models.CharField(max_length=200)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="projects")
    due = models.DateField(null=True)

"""
"""What a project may have had before."""


def test_the_snippets_make_a_project_that_its_checks_accept(tmp_path: Path) -> None:
    def manage(*arguments: str) -> str:
        return run([sys.executable, "manage.py", *arguments], tmp_path, DJANGO_SETTINGS_MODULE="mysite.settings")

    settings, urls, asgi, sync, task = snippets("Add it to your project", "python")
    run([sys.executable, "-m", "django", "startproject", "mysite", "."], tmp_path, DJANGO_SETTINGS_MODULE="")
    manage("startapp", "projects")
    site, app = tmp_path / "mysite", tmp_path / "projects"
    (options,) = re.findall(r'`"OPTIONS": (\{.*?\})`', section("Running it"))
    settings = settings.replace("...", '*INSTALLED_APPS, "projects"')
    with (site / "settings.py").open("a") as file:
        file.write(f'{settings}\nDATABASES["default"]["OPTIONS"] = {options}\n')
    with (site / "urls.py").open("a") as file:
        file.write("from django.urls import include\n" + urls.replace("...", "*urlpatterns"))
    (site / "asgi.py").write_text(asgi)
    (app / "sync.py").write_text(sync)
    (app / "models.py").write_text(MODELS + task)
    manage("makemigrations")
    manage("migrate")
    manage("check", "--database", "default", "--fail-level", "WARNING")
    assert "projects_task_update" in manage("realm_sync", "triggers")
    manage("shell", "-c", "import mysite.asgi")


def test_the_settings_are_those_of_conf() -> None:
    rows = re.findall(r"^\| (`[A-Z_`/ ]+) \| (.*?) \|", section("Settings"), re.M)
    units = {"768 KiB": "768 * 1024"}
    for names, defaults in rows:
        for name, default in zip(names.split(" / "), defaults.split(" / "), strict=True):
            value: Any = eval(units.get(default, default.strip("`")))
            assert vars(conf.Settings)[name.strip("`")] == value, f"{name} is not {default}"
    assert len(rows) == 13


def test_the_commands_exist() -> None:
    for name in re.findall(r"(?:`| · `)(?:manage\.py realm_sync )?([a-z]+)[ `]", section("Commands")):
        assert name in SUBCOMMANDS, f"manage.py realm_sync {name}"
    text = run([sys.executable, "-m", "realm_sync.client.console", "--help"], ROOT)
    (named,) = re.findall(r"`realm-sync --help`.*?: (.*?)\. ", section("Python clients"))
    for name in re.findall(r"`(\w+)`", named):
        assert re.search(rf"^    {name} ", text, re.M), f"realm-sync {name}"
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`?make (\w+)", "\n".join(re.findall(r"`make \w+|^make \w+", README, re.M)))) <= targets


def test_the_map_names_what_is_there_and_all_of_it() -> None:
    package = ROOT / "realm_sync"
    named: set[str] = set()
    for places, told in re.findall(r"^\| (`.*?) \| (.*) \|$", section("Map of the code"), re.M):
        for place in re.findall(r"`(.*?)`", places):
            directory = place.rstrip("/")
            found = [ROOT / directory, package / directory, package / f"{directory}.py"]
            assert any(path.exists() for path in found), f"the map names {place}"
            named.add(directory)
        if places == "`core/`":
            modules = {path.stem for path in (package / "core").glob("*.py")} - {"__init__"}
            assert modules <= set(re.findall(r"`(\w+)`", told)), "the map lacks modules of core/"
    assert {path.stem for path in package.glob("*.py")} - {"__init__"} <= named, "the map lacks modules"


def headings(text: str) -> set[str]:
    return {
        re.sub(r"[^a-z0-9 ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^##+ (.*)", text, re.M)
    }


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((.*?)\)", README):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        assert not name or (ROOT / name).exists(), target
        assert not heading or heading in headings((ROOT / name).read_text() if name else README), target
