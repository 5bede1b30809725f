"""Every fee is split among broker, agents and manager, and each is paid; who cannot be paid yet is owed."""

from decimal import Decimal

import pytest
from django.db.models import Sum

from accounts.models import Agent, HouseAccount, PammAccount, PersonalAccount
from allocation.models import Investment, PricePoint
from brokers.models import Broker
from fees.calc.schedule import Tier
from fees.models import Charge, ChargePart
from ledger.models import LedgerAccount
from ledger.queries import balance
from offers.drafts import share_fields, standard_shares
from rollover.services import settle_open_transfers
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms
from tests.worlds import person
from transfers.models import Transfer

Kind = LedgerAccount.Kind


@pytest.fixture
def near(desk: Desk) -> Agent:
    """Introduced Bob, and was introduced by somebody without an account."""
    above = Agent.objects.create(user=person("above@a.example"))
    made: Agent = Agent.objects.create(user=desk.client("near", "0").user, parent=above)
    return made


@pytest.fixture
def joined(desk: Desk, near: Agent) -> tuple[PammAccount, Investment]:
    """Alice's pool with 1,000.00 of her own, and Bob's 1,000.00 on their way in at price 1."""
    Broker.objects.update(fee_share_rate=Decimal("0.10"), agent_share_rates=["0.05", "0.025"])
    alice, bob = desk.client("alice", "10000"), desk.client("bob", "10000")
    PersonalAccount.objects.filter(pk=bob.pk).update(introduced_by=near)
    bob.refresh_from_db()
    account = desk.pamm_account(alice, "1000.00")
    draft = terms(
        (None, "0.20"),
        entry_tiers=(Tier(None, Decimal("0.02")),),
        subscription_amount=Decimal("1.00"),
        volume_amount_per_lot=Decimal("0.50"),
        **share_fields(standard_shares()),
    )
    return account, desk.invest(bob, desk.offer(account, draft), "1000.00")


def paid_to(agent: Agent, desk: Desk) -> Decimal:
    return desk.balance(PersonalAccount.objects.get(user=agent.user).login)


def parts_by_payee() -> dict[object, Decimal]:
    return {
        row["payee"]: row["sum"] for row in ChargePart.objects.values("payee").annotate(sum=Sum("amount"))
    }


def test_parts_of_all_kinds_reach_their_receivers_and_the_rest_waits_in_their_payables(
    desk: Desk, near: Agent, joined: tuple[PammAccount, Investment]
) -> None:
    account, investment = joined
    above = near.parent
    assert above is not None
    desk.roll(account)
    investment.refresh_from_db()
    # 2 % of 1,000.00 is charged before units are issued.
    assert (investment.units, investment.paid_in, investment.fees_paid) == (
        Decimal(980), Decimal("1000.00"), Decimal("20.00"),
    )  # fmt: skip
    assert paid_to(near, desk) == Decimal("1.00")

    desk.earn(account, Decimal("198.00"))
    desk.roll(account)
    assert PricePoint.objects.filter(account=account).latest("sequence").closed_lots == 1
    # At 1.10: subscription 1.00, 980/1980 of a lot 0.24, performance 20 % of 1,076.76 - 980.00.
    assert list(Charge.objects.order_by("id").values_list("kind", "amount")) == [
        ("entry", Decimal("20.00")),
        ("subscription", Decimal("1.00")),
        ("volume", Decimal("0.24")),
        ("performance", Decimal("19.35")),
    ]
    manager, broker = account.manager.public_id, desk.broker.public_id
    assert parts_by_payee() == {
        broker: Decimal("4.05"),
        near.public_id: Decimal("2.02"),
        above.public_id: Decimal("1.00"),
        manager: Decimal("33.52"),
    }
    transfers = Transfer.objects.filter(purpose=Transfer.Purpose.FEE)
    assert sorted(transfers.values_list("payee", "amount", "state"), key=str) == sorted(
        [
            (broker, Decimal("2.00"), "in_transit"),
            (broker, Decimal("2.05"), "in_transit"),
            (above.public_id, Decimal("0.50"), "in_transit"),
            (above.public_id, Decimal("0.50"), "in_transit"),
            (near.public_id, Decimal("1.00"), "completed"),
            (near.public_id, Decimal("1.02"), "completed"),
            (manager, Decimal("16.50"), "completed"),
            (manager, Decimal("17.02"), "completed"),
        ],
        key=str,
    )
    assert balance(Kind.PAYABLE, broker, "USD") == Decimal("-4.05")
    assert balance(Kind.PAYABLE, above.public_id, "USD") == Decimal("-1.00")
    assert balance(Kind.PAYABLE, manager, "USD") == balance(Kind.PAYABLE, near.public_id, "USD") == 0
    assert balance(Kind.IN_TRANSIT, desk.server.public_id, "USD") == Decimal("5.05")
    # What is owed has left the pool: the next price does not count it twice.
    desk.roll(account)
    assert PricePoint.objects.filter(account=account).latest("sequence").owed == 0

    settle_open_transfers()
    assert balance(Kind.IN_TRANSIT, desk.server.public_id, "USD") > 0
    house = HouseAccount.objects.create(
        server=desk.server, purpose=HouseAccount.Purpose.INCOME, currency="USD", currency_digits=2,
        login=desk.simulator.add_account("house\\USD", "0"),
    )  # fmt: skip
    PersonalAccount.objects.create(
        user=above.user, server=desk.server, login=desk.simulator.add_account("personal\\USD", "0"),
        currency="USD", currency_digits=2,
    )  # fmt: skip
    settle_open_transfers()
    parts = parts_by_payee()
    assert desk.balance(house.login) == parts[broker]
    assert paid_to(above, desk) == parts[above.public_id]
    assert balance(Kind.HOUSE_CLAIM, house.public_id, "USD") == -parts[broker]
    assert_books_agree(desk, account)


def test_who_closes_pays_all_that_accrued_to_everybody_and_the_books_agree(
    desk: Desk, near: Agent, joined: tuple[PammAccount, Investment]
) -> None:
    account, investment = joined
    HouseAccount.objects.create(
        server=desk.server, purpose=HouseAccount.Purpose.INCOME, currency="USD", currency_digits=2,
        login=desk.simulator.add_account("house\\USD", "0"),
    )  # fmt: skip
    assert near.parent is not None
    PersonalAccount.objects.create(
        user=near.parent.user, server=desk.server, login=desk.simulator.add_account("personal\\USD", "0"),
        currency="USD", currency_digits=2,
    )  # fmt: skip
    desk.roll(account)
    desk.earn(account, Decimal("-98.00"))
    desk.close(investment)
    desk.roll(account)
    investment.refresh_from_db()
    charged = Charge.objects.aggregate(sum=Sum("amount"))["sum"]
    assert sum(parts_by_payee().values()) == charged == investment.fees_paid
    fees = Transfer.objects.filter(purpose=Transfer.Purpose.FEE, state=Transfer.State.COMPLETED)
    assert fees.aggregate(sum=Sum("amount"))["sum"] == charged
    assert investment.units == investment.value_days_put_aside == 0
    assert investment.debts == []
    assert_books_agree(desk, account)
