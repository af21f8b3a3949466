"""Python and JavaScript merge alike: random cases of tests/core, done in a page and compared."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser

from realm_sync.core import merge
from realm_sync.core.edits import Shape, derive, identity
from realm_sync.core.tree import Tree
from tests.core import test_rebase
from tests.core.kits import CASE, KEY, KIT, PART, SCHEMA, VALUES, edits
from tests.core.test_merge import bare, perform
from tests.javascript import static_server

FRESH = settings(
    max_examples=500, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
)
WITH_INSIDE = [name for name in VALUES if name not in ("size", "uses", "maybe_uses")]


def trees() -> list[tuple[Any, Any]]:
    """(case, answer) of random steps of one property."""
    found: list[tuple[Any, Any]] = []

    @FRESH
    @given(st.data(), st.sampled_from(list(VALUES)))
    def draw(data: st.DataObject, name: str) -> None:
        value = data.draw(VALUES[name])
        tree = Tree(Shape(SCHEMA, KIT.properties[name]), name, value)
        steps: list[Any] = []
        results: list[Any] = []
        for version in range(20, 20 + data.draw(st.integers(1, 7))):
            step: dict[str, Any]
            stamp = [data.draw(st.integers(0, 5)), 7]
            what = data.draw(st.sampled_from(["absorb", "apply", "apply", "apply", "assign", "join"]))
            made = data.draw(edits(name, tree.seen_value())) if what == "apply" else None
            if what == "absorb":
                write = [version, data.draw(st.integers(0, 5)), 3]
                step = {"absorb": data.draw(VALUES[name]), "write": write, "known": data.draw(st.integers(0, 4)) == 0}
            elif what == "apply":
                step = {"apply": bare(made), "stamp": stamp} if made else {"assign": value, "stamp": stamp}
            else:
                step = {what: data.draw(VALUES[name]), "stamp": stamp}
            steps.append(copy.deepcopy(step))
            results.append(perform(tree, step))
        case = {"property": name, "value": value, "steps": steps}
        found.append((case, [results, tree.value(), tree.seen_value()]))

    draw()
    return found


def derived() -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []

    @FRESH
    @given(st.data(), st.sampled_from(WITH_INSIDE))
    def draw(data: st.DataObject, name: str) -> None:
        values = VALUES[name] if name != "numbers" else st.lists(st.integers(0, 30), max_size=40)
        before, after = data.draw(values), data.draw(values)
        steps = derive(SCHEMA, KIT, KEY, name, before, after)
        found.append(({"property": name, "before": before, "after": after}, [bare(step) for step in steps]))

    draw()
    return found


def rebases(monkeypatch: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []

    def recorded(*arguments: Any) -> Any:
        names = ("old", "acknowledged", "now", "pending", "version")
        case = msgspec.to_builtins(dict(zip(names, arguments[2:], strict=True)))
        answer = merge.rebase(*arguments)
        found.append((case, msgspec.to_builtins(list(answer))))
        return answer

    monkeypatch.setattr(test_rebase, "rebase", recorded)
    scenario: Any = test_rebase.test_screens_and_server_agree
    FRESH(given(st.data())(scenario.hypothesis.inner_test))()
    return found[:3000]


async def test_javascript_merges_as_python_does(chromium: Browser, monkeypatch: Any) -> None:
    asked = {"trees": trees(), "derived": derived(), "rebases": rebases(monkeypatch)}
    classes = [msgspec.to_builtins(cls) for cls in (PART, CASE, KIT)]
    with static_server() as origin:
        page = await chromium.new_page()
        await page.goto(origin)
        await page.evaluate(
            "async (classes) => { window.answer = (await import('/tests/js/merging.js')).answering(classes); }", classes
        )
        for kind, cases in asked.items():
            assert len(cases) > 100
            texts = [msgspec.json.encode(case).decode() for case, _ in cases]
            answers = await page.evaluate(
                "([kind, cases]) => cases.map((case_) => JSON.stringify(window.answer[kind](JSON.parse(case_))))",
                [kind, texts],
            )
            for (case, expected), text in zip(cases, answers, strict=True):
                assert identity(msgspec.json.decode(text)) == identity(expected), case
        await page.close()
