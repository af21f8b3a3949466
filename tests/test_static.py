"""The browser SDK as files: it is served as it is written, so collectstatic must be able to hash the names of modules.

Django rewrites what looks like an import, in comments too. Hence: relative specifiers, a semicolon after every import,
no circles (a type in a comment, `import("./x.js")`, counts), no examples of imports in comments.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.management import call_command

PACKAGE = Path(__file__).resolve().parent.parent / "realm_sync"
STATIC = PACKAGE / "static"
SDK = STATIC / "realm_sync"
MODULES = sorted(path.relative_to(SDK).as_posix() for path in SDK.rglob("*.js"))
MOST_BYTES = 45 * 1024
"""All modules together, each compressed by itself, as a server sends them."""

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
def test_imports_are_relative_and_end_with_a_semicolon(module: str) -> None:
    text = (SDK / module).read_text()
    for specifier, semicolon in statements(module):
        assert re.match(r"\.\.?/.*\.js$", specifier), f"{module}: '{specifier}' is not a relative path to a .js file"
        assert semicolon, f"{module}: the import of '{specifier}' lacks its semicolon, so Django leaves it unhashed"
    begun = len(re.findall(r"^import\b(?!\()|^export\s*(?:\*|\{[^}]*\}\s*from\b)", text, re.M))
    assert begun == len(statements(module)), f"{module} has an import that this test does not understand"


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


def test_collectstatic_hashes_every_import(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    backend = f"{HashedModules.__module__}.{HashedModules.__name__}"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin"])
    storage = HashedModules(location=tmp_path)
    hashed = {module: storage.stored_name(f"realm_sync/{module}").removeprefix("realm_sync/") for module in MODULES}
    assert all(name != module and (tmp_path / "realm_sync" / name).is_file() for module, name in hashed.items())
    for module, name in hashed.items():
        text = (tmp_path / "realm_sync" / name).read_text()
        written = imported(module, text)
        assert len(written) == len(imported(module, (SDK / module).read_text()))
        assert set(written) <= set(hashed.values()), f"{module} imports {set(written) - set(hashed.values())}"


def test_size() -> None:
    sizes = {module: len(gzip.compress((SDK / module).read_bytes(), 9)) for module in MODULES}
    for module, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{size:6,}  {module}")
    total = sum(sizes.values())
    print(f"{total:6,}  together, of {MOST_BYTES:,}")
    assert total <= MOST_BYTES
