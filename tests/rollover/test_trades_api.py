"""Trades and open positions over the API: as much as the account shows, to whoever may read its record."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import OpenPositions, PammAccount
from offers.models import JoinLink, Offer
from tests.web.investor.test_trades import LONG_AGO, closed, disclosed
from tests.worlds import AliceBobCharlie, person, signed_in

Disclosure = PammAccount.Disclosure
POSITION = {
    "symbol": "NZDUSD", "side": "sell", "lots": "0.30", "opened_at": "2026-03-05T09:00:00+00:00",
    "price_open": "0.60241", "price": "0.60141", "result": "30.00",
}  # fmt: skip


def _ask(world: AliceBobCharlie, what: str, query: Any = None, browser: Client | None = None) -> Any:
    client = browser or Client(HTTP_HOST="alpha.localhost")
    return client.get(f"/api/v1/pamm-accounts/{world.pool.account.public_id}/{what}/", query or {})


def test_open_account_tells_trades_and_positions(world: AliceBobCharlie) -> None:
    account = disclosed(world, Disclosure.OPEN)
    closed(account, 1)
    OpenPositions.objects.create(
        account=account, seen_at=LONG_AGO, equity=Decimal(3000), currency_digits=2, positions=[POSITION]
    )
    answer = _ask(world, "trades")
    assert "no-store" in answer["Cache-Control"]
    told = answer.json()
    assert (told["disclosure"], told["delay_seconds"], told["currency"]) == ("open", None, "USD")
    assert told["results"] == [
        {
            "closed_at": "2026-03-02T14:30:00Z", "symbol": "EURUSD", "side": "buy", "lots": "0.5",
            "price": "1.10235", "result": "12.30", "share_of_pool": None, "is_cancelled": False,
        }
    ]  # fmt: skip
    told = _ask(world, "open-positions").json()
    assert told["seen_at"] == "2026-03-02T14:30:00Z"
    assert told["positions"] == [
        POSITION | {"opened_at": "2026-03-05T09:00:00Z", "lots": "0.3", "share_of_pool": "0.010000"}
    ]


def test_hidden_and_delayed_accounts_tell_no_more_than_on_pages(world: AliceBobCharlie) -> None:
    account = disclosed(world, Disclosure.HIDDEN)
    closed(account, 1)
    closed(account, 2, "GBPUSD", executed_at=timezone.now() - timedelta(hours=23))
    OpenPositions.objects.create(
        account=account, seen_at=LONG_AGO, equity=Decimal(3000), currency_digits=2, positions=[POSITION]
    )
    told = _ask(world, "trades").json()
    assert (told["results"], told["disclosure"], told["delay_seconds"]) == ([], "hidden", None)
    disclosed(world, Disclosure.DELAYED, disclosure_delay=timedelta(days=1))
    told = _ask(world, "trades").json()
    assert [trade["symbol"] for trade in told["results"]] == ["EURUSD"]
    assert (told["disclosure"], told["delay_seconds"]) == ("delayed", 86400)
    for _setting in (Disclosure.HIDDEN, Disclosure.DELAYED):
        told = _ask(world, "open-positions").json()
        assert (told["seen_at"], told["positions"]) == (None, [])


def test_trades_are_read_by_cursor_and_narrowed(world: AliceBobCharlie) -> None:
    account = disclosed(world, Disclosure.OPEN)
    for number in range(9):
        moment = LONG_AGO - timedelta(minutes=number // 4)
        closed(account, number, f"S{number}", executed_at=moment)
    address, symbols = "", []
    browser = Client(HTTP_HOST="alpha.localhost")
    told = _ask(world, "trades", {"page_size": 2}).json()
    symbols += [trade["symbol"] for trade in told["results"]]
    while address := told["next"]:
        told = browser.get(address).json()
        symbols += [trade["symbol"] for trade in told["results"]]
    assert sorted(symbols) == [f"S{number}" for number in range(9)]
    assert [row["symbol"] for row in _ask(world, "trades", {"symbol": "S3"}).json()["results"]] == ["S3"]
    since = {"from": LONG_AGO.isoformat()}
    assert len(_ask(world, "trades", since).json()["results"]) == 4
    until = {"to": LONG_AGO.isoformat()}
    assert len(_ask(world, "trades", until).json()["results"]) == 5
    assert _ask(world, "trades", {"from": "soon"}).status_code == 422
    for nonsense in ("x", "cD14", "cD0yMDI2"):
        assert _ask(world, "trades", {"cursor": nonsense}).status_code == 404
    with CaptureQueriesContext(connection) as queries:
        _ask(world, "trades")
    assert len(queries) <= 6


@pytest.mark.parametrize("what", ["trades", "open-positions"])
def test_account_without_a_listed_offer_is_not_there_for_strangers(world: AliceBobCharlie, what: str) -> None:
    account = disclosed(world, Disclosure.OPEN)
    Offer.objects.filter(account=account).update(visibility=Offer.Visibility.LINK)
    JoinLink.objects.create(offer=world.pool.offer, token="known")
    assert _ask(world, what).status_code == 404
    assert _ask(world, what, browser=signed_in(person("eve@example.com"))).status_code == 404
    assert _ask(world, what, {"link": "unknown"}).status_code == 404
    assert _ask(world, what, {"link": "known"}).status_code == 200
    assert _ask(world, what, browser=signed_in(world.bob)).status_code == 200
