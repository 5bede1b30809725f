"""What watches over the books, in the back office: findings, conflicts, orders, decisions, seals, how servers
answer, and the tiles that say that something waits for a person.
"""

import re
import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import PammAccount, Role
from brokers.models import Broker
from brokers.scope import broker_scope
from rollover.models import Decision, Finding, Inspection, Rollover, Seal
from tests.back_office.conftest import signed_in
from tests.back_office.pools import Pool, pool_with_history
from tests.circle.world import Desk, login_of, terms
from tests.worlds import broker_called
from trading.breaker import FAILURES_ALLOWED
from trading.models import Order, ServerCondition, TradingServer
from transfers.models import Leg, Side, Transfer


def text(answer: Any) -> str:
    page: str = answer.content.decode()
    return " ".join(page.split())


@pytest.fixture
def pool(alpha: Broker) -> Pool:
    pool, _rollovers = pool_with_history()
    return pool


@pytest.fixture
def finding(pool: Pool) -> Finding:
    found: Finding = Finding.objects.create(
        kind=Finding.Kind.VANISHED_DEAL,
        server=pool.account.server,
        account=pool.account,
        login=9000,
        ticket=4711,
        expected={"ticket": "4711", "amount": "20.00", "comment": "close"},
    )
    return found


def settling(finding: Finding) -> str:
    return reverse("admin:rollover_finding_settle", args=[finding.public_id])


def leg_in_conflict(server: TradingServer) -> Leg:
    money = {"currency": "USD", "currency_digits": 2}
    made = Transfer.objects.create(
        server=server, purpose=Transfer.Purpose.WITHDRAWAL, subject=uuid.uuid4(), pool=uuid.uuid4(),
        amount=Decimal("12.34"), **money,
    )  # fmt: skip
    leg: Leg = Leg.objects.create(
        transfer=made, position=1, server=server, login=9000, side=Side.PAMM, owner=uuid.uuid4(),
        pool=made.pool, amount=Decimal("-12.34"), state=Leg.State.CONFLICT, **money,
    )  # fmt: skip
    return leg


# findings


def test_finding_shows_both_books_and_is_settled_with_a_note(dealer: Client, finding: Finding) -> None:
    page = text(dealer.get(reverse("admin:rollover_finding_change", args=[finding.public_id])))
    for said in ("A counted deal has disappeared", "4711", "20.00"):
        assert said in page, said
    asked = text(dealer.get(settling(finding)))
    assert "Should it change, it opens again and holds its account." in asked
    assert dealer.post(settling(finding), {"note": " "}).status_code == 200
    finding.refresh_from_db()
    assert finding.state == Finding.State.OPEN
    assert dealer.post(settling(finding), {"note": "put back by hand"}).status_code == 302
    finding.refresh_from_db()
    assert (finding.state, finding.note) == (Finding.State.SETTLED, "put back by hand")
    assert LogEntry.objects.filter(object_id=str(finding.pk), change_message__contains="put back").exists()
    again = dealer.post(settling(finding), {"note": "twice"}, follow=True)
    assert "put back by hand" in text(again)
    finding.refresh_from_db()
    assert finding.note == "put back by hand"


def test_finding_is_settled_by_those_who_decide_at_its_broker(finding: Finding, auditor: Client) -> None:
    with broker_scope(broker_called("beta").pk):
        stranger = signed_in(Role.DEALER, host="beta.localhost")
    assert auditor.get(reverse("admin:rollover_finding_change", args=[finding.public_id])).status_code == 200
    for somebody, status in ((auditor, 403), (stranger, 404)):
        assert somebody.get(settling(finding)).status_code == status
        assert somebody.post(settling(finding), {"note": "mine"}).status_code == status
    finding.refresh_from_db()
    assert finding.state == Finding.State.OPEN


# conflicts


@pytest.fixture
def doubtful(desk: Desk) -> tuple[Leg, int]:
    """A payment of 100.00 to Bob that stands in the server's books twice: the leg and the dealer's ticket."""
    bob = desk.client("bob", "1000")
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    investment = desk.invest(
        bob, desk.offer(account, terms((None, "0.20"), interval_unit="months")), "500.00"
    )
    desk.roll(account)
    investment.refresh_from_db()
    desk.withdraw(investment, "100.00")
    desk.simulator.arm_fault("drop_after", login=login_of(account))
    desk.roll(account)
    leg = Leg.objects.get(state=Leg.State.UNKNOWN)
    copied = desk.simulator.adjust_as_dealer(login_of(account), leg.amount, comment=leg.key)
    desk.expire_answers()
    (rollover,) = desk.roll(account)
    assert rollover.reason_code == "transfer_conflict"
    return Leg.objects.select_related("transfer").get(pk=leg.pk), copied


