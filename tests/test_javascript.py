"""Runs every `tests/js/**/*.test.js` in Chromium: one test here is one module there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser

from tests.javascript import ROOT, static_server

MODULES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "js").rglob("*.test.js"))


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with static_server() as url:
        yield url


@pytest.mark.parametrize("module", MODULES)
async def test_module(module: str, origin: str, chromium: Browser) -> None:
    page = await chromium.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"{error.message}\n{error.stack}"))
    await page.goto(origin)
    results = await page.evaluate(
        "async (path) => { await import(path); return (await import('/tests/js/harness.js')).run(); }", f"/{module}"
    )
    assert results, f"{module} has no tests"
    failed = [f"{result['name']}: {result['error']}" for result in results if result["error"]]
    assert not failed + complaints, "\n\n".join(failed + complaints)


def test_there_are_modules() -> None:
    assert MODULES
