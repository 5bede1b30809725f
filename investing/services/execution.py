"""Steps 4 and 5 of a rollover: fees that fall due, newer terms that begin, withdrawals, closes, deposits.

What is due of many accounts is read together, decided in memory account by account, each on its snapshot's
price, and written together. Each request is tried on its own, the oldest confirmation first, and one that
cannot be met stops nobody behind it.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q

from accounts.models import PammAccount
from allocation.calc.units import first_units_allowed, last_units_may_leave
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from allocation.services import (
    UnitBook,
    advance_intervals,
    begin_accepted_terms,
    join_interval,
    note_units_before_deposit,
    write_books,
)
from brokers.bulk import update_rows
from brokers.errors import Refusal
from brokers.models import Broker
from fees.calc.performance import WithdrawalKind
from fees.models import Charge
from fees.queries import FeeBasis, closing_of
from fees.recipients import Recipients
from fees.services import (
    ChargeBook,
    crystallise_intervals_of_many,
    plan_withdrawal,
    withdrawal_kind,
    write_charges,
)
from investing.errors import OwnCapitalWouldBreak
from investing.models import Request
from investing.services.requests import fail_request, is_tiered, source_of
from investing.services.stops import Occasion, Priced, close_reached_stops, end_stops_of
from money.exact import ZERO, exact_difference
from offers.models import Terms
from outbox.services import record_events
from transfers.models import Side, Transfer
from transfers.services import Endpoint, TransferDraft

EXECUTED_COLUMNS = {
    "state": "text",
    "ended_at": "timestamptz",
    "reason_code": "text",
    "unit_entry_id": "bigint",
    "executed_amount": "numeric",
    "executed_fee": "numeric",
    "blocks_deposits_until": "timestamptz",
    "blocks_deposits_through": "integer",
}


@dataclass
class Execution:
    """One account's fees and requests at one price point. `free_money` is what the server would let go of
    now.

    `occasion` says which stops are old enough to be looked at; none are without. `intervals` are those of the
    account that somebody who joins now may share.
    """

    account: PammAccount
    book: UnitBook
    broker: Broker
    has_open_positions: bool
    free_money: Decimal
    occasion: Occasion | None = None
    charges: ChargeBook = field(init=False)
    payouts: list[TransferDraft] = field(default_factory=list)
    releases: list[tuple[Transfer, Endpoint]] = field(default_factory=list)
    revised: list[Investment] = field(default_factory=list)
    ended_intervals: list[int] = field(default_factory=list)
    _terms_before: dict[int, Terms | None] = field(default_factory=dict)
    stopped_owners: set[int] = field(default_factory=set)
    executed: list[Request] = field(default_factory=list)
    waiting: list[Request] = field(default_factory=list)
    intervals: list[Interval] = field(default_factory=list)
    remainder_blocks: bool = False

    def __post_init__(self) -> None:
        self.charges = ChargeBook(self.book, Recipients.of(self.account, self.broker))

    @property
    def zone(self) -> tzinfo:
        """Where the trading intervals' days begin."""
        return ZoneInfo(self.broker.time_zone)

    def carry_out(
        self, due: list[Interval], requests: list[Request], investments: dict[int, Investment]
    ) -> None:
        """Decide the intervals that end and the requests; `investments`, by key, holds all they are about."""
        ending = [
            investment
            for investment in investments.values()
            if investment.interval in due and investment.state == Investment.State.ACTIVE
        ]
        self.charges.crystallise(ending)
        # Those counted in rollovers may end every hour: nobody is told of them unless a fee is charged.
        self.ended_intervals = [interval.pk for interval in due if interval.ends_at is not None]
        advance_intervals(self.book, due, self.zone)
        advanced = {interval.pk: interval for interval in due}
        for investment in investments.values():
            if investment.interval_id in advanced:
                investment.interval = advanced[investment.interval_id]
        self._terms_before = {investment.pk: investment.terms for investment in ending}
        self.revised = begin_accepted_terms(self.book, ending, due, self.zone)
        for request in requests:
            if request.kind != Request.Kind.DEPOSIT:
                self._leave(request, investments[request.investment_id])
        for request in sorted(requests, key=lambda r: not investments[r.investment_id].is_own_capital):
            if request.kind == Request.Kind.DEPOSIT:
                self._join(request, investments[request.investment_id])

    def events(self) -> list[tuple[str, uuid.UUID, dict[str, Any]]]:
        """What happened: kind, subject and payload of each event."""
        executed = [
            (
                "request.executed",
                request.public_id,
                {
                    "kind": request.kind,
                    "amount": str(request.executed_amount),
                    "fee": str(request.executed_fee),
                    "currency": request.currency,
                    "investment": str(request.investment.public_id),
                },
            )
            for request in self.executed
        ]
        # One event for all whose intervals ended: who tells each of them reads the charges of the rollover.
        ended = [
            (
                "fees.crystallised",
                self.account.public_id,
                {
                    "sequence": self.book.point.sequence,
                    "charges": crystallised.charges,
                    "amount": str(crystallised.amount),
                    "currency": self.account.currency,
                },
            )
            for crystallised in [self.charges.crystallised]
            if crystallised.charges
        ]
        passed = [
            (
                "intervals.ended",
                self.account.public_id,
                {"sequence": self.book.point.sequence, "intervals": self.ended_intervals},
            )
            for _ in [self.ended_intervals]
            if self.ended_intervals
        ]
        charged = [
            (
                "fee.charged",
                charge.investment.public_id,
                {
                    "kind": charge.kind,
                    "amount": str(charge.amount),
                    "currency": charge.currency,
                    "occasion": charge.occasion,
                },
            )
            for charge in self.charges.charges
            if charge.amount and charge.occasion != Charge.Occasion.INTERVAL_END
        ]
        revised = [
            (
                "terms.took_effect",
                investment.public_id,
                {
                    "account": str(self.account.public_id),
                    "terms": str(investment.terms.public_id),
                    "version": investment.terms.version,
                    "replaces": str(before.public_id),
                    "sequence": self.book.point.sequence,
                },
            )
            for investment in self.revised
            if investment.terms is not None and (before := self._terms_before[investment.pk]) is not None
        ]
        return executed + ended + passed + charged + revised

    def _leave(self, request: Request, investment: Investment) -> None:
        if investment.state != Investment.State.ACTIVE:
            fail_request(request, reason_code="investment_not_active")
            return
        basis = self.charges.basis(investment)
        if request.origin == Request.Origin.ACCOUNT_CLOSING:
            self._close_for_good(request, investment, basis)
            return
        try:
            self._require_own_capital(investment, request, basis)
            kind = self._kind(investment, request, basis)
            if kind is WithdrawalKind.CLOSE:
                self._close(request, investment, basis)
            else:
                self._take_part(request, investment, basis)
        except Refusal as refusal:
            fail_request(request, reason_code=refusal.code, note=str(refusal))

    def _close_for_good(self, request: Request, investment: Investment, basis: FeeBasis) -> None:
        """The account ends the investment: no early-exit fee, and the manager's own money leaves last."""
        if investment.is_own_capital and exact_difference(self.book.units, investment.units) > 0:
            self._wait(request, "others_first")
            return
        free_to_leave = replace(basis, situation=replace(basis.situation, early_exit_rate=ZERO))
        self._close(request, investment, free_to_leave)
        if investment.state == Investment.State.CLOSED:
            investment.end_reason = Investment.EndReason.ACCOUNT

    def _kind(self, investment: Investment, request: Request, basis: FeeBasis) -> WithdrawalKind:
        if request.amount is None:
            return WithdrawalKind.CLOSE
        return withdrawal_kind(
            investment,
            request.amount,
            basis,
            closes_if_too_little_remains=request.close_if_below_minimum,
        )

    def _close(self, request: Request, investment: Investment, basis: FeeBasis) -> None:
        if investment.units == self.book.units and not last_units_may_leave(self.has_open_positions):
            self._wait(request, "positions_open")
            return
        closed = closing_of(basis)
        if closed.paid > self.free_money:
            self._wait(request, "free_margin")
            return
        tiered_until = self._blocking(investment)
        entry = self.charges.close(investment, closed, source=request.public_id)
        if request.origin in Request.STOP_ORIGINS:
            investment.end_reason = Investment.EndReason.STOP
        self._pay(request, investment, Transfer.Purpose.CLOSE, closed.paid)
        self._done(request, entry, closed.paid, closed.fees, tiered_until)

    def _take_part(self, request: Request, investment: Investment, basis: FeeBasis) -> None:
        if request.amount is None:
            raise ValueError("a withdrawal has an amount")
        plan = plan_withdrawal(investment, request.amount, basis)
        if plan.net > self.free_money:
            self._wait(request, "free_margin")
            return
        entry = self.charges.take_part(investment, plan, source=request.public_id)
        self._pay(request, investment, Transfer.Purpose.WITHDRAWAL, plan.net)
        self._done(request, entry, plan.net, plan.fees, self._blocking(investment))

    def _pay(
        self, request: Request, investment: Investment, purpose: Transfer.Purpose, amount: Decimal
    ) -> None:
        if not amount:
            return
        personal = investment.personal_account
        self.free_money = exact_difference(self.free_money, amount)
        self.payouts.append(
            TransferDraft(
                server_id=self.account.server_id,
                purpose=purpose,
                subject=request.public_id,
                pool=self.account.public_id,
                amount=amount,
                currency=self.account.currency,
                currency_digits=self.book.digits,
                source=pamm_endpoint(self.account),
                destination=Endpoint(personal.login, Side.PERSONAL, personal.public_id),
                payee=personal.public_id,
            )
        )

    def _join(self, request: Request, investment: Investment) -> None:
        collection, reason = request.collection, self._cannot_join(request, investment)
        if collection is None and reason:
            fail_request(request, reason_code=reason)
            return
        if collection is None or request.amount is None or collection.state != Transfer.State.IN_TRANSIT:
            returns = reason in Request.RETURNING_REASONS
            self._wait(request, reason if returns else "transfer_under_way", collecting=True)
            return
        if reason:
            fail_request(request, reason_code=reason)
            self.releases.append((collection, source_of(request)))
            return
        if self.book.price.is_zero and self.book.units:
            self._wait(request, "under_water", collecting=True)
            return
        if self.book.units == 0 and not first_units_allowed(self.book.equity_after):
            # What the last ones to leave at this price have left behind is cleared at the next one.
            self.remainder_blocks = self.book.account.units == 0
            self._wait(request, "remainder", collecting=True)
            return
        was_active = investment.state == Investment.State.ACTIVE
        if was_active:
            note_units_before_deposit(investment)
        fee = self.charges.take_entry_fee(investment, request.amount, source=request.public_id)
        entry = self.book.issue(investment, request.amount, source=request.public_id, fee=fee)
        if not was_active:
            join_interval(self.book, investment, self.intervals, self.zone)
        self.releases.append((collection, pamm_endpoint(self.account)))
        self._done(request, entry, request.amount, fee, (None, None))

    def _cannot_join(self, request: Request, investment: Investment) -> str:
        """Why a deposit goes back, as a code; empty where it is invested."""
        if request.reason_code in Request.RETURNING_REASONS:
            return request.reason_code
        if self.account.state == PammAccount.State.CLOSING:
            return "account_closing"
        if self.account.state == PammAccount.State.SUSPENDED:
            return "account_suspended"
        if investment.owner_id in self.stopped_owners:
            # One client never has a deposit and a close on one account at the same time.
            return "stop_reached"
        if investment.state not in (Investment.State.ACTIVE, Investment.State.PENDING):
            return "investment_not_active"
        return ""

    def _blocking(self, investment: Investment) -> tuple[datetime | None, int | None]:
        """Until when money taken out under tiers may not come back: the end of its trading interval."""
        if investment.interval is None or not is_tiered(investment):
            return None, None
        return investment.interval.ends_at, investment.interval.ends_after_sequence

    def _require_own_capital(self, investment: Investment, request: Request, basis: FeeBasis) -> None:
        if not investment.is_own_capital:
            return
        left = ZERO if request.amount is None else exact_difference(basis.value, request.amount)
        if left >= self.account.minimum_own_capital:
            return
        if exact_difference(self.book.units, investment.units) > 0:
            raise OwnCapitalWouldBreak(
                minimum=self.account.minimum_own_capital, currency=self.account.currency
            )

    def _wait(self, request: Request, reason_code: str, *, collecting: bool = False) -> None:
        request.state = Request.State.COLLECTING if collecting else Request.State.CONFIRMED
        request.reason_code = reason_code
        self.waiting.append(request)

    def _done(
        self,
        request: Request,
        entry: UnitEntry,
        amount: Decimal,
        fee: Decimal,
        blocks: tuple[datetime | None, int | None],
    ) -> None:
        request.state = Request.State.EXECUTED
        request.ended_at = self.book.point.priced_at
        request.reason_code = ""
        request.unit_entry = entry
        request.executed_amount = amount
        request.executed_fee = fee
        request.blocks_deposits_until, request.blocks_deposits_through = blocks
        self.executed.append(request)


