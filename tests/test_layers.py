"""Imports point up the map below, never down; `client/` and the Django side never meet; importing goes in no circle.

The map is the one in the README: a new module must be placed in it before this test passes. Every import statement
counts, those inside functions too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "realm_sync"

LAYERS = {
    "the version": ["__init__"],
    "core": ["core"],
    "Django vocabulary": [
        "conf",
        "fields",
        "schema_models",
        "models",
        "registry",
        "functions",
        "filters",
        "rules",
        "migrations",
    ],
    "engine": [
        "capture",
        "history",
        "threads",
        "access",
        "throttling",
        "auth",
        "accounts",
        "subscriptions",
        "writing",
        "validation",
        "uploads",
        "downloads",
        "wakeups",
        "feed",
        "sessions",
        "device_sync",
    ],
    # `sync` is what apps import; it hands what they say on to the registry and to the history.
    "edges": [
        "sync",
        "consumers",
        "views",
        "urls",
        "routing",
        "admin",
        "checks",
        "apps",
        "templatetags",
        "management",
    ],
    "client": ["client"],
}
"""From the top: each layer may import those before it. `client` may import the version and core only."""

PURE = {"core": {"msgspec", "lark"}, "client": {"msgspec", "lark", "websockets", "rich", "sqlcipher3"}}
"""Layers that may import the standard library and these packages, nothing else from outside."""


@cache
def modules() -> dict[str, Path]:
    """Dotted name → file, of every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def place(module: str) -> str:
    """The name in the map that a module of ours belongs to: `core` for realm_sync.core.merge."""
    return (module.split(".") + ["__init__"])[1]


def layer(module: str) -> str | None:
    return next((name for name, places in LAYERS.items() if place(module) in places), None)


class WithoutTypeChecking(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


@cache
def imports(module: str, for_types: bool = True) -> tuple[tuple[int, str], ...]:
    """(line, imported module) of every import; of `from package import module` the module. Without `for_types`, those
    below `if TYPE_CHECKING` are left out."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: list[tuple[int, str]] = []
    tree = ast.parse(path.read_text(), str(path))
    if not for_types:
        tree = WithoutTypeChecking().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base]) if base else ".".join(parents)
            submodules = [f"{base}.{alias.name}" for alias in node.names]
            found += [(node.lineno, name if name in modules() else base) for name in submodules]
    return tuple(dict.fromkeys(found))


def statements() -> Iterator[tuple[str, str, str]]:
    """(module, imported, where it says so) for every import of the package."""
    for module, path in modules().items():
        for line, imported in imports(module):
            yield module, imported, f"{path.relative_to(PACKAGE.parent)}:{line} imports {imported}"


def is_ours(module: str) -> bool:
    return module.split(".")[0] == PACKAGE.name


def test_every_module_is_on_the_map() -> None:
    unplaced = sorted({place(module) for module in modules() if layer(module) is None})
    assert not unplaced, f"give these modules a place in LAYERS (and in the README's map): {', '.join(unplaced)}"


def test_imports_point_up_the_map() -> None:
    order = list(LAYERS)
    wrong = []
    for module, imported, where in statements():
        importer, target = layer(module), layer(imported) if is_ours(imported) else None
        if importer is None or target is None or importer == target:
            continue
        reachable = ["the version", "core"] if importer == "client" else order[: order.index(importer)]
        if target not in reachable or target == "client":
            wrong.append(f"{where}, of the layer '{target}', from the layer '{importer}'")
    assert not wrong, "\n".join(wrong)


def test_core_and_client_import_few_packages() -> None:
    wrong = []
    for module, imported, where in statements():
        allowed = PURE.get(layer(module) or "")
        name = imported.split(".")[0]
        if allowed is not None and not is_ours(imported) and name not in allowed | sys.stdlib_module_names:
            wrong.append(where)
    assert not wrong, "\n".join(wrong)


def test_the_version_imports_nothing() -> None:
    assert [imported for _, imported in imports("realm_sync") if imported != "__future__"] == []


def test_importing_goes_in_no_circle() -> None:
    """But for types, two modules may know each other."""
    finished: set[str] = set()
    circles = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            circles.append(" → ".join((*path[path.index(module) :], module)))
        elif module in modules() and module not in finished:
            for _, imported in imports(module, for_types=False):
                visit(imported, (*path, module))
            finished.add(module)

    for module in modules():
        visit(module, ())
    assert not circles, "\n".join(circles)


@pytest.mark.parametrize("package", ["core", "client"])
def test_django_is_not_loaded_by(package: str) -> None:
    """In a process of its own, so that nothing else can have loaded it."""
    names = [module for module in modules() if module.split(".")[1:2] == [package]]
    program = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "loaded = {name.partition('.')[0] for name in sys.modules} & {'django', 'channels', 'asgiref'}\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