def test_conflict_is_resolved_on_its_transfers_page_by_naming_the_deal(
    doubtful: tuple[Leg, int],
) -> None:
    leg, copied = doubtful
    auditor, dealer = signed_in(Role.AUDITOR, host="a.localhost"), signed_in(Role.DEALER, host="a.localhost")
    detail = reverse("admin:transfers_transfer_change", args=[leg.transfer.public_id])
    resolve = reverse("admin:transfers_transfer_resolve", args=[leg.transfer.public_id])
    assert "Decide which deal is ours" in text(dealer.get(detail))
    assert auditor.get(detail).status_code == 200
    assert auditor.post(resolve, {"ticket": str(copied), "note": "mine"}).status_code == 403
    page = text(dealer.get(resolve))
    assert {str(copied)} < set(re.findall(r'<option value="(\d+)"', page))
    assert leg.key in page
    assert dealer.post(resolve, {"ticket": "1", "note": "no such"}).status_code == 200
    assert dealer.post(resolve, {"ticket": str(copied), "note": ""}).status_code == 200
    leg.refresh_from_db()
    assert leg.state == Leg.State.CONFLICT
    (ours,) = set(re.findall(r'<option value="(\d+)"', page)) - {str(copied), "0"}
    assert dealer.post(resolve, {"ticket": ours, "note": "the dealer repeated it"}).status_code == 302
    leg.refresh_from_db()
    assert (leg.state, leg.ticket) == (Leg.State.APPLIED, int(ours))
    assert "Decide which deal is ours" not in text(dealer.get(detail))
    assert dealer.get(resolve).status_code == 302


def test_conflict_of_a_server_that_does_not_answer_is_left_as_it_is(
    desk: Desk, doubtful: tuple[Leg, int]
) -> None:
    leg, _copied = doubtful
    desk.simulator.arm_fault("drop_before", "*", calls=0)
    answer = signed_in(Role.DEALER, host="a.localhost").get(
        reverse("admin:transfers_transfer_resolve", args=[leg.transfer.public_id]), follow=True
    )
    assert "The trading server does not answer." in text(answer)


# tiles and lists


def test_tiles_of_the_dashboard_count_what_waits_for_a_person(
    pool: Pool, finding: Finding, auditor: Client
) -> None:
    def tiles() -> str:
        return text(auditor.get(reverse("admin:index")))

    assert "0 operations in conflict, 0 trading servers failing" in tiles()
    leg_in_conflict(pool.account.server)
    ServerCondition.objects.create(
        server=pool.account.server, failures=FAILURES_ALLOWED, failing_since=timezone.now()
    )
    PammAccount.objects.update(is_held=True, hold_reason="counted_deal_changed")
    page = tiles()
    assert "1 operations in conflict, 1 trading servers failing" in page
    for address, figure in (
        ("/admin/rollover/finding/?state__exact=open", "1"),
        ("/admin/accounts/pammaccount/?is_held__exact=1", "1"),
    ):
        tile = re.search(rf'href="{re.escape(address)}".*?</a>', page)
        assert tile is not None, address
        assert f">{figure}<" in tile[0].replace("> ", ">").replace(" <", "<"), tile[0]


def test_lists_show_orders_decisions_comparisons_and_seals(pool: Pool, auditor: Client) -> None:
    server, account = pool.account.server, pool.account
    Order.objects.create(
        server=server, login=9000, purpose=Order.Purpose.CLOSING, subject=uuid.uuid4(), position=31337,
        symbol="EURUSD", side="sell", volume=Decimal("0.30"), state=Order.State.REFUSED,
        refusal_text="Requote",
    )  # fmt: skip
    Decision.objects.create(
        account=account, ticket=4711, kind=Decision.Kind.UNDONE, amount=Decimal("-4.00"), currency_digits=2
    )
    Decision.objects.create(
        account=account, ticket=4712, kind=Decision.Kind.RESULT, amount=Decimal("9.00"), currency_digits=2,
        made_by=account.manager.user, note="compensation",
    )  # fmt: skip
    began = timezone.now() - timedelta(hours=1)
    Inspection.objects.create(
        server=server, began_at=began, compared_since=began, logins=12, deals=345, legs=67, found=8
    )
    Seal.objects.create(day=date(2026, 1, 5), document="{}", signature="c2lnbmVk", key_id="k-2026")
    wanted = {
        "trading_order": ("31337", "EURUSD", "0.3", "Requote"),
        "rollover_decision": ("4711", "its size", "4.00", "compensation", "Alice"),
        "rollover_inspection": ("345", "67"),
        "rollover_seal": ("k-2026", "c2lnbmVk"),
    }
    for name, words in wanted.items():
        page = text(auditor.get(reverse(f"admin:{name}_changelist")))
        for word in words:
            assert word in page, (name, word)


def test_page_of_a_server_says_how_it_answers(pool: Pool, admin: Client) -> None:
    server = pool.account.server
    ServerCondition.objects.create(
        server=server, failures=4, failing_since=timezone.now(), last_error="connection refused"
    )
    assert "failing since" in text(admin.get(reverse("admin:trading_tradingserver_changelist")))
    page = text(admin.get(reverse("admin:trading_tradingserver_change", args=[server.public_id])))
    assert "connection refused" in page


def test_rollover_that_was_held_says_why(pool: Pool, auditor: Client) -> None:
    last = Rollover.objects.latest("id")
    held = Rollover.objects.create(
        account=pool.account,
        scheduled_for=last.scheduled_for + timedelta(hours=1),
        ordered_at=last.ordered_at,
        state=Rollover.State.HELD,
        reason_code="balance_differs",
        reason={"difference": "-20.00", "server": "1480.00"},
    )
    page = text(auditor.get(reverse("admin:rollover_rollover_change", args=[held.public_id])))
    for said in ("balance_differs", "-20.00", "1480.00"):
        assert said in page, said
