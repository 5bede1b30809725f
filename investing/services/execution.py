"""Steps 4 and 5 of a rollover, for one account at one price: fees that fall due, newer terms that begin,
withdrawals, closes, deposits.

Everything is decided in memory on the snapshot's price and written by `write`; each request is tried on its
own, the oldest confirmation first, and one that cannot be met stops nobody behind it.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from accounts.models import PammAccount
from allocation.calc.units import first_units_allowed, last_units_may_leave
from allocation.models import Interval, Investment, UnitEntry
from allocation.services import (
    UnitBook,
    advance_intervals,
    begin_accepted_terms,
    join_interval,
    note_units_before_deposit,
)
from brokers.errors import Refusal
from brokers.models import Broker
from fees.calc.performance import WithdrawalKind
from fees.queries import FeeBasis, closing_of
from fees.recipients import Recipients
from fees.services import ChargeBook, plan_withdrawal, withdrawal_kind
from investing.errors import OwnCapitalWouldBreak
from investing.models import Request
from investing.services.requests import fail_request, is_tiered
from money.exact import ZERO, exact_difference
from offers.models import Terms
from outbox.services import record_events
from transfers.models import Side, Transfer
from transfers.services import Endpoint, TransferDraft


@dataclass
class Execution:
    """One account's fees and requests at one price point. `free_money` is what the server would let go of
    now.
    """

    account: PammAccount
    book: UnitBook
    broker: Broker
    has_open_positions: bool
    free_money: Decimal
    charges: ChargeBook = field(init=False)
    payouts: list[TransferDraft] = field(default_factory=list)
    releases: list[tuple[Transfer, Endpoint]] = field(default_factory=list)
    revised: list[Investment] = field(default_factory=list)
    _terms_before: dict[int, Terms | None] = field(default_factory=dict)
    executed: list[Request] = field(default_factory=list)
    waiting: list[Request] = field(default_factory=list)
    remainder_blocks: bool = False

    def __post_init__(self) -> None:
        self.charges = ChargeBook(self.book, Recipients.of(self.account, self.broker))

    @property
    def zone(self) -> tzinfo:
        """Where the trading intervals' days begin."""
        return ZoneInfo(self.broker.time_zone)

    def run(self) -> None:
        """Decide everything that is due. A constant number of statements."""
        point = self.book.point
        due = list(
            Interval.objects.filter(account=self.account)
            .filter(Q(ends_at__lte=point.priced_at) | Q(ends_after_sequence__lte=point.flow_sequence))
            .select_related("terms", "opening")
        )
        requests = list(
            # Locked: whoever calls money back at this moment waits, and finds the request executed.
            Request.objects.select_for_update(of=("self",))
            .filter(account=self.account, state=Request.State.COLLECTING)
            .select_related("collection", "investment__personal_account", "investment__owner")
            .order_by("confirmed_at", "id")
        )
        self.carry_out(due, requests, self._load(due, requests))

    def carry_out(
        self, due: list[Interval], requests: list[Request], investments: dict[int, Investment]
    ) -> None:
        """Decide the intervals that end and the requests; `investments`, by key, holds all they are about."""
        point = self.book.point
        ending = [
            investment
            for investment in investments.values()
            if investment.interval in due and investment.state == Investment.State.ACTIVE
        ]
        self.charges.crystallise(ending)
        advance_intervals(due, point, self.zone)
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

    def write(self) -> None:
        """Store units, charges and requests, in the caller's transaction, and report what happened."""
        self.book.write()
        self.charges.write()
        for request in self.executed:
            if request.unit_entry is not None:
                request.unit_entry_id = request.unit_entry.pk
        Request.objects.bulk_update(
            self.executed,
            [
                "state",
                "ended_at",
                "reason_code",
                "unit_entry",
                "executed_amount",
                "executed_fee",
                "blocks_deposits_until",
                "blocks_deposits_through",
            ],
        )
        Request.objects.bulk_update(self.waiting, ["state", "reason_code"])
        record_events(self.events())

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
            if charge.amount
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
        return executed + charged + revised

    def _load(self, due: list[Interval], requests: list[Request]) -> dict[int, Investment]:
        rows = (
            Investment.objects.filter(
                Q(interval__in=due, state=Investment.State.ACTIVE)
                | Q(pk__in=[request.investment_id for request in requests])
            )
            .select_related("terms__offer", "interval__opening", "joined", "personal_account")
            .order_by("id")
        )
        investments = {}
        for investment in rows:
            investment.account = self.account
            investments[investment.pk] = investment
        return investments

    def _leave(self, request: Request, investment: Investment) -> None:
        if investment.state != Investment.State.ACTIVE:
            fail_request(request, reason_code="investment_not_active")
            return
        basis = self.charges.basis(investment)
        try:
            self._require_own_capital(investment, request, basis)
            kind = self._kind(investment, request, basis)
            if kind is WithdrawalKind.CLOSE:
                self._close(request, investment, basis)
            else:
                self._take_part(request, investment, basis)
        except Refusal as refusal:
            fail_request(request, reason_code=refusal.code, note=str(refusal))

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
                amount=amount,
                currency=self.account.currency,
                currency_digits=self.book.digits,
                source=pamm_endpoint(self.account),
                destination=Endpoint(personal.login, Side.PERSONAL, personal.public_id),
                payee=personal.public_id,
            )
        )

    def _join(self, request: Request, investment: Investment) -> None:
        collection = request.collection
        if collection is None or request.amount is None or collection.state != Transfer.State.IN_TRANSIT:
            self._wait(request, "transfer_under_way", collecting=True)
            return
        if self.book.price.is_zero and self.book.units:
            self._wait(request, "under_water", collecting=True)
            return
        if self.book.account.units == 0 and not first_units_allowed(self.book.point.equity):
            self.remainder_blocks = True
            self._wait(request, "remainder", collecting=True)
            return
        was_active = investment.state == Investment.State.ACTIVE
        if was_active:
            note_units_before_deposit(investment)
        fee = self.charges.take_entry_fee(investment, request.amount, source=request.public_id)
        entry = self.book.issue(investment, request.amount, source=request.public_id, fee=fee)
        if not was_active:
            join_interval(investment, self.book.point, self.zone)
        self.releases.append((collection, pamm_endpoint(self.account)))
        self._done(request, entry, request.amount, fee, (None, None))

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


def pamm_endpoint(account: PammAccount) -> Endpoint:
    """The account as an end of a transfer. Raises `ValueError` before the trading server has opened it."""
    if account.login is None:
        raise ValueError(f"{account} has no login yet")
    return Endpoint(account.login, Side.PAMM, account.public_id)
