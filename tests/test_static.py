"""The browser SDK as files: it is served as it is written, so collectstatic must be able to hash the names of modules.

Django can rewrite imports to hashed names, but gives up ("Max post-process passes exceeded") where modules import each
other over more than five steps, depending on the order of files in a directory. It recognises an import statement by
its semicolon. So ours have none: Django leaves them alone, and the import map of the page, which knows every module,
leads each plain URL to the hashed one. A type in a comment, `import("./x.js")`, is rewritten all the same: those must
not go in circles, nor over more than four steps.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.management import call_command
from django.template import Context, Template
from playwright.async_api import Browser

from tests.javascript import static_server

PACKAGE = Path(__file__).resolve().parent.parent / "realm_sync"
STATIC = PACKAGE / "static"
SDK = STATIC / "realm_sync"
MODULES = sorted(path.relative_to(SDK).as_posix() for path in SDK.rglob("*.js"))
MOST_BYTES = 214 * 1024
"""All modules together, each compressed by itself, as a server sends them. The aim is 45 kB, which source that ships with
its comments and types does not reach (README, "Measured"): this only keeps it from growing unnoticed."""

MAY_IMPORT = {"core": {"core"}, "client": {"core", "client"}, "": {"", "core", "client"}}
"""Directory → whose modules its modules may import."""

STATEMENT = re.compile(r"""^(?:import|export)\b(?:[^;"'`()=]*?\bfrom)?\s*["']([^"']+)["']\s*(;?)""", re.M)
CALL = re.compile(r"""\bimport\(\s*["']([^"']+)["']\s*\)""")


class HashedModules(ManifestStaticFilesStorage):
    support_js_module_import_aggregation = True


def statements(module: str) -> list[tuple[str, str]]:
    """(specifier, semicolon) of every import and re-export."""
    return STATEMENT.findall((SDK / module).read_text())


def imported(module: str, text: str) -> list[str]:
    """Paths below the SDK's directory that a module's text imports from, comments included."""
    specifiers = [specifier for specifier, _ in STATEMENT.findall(text)] + CALL.findall(text)
    return [
        (SDK / module).parent.joinpath(each).resolve().relative_to(SDK).as_posix()
        for each in specifiers
        if each.startswith(".")
    ]


def test_there_is_an_entry() -> None:
    assert "realm.js" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_are_relative_and_have_no_semicolon(module: str) -> None:
    for specifier, semicolon in statements(module):
        assert re.match(r"\.\.?/.*\.js$", specifier), f"{module}: '{specifier}' is not a relative path to a .js file"
        assert not semicolon, f"{module}: with its semicolon, Django would rewrite the import of '{specifier}'"


def test_types_in_comments_are_few_steps_apart() -> None:
    def steps(module: str) -> int:
        named = [
            (SDK / module).parent.joinpath(each).resolve().relative_to(SDK).as_posix()
            for each in CALL.findall((SDK / module).read_text())
        ]
        return max((1 + steps(each) for each in named), default=0)

    far = {module: steps(module) for module in MODULES if steps(module) > 4}
    assert not far, f"Django would need more passes than it makes: {far}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_up_the_map(module: str) -> None:
    """core imports only core; client core and client."""
    allowed = MAY_IMPORT[module.rpartition("/")[0]]
    for each in imported(module, (SDK / module).read_text()):
        assert each.rpartition("/")[0] in allowed, f"{module} imports {each}"
        assert each in MODULES, f"{module} imports {each}, which does not exist"


def test_importing_goes_in_no_circle() -> None:
    finished: set[str] = set()
    circles = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            circles.append(" → ".join((*path[path.index(module) :], module)))
        elif module in MODULES and module not in finished:
            for each in imported(module, (SDK / module).read_text()):
                visit(each, (*path, module))
            finished.add(module)

    for module in MODULES:
        visit(module, ())
    assert not circles, "\n".join(circles)


@pytest.mark.parametrize("module", [module for module in MODULES if "/" in module])
def test_every_module_has_a_python_twin_or_says_that_it_has_none(module: str) -> None:
    twin = PACKAGE / re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", module).lower()
    first = next(line for line in (SDK / module).read_text().splitlines() if line.strip(" /*"))
    assert twin.with_suffix(".py").is_file() or "no python twin" in first.lower(), (
        f"{module} has no {twin.with_suffix('.py').relative_to(PACKAGE)}: say 'no Python twin' in its first line"
    )


@pytest.mark.parametrize("rewrites", [True, False])
async def test_a_page_loads_every_module_by_its_hashed_name(
    rewrites: bool, settings: Any, tmp_path: Path, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Django's storage as it is, and with its rewriting of imports switched on."""
    monkeypatch.setattr(HashedModules, "support_js_module_import_aggregation", rewrites)
    settings.STATIC_ROOT = tmp_path
    backend = f"{HashedModules.__module__}.{HashedModules.__name__}"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin"])
    storage = HashedModules(location=tmp_path)
    hashed = {storage.stored_name(f"realm_sync/{module}") for module in MODULES}
    assert not hashed & {f"realm_sync/{module}" for module in MODULES}
    html = "<!doctype html>" + Template("{% load realm_sync %}{% realm_sync_config %}").render(Context())
    with static_server({"/static/": tmp_path}) as origin:
        page = await chromium.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(f"{origin}/static/")))
        await page.route(f"{origin}/page", lambda route: route.fulfill(body=html, content_type="text/html"))
        await page.goto(f"{origin}/page")
        work = """async () => {
          const { default: Realm } = await import("realm");
          const properties = { _id: "int", name: "string" };
          const realm = await Realm.open({ schema: [{ name: "Lamp", primaryKey: "_id", properties }] });
          realm.write(() => realm.create("Lamp", { _id: 1, name: "PAPI" }));
          return realm.objects("Lamp").filtered("name BEGINSWITH 'P'").length;
        }"""
        assert await page.evaluate(work) == 1
    assert {name for name in asked if name.endswith(".js")} == hashed


def test_size() -> None:
    sizes = {module: len(gzip.compress((SDK / module).read_bytes(), 9)) for module in MODULES}
    for module, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{size:6,}  {module}")
    total = sum(sizes.values())
    print(f"{total:6,}  together, of {MOST_BYTES:,}")
    assert total <= MOST_BYTES