def run_executions(executions: Sequence[Execution]) -> None:
    """Decide everything that is due at the rollovers of many accounts, in the caller's transaction.

    A constant number of statements for all of them (and for every chunk of very many investments whose
    intervals end); besides, for an account whose investors begin newer terms, a few of its own.
    """
    by_account = {execution.account.pk: execution for execution in executions}
    due = _ending_intervals(by_account)
    requests = _collecting_requests(by_account)
    for pk, closes in _closes_of_reached_stops(by_account).items():
        requests.setdefault(pk, []).extend(closes)
        by_account[pk].stopped_owners = {close.created_by_id for close in closes}
    in_bulk = _ends_for_many(due)
    investments = _concerned(by_account, due, requests, in_bulk=in_bulk)
    _read_shared_intervals(by_account, requests, investments)
    if in_bulk:
        crystallise_intervals_of_many(
            [(by_account[pk].charges, intervals) for pk, intervals in due.items()],
            excluding=[pk for of_account in investments.values() for pk in of_account],
        )
    for pk, execution in by_account.items():
        execution.carry_out(due.get(pk, []), requests.get(pk, []), investments.get(pk, {}))


def write_executions(executions: Sequence[Execution]) -> None:
    """Store units, charges and requests of many accounts, in the caller's transaction, and report what
    happened. A constant number of statements.
    """
    write_books([execution.book for execution in executions])
    end_stops_of(_closed_by(executions))
    write_charges([execution.charges for execution in executions])
    executed = [request for execution in executions for request in execution.executed]
    for request in executed:
        request.unit_entry_id = None if request.unit_entry is None else request.unit_entry.pk
    update_rows(executed, EXECUTED_COLUMNS)
    update_rows(
        [request for execution in executions for request in execution.waiting],
        {"state": "text", "reason_code": "text"},
    )
    record_events([event for execution in executions for event in execution.events()])


