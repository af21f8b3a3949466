"""What each operator says about two values, at its corners."""

from __future__ import annotations

import math
import time
from decimal import Decimal
from typing import Any

import pytest

from realm_sync.core.operators import arithmetic, fold, like_pattern


@pytest.mark.parametrize(
    ("operator", "left", "right", "result"),
    [
        ("+", 2**63 - 1, 1, -(2**63)),
        ("-", -(2**63), 1, 2**63 - 1),
        ("*", 2**62, 4, 0),
        ("/", 7, 2, 3),
        ("/", -7, 2, -3),
        ("/", 7, -2, -3),
        ("/", 0, 0, 2**63 - 1),
        ("/", -1, 0, -(2**63)),
        ("/", -(2**63), -1, -(2**63)),
        ("/", None, 0, None),
    ],
)
def test_integer_arithmetic(operator: str, left: Any, right: Any, result: Any) -> None:
    assert arithmetic(operator, "int", left, right) == result


def test_other_arithmetic() -> None:
    assert arithmetic("/", "double", 1.0, 0.0) == math.inf
    assert arithmetic("/", "double", 1.0, -0.0) == -math.inf
    assert math.isnan(arithmetic("/", "double", 0.0, 0))
    assert arithmetic("*", "double", 1e300, 1e300) == math.inf
    assert arithmetic("/", "decimal128", Decimal(1), Decimal(3)) == Decimal("0." + "3" * 34)
    assert arithmetic("/", "decimal128", Decimal(1), Decimal(0)) == Decimal("Infinity")
    assert arithmetic("+", "decimal128", 0.1, Decimal("0.2")) == Decimal("0.3")


def test_folding() -> None:
    assert fold("ÀÖØÞ×÷ßŸΩЯ") == "àöøþ×÷ßŸΩЯ"
    assert fold("Straße") == "straße"
    assert fold(b"A\xc3\x84") == b"a\xc3\x84"


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("", [""], ["a"]),
        ("*", ["", "a\nb"], []),
        ("?", ["a", "😀", "\n"], ["", "ab"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("*ab*", ["ab", "xaby"], ["a b"]),
        ("a*b*c", ["abc", "axbxbxc"], ["acb", "abcd"]),
        ("?*?", ["ab", "abc"], ["a"]),
        ("*?b", ["ab", "aab"], ["b"]),
        ("[a].%_", ["[a].%_"], ["a.%_"]),
        (b"a?*", [b"ab", b"a\xc3\xc3"], [b"a"]),
    ],
)
def test_like(pattern: Any, yes: list[Any], no: list[Any]) -> None:
    matches = like_pattern(pattern)
    assert all(map(matches, yes)) and not any(map(matches, no))


def test_like_never_backtracks() -> None:
    start = time.perf_counter()
    assert not like_pattern("*a" * 40 + "*b")("a" * 5_000)
    assert time.perf_counter() - start < 0.2
