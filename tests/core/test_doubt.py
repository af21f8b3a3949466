"""What a client file of an official SDK may not know of an object: told by downloads, and in conflict in uploads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from realm_sync.core.changes import Change, Image
from realm_sync.core.device_sync.doubt import Advance, Doubt, advances, decode_advance, doubt, encode_advance

US, THEM, ORM = 7, 8, 0
WHOLE = Advance(client_version=1, owed={"Inspection": {"A": True}})
KEY = ("Inspection", "A")


def north(image: Image) -> bool:
    return image["team"] == "North"


def history(*steps: tuple[int, dict[str, Any] | None], start: dict[str, Any] | None = None) -> list[Change]:
    """Rows: (who, the object's properties from then on)."""
    rows: list[Change] = []
    image = None if start is None else {"_id": "A", **start}
    for version, (origin, properties) in enumerate(steps, 1):
        after = None if properties is None else {"_id": "A", **(image or {}), **properties}
        kind = "insert" if image is None else "update" if after is not None else "delete"
        before: Mapping[str, Any] | None = image
        if kind == "update":
            before = {name: (image or {}).get(name) for name in after or {} if (image or {}).get(name) != after[name]}
        rows.append(
            Change(
                version, version, *KEY, kind, None if before is None else json.dumps(before),
                None if after is None else json.dumps(after), version * 100, origin,
            )
        )  # fmt: skip
        image = after
    return rows


def told(rows: list[Change], *since: Advance) -> tuple[str, list[str]]:
    """What a download tells."""
    it = doubt(rows, since, US, north, KEY)
    _, image = it.last.images() if it.last else (None, None)
    verdict = it.verdict(image)
    return verdict.kind, sorted(verdict.names)


IN, OUT = {"team": "North", "title": "t", "tags": []}, {"team": "South", "title": "t", "tags": []}


@pytest.mark.parametrize(
    ("what", "start", "steps", "kind", "names"),
    [
        ("nothing happened to it", IN, [], "nothing", []),
        ("own creation", None, [(US, IN)], "nothing", []),
        ("own creation that its view does not show", None, [(US, OUT)], "erase", []),
        ("own creation, own update", None, [(US, IN), (US, {"title": "u"})], "nothing", []),
        ("own creation, another's update", None, [(US, IN), (THEM, {"title": "u"})], "properties", ["title"]),
        ("own creation, another's deletion", None, [(US, IN), (THEM, None)], "erase", []),
        ("own update", IN, [(US, {"title": "u"})], "nothing", []),
        ("own update out of view", IN, [(US, {"team": "South"})], "erase", []),
        ("own update out of view and back", IN, [(US, {"team": "South"}), (US, {"team": "North"})], "whole", []),
        ("own deletion", IN, [(US, None)], "nothing", []),
        ("own creation and deletion", None, [(US, IN), (US, None)], "nothing", []),
        ("own deletion and creation", IN, [(US, None), (US, IN)], "nothing", []),
        ("another's update, own deletion", IN, [(ORM, {"title": "u"}), (US, None)], "nothing", []),
        ("another's creation", None, [(THEM, IN)], "whole", []),
        ("another's creation elsewhere", None, [(THEM, OUT)], "nothing", []),
        ("another's creation, own update", None, [(THEM, IN), (US, {"title": "u"})], "whole", []),
        ("another's update", IN, [(THEM, {"title": "u", "tags": ["x"]})], "properties", ["tags", "title"]),
        ("the server's update", IN, [(ORM, {"title": "u"})], "properties", ["title"]),
        ("another's update elsewhere", OUT, [(THEM, {"title": "u"})], "nothing", []),
        ("another's update into view", OUT, [(THEM, {"team": "North"})], "whole", []),
        ("another's update out of view", IN, [(THEM, {"team": "South"})], "erase", []),
        ("out of view, and another update there", IN, [(THEM, {"team": "South"}), (THEM, {"title": "u"})], "erase", []),
        ("out of view and back", IN, [(THEM, {"team": "South"}), (THEM, {"team": "North"})], "whole", []),
        ("into view and out", OUT, [(THEM, {"team": "North"}), (THEM, {"team": "South"})], "erase", []),
        ("another's deletion", IN, [(THEM, None)], "erase", []),
        ("another's deletion elsewhere", OUT, [(THEM, None)], "nothing", []),
        ("another deleted it and made it anew", IN, [(THEM, None), (THEM, IN)], "whole", []),
        ("another deleted it and made it anew elsewhere", IN, [(THEM, None), (THEM, OUT)], "erase", []),
        ("another deleted it, own creation", IN, [(THEM, None), (US, IN)], "whole", []),
        ("own deletion, another's creation", IN, [(US, None), (THEM, IN)], "whole", []),
        ("own deletion, another's creation elsewhere", IN, [(US, None), (THEM, OUT)], "erase", []),
        ("another deleted it, both made and deleted it", IN, [(THEM, None), (US, IN), (US, None)], "erase", []),
    ],
)
def test_what_a_download_tells(
    what: str, start: dict[str, Any] | None, steps: list[Any], kind: str, names: list[str]
) -> None:
    rows = history(*steps, start=start)
    it = doubt(rows, (), US, north, KEY)
    image = rows[-1].images()[1] if rows else {"_id": "A", **(start or {})}
    verdict = it.verdict(image)
    assert (verdict.kind, sorted(verdict.names)) == (kind, names), what


def test_what_was_owed_is_told() -> None:
    rows = history((US, {"title": "u"}), start=IN)
    some = Advance(client_version=1, owed={"Inspection": {"A": ["tags"], "B": True}, "Team": {"A": True}})
    assert told(rows, some) == ("properties", ["tags"])
    assert told(rows, some, WHOLE) == ("whole", [])
    assert told(history((US, None), start=IN), WHOLE) == ("erase", [])
    assert told(history((US, None), start=IN), some) == ("nothing", [])


def test_what_was_owed_and_not_written_is_told() -> None:
    """A refused write leaves no row: the image is what the table has."""
    it = doubt([], [Advance(client_version=1, owed={"Inspection": {"A": ["title"]}})], US, north, KEY)
    assert it.verdict({"_id": "A", **IN}).names == {"title"}
    it = doubt([], [WHOLE], US, north, KEY)
    assert it.verdict({"_id": "A", **IN}).kind == "whole"
    assert it.verdict({"_id": "A", **OUT}).kind == "erase"
    assert it.verdict(None).kind == "erase"


def test_another_view_is_wanted() -> None:
    def south(image: Image) -> bool:
        return not north(image)

    def both(image: Image) -> bool:
        return True

    it = doubt(history((THEM, {"title": "u"}), start=IN), (), US, north, KEY)
    assert it.verdict({"_id": "A", **IN}, south).kind == "erase"
    assert it.verdict({"_id": "A", **IN}, both).kind == "properties"
    it = doubt(history((THEM, {"title": "u"}), start=OUT), (), US, north, KEY)
    assert it.verdict({"_id": "A", **OUT}, both).kind == "whole"


def conflicts(rows: list[Change], base: int, *since: Advance, names: tuple[str, ...] = ("tags",)) -> Any:
    """What an upload with this base owes that writes these properties."""
    return doubt([row for row in rows if row.version > base], since, US, north, KEY).about(names)


def test_own_rows_are_in_conflict_with_nothing() -> None:
    """The echo of an own creation would undo an edit of a list that was made meanwhile: there must be none."""
    rows = history((US, IN), (US, {"tags": ["a"]}))
    assert conflicts(rows, 0) == conflicts(rows, 1) == []


def test_what_a_bootstrap_told_again_is_in_conflict() -> None:
    begun = Advance(client_version=0, bootstrap=True)
    assert conflicts([], 0, begun) is True
    assert conflicts([], 0) == []


def test_an_object_that_entered_the_view_is_in_conflict() -> None:
    """It was told whole, and with it the properties that nobody wrote."""
    rows = history((THEM, {"team": "North"}), start=OUT)
    assert conflicts(rows, 0) is True
    assert conflicts(rows, 1) == []


def test_own_deletion_and_creation_in_one_upload() -> None:
    """Both have the base that was there before the deletion; nobody else deleted anything."""
    assert conflicts(history((US, None), start=IN), 0, names=("title", "tags")) == []


def test_own_deletion_and_creation_across_others_news() -> None:
    """The object came, went and came again while the deletion and the creation waited to be uploaded."""
    rows = history((THEM, {"team": "North"}), (THEM, {"team": "South"}), (THEM, {"team": "North"}), start=OUT)
    assert conflicts(rows, 0) is conflicts(rows, 1) is conflicts(rows, 2) is True


def test_an_upload_is_in_conflict_with_what_is_owed() -> None:
    """The first of two changesets is in conflict, so what the second wrote may be undone by what the first is told."""
    rows = history((THEM, {"tags": ["b"]}), (US, {"tags": ["b", "a"]}), start=IN)
    owes = Advance(client_version=1, base=0, owed={"Inspection": {"A": ["tags"]}})
    assert conflicts(rows, 0) == ["tags"]
    assert conflicts(rows, 1) == []
    assert conflicts(rows, 1, owes) == ["tags"]
    assert conflicts(rows, 1, owes, names=("title",)) == []
    assert conflicts(rows, 1, WHOLE, names=("title",)) is True


def test_bases_on_both_sides_of_anothers_change() -> None:
    rows = history((US, {"tags": ["a"]}), (THEM, {"title": "u"}), (US, {"tags": ["a", "b"]}), start=IN)
    assert conflicts(rows, 0, names=("title", "tags")) == ["title"]
    assert conflicts(rows, 1, names=("title", "tags")) == ["title"]
    assert conflicts(rows, 2, names=("title", "tags")) == []
    assert conflicts(rows, 0) == []


def test_whatever_a_download_tells_is_in_conflict() -> None:
    """With what an upload wrote that did not know of it: for every history of three rows."""
    choices = [(who, what) for who in (US, THEM) for what in (IN, OUT, {"title": "u"}, {"tags": ["x"]}, None)]
    names = ("tags", "team", "title")
    checked = 0
    for start in (None, IN, OUT):
        for one in choices:
            for two in choices:
                for three in choices:
                    image: Any = start
                    for n, (_, what) in enumerate((one, two, three)):
                        if image is None and (what is None or "team" not in what):
                            break
                        image = None if what is None else {**(image or {}), **what, "n": n}
                    else:
                        rows = history(one, two, three, start=start)
                        kind, props = told(rows)
                        found = conflicts(rows, 0, names=names)
                        if kind in ("whole", "erase"):
                            assert found is True, rows
                        assert found is True or set(props) <= set(found), rows
                        checked += 1
    assert checked > 900


def test_who_wrote_a_property() -> None:
    rows = history((THEM, IN), (US, {"title": "u"}), (ORM, {"tags": ["x"]}))
    it = doubt(rows, (), US, north, KEY)
    assert [it.writer(name).timestamp for name in ("team", "title", "tags")] == [100, 200, 300]  # type: ignore[union-attr]
    assert Doubt(US, north).writer("team") is None
    anew = doubt(history((THEM, IN), (THEM, {"title": "u"}), (THEM, None), (THEM, IN)), (), US, north, KEY)
    assert anew.writer("title") is anew.created is anew.last


def test_advances() -> None:
    text = encode_advance(Advance(client_version=3)).decode()
    assert text == '{"clientVersion":3}'
    full = Advance(client_version=3, server_version=2, base=1, owed={"Team": {"A": True, "B": ["x"]}}, bootstrap=True)
    assert decode_advance(encode_advance(full)) == full
    rows = [
        Change(1, 1, "", "7", "advance", None, text, 0, 7),
        Change(2, 2, "", "8", "advance", None, text, 0, 8),
        Change(3, 3, "", "7", "access", None, None, 0, 0),
    ]
    assert advances(rows, US) == [Advance(client_version=3)]
