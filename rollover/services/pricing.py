"""Steps 3 to 5 and the posting of 6: the accounts of a slice together, in one transaction."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import transaction

from accounts.models import HouseAccount, PammAccount
from allocation.calc.units import PoolCondition, pool_condition
from allocation.models import PricePoint
from allocation.services import (
    UnitBook,
    cancel_series,
    next_price_point,
    record_price_points,
    write_books,
)
from brokers.bulk import insert_values, update_rows
from brokers.models import Broker
from fees.recipients import Payable, Recipients, payable_endpoints
from investing.models import Request
from investing.services.execution import (
    Execution,
    pamm_endpoint,
    run_executions,
    write_executions,
)
from investing.services.requests import fail_request, source_of
from investing.services.stops import Occasion, end_stops_of_account
from ledger.models import LedgerAccount
from ledger.services import AccountKey, Draft, record_entries
from money.exact import ZERO, exact_difference, exact_sum
from outbox.services import record_event
from rollover.models import CountedDeal, Decision, Rollover
from rollover.services.chain import record_links
from rollover.services.claims import locked
from rollover.services.holding import hold, send_back
from rollover.services.snapshot import Reading
from trading.gateway import Deal, DealAction
from transfers.models import Side, Transfer
from transfers.services import Endpoint, TransferDraft, mark_counted, plan_transfers, release_transfers

Kind = LedgerAccount.Kind
SETTLING_COLUMNS = {"state": "text", "price_point_id": "bigint", "reason_code": "text"}


@dataclass
class _Priced:
    """One account at its new price, while everything that happens at it is decided."""

    rollover: Rollover
    reading: Reading
    held: Rollover
    account: PammAccount
    condition: PoolCondition
    execution: Execution
    lines: list[tuple[AccountKey, Decimal]]
    transfers: list[TransferDraft] = field(default_factory=list)

    @property
    def point(self) -> PricePoint:
        return self.execution.book.point


def price_accounts(readings: Sequence[tuple[Rollover, Reading]], holder: uuid.UUID, broker: Broker) -> None:
    """Fix the prices of accounts and everything that happens at them, in one transaction. Nothing is sent
    here.

    Either all of it is committed, with the rollovers *settling*, or nothing. A constant number of statements,
    whatever the number of accounts. Raises `ClaimLost`.
    """
    with transaction.atomic():
        priced = _begin(readings, holder, broker)
        record_price_points([row.point for row in priced])
        moving = [row for row in priced if row.point.moves_money]
        run_executions([row.execution for row in moving])
        ends = Ends.of([row.execution for row in moving])
        for row in moving:
            row.transfers = rollover_transfers(row.account, row.execution, broker, ends)
        write_books([row.execution.book for row in priced if not row.point.moves_money])
        write_executions([row.execution for row in moving])
        for row in moving:
            row.lines += flow_lines(row.account, row.execution, row.transfers)
        for row in priced:
            if row.condition is PoolCondition.WIPED_OUT:
                _wipe_out(row.account, row.point)
            elif not row.point.moves_money:
                send_back(row.account.pk, row.reading.wait_reason or "under_water")
        _count(priced)
        plan_transfers([draft for row in priced for draft in row.transfers])
        release_transfers([release for row in moving for release in row.execution.releases])
        record_entries(
            Draft("rollover", f"price-point:{row.point.pk}", row.point.priced_at, row.lines) for row in priced
        )
        for row in priced:
            row.held.state = Rollover.State.SETTLING
            row.held.price_point = row.point
            row.held.reason_code = row.reading.wait_reason
        update_rows([row.held for row in priced], SETTLING_COLUMNS)
        record_links([row.account.pk for row in priced])
    for row in priced:
        row.rollover.state, row.rollover.price_point = row.held.state, row.point


def _begin(readings: Sequence[tuple[Rollover, Reading]], holder: uuid.UUID, broker: Broker) -> list[_Priced]:
    """Lock rollovers and accounts and compute the new prices. Raises `ClaimLost`."""
    held = locked([rollover for rollover, _ in readings], holder)
    accounts = {
        account.pk: account
        for account in PammAccount.objects.select_for_update(of=("self",))
        .select_related("server", "income_account", "manager")
        .filter(pk__in=[rollover.account_id for rollover, _ in readings])
        .order_by("id")
    }
    priced = []
    for rollover, reading in readings:
        row, account, snapshot = held[rollover.pk], accounts[rollover.account_id], reading.snapshot
        if row.state != Rollover.State.RUNNING:
            continue
        if snapshot is None:
            raise ValueError("an account without a snapshot cannot be priced")
        floating_before = account.last_floating
        condition = pool_condition(snapshot.pool_equity, account.units, snapshot.has_open_positions)
        moves_money = not reading.wait_reason and condition in (PoolCondition.EMPTY, PoolCondition.SOUND)
        point = next_price_point(account, snapshot, moves_money=moves_money)
        account.last_balance = snapshot.balance
        account.last_floating = snapshot.floating
        free_money = max(ZERO, exact_difference(snapshot.withdrawable, snapshot.owed))
        execution = Execution(
            account,
            UnitBook(account, point),
            broker,
            snapshot.has_open_positions,
            free_money,
            _occasion_of(rollover),
        )
        lines = result_lines(account, point, exact_difference(snapshot.floating, floating_before))
        priced.append(_Priced(rollover, reading, row, account, condition, execution, lines))
    return priced


def _occasion_of(rollover: Rollover) -> Occasion:
    by_hand = rollover.ordered_by_id is not None
    return Occasion(rollover.ordered_at if by_hand else rollover.scheduled_for, by_hand=by_hand)


def _count(priced: Sequence[_Priced]) -> None:
    """Every deal that these prices stand on, each once."""
    names = (
        "account_id", "price_point_id", "currency_digits", "ticket", "part", "action", "executed_at",
        "symbol", "volume", "price", "closed_lots", "amount", "comment",
    )  # fmt: skip
    rows = [
        (row.account.pk, row.point.pk, row.account.currency_digits, *counted)
        for row in priced
        for counted in _counted(row.reading)
    ]
    insert_values(CountedDeal, names, rows)
    mark_counted([leg for row in priced for leg in row.reading.legs])


def _counted(reading: Reading) -> Iterator[tuple[object, ...]]:
    """Ticket, part, action, time, symbol, volume, price, closed lots, amount and comment of each."""
    parts = CountedDeal.Part

    def part(deal: Deal) -> str:
        if deal.ticket in reading.ours:
            return parts.OURS.value
        return parts.FOREIGN.value if deal.ticket in reading.foreign else parts.RESULT.value

    for deal in reading.deals:
        yield (
            deal.ticket, part(deal), int(deal.action), deal.at, deal.symbol, deal.volume, deal.price,
            deal.closed_lots, deal.balance_change, deal.comment[:32],
        )  # fmt: skip
    shown = {deal.ticket for deal in reading.deals}
    for leg in reading.legs:
        # The server shows its balance before the deal at times: by its ticket it is known when it comes.
        if leg.ticket is not None and leg.applied_at is not None and leg.ticket not in shown:
            yield (
                leg.ticket, parts.OURS.value, int(DealAction.BALANCE), leg.applied_at, "", ZERO, ZERO, ZERO,
                leg.amount, leg.key,
            )  # fmt: skip
    for decision in reading.decisions:
        whose = parts.RESULT if decision.kind == Decision.Kind.RESULT else parts.FOREIGN
        yield (
            -decision.pk, whose.value, int(DealAction.CORRECTION), decision.made_at, "", ZERO, ZERO, ZERO,
            decision.amount, "",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ends:
    """Where what leaves pools goes to, besides their owners' accounts: read once for many pools."""

    payable: Payable
    rounding: Mapping[tuple[int, str], Endpoint]

    @classmethod
    def of(cls, executions: Sequence[Execution]) -> "Ends":
        """For the fees that these executions charged. Three statements."""
        payees = {
            payee
            for execution in executions
            for payee in execution.charges.by_payee.keys() - {execution.charges.recipients.manager}
        }
        rounding = HouseAccount.objects.filter(
            server__in={execution.account.server_id for execution in executions},
            purpose=HouseAccount.Purpose.ROUNDING,
        )
        return cls(
            payable_endpoints(payees),
            {
                (house.server_id, house.currency): Endpoint(house.login, Side.HOUSE, house.public_id)
                for house in rounding
            },
        )

    def rounding_of(self, account: PammAccount) -> Endpoint:
        return self.rounding[account.server_id, account.currency]


