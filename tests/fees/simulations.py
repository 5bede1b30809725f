"""Asking the simulator's endpoint: who asks, in which currencies, and with which body."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.test import Client

from brokers.scope import broker_scope
from tests.worlds import broker_called, person, signed_in, trading_server
from trading.models import TradingGroup

ADDRESS = "/api/v1/fee-simulations/"
START = datetime(2026, 1, 1, tzinfo=UTC)
DIGITS = {"USD": 2, "JPY": 0, "USDC": 6}


@contextmanager
def dora_signed_in() -> Iterator[Client]:
    """Dora, an investor at a broker whose accounts are in dollars, yen and a coin of 6 decimals."""
    with broker_scope(broker_called("alpha").pk):
        server = trading_server()
        TradingGroup.objects.bulk_create(
            TradingGroup(
                server=server,
                name=f"pamm\\{currency}",
                purpose=TradingGroup.Purpose.PAMM,
                currency=currency,
                currency_digits=digits,
            )
            for currency, digits in DIGITS.items()
            if currency != "USD"
        )
        yield signed_in(person("dora@example.com"))


def on_day(day: float, **happens: Any) -> dict[str, Any]:
    """A step of the body."""
    return {"at": (START + timedelta(days=day)).isoformat()} | happens


def written(amount: Any, currency: str = "USD") -> str:
    """The amount as the body has it."""
    return format(Decimal(amount), f".{DIGITS[currency]}f")


def performance(
    *tiers: tuple[Any, Any], basis: str = "flat", mode: str = "whole", **more: str
) -> dict[str, Any]:
    """A performance fee with tiers of (bound, rate)."""
    rows = [
        {"from": None if bound is None else format(Decimal(bound), "f"), "rate": format(Decimal(rate), "f")}
        for bound, rate in tiers
    ]
    return {"basis": basis, "mode": mode, "tiers": rows, **more}


def ask(client: Client, body: object) -> Any:
    return client.post(ADDRESS, body, content_type="application/json")


def simulated(client: Client, *steps: Mapping[str, Any], currency: str = "USD", **body: Any) -> list[Any]:
    """The answer's steps; `terms` are of no fee unless given."""
    document = {"currency": currency, "terms": {"performance": performance((None, 0))}, "steps": steps} | body
    answer = ask(client, document)
    assert answer.status_code == 200, answer.content
    found: list[Any] = answer.json()["steps"]
    return found
