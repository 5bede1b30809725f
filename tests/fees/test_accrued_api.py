"""Accrued fees by the API: at the last rollover and at any before it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Agent, Role
from allocation.models import Investment
from brokers.scope import broker_scope
from fees.api.accrued import PastThrottle
from tests.back_office.pools import quiet_pool
from tests.worlds import broker_called, person, signed_in


@pytest.fixture
def bobs(db: None) -> Iterator[Investment]:
    """Bob's in a pool at whose four rollovers nothing was charged."""
    with broker_scope(broker_called("alpha").pk):
        pool, _rollovers = quiet_pool()
        yield pool.investments["bob"]


def asked(client: Client, investment: Investment, **query: Any) -> Any:
    return client.get(f"/api/v1/investments/{investment.public_id}/accrued-fees/", query)


def test_accrued_fees_of_the_last_rollover_and_of_those_before(bobs: Investment) -> None:
    bob = signed_in(bobs.owner)
    last = asked(bob, bobs).json()
    assert last == {
        "investment": str(bobs.public_id),
        "account": str(bobs.account.public_id),
        "currency": "USD",
        "rollover": 4,
        "priced_at": "2026-01-01T04:00:00Z",
        "value": "1200.00",
        "accrued": {
            "management": "0.00",
            "subscription": "0.00",
            "volume": "0.00",
            "performance": "40.00",
            "entry": "0.00",
            "early_exit": "0.00",
        },
        "net_value": "1160.00",
    }
    assert asked(bob, bobs, rollover=4).json() == last
    for rollover, value, fee, net in (
        (1, "1000.00", "0.00", "1000.00"),
        (2, "1100.00", "20.00", "1080.00"),
        (3, "900.00", "0.00", "900.00"),
    ):
        then = asked(bob, bobs, rollover=rollover).json()
        assert then["rollover"] == rollover
        assert (then["value"], then["accrued"]["performance"], then["net_value"]) == (value, fee, net)


def test_past_rollover_is_lived_through_once(bobs: Investment) -> None:
    bob = signed_in(bobs.owner)
    asked(bob, bobs)

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert asked(bob, bobs, rollover=2).json()["net_value"] == "1080.00"
        return len(captured)

    assert statements() > statements() == statements()


def test_rollover_that_never_was_is_refused_by_name(bobs: Investment) -> None:
    bob = signed_in(bobs.owner)
    for rollover, code in ((5, "no_such_rollover"), (0, "min_value"), ("x", "invalid"), (2**40, "max_value")):
        refused = asked(bob, bobs, rollover=rollover)
        assert refused.status_code == 422
        assert refused.json()["fields"]["rollover"][0]["code"] == code


def test_accrued_fees_are_for_owner_manager_and_staff(bobs: Investment) -> None:
    agent = person("agent@example.com", Role.AGENT)
    Agent.objects.create(user=agent)
    for reader, status in (
        (bobs.account.manager.user, 200),
        (person("auditor@example.com", Role.AUDITOR), 200),
        (agent, 404),
        (person("eve@example.com", Role.INVESTOR, Role.MANAGER), 404),
    ):
        assert asked(signed_in(reader), bobs).status_code == status, reader


def test_asking_for_the_past_is_slowed_down(bobs: Investment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PastThrottle, "rate", "2/min")
    bob = signed_in(bobs.owner)
    assert [asked(bob, bobs, rollover=2).status_code for _ in range(3)] == [200, 200, 429]
    assert asked(bob, bobs).status_code == 200
