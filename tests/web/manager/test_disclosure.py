"""What others see of an account's trades is its manager's to say; showing more is looked at first."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.errors import OnlyManagerDiscloses
from accounts.models import OpenPositions, PammAccount, Role, User
from accounts.services import SeenPositions, keep_open_positions, set_disclosure
from allocation.models import PricePoint
from brokers.errors import NotAllowed
from outbox.models import Event
from rollover.models import CountedDeal
from tests.web.investor.reading import text_of
from tests.worlds import JOINED, AliceBobCharlie, person, signed_in
from trading.gateway import DealAction, Position, Side

Disclosure = PammAccount.Disclosure
DAY = timedelta(days=1)


def _address(world: AliceBobCharlie, name: str = "disclosure") -> str:
    return reverse(f"accounts:{name}", args=[world.pool.account.public_id])


def _account(world: AliceBobCharlie) -> PammAccount:
    account: PammAccount = PammAccount.objects.get(pk=world.pool.account.pk)
    return account


def _setting(world: AliceBobCharlie) -> tuple[str, timedelta]:
    account = _account(world)
    return account.disclosure, account.disclosure_delay


def _set(world: AliceBobCharlie, disclosure: Disclosure, delay: timedelta = DAY) -> None:
    PammAccount.objects.filter(pk=world.pool.account.pk).update(disclosure=disclosure, disclosure_delay=delay)


def _typed(disclosure: str, delay: str = "1", unit: str = "days", **more: str) -> dict[str, str]:
    return {"disclosure": disclosure, "delay": delay, "delay_unit": unit, **more}


def _closed(world: AliceBobCharlie, number: int, ago: timedelta) -> None:
    CountedDeal.objects.create(
        account=world.pool.account, price_point=PricePoint.objects.get(account=world.pool.account),
        ticket=number, part=CountedDeal.Part.RESULT, action=DealAction.BUY, symbol="EURUSD",
        executed_at=timezone.now() - ago, volume=1, closed_lots=1, price=1, amount=1, currency_digits=2,
    )  # fmt: skip


def test_account_is_hidden_until_its_manager_says_otherwise(world: AliceBobCharlie, alice: Client) -> None:
    assert _setting(world) == (Disclosure.HIDDEN, timedelta(days=7))
    page = alice.get(_address(world, "settings"))
    assert "This manager does not publish trades." in text_of(page)
    assert f'href="{_address(world)}"' in page.content.decode()


def test_showing_more_is_looked_at_before_it_is_done(world: AliceBobCharlie, alice: Client) -> None:
    for number, ago in enumerate((DAY * 3, DAY * 2, DAY / 2), start=1):
        _closed(world, number, ago)
    review = alice.post(_address(world), _typed("delayed"))
    page = text_of(review)
    assert "Trades seen at once 2" in page
    assert "Trades appear 1 day after they are closed" in page
    assert "The past becomes visible too" in page
    assert _setting(world)[0] == Disclosure.HIDDEN
    answer = alice.post(_address(world), _typed("delayed", step="confirm"), follow=True)
    assert "It holds from now on" in text_of(answer)
    assert _setting(world) == (Disclosure.DELAYED, DAY)
    assert "Trades seen at once 3" in text_of(alice.post(_address(world), _typed("open")))
    assert "Trades seen at once 3" in text_of(alice.post(_address(world), _typed("delayed", "6", "hours")))
    event = Event.objects.get(kind="account.disclosure")
    assert event.payload == {
        "by": str(world.alice.public_id),
        "before": {"disclosure": "hidden", "delay_seconds": 7 * 86400},
        "after": {"disclosure": "delayed", "delay_seconds": 86400},
    }


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (_typed("hidden"), (Disclosure.HIDDEN, DAY)),
        (_typed("delayed", "25", "hours"), (Disclosure.DELAYED, timedelta(hours=25))),
        (_typed("delayed", ""), (Disclosure.DELAYED, timedelta(days=7))),
    ],
)
def test_showing_less_holds_at_once(
    world: AliceBobCharlie, alice: Client, typed: dict[str, str], expected: tuple[Disclosure, timedelta]
) -> None:
    _set(world, Disclosure.DELAYED)
    assert alice.post(_address(world), typed).status_code == 302
    assert _setting(world) == expected


@pytest.mark.parametrize(
    "typed",
    [
        _typed("delayed", "0"),
        _typed("delayed", "-1"),
        _typed("delayed", "366"),
        _typed("delayed", "9999"),
        _typed("delayed", "soon"),
        _typed("delayed", "1", "years"),
        _typed("ajar"),
    ],
)
def test_setting_that_makes_no_sense_is_refused(
    world: AliceBobCharlie, alice: Client, typed: dict[str, str]
) -> None:
    assert alice.post(_address(world), typed | {"step": "confirm"}).status_code == 422
    assert _setting(world)[0] == Disclosure.HIDDEN


@pytest.mark.parametrize("delay", [timedelta(minutes=59), timedelta(days=365, seconds=1)])
def test_database_keeps_the_delay_within_bounds(world: AliceBobCharlie, delay: timedelta) -> None:
    with pytest.raises(IntegrityError, match="accounts_pammaccount_delay"), transaction.atomic():
        PammAccount.objects.filter(pk=world.pool.account.pk).update(disclosure_delay=delay)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_broker_may_hide_trades_but_not_show_them(world: AliceBobCharlie) -> None:
    _set(world, Disclosure.DELAYED)
    dealer, auditor, mallory = (
        signed_in(person(f"{role}@staff.example", role)) for role in (Role.DEALER, Role.AUDITOR, Role.MANAGER)
    )
    for stranger in (auditor, mallory, signed_in(world.bob)):
        assert stranger.get(_address(world)).status_code == 404
        assert stranger.post(_address(world), _typed("hidden")).status_code == 404
    assert "you can show less" in text_of(dealer.get(_address(world)))
    refused = dealer.post(_address(world), _typed("open", step="confirm"))
    assert refused.status_code == 422
    assert "Only the manager" in text_of(refused)
    assert _setting(world) == (Disclosure.DELAYED, DAY)
    assert dealer.post(_address(world), _typed("hidden")).status_code == 302
    assert _setting(world)[0] == Disclosure.HIDDEN
    staff = User.objects.get(email="dealer@staff.example")
    for shown, by, refusal in (
        (Disclosure.OPEN, staff, OnlyManagerDiscloses),
        (Disclosure.DELAYED, staff, OnlyManagerDiscloses),
        (Disclosure.HIDDEN, world.bob, NotAllowed),
    ):
        with pytest.raises(refusal):
            set_disclosure(account=_account(world), disclosure=shown, delay=DAY, by=by)


def test_staff_read_who_changed_what_is_seen_and_hide_it(world: AliceBobCharlie, alice: Client) -> None:
    alice.post(_address(world), _typed("delayed", "3", step="confirm"))
    dealer = person("dealer@staff.example", Role.DEALER, first_name="Dana")
    browser = signed_in(dealer)
    account = reverse("admin:accounts_pammaccount_change", args=[world.pool.account.public_id])
    page = text_of(browser.get(account))
    assert "Trades appear 3 days after they are closed" in page
    assert f"{world.alice}: Hidden → Delayed, 3 days" in page
    hide = reverse("admin:accounts_pammaccount_hide_trades", args=[world.pool.account.public_id])
    assert "Only the account's manager can show them again" in text_of(browser.get(hide))
    assert _setting(world)[0] == Disclosure.DELAYED
    assert browser.post(hide, {"confirm": "1"}).status_code == 302
    assert _setting(world)[0] == Disclosure.HIDDEN
    assert f"{dealer}: Delayed, 3 days → Hidden" in text_of(browser.get(account))


def test_saving_the_same_again_is_no_change(world: AliceBobCharlie, alice: Client) -> None:
    _set(world, Disclosure.OPEN)
    assert alice.post(_address(world), _typed("open")).status_code == 302
    assert not Event.objects.filter(kind="account.disclosure").exists()


def test_picture_of_what_is_open_is_kept_of_open_accounts_only(world: AliceBobCharlie) -> None:
    position = Position(
        ticket=1, login=1, symbol="EURUSD", side=Side.SELL, volume=Decimal("0.10"), contract_size=Decimal(1),
        price_open=Decimal("1.1"), price_current=Decimal("1.2"), profit=Decimal(-10), storage=Decimal("-0.5"),
        opened_at=JOINED, comment="mine",
    )  # fmt: skip
    seen = {world.pool.account.pk: SeenPositions(JOINED, Decimal(1000), (position,))}
    for disclosure in (Disclosure.HIDDEN, Disclosure.DELAYED):
        _set(world, disclosure)
        keep_open_positions(seen)
        assert not OpenPositions.objects.exists()
    _set(world, Disclosure.OPEN)
    keep_open_positions(seen)
    (row,) = OpenPositions.objects.all()
    assert row.positions == [
        {
            "symbol": "EURUSD", "side": "sell", "lots": "0.10", "opened_at": JOINED.isoformat(),
            "price_open": "1.1", "price": "1.2", "result": "-10.5",
        }
    ]  # fmt: skip
    keep_open_positions({world.pool.account.pk: SeenPositions(JOINED + DAY, Decimal(900), ())})
    (row,) = OpenPositions.objects.all()
    assert (row.seen_at, row.positions) == (JOINED + DAY, [])
    set_disclosure(account=_account(world), disclosure=Disclosure.DELAYED, delay=DAY, by=world.alice)
    assert not OpenPositions.objects.exists()
