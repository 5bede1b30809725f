"""Charges by the API: what each is told of them, to whom, in which pages."""

import uuid
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Agent, Role
from brokers.scope import broker_scope
from fees.explanations import charge_text, explained
from fees.models import Charge
from tests.web.charges import charged, performance_line
from tests.web.manager.pools import charge, investor, more_accounts
from tests.worlds import AliceBobCharlie, alice_bob_charlie, person, signed_in

ADDRESS = "/api/v1/charges/"


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


def listed(client: Client, **query: Any) -> list[str]:
    """Ids of the answer's charges."""
    answer = client.get(ADDRESS, query)
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def ids(*charges: Charge) -> list[str]:
    return [str(row.public_id) for row in charges]


def test_charge_is_told_with_its_record_and_the_words_of_the_pages(world: AliceBobCharlie) -> None:
    agent = uuid.uuid4()
    made = charged(world.pool.investment, performance_line("20.00"), broker="5.00", agents=((agent, "3.00"),))
    answer = signed_in(world.alice).get(f"{ADDRESS}{made.public_id}/").json()
    record = answer.pop("explanation")
    assert answer == {
        "id": str(made.public_id),
        "kind": "performance",
        "title": "Performance fee",
        "occasion": "interval_end",
        "collects_debt": False,
        "amount": "20.00",
        "uncollected": "0.00",
        "currency": "USD",
        "charged_at": made.charged_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "rollover": 1,
        "investment": str(world.pool.investment.public_id),
        "account": str(world.pool.account.public_id),
        "parts": [
            {"party": "broker", "level": 0, "amount": "5.00"},
            {"party": "agent", "level": 1, "amount": "3.00"},
            {"party": "manager", "level": 0, "amount": "12.00"},
        ],
    }
    words = record.pop("words")
    assert record == made.explanation
    assert words == [str(sentence) for sentence in explained(made).sentences]
    assert len(words) == charge_text(made).count("; ") + 1
    assert str(agent) not in str(answer), "to whom a part belongs is nobody's to know here"


def test_who_pays_a_fee_is_not_told_who_receives_it(world: AliceBobCharlie) -> None:
    made = charge(world.pool, world.pool.investment, "20.00", broker="5.00")
    bob = signed_in(world.bob)
    assert bob.get(f"{ADDRESS}{made.public_id}/").json()["parts"] is None
    assert [row["parts"] for row in bob.get(ADDRESS).json()["results"]] == [None]


def test_everybody_reads_the_charges_that_concern_him_and_no_others(world: AliceBobCharlie) -> None:
    of_bob = charge(world.pool, world.pool.investment, "1.00")
    carols = investor(world.pool)
    of_carol = charge(world.pool, carols, "2.00")
    agents_user = person("agent@example.com", Role.AGENT)
    Agent.objects.create(user=agents_user)
    with broker_scope(world.beta.pk):
        charge(world.charlie_pool, world.charlie_pool.investment, "3.00")
    both = ids(of_carol, of_bob)
    for reader, seen in (
        (world.bob, ids(of_bob)),
        (carols.owner, ids(of_carol)),
        (world.alice, both),
        (person("auditor@example.com", Role.AUDITOR), both),
        (person("operator@example.com", Role.OPERATOR), []),
        (agents_user, []),
        (person("rival@example.com", Role.MANAGER), []),
    ):
        client = signed_in(reader)
        assert listed(client) == seen, reader
        for one in both:
            assert client.get(f"{ADDRESS}{one}/").status_code == (200 if one in seen else 404), reader
    assert Client(HTTP_HOST="alpha.localhost").get(ADDRESS).status_code == 403
    hasty = signed_in(person("dealer@example.com", Role.DEALER), second_factor=False)
    assert hasty.get(ADDRESS).json()["code"] == "second_factor_required"


def test_charges_are_narrowed_by_what_the_query_says(world: AliceBobCharlie) -> None:
    old = charge(world.pool, world.pool.investment, "1.00", days_ago=40)
    new = charge(world.pool, investor(world.pool), "2.00")
    (other,) = more_accounts(world, [9101])
    there = Charge.objects.get(account=other)
    alice = signed_in(world.alice)
    moment = old.charged_at.isoformat()
    for query, found in (
        ({"account": other.public_id}, ids(there)),
        ({"investment": old.investment.public_id}, ids(old)),
        ({"kind": "entry"}, []),
        ({"kind": "performance"}, ids(there, new, old)),
        ({"from": moment, "to": moment}, []),
        ({"from": moment, "to": (old.charged_at + timedelta(seconds=1)).isoformat()}, ids(old)),
        ({"from": timezone.now() - timedelta(days=1), "account": world.pool.account.public_id}, ids(new)),
        ({"account": world.charlie_pool.account.public_id}, []),
    ):
        assert listed(alice, **query) == found, query
    for query, field in (({"kind": "x"}, "kind"), ({"from": "x"}, "from"), ({"account": "x"}, "account")):
        refused = alice.get(ADDRESS, query)
        assert refused.status_code == 422
        assert list(refused.json()["fields"]) == [field]


def test_pages_go_on_below_the_last_row_whatever_is_added(world: AliceBobCharlie) -> None:
    made = [charge(world.pool, world.pool.investment, f"{number}.00") for number in range(1, 6)]
    bob, seen, address = signed_in(world.bob), [], f"{ADDRESS}?page_size=2"
    while address:
        page = bob.get(address).json()
        seen += [row["id"] for row in page["results"]]
        address = page["next"]
        charge(world.pool, world.pool.investment, "9.00")
    assert seen == ids(*reversed(made))
    for cursor in ("x", "cD1ub3RoaW5n", "cD0w"):  # the last two: p=nothing, p=0
        assert bob.get(ADDRESS, {"cursor": cursor}).status_code == 404


def test_charges_cost_the_same_statements_at_any_number(world: AliceBobCharlie) -> None:
    alice = signed_in(world.alice)

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(alice)
        return len(captured)

    charge(world.pool, world.pool.investment, "1.00", broker="0.10")
    statements()
    few = statements()
    for _ in range(5):
        charge(world.pool, investor(world.pool), "1.00", broker="0.10")
    assert statements() == few
