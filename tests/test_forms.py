"""Forms of values with parts: what a page sends becomes the value, errors name the part, and scripts move rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.forms import modelform_factory
from django.http import QueryDict
from playwright.async_api import Browser

from realm_sync.fields import widgets
from tests.test_collections import VALUES
from tests.testapp.models import Address, Airfield, Kit, Part

STATIC = Path(widgets.__file__).resolve().parent.parent / "static" / "realm_sync_forms"


def form_of(*names: str, **options: Any) -> Any:
    return modelform_factory(Kit, fields=names)(**options)


def sent(**given: Any) -> QueryDict:
    """A submitted page: rows of `tags=["a"]`, of `tag_map={…}` and of embedded dicts as the widgets name them."""
    data = QueryDict(mutable=True)

    def put(name: str, value: Any) -> None:
        if isinstance(value, list):
            data[f"{name}-here"] = "1"
            for row, each in enumerate(value):
                data.appendlist(name, str(row))
                if isinstance(each, tuple):
                    data[f"{name}-{row}-key"], each = each
                put(f"{name}-{row}", each)
        elif isinstance(value, dict):
            data[f"{name}-here"] = data[f"{name}-present"] = "1"
            for key, each in value.items():
                put(f"{name}-{key}", each)
        else:
            data[name] = value

    for name, value in given.items():
        put(name, value)
    return data


def test_rows_become_lists_sets_and_dictionaries():
    form = form_of(
        "tags", "number_set", "tag_map", "doubles", "blobs", "maybe_tags", "flags",
        data=sent(
            tags=["b", "a", "b"], number_set=["2", "1", "2"], tag_map=[("x", "1"), ("ø", "2")],
            doubles=["0.1", "Infinity"], blobs=["", "AP8="], maybe_tags=["", "a"], flags=["on"],
        ),
    )  # fmt: skip
    assert form.is_valid(), form.errors
    kit = form.save(commit=False)
    assert (kit.tags, kit.number_set, kit.tag_map) == (["b", "a", "b"], {1, 2}, {"x": "1", "ø": "2"})
    assert (kit.doubles, kit.blobs, kit.maybe_tags, kit.flags) == (
        [0.1, float("inf")],
        [b"", b"\0\xff"],
        [None, "a"],
        [True],
    )


def test_embedded_objects_are_sub_fields():
    form = form_of(
        "address", "part", "parts",
        data=sent(
            address={"street": "", "city": "Oslo", "lines": ["x", "y"]},
            parts=[{"name": "rope", "amount": "2", "made": "2026-01-01 12:00:00.000005+00:00", "maker": {"city": "Bergen"},
                    "notes": '{"a": [1, 2.0]}', "prices": [("nok", "9.50")], "used": "3"}],
        ),
    )  # fmt: skip
    assert form.is_valid(), form.errors
    kit = form.save(commit=False)
    assert kit.address == Address(city="Oslo", lines=["x", "y"]) and kit.part is None
    assert kit.parts == [
        Part(
            name="rope", amount=2, made=datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=UTC), maker=Address(city="Bergen"),
            notes={"a": [1, 2.0]}, prices={"nok": Decimal("9.50")}, used=3,
        )
    ]  # fmt: skip
    assert type(kit.parts[0].notes["a"][0]) is int and type(kit.parts[0].notes["a"][1]) is float


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({"tags": ["a", "x" * 21]}, ["tags[1]: Ensure this value has at most 20 characters (it has 21)."]),
        ({"numbers": ["1", "x", ""]}, ["numbers[1]: Enter a whole number.", "numbers[2]: This field is required."]),
        ({"tag_map": [("a", "1"), ("a", "2")]}, ['tag_map["a"]: This key is there twice.']),
        ({"tag_map": [("$a", "1")]}, ['tag_map["$a"]: A key is text that does not start with “$” and has no “.”.']),
        ({"address": {"city": ""}}, ["address.city: This field is required."]),
        ({"address": {"city": "Oslo", "lines": ["x" * 21]}},
         ["address.lines[0]: Ensure this value has at most 20 characters (it has 21)."]),
        ({"blobs": ["?"]}, ["blobs[0]: Expected binary data in base64."]),
        ({"dates": ["yesterday"]}, ["dates[0]: “yesterday” value has an invalid format. It must be in "
                                   "YYYY-MM-DD HH:MM[:ss[.uuuuuu]][TZ] format."]),
        ({"anything": "{'a': 1}"}, ["This is not JSON: Expecting property name enclosed in double quotes "
                                    "(line 1, column 2). Text is written in double quotes."]),
        ({"anything": '{"$date": "soon"}'}, ["Expected a date such as 2026-01-01T12:00:00.000000Z in '$date', got a string."]),
        ({"anything": '{"a.b": 1}'},
         ["Expected a dictionary with keys that neither begin with '$' nor contain '.', got a string."]),
    ],
)  # fmt: skip
def test_errors_name_the_part(given, errors):
    (name,) = given
    form = form_of(name, data=sent(**given))
    assert form.errors == {name: errors}
    assert form.as_div()  # what was typed is shown again


def test_what_was_typed_is_shown_again():
    html = form_of("tags", "anything", data=sent(tags=["a", "y" * 30], anything="{'a'")).as_div()
    assert 'value="' + "y" * 30 + '"' in html and "{&#x27;a&#x27;</textarea>" in html


@pytest.mark.django_db
def test_saving_a_form_as_it_came_changes_nothing():
    Airfield.objects.create(icao="ENGM", name="Oslo")
    values = {name: value for name, value in VALUES.items() if name not in ("json", "decimals")}
    kit = Kit.objects.create(**values)
    names = list(values)
    html = form_of(*names, instance=kit).as_div()
    data = _submitted(html)
    form = form_of(*names, instance=Kit.objects.get(), data=data)
    assert form.is_valid(), form.errors
    assert form.changed_data == []
    form.save()
    found = Kit.objects.get()
    for name, value in values.items():
        assert getattr(found, name) == value, name


@pytest.mark.django_db
def test_a_link_that_leads_nowhere_stays():
    Airfield.objects.create(icao="ENGM", name="Oslo")
    html = form_of("route", instance=Kit(route=["ENGM", "GONE"])).as_div()
    assert "GONE (missing)" in html and _submitted(html).getlist("route-1") == ["GONE"]


@pytest.mark.django_db
def test_many_targets_are_not_offered_for_choice(monkeypatch):
    monkeypatch.setattr(widgets, "MOST_CHOICES", 1)
    Airfield.objects.bulk_create([Airfield(icao=icao, name=icao) for icao in ("ENGM", "ENBR")])
    html = form_of("route", instance=Kit(route=["ENGM"])).as_div()
    assert '<input type="text" name="route-0" value="ENGM"' in html and "<select" not in html


@pytest.mark.django_db
def test_a_counter_is_saved_by_difference():
    kit = Kit.objects.create(visits=5)
    page = form_of("name", "visits", instance=kit)
    assert 'name="visits-seen" value="5"' in page.as_div()
    Kit.objects.get().visits.increment(10)
    form = form_of("name", "visits", instance=Kit.objects.get(), data={"name": "x", "visits": "5", "visits-seen": "5"})
    assert form.changed_data == ["name"]
    form.save()
    assert Kit.objects.get().visits == 15
    form_of("visits", instance=Kit.objects.get(), data={"visits": "7", "visits-seen": "5"}).save()
    assert Kit.objects.get().visits == 17
    form_of("visits", instance=Kit.objects.get(), data={"visits": "7"}).save()
    assert Kit.objects.get().visits == 7


def _submitted(html: str) -> QueryDict:
    """What a browser without scripts would send of a form."""
    from html.parser import HTMLParser

    data = QueryDict(mutable=True)

    class Page(HTMLParser):
        template, area, select = 0, "", ""

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            given = dict(attrs)
            self.template += tag == "template"
            if self.template:
                return
            if tag == "input" and (given["type"] != "checkbox" or "checked" in given):
                data.appendlist(given["name"], given.get("value", "on" if given["type"] == "checkbox" else ""))
            elif tag == "textarea":
                self.area = given["name"]
                data.appendlist(self.area, "")
            elif tag == "select":
                self.select = given["name"]
            elif tag == "option" and "selected" in given:
                data.appendlist(self.select, given["value"])

        def handle_endtag(self, tag: str) -> None:
            self.template -= tag == "template"
            self.area = "" if tag == "textarea" else self.area

        def handle_data(self, text: str) -> None:
            if self.area:
                data[self.area] += text.removeprefix("\n") if not data[self.area] else text

    Page().feed(html)
    return data


@pytest.mark.django_db(transaction=True)
async def test_rows_are_added_moved_and_removed_in_a_browser(chromium: Browser) -> None:
    page = await chromium.new_page()
    html = form_of("tags", "address", instance=Kit(tags=["a", "b"])).as_div()
    await page.set_content(f"<form>{html}</form>")
    await page.add_script_tag(content=(STATIC / "parts.js").read_text())
    await page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
    tags = page.locator(".realm-rows").first
    await tags.locator(".realm-down").first.click()
    await tags.locator(":scope > .realm-add").click()
    await page.keyboard.type("c")
    await tags.locator(":scope > .realm-add").click()
    await tags.locator(".realm-remove").last.click()
    entries = "() => [...new FormData(document.querySelector('form'))]"

    async def submitted() -> Any:
        data = QueryDict(mutable=True)
        for name, value in await page.evaluate(entries):
            data.appendlist(name, value)
        form = form_of("tags", "address", data=data)
        assert form.is_valid(), form.errors
        return form.cleaned_data

    assert await submitted() == {"tags": ["b", "a", "c"], "address": None}
    # An embedded object that is not there hides its fields; ticking it shows them, with rows of their own.
    city = page.locator("[name=address-city]")
    assert await city.is_hidden()
    await page.locator("[name=address-present]").check()
    await city.fill("Oslo")
    await page.locator(".realm-object .realm-add").click()
    await page.keyboard.type("second floor")
    assert (await submitted())["address"] == Address(city="Oslo", lines=["second floor"])
    await page.locator("[name=address-present]").uncheck()
    assert (await submitted())["address"] is None
    assert json.dumps(await page.evaluate(entries)).count("address") == 1
