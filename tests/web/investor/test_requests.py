"""Asking for money out and taking requests back: shown before it is done, done once, refused at the field."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import Investment
from brokers.scope import broker_scope
from investing.models import Request
from offers.models import Terms
from tests.track_record.histories import price_points
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import hidden_fields, text_of
from tests.worlds import FLAT_TWENTY, JOINED, AliceBobCharlie, person


@pytest.fixture
def at_profit(world: AliceBobCharlie) -> Investment:
    """Bob's 1,000 are worth 1,100: closing would charge 20 and pay 1,080."""
    account = PammAccount.objects.get(pk=world.pool.account.pk)
    price_points(account, ["1.1"], start=JOINED + timedelta(hours=1), every=timedelta(hours=1))
    found: Investment = Investment.objects.get(pk=world.pool.investment.pk)
    return found


def _request(world: AliceBobCharlie, **fields: object) -> Request:
    values: dict[str, object] = {
        "investment": world.pool.investment,
        "account": world.pool.account,
        "kind": "withdrawal",
        "amount": Decimal(20),
        "currency": "USD",
        "currency_digits": 2,
        "idempotency_key": "key",
        "created_by": world.bob,
    }
    made: Request = Request.objects.create(**values | fields)
    return made


def test_withdrawal_shows_what_is_available_and_what_closing_pays(at_profit: Investment, bob: Client) -> None:
    page = text_of(bob.get(f"/investments/{at_profit.public_id}/withdraw/"))
    assert "Closing would pay 1,080.00 USD" in page
    assert "At least 50 USD must remain" in page


def test_money_already_asked_for_is_not_offered_again(
    world: AliceBobCharlie, at_profit: Investment, bob: Client
) -> None:
    url = f"/investments/{at_profit.public_id}/withdraw/"
    before = re.search(r"Can be withdrawn ([\d,.]+) USD", text_of(bob.get(url)))
    _request(world, state="confirmed", amount=Decimal(100))
    after = re.search(r"Can be withdrawn ([\d,.]+) USD", text_of(bob.get(url)))
    assert before is not None
    assert after is not None
    left = Decimal(after[1].replace(",", ""))
    assert Decimal(before[1].replace(",", "")) - left == 100
    taken = bob.post(url, {"amount": str(left), "step": "confirm", "key": "all"})
    assert taken.status_code == 302
    assert bob.post(url, {"amount": "0.01", "step": "confirm", "key": "more"}).status_code == 422


def test_withdrawal_is_reviewed_with_its_fee_then_asked_for_once(at_profit: Investment, bob: Client) -> None:
    url = f"/investments/{at_profit.public_id}/withdraw/"
    review = bob.post(url, {"amount": "540.00", "key": "the-form"})
    # Half of what closing pays charges half of the fee.
    assert "Performance fee 10.00 USD" in text_of(review)
    assert "Leaves the investment 550.00 USD" in text_of(review)
    assert Request.objects.count() == 0
    for _ in range(2):
        answer = bob.post(url, hidden_fields(review))
        assert answer.status_code == 302
    made = Request.objects.get()
    assert (made.amount, made.kind, made.state) == (Decimal(540), "withdrawal", "confirmed")
    assert answer["Location"] == f"/requests/{made.public_id}/?sent"
    assert "We have your request" in text_of(bob.get(answer["Location"]))


def test_each_fee_of_a_withdrawal_and_of_a_close_has_its_own_line(
    world: AliceBobCharlie, at_profit: Investment, bob: Client
) -> None:
    terms = Terms.objects.create(
        offer=world.pool.offer, version=2, performance_schedule=FLAT_TWENTY, management_rate=Decimal("0.02"),
        minimum_first=100, minimum_further=50, minimum_remaining=50,
    )  # fmt: skip
    Investment.objects.filter(pk=at_profit.pk).update(
        terms=terms, debts=[{"kind": "management", "amount": "0.50", "since": 1}]
    )
    PammAccount.objects.filter(pk=at_profit.account_id).update(last_value_days=Decimal("36.5"))
    url = f"/investments/{at_profit.public_id}/"
    # 1,000 units × 36.5 × 2 % ÷ 365; then 0.50 owed; then 20 % of the 97.50 that are left above the mark.
    for page in (
        bob.get(url),
        bob.get(f"{url}close/"),
        bob.post(f"{url}withdraw/", {"amount": "1070", "key": "a", "close_if_below_minimum": "on"}),
    ):
        said = text_of(page)
        assert re.search(r"Management fee (A yearly rate[^0-9]*)?2\.50 USD", said)
        assert re.search(r"Performance fee (A share of the profit[^0-9]*)?19\.50 USD", said)
    review = text_of(bob.post(f"{url}withdraw/", {"amount": "100.00", "key": "a"}))
    assert "Management fee 2.00 USD" in review
    assert "Management fee owed from before 0.50 USD" in review
    assert "Performance fee 1.80 USD" in review


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("0", "above zero"),
        ("-5", "above zero"),
        ("1.001", "has 2 decimals"),
        ("abc", "Enter a number"),
        ("", "required"),
        ("NaN", "Enter a number"),
        ("1070", "Less than the minimum of 50 USD would remain"),
    ],
)
def test_withdrawal_of_an_amount_that_cannot_be_is_refused_at_the_field(
    at_profit: Investment, bob: Client, amount: str, message: str
) -> None:
    url = f"/investments/{at_profit.public_id}/withdraw/"
    for step in ({}, {"step": "confirm"}):
        answer = bob.post(url, {"amount": amount, "key": "k", **step})
        assert answer.status_code == 422
        assert message in text_of(answer)
        assert 'class="field has-error"' in answer.content.decode()
    assert Request.objects.count() == 0


