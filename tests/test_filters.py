"""Access rules: a Q as a query means what it means to Django, and what cannot be one is refused with the way out."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections, models
from django.db.models import Exists, F, Q
from django.test.utils import CaptureQueriesContext

from realm_sync.core.binding import bind
from realm_sync.core.errors import QueryError, SchemaError
from realm_sync.core.nodes import FALSE, TRUE
from realm_sync.core.predicate import compile_predicate
from realm_sync.core.query import TRUSTED_DEPTH, parse
from realm_sync.core.text import to_text
from realm_sync.core.values import ObjectId
from realm_sync.filters import register_sqlite_functions, to_q
from realm_sync.rules import from_q
from tests.test_agreement import FIELDS, SAMPLE, SCHEMA, image_of
from tests.testapp.models import Sample, Team

NORTH, SOUTH = uuid.UUID(int=1), uuid.UUID(int=2)
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=UTC)


def node(q: Any) -> Any:
    return from_q(q, FIELDS, SAMPLE, SCHEMA)


@pytest.fixture
def samples(each_database: str) -> Iterator[str]:
    connection = connections[each_database]
    connection.ensure_connection()
    register_sqlite_functions(None, connection)
    Team.objects.using(each_database).bulk_create([Team(id=NORTH, name="North"), Team(id=SOUTH, name="South")])
    rows: list[dict[str, Any]] = [
        {"an_int": 1, "maybe_int": 1, "a_string": "Runway", "maybe_string": "Runway", "team_id": NORTH, "a_bool": True},
        {"an_int": 2, "maybe_int": 5, "a_string": "Apron", "maybe_string": "", "team_id": SOUTH, "maybe_bool": False},
        {"an_int": 3, "a_string": "way", "a_fixed": Decimal("0.1"), "maybe_decimal": Decimal("0.1"), "a_double": 0.1},
        {
            "an_int": 4,
            "a_date": NOON,
            "maybe_date": NOON,
            "a_day": NOON.date(),
            "maybe_day": NOON.date(),
            "a_data": b"abc",
        },
    ]
    for number, row in enumerate(rows):
        Sample.objects.using(each_database).create(pk=ObjectId(f"{number:024x}"), a_uuid=uuid.UUID(int=number), **row)
    yield each_database


RULES = {
    "equal": Q(an_int=1),
    "not equal": ~Q(maybe_int=1),
    "null": Q(maybe_int=None),
    "not null": ~Q(maybe_int=None),
    "isnull": Q(maybe_int__isnull=True) | Q(team__isnull=False),
    "in": Q(maybe_int__in=[1, 5]),
    "not in": ~Q(maybe_int__in=[1, None]),
    "in nothing": Q(an_int__in=[]),
    "in a tuple of text": Q(an_int__in=("1", "3")),
    "compared": Q(maybe_int__gt=1) | Q(an_int__lte=1),
    "not compared": ~Q(maybe_int__lt=5),
    "range": Q(an_int__range=(2, 3)),
    "begins": Q(a_string__startswith="Run"),
    "ends": Q(maybe_string__endswith="way") | Q(a_string__contains="pro"),
    "and": Q(an_int=2, team=SOUTH),
    "not and": ~Q(an_int=2, team=SOUTH),
    "xor": Q(an_int__gte=2) ^ Q(team=SOUTH),
    "xor of three": Q(an_int__gte=2) ^ Q(team=SOUTH) ^ Q(a_string="Apron"),
    "key": Q(pk=ObjectId("0" * 24)) | Q(id="0" * 23 + "1"),
    "attname": Q(team_id=NORTH),
    "text for a key": Q(team_id=str(NORTH)),
    "key of the relation": Q(team__pk=NORTH) | Q(team__id=SOUTH),
    "instance": Q(team=Team(id=NORTH)),
    "instances": Q(team__in=[Team(id=NORTH), SOUTH]),
    "moment": Q(a_date__gte=NOON),
    "day": Q(a_day=datetime.date(2026, 1, 1)) & Q(maybe_day__lte=datetime.date(2026, 1, 1)),
    "decimal": Q(a_fixed=Decimal("0.10")),
    "decimal128": Q(maybe_decimal=Decimal("0.10")),
    "double": Q(a_double=0.1),
    "bool": Q(a_bool=True) | Q(maybe_bool=False),
    "data": Q(a_data=b"abc"),
    "uuid": Q(a_uuid=str(uuid.UUID(int=3))),
    "nested": Q(Q(an_int=1) | ~Q(Q(team=None) & ~Q(an_int=3))),
    "empty": Q(),
    "empty within": Q(Q(), an_int=1),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_means_what_it_means_to_django(samples: str, rule: str) -> None:
    q = RULES[rule]
    expected = {row.pk for row in Sample.objects.using(samples).filter(q)}
    bound = node(q)
    assert {row.pk for row in Sample.objects.using(samples).filter(to_q(bound, FIELDS))} == expected
    matches = compile_predicate(bound, SAMPLE, SCHEMA)
    found = set()
    for row in Sample.objects.using(samples).all():
        values = {name: getattr(row, field.attname) for name, field in FIELDS.items()}
        for name in ("a_day", "maybe_day"):
            if values[name]:
                values[name] = datetime.datetime.combine(values[name], datetime.time(), UTC)
        values |= {name: bytes(values[name]) for name in ("a_data", "maybe_data") if values[name] is not None}
        if matches(image_of(values)):
            found.add(row.pk)
    assert found == expected


def test_querysets_are_lists_of_values(samples: str) -> None:
    teams = Team.objects.using(samples).filter(name="North")
    for rows in (teams, teams.values("id"), teams.values_list("id"), teams.values_list("id", flat=True)):
        assert to_text(node(Q(team__in=rows))) == f'team IN {{obj("Team", uuid({NORTH}))}}'
    assert node(Q(team__in=Team.objects.using(samples).none())) == node(Q(team__in=[]))


def test_true_and_false() -> None:
    assert node(True) == TRUE and node(False) == FALSE and node(Q()) == TRUE


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Q(team__name="North"), ["team__name", "follows a relation", "team__in"]),
        (Q(team__members=1), ["team__members", "follows a relation"]),
        (Q(a_string__iexact="x"), ["a_string__iexact", "`exact`"]),
        (Q(a_string__icontains="x"), ["icontains", "`contains`"]),
        (Q(a_string__regex="x"), ["regex", "`startswith`"]),
        (Q(a_date__year=2026), ["a_date__year", "`range`"]),
        (Q(a_date__year__gt=2026), ["a_date__year__gt", "`range`"]),
        (Q(colour="red"), ["'colour'", "not a property that syncs"]),
        (Q(an_int=F("maybe_int")), ["an_int", "expression"]),
        (Q(Exists(Team.objects.all())), ["expression"]),
        (Q(an_int="five"), ["an_int", "five"]),
        (Q(an_int=2**63), ["an_int"]),
        (Q(an_int__gt=None), ["an_int__gt", "`isnull`"]),
        (Q(an_int__isnull=1), ["True or False"]),
        (Q(an_int__in="12"), ["takes a list"]),
        (Q(an_int__in=3), ["takes a list"]),
        (Q(an_int__range=(1, 2, 3)), ["two values"]),
        (Q(an_int__startswith="1"), ["beginswith"]),
        (Q(team=Sample()), ["cannot be compared"]),
        (Q(an_int=Team()), ["cannot be compared"]),
        (Q(a_date=datetime.datetime(2026, 1, 1)), ["time zone"]),
        (~Q(), ["True or False"]),
        (None, ["must be a Q"]),
        ({"an_int": 1}, ["must be a Q"]),
    ],
)
def test_what_no_rule_can_use(rule: Any, words: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        node(rule)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_the_databases_compute_otherwise_is_refused() -> None:
    for text in ("a_double * 2 > 1", "a_decimal + 1 == 2", "a_data CONTAINS[c] 'x'", "a_data LIKE maybe_data"):
        with pytest.raises(QueryError, match="cannot be used in a subscription"):
            to_q(bind(parse(text), SAMPLE, SCHEMA).predicate, FIELDS)


def test_one_condition_and_the_index_stays_usable(samples: str) -> None:
    q = to_q(bind(parse("team == $0 AND an_int > 0", [NORTH]), SAMPLE, SCHEMA).predicate, FIELDS)
    rows = Sample.objects.using(samples).filter(q)
    with CaptureQueriesContext(connections[samples]) as queries:
        assert rows.count() == 1
    assert len(queries) == 1
    plan = rows.explain()
    if samples == "default":
        assert "USING INDEX" in plan


def test_conditions_combine_with_other_querysets(samples: str) -> None:
    q = to_q(bind(parse("an_int > 1"), SAMPLE, SCHEMA).predicate, FIELDS)
    assert Sample.objects.using(samples).filter(q & Q(team=None)).count() == 2
    assert Sample.objects.using(samples).filter(~q | Q(team=None)).count() == 3
    assert Sample.objects.using(samples).exclude(q).count() == 1
    inner = Sample.objects.using(samples).filter(q)
    assert Sample.objects.using(samples).filter(pk__in=inner.values("pk")).count() == 3
    annotated = Sample.objects.using(samples).annotate(total=models.Count("team")).filter(q)
    assert annotated.count() == 3 and q == to_q(bind(parse("an_int > 1"), SAMPLE, SCHEMA).predicate, FIELDS)


def test_the_deepest_queries_pass_the_databases(samples: str) -> None:
    for levels in (
        "(an_int == 9 AND (maybe_string == null OR {}))",
        "!(a_double <= 1 AND {})",
        "(a_string != 'x' AND {})",
    ):
        text = "an_int > 1"
        while (deeper := levels.format(text)).count("(") + deeper.count("!(") <= TRUSTED_DEPTH:
            text = deeper
        q = to_q(bind(parse(text, trusted=True), SAMPLE, SCHEMA).predicate, FIELDS)
        inner = Sample.objects.using(samples).filter(~q)
        assert Sample.objects.using(samples).exclude(Q(pk__in=inner.values("pk")) | Q(an_int=7)).filter(q).count() <= 4
