"""What a leg posts when the trading server has applied it. Rows are made in memory."""

import uuid
from decimal import Decimal

import pytest

from ledger.models import LedgerAccount
from trading.models import TradingServer
from transfers.models import Leg, Side, Transfer
from transfers.services import leg_entry

Kind = LedgerAccount.Kind
Purpose = Transfer.Purpose
PAYEE, OWNER = uuid.UUID(int=1), uuid.UUID(int=2)
SERVER = TradingServer(public_id=uuid.UUID(int=3))


def posted(
    purpose: str, payee: uuid.UUID | None, position: int, side: Side
) -> set[tuple[str, uuid.UUID, Decimal]]:
    amount = Decimal("-5.00") if position == 1 else Decimal("5.00")
    leg = Leg(
        transfer=Transfer(purpose=purpose, payee=payee), position=position, side=side, owner=OWNER,
        amount=amount, currency="USD", currency_digits=2,
    )  # fmt: skip
    lines = leg_entry(SERVER, leg).lines
    assert sum(amount for _, amount in lines) == 0
    return {(key.kind, key.subject, amount) for key, amount in lines}


IN_TRANSIT = (Kind.IN_TRANSIT, SERVER.public_id, Decimal("-5.00"))


@pytest.mark.parametrize(
    ("side", "claim"), [(Side.PERSONAL, Kind.CLIENT_CLAIM), (Side.HOUSE, Kind.HOUSE_CLAIM)]
)
def test_payment_that_arrives_turns_the_payables_amount_into_a_claim_on_the_account(
    side: Side, claim: Kind
) -> None:
    assert posted(Purpose.FEE, PAYEE, 2, side) == {
        (Kind(side), OWNER, Decimal("5.00")),
        IN_TRANSIT,
        (Kind.PAYABLE, PAYEE, Decimal("5.00")),
        (claim, OWNER, Decimal("-5.00")),
    }


def test_payment_that_leaves_the_pool_stays_payable() -> None:
    assert posted(Purpose.FEE, PAYEE, 1, Side.PAMM) == {
        (Kind.PAMM_CASH, OWNER, Decimal("-5.00")),
        (Kind.IN_TRANSIT, SERVER.public_id, Decimal("5.00")),
    }


@pytest.mark.parametrize(
    ("purpose", "side"),
    [(Purpose.DEPOSIT, Side.PAMM), (Purpose.DEPOSIT, Side.PERSONAL), (Purpose.ROUNDING, Side.HOUSE)],
)
def test_money_that_nobody_was_owed_posts_cash_against_transit_alone(purpose: str, side: Side) -> None:
    assert posted(purpose, None, 2, side) == {(Kind(side), OWNER, Decimal("5.00")), IN_TRANSIT}
