"""A held account in the back office: what differs, whose it is, what its release would do; closing one."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts.models import HouseAccount, PammAccount, Role
from allocation.models import Investment
from brokers.models import Broker
from brokers.scope import broker_scope
from investing.models import Request
from rollover.models import Decision
from tests.back_office.conftest import signed_in
from tests.back_office.pools import pool_with_history
from tests.worlds import broker_called
from transfers.models import Transfer

PAID_IN, TAKEN_OUT = 700_001, 700_002
Kind = Decision.Kind


def shown(ticket: int, amount: str) -> dict[str, str]:
    return {
        "ticket": str(ticket),
        "at": "2026-01-01T10:00:00+00:00",
        "action": "2",
        "amount": amount,
        "dealer": "77",
        "comment": "by hand",
    }


@pytest.fixture
def held(alpha: Broker) -> PammAccount:
    """Somebody paid 250.00 into the pool and took 40.00 out."""
    pool, _rollovers = pool_with_history()
    account = pool.account
    HouseAccount.objects.create(
        server=account.server, purpose=HouseAccount.Purpose.SUSPENSE, currency="USD", currency_digits=2,
        login=3333,
    )  # fmt: skip
    hold(account, "foreign_operation", deals=[shown(PAID_IN, "250.00"), shown(TAKEN_OUT, "-40.00")])
    return account


def hold(account: PammAccount, reason: str, **details: Any) -> None:
    account.is_held, account.hold_reason, account.hold_details = True, reason, details
    account.save()


def page_of(account: PammAccount, action: str = "release") -> str:
    return reverse(f"admin:accounts_pammaccount_{action}", args=[account.public_id])


def bobs(account: PammAccount) -> Investment:
    found: Investment = Investment.objects.get(account=account, owner__email="bob@example.com")
    return found


def text(answer: Any) -> str:
    page: str = answer.content.decode()
    return " ".join(page.split())


def seen(answer: Any) -> dict[str, str]:
    """What the page with the effect sends along."""
    token = re.search(r'name="seen" value="(\w+)"', answer.content.decode())
    return {"seen": token.group(1)} if token else {}


DECIDED = {
    "note": "Bob's wire, and a slip",
    f"kind_{PAID_IN}": Kind.DEPOSIT.value,
    f"investment_{PAID_IN}": "bob@example.com",
    f"kind_{TAKEN_OUT}": Kind.UNDONE.value,
}


def test_page_of_a_held_account_says_what_differs_deal_by_deal(dealer: Client, held: PammAccount) -> None:
    page = text(dealer.get(page_of(held)))
    assert "Somebody moved money on the account by hand." in page
    for said in (f"Deal {PAID_IN}: +250.00", f"Deal {TAKEN_OUT}: −40.00", "dealer 77", "by hand"):
        assert said in page, said
    # Money that was taken out is nobody's deposit.
    assert page.count(f'value="{Kind.DEPOSIT.value}"') == 1
    assert page.count(f'value="{Kind.UNDONE.value}"') == 2
    assert "Show the effect" in page


def test_effect_is_shown_before_anything_is_done(dealer: Client, held: PammAccount) -> None:
    answer = dealer.post(page_of(held), DECIDED)
    page = text(answer)
    assert answer.status_code == 200
    for said in ("Deposit of bob@example.com", "250.00", "To suspense", "−40.00", "Price per unit"):
        assert said in page, said
    assert seen(answer)
    held.refresh_from_db()
    assert held.is_held
    assert not Decision.objects.exists()


def test_release_does_what_was_shown_and_is_logged(dealer: Client, held: PammAccount) -> None:
    preview = dealer.post(page_of(held), DECIDED)
    answer = dealer.post(page_of(held), {**DECIDED, **seen(preview)})
    assert answer.status_code == 302
    held.refresh_from_db()
    assert not held.is_held
    assert set(Decision.objects.values_list("ticket", "kind", "amount")) == {
        (PAID_IN, Kind.DEPOSIT, Decimal("250.00")),
        (TAKEN_OUT, Kind.UNDONE, Decimal("-40.00")),
    }
    assert Request.objects.get(origin=Request.Origin.RECONCILIATION).investment == bobs(held)
    assert Transfer.objects.filter(purpose=Transfer.Purpose.CORRECTION).count() == 2
    assert LogEntry.objects.filter(object_id=str(held.pk), change_message__contains="Bob's wire").exists()


def test_choices_changed_after_the_effect_are_shown_again(dealer: Client, held: PammAccount) -> None:
    preview = dealer.post(page_of(held), DECIDED)
    changed = {**DECIDED, f"kind_{PAID_IN}": Kind.RESULT.value}
    again = dealer.post(page_of(held), {**changed, **seen(preview)})
    assert again.status_code == 200
    assert "Shared by all investors" in text(again)
    assert not Decision.objects.exists()
    assert dealer.post(page_of(held), {**changed, **seen(again)}).status_code == 302
    assert Decision.objects.get(ticket=PAID_IN).kind == Kind.RESULT


def test_difference_that_changed_after_the_effect_is_shown_again(dealer: Client, held: PammAccount) -> None:
    """The same choice about another amount is another choice."""
    hold(held, "balance_differs", difference="-20.00", deals=[])
    chosen = {"note": "ours", "kind_rest": Kind.RESULT.value}
    preview = dealer.post(page_of(held), chosen)
    hold(held, "balance_differs", difference="-2000.00", deals=[])
    again = dealer.post(page_of(held), {**chosen, **seen(preview)})
    assert again.status_code == 200
    assert "−2,000.00" in text(again)
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("named", "refusal"),
    [
        ("carol@example.com", "No investment in this account fits that."),
        ("nobody@example.com", "No investment in this account fits that."),
        ("", "No investment in this account fits that."),
        ("4242", "No investment in this account fits that."),
    ],
)
def test_deposit_of_somebody_without_a_stake_is_refused(
    dealer: Client, held: PammAccount, named: str, refusal: str
) -> None:
    """Carol has left."""
    answer = dealer.post(page_of(held), {**DECIDED, f"investment_{PAID_IN}": named})
    assert refusal in text(answer)
    assert not seen(answer)
    assert not Decision.objects.exists()


@pytest.mark.parametrize("by", ["login", "id"])
def test_deposit_is_named_by_login_or_id_as_well(dealer: Client, held: PammAccount, by: str) -> None:
    investment = bobs(held)
    named = str(investment.personal_account.login if by == "login" else investment.public_id)
    assert seen(dealer.post(page_of(held), {**DECIDED, f"investment_{PAID_IN}": named}))


def test_release_without_a_note_is_refused(dealer: Client, held: PammAccount) -> None:
    answer = dealer.post(page_of(held), {**DECIDED, "note": " "})
    assert (answer.status_code, seen(answer)) == (200, {})
    held.refresh_from_db()
    assert held.is_held


def test_account_that_is_not_held_has_nothing_to_release(dealer: Client, held: PammAccount) -> None:
    held.is_held = False
    held.save()
    assert dealer.get(page_of(held)).status_code == 302


def test_remainder_is_swept_only_where_somebody_says_so(dealer: Client, held: PammAccount) -> None:
    hold(held, "remainder_too_large", remainder="75.00")
    assert 'name="sweep"' in text(dealer.get(page_of(held)))
    assert dealer.post(page_of(held), {"note": "nobody's", "sweep": "on"}).status_code == 302
    held.refresh_from_db()
    assert held.hold_details == {"sweep_up_to": "75.00"}


def test_account_is_closed_with_a_reason_and_only_once(dealer: Client, held: PammAccount) -> None:
    address = page_of(held, "close")
    assert "This cannot be taken back." in text(dealer.get(address))
    assert dealer.post(address, {"note": ""}).status_code == 200
    held.refresh_from_db()
    assert held.state == PammAccount.State.ACTIVE
    for _ in range(2):
        assert dealer.post(address, {"note": "The manager retires"}).status_code == 302
    held.refresh_from_db()
    assert held.state == PammAccount.State.CLOSING
    assert LogEntry.objects.filter(object_id=str(held.pk)).count() == 1


def test_account_is_suspended_and_resumed_with_a_reason(dealer: Client, held: PammAccount) -> None:
    address = page_of(held, "suspend")
    assert "Nobody joins or adds money until you resume it" in text(dealer.get(address))
    assert dealer.post(address, {"note": ""}).status_code == 200
    assert dealer.post(address, {"note": "Trades outside his mandate"}).status_code == 302
    held.refresh_from_db()
    assert held.state == PammAccount.State.SUSPENDED
    assert "Its open offers take investments again." in text(dealer.get(address))
    assert dealer.post(address, {"note": "Settled"}).status_code == 302
    held.refresh_from_db()
    assert held.state == PammAccount.State.ACTIVE
    changes = LogEntry.objects.filter(object_id=str(held.pk)).order_by("pk")
    assert ["Trades outside his mandate" in str(change.change_message) for change in changes] == [True, False]


@pytest.mark.parametrize("action", ["release", "suspend", "close"])
def test_who_only_looks_may_not_decide(auditor: Client, held: PammAccount, action: str) -> None:
    assert auditor.get(reverse("admin:accounts_pammaccount_change", args=[held.public_id])).status_code == 200
    assert auditor.get(page_of(held, action)).status_code == 403
    assert auditor.post(page_of(held, action), {**DECIDED, "note": "mine"}).status_code == 403
    held.refresh_from_db()
    assert (held.is_held, held.state) == (True, PammAccount.State.ACTIVE)


@pytest.mark.parametrize("action", ["release", "suspend", "close"])
def test_another_brokers_dealer_finds_no_such_account(held: PammAccount, action: str) -> None:
    with broker_scope(broker_called("beta").pk):
        stranger = signed_in(Role.DEALER, host="beta.localhost")
    for answer in (stranger.get(page_of(held, action)), stranger.post(page_of(held, action), DECIDED)):
        assert answer.status_code == 404
    held.refresh_from_db()
    assert held.is_held