def _ending_intervals(executions: Mapping[int, Execution]) -> dict[int, list[Interval]]:
    """By account, the intervals that end at its rollover."""
    latest = max((execution.book.point.priced_at for execution in executions.values()), default=None)
    if latest is None:
        return {}
    found: dict[int, list[Interval]] = {}
    rows = Interval.objects.filter(account__in=executions).filter(
        Q(ends_at__lte=latest) | Q(ends_after_sequence__isnull=False)
    )
    for interval in rows.select_related("terms", "opening").order_by("id"):
        point = executions[interval.account_id].book.point
        by_date = interval.ends_at is not None and interval.ends_at <= point.priced_at
        counted = interval.ends_after_sequence
        if by_date or (counted is not None and counted <= point.flow_sequence):
            found.setdefault(interval.account_id, []).append(interval)
    return found


def _collecting_requests(executions: Mapping[int, Execution]) -> dict[int, list[Request]]:
    """By account, oldest confirmation first. Locked: whoever calls money back at this moment waits, and finds
    the request executed.
    """
    found: dict[int, list[Request]] = {}
    rows = (
        Request.objects.select_for_update(of=("self",))
        .filter(account__in=executions, state=Request.State.COLLECTING)
        .select_related("collection", "paid_by", "investment__personal_account", "investment__owner")
        .order_by("confirmed_at", "id")
    )
    for request in rows:
        found.setdefault(request.account_id, []).append(request)
    return found