def rollover_transfers(
    account: PammAccount, execution: Execution, broker: Broker, ends: Ends
) -> list[TransferDraft]:
    """Payouts, one payment of fees to each party, the rounding exchange, and the sweep of what belongs to
    nobody.
    """
    charges = execution.charges
    drafts = [*execution.payouts, *fee_payments(charges.recipients, charges.by_payee, ends.payable)]
    rounding = execution.book.rounding
    if rounding:
        house, pool = ends.rounding_of(account), pamm_endpoint(account)
        source, destination = (house, pool) if rounding > 0 else (pool, house)
        drafts.append(_draft(account, Transfer.Purpose.ROUNDING, abs(rounding), source, destination))
    if execution.remainder_blocks:
        drafts += _sweep(account, execution.book, broker, ends)
    return drafts


def fee_payments(
    recipients: Recipients, sums: Mapping[uuid.UUID, Decimal], payable: Payable
) -> list[TransferDraft]:
    """One payment to each payee of its parts of all charges of one rollover.

    Where a payee has no account for it the money leaves the pool all the same and stands in transit.
    """
    account = recipients.account
    return [
        _draft(
            account,
            Transfer.Purpose.FEE,
            amount,
            pamm_endpoint(account),
            recipients.endpoint(payee, payable),
            payee=payee,
        )
        for payee, amount in sums.items()
    ]


