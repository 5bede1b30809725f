"""Steps 3 to 5 and the posting of 6: one account, one transaction."""

import uuid
from collections.abc import Iterable
from decimal import Decimal

from django.db import transaction

from accounts.models import HouseAccount, PammAccount
from allocation.calc.units import PoolCondition, pool_condition
from allocation.models import PricePoint
from allocation.services import UnitBook, cancel_series, record_price_point
from brokers.models import Broker
from fees.models import ChargePart
from fees.recipients import Recipients
from investing.models import Request
from investing.services.execution import Execution, pamm_endpoint
from investing.services.requests import fail_request
from ledger.models import LedgerAccount
from ledger.services import AccountKey, Draft, record_entries
from money.exact import ZERO, exact_difference, exact_sum
from outbox.services import record_event
from rollover.models import CountedDeal, Rollover
from rollover.services.claims import locked
from rollover.services.snapshot import Reading
from trading.gateway import Deal
from transfers.models import Side, Transfer
from transfers.services import Endpoint, TransferDraft, mark_counted, plan_transfers, release_transfers

Kind = LedgerAccount.Kind


def price_account(rollover: Rollover, reading: Reading, holder: uuid.UUID, broker: Broker) -> None:
    """Fix the price of one account and everything that happens at it. Nothing is sent here.

    Either all of it is committed, with the rollover *settling*, or nothing. Raises `ClaimLost`.
    """
    with transaction.atomic():
        held = locked(rollover, holder)
        if held.state != Rollover.State.RUNNING:
            return
        account: PammAccount = (
            PammAccount.objects.select_for_update(of=("self",))
            .select_related("server", "income_account", "manager")
            .get(pk=rollover.account_id)
        )
        snapshot = reading.snapshot
        if snapshot is None:
            raise ValueError("an account without a snapshot cannot be priced")
        floating_before = account.last_floating
        condition = pool_condition(snapshot.pool_equity, account.units, snapshot.has_open_positions)
        moves_money = not reading.wait_reason and condition in (PoolCondition.EMPTY, PoolCondition.SOUND)
        point = record_price_point(account, snapshot, moves_money=moves_money)
        account.last_balance = snapshot.balance
        account.last_floating = snapshot.floating
        book = UnitBook(account, point)
        execution = Execution(
            account,
            book,
            broker,
            snapshot.has_open_positions,
            max(ZERO, exact_difference(snapshot.withdrawable, snapshot.owed)),
        )
        lines = result_lines(account, point, exact_difference(snapshot.floating, floating_before))
        transfers: list[TransferDraft] = []
        if condition is PoolCondition.WIPED_OUT:
            book.write()
            _wipe_out(account, point)
        elif moves_money:
            execution.run()
            transfers = rollover_transfers(account, execution, broker)
            execution.write()
            lines += flow_lines(account, execution, transfers)
        else:
            book.write()
            send_back(account.pk, reading.wait_reason or "under_water")
        _count(account, point, reading)
        plan_transfers(transfers)
        release_transfers(execution.releases)
        record_entries([Draft("rollover", f"price-point:{point.pk}", point.priced_at, lines)])
        held.state = Rollover.State.SETTLING
        held.price_point = point
        held.reason_code = reading.wait_reason
        held.save()
        rollover.state, rollover.price_point = held.state, point


def _count(account: PammAccount, point: PricePoint, reading: Reading) -> None:
    def part(deal: Deal) -> CountedDeal.Part:
        if deal.ticket in reading.ours:
            return CountedDeal.Part.OURS
        return CountedDeal.Part.FOREIGN if deal.ticket in reading.foreign else CountedDeal.Part.RESULT

    CountedDeal.objects.bulk_create(
        CountedDeal(
            account=account,
            price_point=point,
            ticket=deal.ticket,
            part=part(deal),
            action=deal.action,
            executed_at=deal.at,
            symbol=deal.symbol,
            volume=deal.volume,
            price=deal.price,
            amount=deal.balance_change,
            currency_digits=account.currency_digits,
            comment=deal.comment[:32],
        )
        for deal in reading.deals
    )
    mark_counted(reading.legs)


def rollover_transfers(account: PammAccount, execution: Execution, broker: Broker) -> list[TransferDraft]:
    """Payouts, one payment of fees to each party, the rounding exchange, and the sweep of what belongs to
    nobody.
    """
    drafts = [*execution.payouts, *fee_payments(account, execution.charges.parts, broker)]
    rounding = execution.book.rounding
    if rounding:
        house, pool = _rounding_endpoint(account), pamm_endpoint(account)
        source, destination = (house, pool) if rounding > 0 else (pool, house)
        drafts.append(_draft(account, Transfer.Purpose.ROUNDING, abs(rounding), source, destination))
    if execution.remainder_blocks:
        drafts += _sweep(account, execution.book, broker)
    return drafts


def fee_payments(account: PammAccount, parts: Iterable[ChargePart], broker: Broker) -> list[TransferDraft]:
    """The parts of all charges of one rollover, in one sum for each payee.

    Where a payee has no account for it the money leaves the pool all the same and stands in transit.
    """
    sums: dict[uuid.UUID, Decimal] = {}
    for part in parts:
        sums[part.payee] = exact_sum((sums.get(part.payee, ZERO), part.amount))
    endpoints = Recipients.of(account, broker).endpoints(sums.keys())
    return [
        _draft(
            account, Transfer.Purpose.FEE, amount, pamm_endpoint(account), endpoints.get(payee), payee=payee
        )
        for payee, amount in sums.items()
    ]