def _closes_of_reached_stops(executions: Mapping[int, Execution]) -> dict[int, list[Request]]:
    """By account, the closes that its price asks for now."""
    return close_reached_stops(
        [
            Priced(execution.account, execution.book.point, execution.occasion)
            for execution in executions.values()
            if execution.occasion is not None
        ]
    )


def _closed_by(executions: Sequence[Execution]) -> list[tuple[Investment, PricePoint]]:
    return [
        (investment, execution.book.point)
        for execution in executions
        for investment in execution.book.touched.values()
        if investment.state == Investment.State.CLOSED
    ]


def _ends_for_many(due: Mapping[int, list[Interval]]) -> bool:
    """Whether intervals end for so many investments that no instance is made of those of which nothing else
    is due.
    """
    ending = [interval for intervals in due.values() for interval in intervals]
    if not ending:
        return False
    investments = Investment.objects.filter(interval__in=ending, state=Investment.State.ACTIVE)
    return investments.count() >= settings.ROLLOVER_BULK_FROM


def _concerned(
    executions: Mapping[int, Execution],
    due: Mapping[int, list[Interval]],
    requests: Mapping[int, list[Request]],
    *,
    in_bulk: bool,
) -> dict[int, dict[int, Investment]]:
    """By account and key: investments whose interval ends (where that is done `in_bulk` only those whose
    newer terms begin), and those of requests.
    """
    ending = [interval for intervals in due.values() for interval in intervals]
    asked = [request.investment_id for rows in requests.values() for request in rows]
    if not (ending or asked):
        return {}
    of_intervals = Q(interval__in=ending, state=Investment.State.ACTIVE)
    if in_bulk:
        of_intervals &= Q(accepted_terms__isnull=False)
    rows = (
        Investment.objects.filter(of_intervals | Q(pk__in=asked))
        .select_related("terms__offer", "interval__opening", "joined", "personal_account")
        .order_by("id")
    )
    found: dict[int, dict[int, Investment]] = {}
    for investment in rows:
        investment.account = executions[investment.account_id].account
        found.setdefault(investment.account_id, {})[investment.pk] = investment
    return found


def _read_shared_intervals(
    executions: Mapping[int, Execution],
    requests: Mapping[int, list[Request]],
    investments: Mapping[int, Mapping[int, Investment]],
) -> None:
    """Give each execution the intervals under way of the terms that somebody joins under."""
    joining = {
        investments[account][request.investment_id].terms_id
        for account, rows in requests.items()
        for request in rows
        if request.kind == Request.Kind.DEPOSIT
    } - {None}
    if not joining:
        return
    rows = Interval.objects.filter(account__in=executions, terms__in=joining).select_related("opening")
    for interval in rows.order_by("id"):
        executions[interval.account_id].intervals.append(interval)


def pamm_endpoint(account: PammAccount) -> Endpoint:
    """The account as an end of a transfer. Raises `ValueError` before the trading server has opened it."""
    if account.login is None:
        raise ValueError(f"{account} has no login yet")
    return Endpoint(account.login, Side.PAMM, account.public_id)