def _sweep(account: PammAccount, book: UnitBook, broker: Broker, ends: Ends) -> list[TransferDraft]:
    """Clear what stands in an account without units, or hold the account where it is too much to be dust."""
    remainder = book.point.equity
    allowed = max(broker.sweep_limit, Decimal(account.hold_details.get("sweep_up_to", 0)))
    if abs(remainder) > allowed:
        hold(account, "remainder_too_large", {"remainder": str(remainder)})
        return []
    account.hold_details = {}
    house, pool = ends.rounding_of(account), pamm_endpoint(account)
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
        pool=account.public_id,
        amount=amount,
        currency=account.currency,
        currency_digits=account.currency_digits,
        source=source,
        destination=destination,
        payee=payee,
    )


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
            source = source_of(request)
            claim = Kind.HOUSE_CLAIM if source.side == Side.HOUSE else Kind.CLIENT_CLAIM
            lines.append((_key(account, claim, source.owner), request.executed_amount))
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


def _wipe_out(account: PammAccount, point: PricePoint) -> None:
    """Nothing is left and nothing is open: the series ends with its marks, the track record keeps the -100
    %.
    """
    cancelled = cancel_series(account, point)
    account.is_held = True
    account.hold_reason = "wiped_out"
    account.hold_details = {"equity": str(point.equity), "investments": cancelled}
    end_stops_of_account(account, point)
    requests = Request.objects.select_related("investment__personal_account", "collection", "paid_by").filter(
        account=account, state__in=Request.OPEN_STATES
    )
    returns = []
    for request in requests:
        fail_request(request, reason_code="account_wiped_out")
        collection = request.collection
        if collection is not None and collection.state == Transfer.State.IN_TRANSIT:
            returns.append((collection, source_of(request)))
    release_transfers(returns)
    account.save()
    record_event("account.wiped_out", subject=account.public_id, investments=cancelled, series=point.series)