def test_withdrawal_that_leaves_too_little_closes_if_that_was_agreed(
    at_profit: Investment, bob: Client
) -> None:
    url = f"/investments/{at_profit.public_id}/withdraw/"
    review = bob.post(url, {"amount": "1070", "close_if_below_minimum": "on"})
    assert "This closes the investment" in text_of(review)
    assert "You receive 1,080.00 USD" in text_of(review)
    bob.post(url, hidden_fields(review))
    assert Request.objects.get().close_if_below_minimum is True


def test_withdrawal_within_the_lock_in_is_refused_with_its_end(
    world: AliceBobCharlie, at_profit: Investment, bob: Client
) -> None:
    locked = Terms.objects.create(
        offer=world.pool.offer,
        version=2,
        performance_schedule=FLAT_TWENTY,
        minimum_first=100,
        minimum_further=50,
        minimum_remaining=50,
        lock_in_days=30,
    )
    Investment.objects.filter(pk=at_profit.pk).update(terms=locked, joined_at=timezone.now())
    answer = bob.post(f"/investments/{at_profit.public_id}/withdraw/", {"amount": "10", "step": "confirm"})
    assert answer.status_code == 422
    assert "locked in until" in text_of(answer)


def test_close_shows_what_will_be_paid_and_is_asked_for_once(at_profit: Investment, bob: Client) -> None:
    url = f"/investments/{at_profit.public_id}/close/"
    form = bob.get(url)
    assert "Performance fee A share of the profit above the high-water mark. 20.00 USD" in text_of(form)
    assert "1,080.00 USD" in text_of(form)
    assert Request.objects.count() == 0
    for _ in range(2):
        assert bob.post(url, hidden_fields(form)).status_code == 302
    assert Request.objects.get().kind == "close"


def test_second_close_is_refused_with_its_reason(at_profit: Investment, bob: Client) -> None:
    url = f"/investments/{at_profit.public_id}/close/"
    bob.post(url, {"key": "first"})
    answer = bob.post(url, {"key": "second"})
    assert answer.status_code == 422
    assert "under way already" in text_of(answer)


def test_request_is_cancelled_only_after_confirmation(world: AliceBobCharlie, bob: Client) -> None:
    request = _request(world)
    url = f"/requests/{request.public_id}/cancel/"
    assert "Cancel the request?" in text_of(bob.get(url))
    assert Request.objects.get().state == "pending"
    page = text_of(bob.post(url, follow=True))
    assert "The request was cancelled" in page
    assert Request.objects.get().state == "cancelled"
    again = text_of(bob.post(url, follow=True))
    assert "can no longer be changed" in again


def test_requests_tell_why_they_wait(world: AliceBobCharlie, bob: Client) -> None:
    _request(world, state="confirmed", reason_code="free_margin", confirmed_at=timezone.now())
    _request(world, state="rejected", reason_note="Full until March.", idempotency_key="two")
    page = text_of(bob.get("/requests/"))
    assert "enough free margin" in page
    assert "Full until March." in page


def test_request_of_somebody_else_is_not_found(world: AliceBobCharlie, visit: Visit) -> None:
    request = _request(world)
    # Alice manages the account: she reads it on her own pages, and cannot cancel it here.
    with broker_scope(world.beta.pk):
        eve = person("eve@example.com")
    for stranger in (world.alice, eve):
        for page in ("", "cancel/"):
            assert visit(stranger).get(f"/requests/{request.public_id}/{page}").status_code == 404
        assert visit(stranger).post(f"/requests/{request.public_id}/cancel/").status_code == 404
    assert Request.objects.get().state == "pending"


def test_requests_pages_show_every_request_once(world: AliceBobCharlie, bob: Client) -> None:
    for number in range(30):
        _request(world, amount=Decimal(1000 + number), idempotency_key=str(number))
    first = bob.get("/requests/").content.decode()
    (address,) = {
        part.split('"')[0] for part in first.split('href="')[1:] if part.startswith("/requests/?before=")
    }
    pages = text_of(bob.get("/requests/")) + text_of(bob.get(address))
    assert all(pages.count(f"1,0{number:02}.00 USD") == 1 for number in range(30))
    assert bob.get("/requests/?before=x").status_code == 200


def test_pages_take_at_most_twelve_queries(
    world: AliceBobCharlie, at_profit: Investment, bob: Client
) -> None:
    request = _request(world)
    investment = f"/investments/{at_profit.public_id}"
    for url in (
        "/requests/",
        f"/requests/{request.public_id}/",
        f"/requests/{request.public_id}/cancel/",
        f"{investment}/withdraw/",
        f"{investment}/close/",
        f"{investment}/figures/",
        f"/offers/{world.pool.offer.public_id}/",
    ):
        with CaptureQueriesContext(connection) as queries:
            assert bob.get(url).status_code == 200
        assert len(queries) <= 12, (url, [query["sql"][:90] for query in queries])