def _sweep(account: PammAccount, book: UnitBook, broker: Broker) -> list[TransferDraft]:
    """Clear what stands in an account without units, or hold the account where it is too much to be dust."""
    remainder = book.point.equity
    if abs(remainder) > broker.sweep_limit:
        account.is_held = True
        account.hold_reason = "remainder_too_large"
        account.hold_details = {"remainder": str(remainder)}
        record_event("account.held", subject=account.public_id, reason=account.hold_reason)
        return []
    house, pool = _rounding_endpoint(account), pamm_endpoint(account)
    source, destination = (pool, house) if remainder > 0 else (house, pool)
    book.swept = remainder
    return [_draft(account, Transfer.Purpose.SWEEP, abs(remainder), source, destination)]


def _draft(
    account: PammAccount,
    purpose: Transfer.Purpose,
    amount: Decimal,
    source: Endpoint,
    destination: Endpoint | None,
    *,
    payee: uuid.UUID | None = None,
) -> TransferDraft:
    return TransferDraft(
        server_id=account.server_id,
        purpose=purpose,
        subject=account.public_id,
        amount=amount,
        currency=account.currency,
        currency_digits=account.currency_digits,
        source=source,
        destination=destination,
        payee=payee,
    )


def _rounding_endpoint(account: PammAccount) -> Endpoint:
    house = HouseAccount.objects.get(
        server=account.server, purpose=HouseAccount.Purpose.ROUNDING, currency=account.currency
    )
    return Endpoint(house.login, Side.HOUSE, house.public_id)


def result_lines(
    account: PammAccount, point: PricePoint, floating_change: Decimal
) -> list[tuple[AccountKey, Decimal]]:
    """What trading earned since the last rollover, realised and floating: the pool's."""
    result = exact_sum((point.trading_result, floating_change))
    return [
        (_key(account, Kind.PAMM_CASH, account.public_id), point.trading_result),
        (_key(account, Kind.PAMM_FLOATING, account.public_id), floating_change),
        (_key(account, Kind.POOL_CLAIM, account.public_id), -result),
    ]


def flow_lines(
    account: PammAccount, execution: Execution, transfers: Iterable[TransferDraft]
) -> list[tuple[AccountKey, Decimal]]:
    """Whose the money is from this rollover on. Where it stands follows leg by leg as the server moves it.

    A deposit is the pool's as a whole; the entry fee taken of it is among the payments that leave the pool.
    """
    pool = _key(account, Kind.POOL_CLAIM, account.public_id)
    lines: list[tuple[AccountKey, Decimal]] = []
    for request in execution.executed:
        if request.kind == Request.Kind.DEPOSIT and request.executed_amount is not None:
            personal = request.investment.personal_account
            lines.append((_key(account, Kind.CLIENT_CLAIM, personal.public_id), request.executed_amount))
            lines.append((pool, -request.executed_amount))
    for draft in transfers:
        if draft.payee is not None:
            lines.append((pool, draft.amount))
            lines.append((_key(account, Kind.PAYABLE, draft.payee), -draft.amount))
        elif draft.destination is None or draft.destination.side == Side.PERSONAL:
            raise ValueError("a payment says whom it is owed to")
        else:
            into_pool = draft.destination.side == Side.PAMM
            house = draft.source.owner if into_pool else draft.destination.owner
            signed = -draft.amount if into_pool else draft.amount
            lines.append((pool, signed))
            lines.append((_key(account, Kind.HOUSE_CLAIM, house), -signed))
    return lines


def _key(account: PammAccount, kind: LedgerAccount.Kind, subject: uuid.UUID) -> AccountKey:
    return AccountKey(kind, subject, account.currency, account.currency_digits)


def send_back(account_id: int, reason_code: str) -> None:
    """Nothing moves at this price: withdrawals wait for the next, deposits stand in transit and say why."""
    collecting = Request.objects.filter(account=account_id, state=Request.State.COLLECTING)
    collecting.filter(kind=Request.Kind.DEPOSIT).update(reason_code=reason_code)
    collecting.exclude(kind=Request.Kind.DEPOSIT).update(
        state=Request.State.CONFIRMED, reason_code=reason_code
    )


def _wipe_out(account: PammAccount, point: PricePoint) -> None:
    """Nothing is left and nothing is open: the series ends with its marks, the track record keeps the -100
    %.
    """
    cancelled = cancel_series(account, point)
    account.is_held = True
    account.hold_reason = "wiped_out"
    account.hold_details = {"equity": str(point.equity), "investments": cancelled}
    requests = Request.objects.select_related("investment__personal_account", "collection").filter(
        account=account, state__in=Request.OPEN_STATES
    )
    returns = []
    for request in requests:
        fail_request(request, reason_code="account_wiped_out")
        collection, personal = request.collection, request.investment.personal_account
        if collection is not None and collection.state == Transfer.State.IN_TRANSIT:
            returns.append((collection, Endpoint(personal.login, Side.PERSONAL, personal.public_id)))
    release_transfers(returns)
    account.save()
    record_event("account.wiped_out", subject=account.public_id, investments=cancelled)
