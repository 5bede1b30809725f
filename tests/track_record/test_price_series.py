"""The price series behind charts: who may read it, thinning, drawdown, ETag."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import PammAccount
from offers.models import JoinLink, Offer
from tests.track_record.histories import price_points, rising
from tests.worlds import JOINED, AliceBobCharlie, person
from track_record.models import AccountStatistics
from track_record.queries import price_series
from track_record.services import refresh_statistics

HOUR = timedelta(hours=1)


def _account(world: AliceBobCharlie) -> PammAccount:
    account: PammAccount = PammAccount.objects.get(pk=world.pool.account.pk)
    return account


def _ask(account: PammAccount, query: str = "", client: Client | None = None, **headers: str) -> Any:
    browser = client or Client(SERVER_NAME="alpha.localhost")
    return browser.get(f"/api/v1/pamm-accounts/{account.public_id}/price-series/{query}", headers=headers)


def test_series_is_thinned_and_ends_with_the_latest_price(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, rising(500), start=JOINED + HOUR, every=HOUR)
    points = price_series(account, max_points=50)
    assert 45 <= len(points) <= 52
    assert points[-1].price == Decimal("1.5")
    assert [point.at for point in points] == sorted(point.at for point in points)


def test_series_of_a_young_account_keeps_every_price_of_a_long_range(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(
        account, ["1.1", "0.99", "1.2"], start=JOINED + timedelta(minutes=1), every=timedelta(minutes=1)
    )
    points = price_series(account, since=JOINED - timedelta(days=365))
    assert [point.price for point in points] == [Decimal(1), Decimal("1.1"), Decimal("0.99"), Decimal("1.2")]


def test_series_has_one_price_of_a_second(world: AliceBobCharlie) -> None:
    account = _account(world)
    start = JOINED + timedelta(seconds=10, milliseconds=100)
    price_points(account, ["1.1", "1.2", "1.3"], start=start, every=timedelta(milliseconds=400))
    assert [point.price for point in price_series(account)] == [Decimal(1), Decimal("1.3")]


def test_drawdown_of_a_range_counts_from_the_peak_before_it(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, ["2", "1.5", "1.6"], start=JOINED + HOUR, every=HOUR)
    (point, *rest) = price_series(account, since=JOINED + 2 * HOUR)
    assert (point.price, point.drawdown) == (Decimal("1.5"), Decimal("-0.25"))
    assert rest[0].drawdown == Decimal("-0.2")


def test_peak_between_two_shown_prices_counts(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, ["1.1", "2", "1.5", "1.6"], start=JOINED + HOUR, every=HOUR)
    points = price_series(account, max_points=1)
    assert Decimal(2) not in [point.price for point in points]
    assert points[-1].drawdown == Decimal("-0.2")


def test_return_of_a_range_counts_from_the_price_that_the_statistics_take(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, ["1.1", "1.2", "1.5"], start=JOINED + HOUR, every=timedelta(days=25))
    assert json.loads(_ask(account).content)["start_price"] is None
    refresh_statistics([account])
    statistics = AccountStatistics.objects.get(account=account)
    for months in ("1m", "3m", "all"):
        document = json.loads(_ask(account, f"?range={months}").content)
        gained = Decimal(document["points"][-1]["price"]) / Decimal(document["start_price"]) - 1
        told = getattr(statistics, f"return_{months}", None)
        assert gained == pytest.approx(statistics.total_return if told is None else told, abs=Decimal("1e-9"))


def test_series_is_decimal_strings_and_nothing_but_prices(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, ["1.25"], start=JOINED + HOUR, every=HOUR)
    document = json.loads(_ask(account, "?range=all").content)
    assert document["points"][-1]["price"] == "1.250000000000"
    assert set(document) == {"account", "currency", "range", "as_of", "start_price", "points"}
    assert set(document["points"][0]) == {"at", "price", "drawdown"}


def test_series_unchanged_since_the_last_rollover_is_not_sent_again(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, ["1.25"], start=JOINED + HOUR, every=HOUR)
    first = _ask(account)
    again = _ask(account, **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    price_points(account, ["1.26"], start=JOINED + 2 * HOUR, every=HOUR, after=2)
    assert _ask(account, **{"If-None-Match": first["ETag"]}).status_code == 200


def test_series_of_an_unknown_range_is_refused(world: AliceBobCharlie) -> None:
    assert _ask(_account(world), "?range=2w").status_code == 422


@pytest.mark.parametrize("visibility", [Offer.Visibility.LINK, Offer.Visibility.PRIVATE])
def test_series_of_an_unlisted_account_is_for_its_people_and_link_holders(
    world: AliceBobCharlie, visibility: Offer.Visibility
) -> None:
    account = _account(world)
    Offer.objects.update(visibility=visibility)
    stranger = Client(SERVER_NAME="alpha.localhost")
    stranger.force_login(person("dora@example.com"))
    assert _ask(account).status_code == 404
    assert _ask(account, client=stranger).status_code == 404
    assert _ask(account, "?link=wrong").status_code == 404
    link = JoinLink.objects.create(offer=world.pool.offer)
    assert _ask(account, f"?link={link.token}").status_code == 200
    for reader in (world.bob, world.alice):
        client = Client(SERVER_NAME="alpha.localhost")
        client.force_login(reader)
        assert _ask(account, client=client).status_code == 200


def test_series_of_one_broker_is_not_found_on_the_host_of_another(world: AliceBobCharlie) -> None:
    account = _account(world)
    assert _ask(account).status_code == 200
    assert _ask(account, client=Client(SERVER_NAME="beta.localhost")).status_code == 404
