"""Stops on an investor's pages: said plainly, reviewed, set, changed, removed; nobody else's business."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Role
from allocation.models import Investment
from brokers.models import Broker
from investing.models import Request, Stop
from investing.services import set_stops
from rollover.models import Schedule
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import hidden_fields, text_of
from tests.web.investor.test_requests import at_profit
from tests.worlds import AliceBobCharlie, person

__all__ = ["at_profit"]


def address(investment: Investment) -> str:
    return f"/investments/{investment.public_id}/stops/"


@pytest.fixture
def stop(at_profit: Investment) -> Stop:
    amounts = {Stop.Kind.STOP_LOSS: Decimal("990.00")}
    (made,) = set_stops(investment=at_profit, amounts=amounts, by=at_profit.owner)
    return made


def test_form_says_what_a_stop_is_and_offers_amounts(at_profit: Investment, bob: Client) -> None:
    page = text_of(bob.get(address(at_profit)))
    for words in (
        "Worth now 1,100.00 USD",
        "Closing would pay 1,080.00 USD",
        "Stops are checked at each rollover, not in between.",
        "which may be worse than your stop",
        "-10 %: 990.00",
        "+25 %: 1,375.00",
    ):
        assert words in page


def test_review_says_what_closing_there_pays_and_confirming_sets_both(
    at_profit: Investment, bob: Client
) -> None:
    answer = bob.post(address(at_profit), {"stop_loss": "1,050", "take_profit": "1200.00"})
    page = text_of(answer)
    for words in (
        "worth 1,050.00 USD or less",
        "-4.55 %",
        "worth 1,200.00 USD or more",
        "+9.09 %",
        # 20 % of 50.00, and of 200.00.
        "charge today 10.00 USD You would be paid, about 1,040.00 USD",
        "charge today 40.00 USD You would be paid, about 1,160.00 USD",
    ):
        assert words in page
    assert not Stop.objects.exists()
    answer = bob.post(address(at_profit), hidden_fields(answer), follow=True)
    assert "Saved. Your stops are checked at each rollover." in text_of(answer)
    assert list(Stop.objects.order_by("kind").values_list("kind", "amount")) == [
        ("stop_loss", Decimal(1050)),
        ("take_profit", Decimal(1200)),
    ]
    page = text_of(bob.get(f"/investments/{at_profit.public_id}/"))
    assert "Stop loss set at 1,050.00 USD" in page
    assert "1,050.00 USD" in page
    assert "Take profit 1,200 USD" in text_of(bob.get("/portfolio/"))


def test_form_left_as_it_is_changes_nothing_and_an_emptied_amount_removes_its_stop(
    at_profit: Investment, bob: Client, stop: Stop
) -> None:
    shown = bob.get(address(at_profit)).content.decode()
    assert 'value="990.00"' in shown
    review = bob.post(address(at_profit), {"stop_loss": "990.00", "take_profit": ""})
    bob.post(address(at_profit), hidden_fields(review))
    assert Stop.objects.get().state == Stop.State.ACTIVE
    review = bob.post(address(at_profit), {"stop_loss": "", "take_profit": ""})
    assert "The stop loss is removed." in text_of(review)
    answer = bob.post(address(at_profit), hidden_fields(review), follow=True)
    assert "Saved. No stop is set." in text_of(answer)
    assert Stop.objects.get().state == Stop.State.REMOVED
    assert "Stop loss of 990.00 USD removed" in text_of(bob.get(f"/investments/{at_profit.public_id}/"))


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"stop_loss": "1100.00"}, "id_stop_loss", "must be below what your investment is worth now, 1,100"),
        ({"take_profit": "1100.00"}, "id_take_profit", "must be above what your investment is worth now"),
        ({"stop_loss": "0"}, "id_stop_loss", "Enter an amount above zero."),
        ({"stop_loss": "-5"}, "id_stop_loss", "Enter an amount above zero."),
        ({"stop_loss": "1.000"}, "id_stop_loss", "the amount has more"),
        ({"stop_loss": "nonsense"}, "id_stop_loss", "Enter a number."),
    ],
)
def test_refusal_stands_at_its_amount(
    at_profit: Investment, bob: Client, typed: dict[str, str], field: str, words: str
) -> None:
    answer = bob.post(address(at_profit), typed)
    assert answer.status_code == 422
    field_html = re.search(rf'id="{field}".*?form-hint', answer.content.decode(), re.DOTALL)
    assert field_html is not None
    assert words in field_html[0]
    assert not Stop.objects.exists()


def test_review_says_that_the_next_rollover_is_too_near(at_profit: Investment, bob: Client) -> None:
    now = timezone.now()
    Schedule.objects.update_or_create(defaults={"next_at": now + timedelta(minutes=5), "is_active": True})
    assert "too near" not in text_of(bob.post(address(at_profit), {"stop_loss": "900"}))
    Broker.objects.filter(slug="alpha").update(freeze_minutes=10)
    assert "too near" in text_of(bob.post(address(at_profit), {"stop_loss": "900"}))


def test_units_that_changed_since_the_review_are_shown_again(at_profit: Investment, bob: Client) -> None:
    review = bob.post(address(at_profit), {"stop_loss": "900"})
    Investment.objects.filter(pk=at_profit.pk).update(units=Decimal(900))
    answer = bob.post(address(at_profit), hidden_fields(review))
    assert answer.status_code == 422
    assert "Your units have changed" in text_of(answer)


def test_stop_is_removed_after_asking_once_more(at_profit: Investment, bob: Client, stop: Stop) -> None:
    url = f"{address(at_profit)}remove/"
    assert "Remove the stop loss?" in text_of(bob.get(f"{url}?stop=stop_loss"))
    assert Stop.objects.get().state == Stop.State.ACTIVE
    assert "Removed." in text_of(bob.post(url, {"stop": "stop_loss"}, follow=True))
    assert Stop.objects.get().state == Stop.State.REMOVED
    assert "There is no such stop any more." in text_of(bob.post(url, {"stop": "stop_loss"}, follow=True))
    assert bob.get(f"{url}?stop=else").status_code == 404
    assert bob.get(url).status_code == 404


def test_request_and_timeline_say_which_stop_was_reached_and_at_which_price(
    world: AliceBobCharlie, at_profit: Investment, bob: Client, stop: Stop
) -> None:
    request = Request.objects.create(
        investment=at_profit,
        account=at_profit.account,
        kind="close",
        origin="stop_loss",
        state="confirmed",
        reason_code="free_margin",
        currency="USD",
        currency_digits=2,
        idempotency_key=f"stop-{stop.public_id}",
        created_by=world.bob,
    )
    point = at_profit.account.price_points.latest("id")
    Stop.objects.filter(pk=stop.pk).update(
        state="reached", reached=point, request=request, ended_at=point.priced_at, ended_after_sequence=2
    )
    page = text_of(bob.get(f"/requests/{request.public_id}/"))
    assert "your stop loss" in page
    assert "0.990000 USD" in page
    assert "Waits until the account has enough free margin" in page


def test_stops_are_their_owners_alone(
    world: AliceBobCharlie, at_profit: Investment, visit: Visit, stop: Stop
) -> None:
    remove = f"{address(at_profit)}remove/"
    for other in (visit(world.alice), visit(person("mallory@example.com", Role.INVESTOR))):
        for answer in (
            other.get(address(at_profit)),
            other.post(address(at_profit), {"stop_loss": "1"}),
            other.get(f"{remove}?stop=stop_loss"),
            other.post(remove, {"stop": "stop_loss"}),
        ):
            assert answer.status_code == 404
    assert Stop.objects.get().state == Stop.State.ACTIVE


def test_pages_take_as_many_statements_with_stops_as_without(at_profit: Investment, bob: Client) -> None:
    counts = []
    for amounts in ({}, {Stop.Kind.STOP_LOSS: Decimal(900), Stop.Kind.TAKE_PROFIT: Decimal(2000)}):
        set_stops(investment=at_profit, amounts=amounts, by=at_profit.owner)
        for path in ("/portfolio/", f"/investments/{at_profit.public_id}/", address(at_profit)):
            bob.get(path)
            with CaptureQueriesContext(connection) as captured:
                bob.get(path)
            counts.append(len(captured))
    assert counts[:3] == counts[3:]
    assert max(counts[0], counts[2]) <= 12
