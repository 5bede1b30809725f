"""The past of one PAMM account: hourly rollovers, and what the trading server and we recorded of them.

No rule of the money stands here. Prices, units, fees, transfers and ledger lines come from the code that a
live rollover runs (`next_price_point`, `Execution`, `rollover_transfers`, `result_lines`, `flow_lines`,
`leg_entry`); here it is only decided when it runs, and what it answers is kept for COPY.
"""

import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from accounts.models import PammAccount, PersonalAccount, User
from accounts.queries import agent_chain
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from allocation.services import Snapshot, UnitBook, next_price_point
from brokers.identifiers import crockford
from demo.cast import Cast
from demo.copying import KeyRanges, copy_rows
from demo.identifiers import PastIdentifiers
from demo.market import RATE_SCALE
from demo.plans import Act, Stake, Step
from demo.scenario import AccountPlan
from fees.models import Charge, ChargePart
from fees.queries import fee_basis, last_moment
from fees.services import available
from investing.models import Request
from investing.services.execution import Execution
from investing.services.requests import PENDING_FOR
from ledger.services import Draft
from money.exact import ZERO, decimal_of, exact_sum, scaled_int
from offers.models import Offer
from rollover.models import CountedDeal, Rollover
from rollover.services.pricing import Ends, flow_lines, result_lines, rollover_transfers
from rollover.services.snapshot import in_quiet_window
from trading.gateway import DealAction, DealEntry
from trading.simulator.catalogue import SYMBOLS
from trading.simulator.history import PastDeal
from transfers.models import KEY_PREFIX, Leg, Side, Transfer
from transfers.services import Endpoint, TransferDraft, leg_entry

COLLECTED_AFTER = timedelta(milliseconds=300)
PRICED_AFTER = timedelta(seconds=2)
SENT_AFTER = timedelta(seconds=3)
COMPLETED_AFTER = timedelta(seconds=5)
BETWEEN_OPERATIONS = timedelta(milliseconds=20)


class PastNotPossible(RuntimeError):
    """The scenario asked for something that the rules of the money refuse."""


@dataclass
class Past:
    """What happened at one broker, row by row; deals are numbered when all of them are known."""

    keys: KeyRanges
    identifiers: PastIdentifiers
    deals: list[PastDeal]
    points: list[tuple[Any, ...]] = field(default_factory=list)
    rollovers: list[tuple[Any, ...]] = field(default_factory=list)
    counted: list[tuple[PammAccount, int, CountedDeal.Part, int]] = field(default_factory=list)
    investments: list[Investment] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    legs: list[tuple[Leg, int]] = field(default_factory=list)
    entries: list[UnitEntry] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    parts: list[ChargePart] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    events: list[tuple[str, uuid.UUID, dict[str, Any], datetime]] = field(default_factory=list)

    def add_deal(self, deal: PastDeal) -> int:
        """Its place among all deals of the server, which becomes its ticket in the order of time."""
        self.deals.append(deal)
        return len(self.deals) - 1

    def write_points(self) -> None:
        """Append the price points so far: whoever joins an interval is shown its opening by the database."""
        copy_rows(PricePoint, POINT_COLUMNS, self.points)
        self.points.clear()


POINT_COLUMNS = tuple(field.attname for field in PricePoint._meta.concrete_fields)
ROLLOVER_COLUMNS = (
    "id",
    "broker_id",
    "public_id",
    "account_id",
    "scheduled_for",
    "ordered_at",
    "state",
    "dispatched_at",
    "lease_holder",
    "attempts",
    "started_at",
    "completed_at",
    "price_point_id",
    "reason_code",
    "reason",
)


class PastPool:
    """One account from its first rollover to its last; `run` fills the broker's past."""

    def __init__(
        self,
        cast: Cast,
        number: int,
        stakes: Sequence[Stake],
        hours: Sequence[datetime],
        past: Past,
        seed: str,
    ) -> None:
        self.cast, self.past, self.hours = cast, past, hours
        self.plan: AccountPlan = cast.plan.accounts[number]
        self.account = cast.accounts[number]
        self.terms = cast.terms[number]
        self.digits = self.account.currency_digits
        self.zone = ZoneInfo(cast.broker.time_zone)
        self.investments: dict[int, Investment] = {}
        self._intervals: dict[int, Interval] = {}
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._balance = 0
        self._uncounted: list[tuple[int, Leg | None]] = []
        self._steps: dict[int, list[tuple[Investment, Step]]] = {}
        self._today: list[tuple[Investment, Step]] = []
        self._moves = [not in_quiet_window(hour + PRICED_AFTER, cast.server, cast.broker) for hour in hours]
        manager = self.account.manager.user
        self._plan_steps(self._invested(manager, None), (Step(Act.DEPOSIT, 0, self.plan.own_capital),))
        for stake in stakes:
            owner = cast.clients[stake.client]
            self._plan_steps(self._invested(owner, stake.offer), stake.steps)

    def run(self, rates: Sequence[int]) -> None:
        """Roll over at every hour; the hour before it earned the `rates` (parts of `RATE_SCALE`)."""
        for number, (hour, rate) in enumerate(zip(self.hours, rates, strict=True)):
            result = self._trade(hour, rate)
            self._roll_over(number, hour, result)
        for investment, step in self._today:
            self._ask_today(investment, step)
        self.past.investments += self.investments.values()
        self.account.save()

    # trading

    def _trade(self, hour: datetime, rate: int) -> int:
        """Close one or two trades in the hour before, for `rate` of the balance; result in minor units."""
        result = self._balance * rate // RATE_SCALE
        if not result:
            return 0
        first = result * self._chance.randint(30, 70) // 100 if self._chance.random() < 0.2 else result
        for part in (first, result - first):
            if part:
                at = hour - timedelta(seconds=self._chance.randint(60, 3540))
                self._uncounted.append((self.past.add_deal(self._closed(at, part)), None))
        self._balance += result
        return result

    def _closed(self, at: datetime, minor: int) -> PastDeal:
        symbol = SYMBOLS[self._chance.choice(self.plan.symbols)]
        points = self._chance.randint(-symbol.start // 100, symbol.start // 100)
        hundredths_of_lots = max(1, abs(minor) // (10 * self._chance.randint(8, 60)))
        return PastDeal(
            login=self.account.login or 0,
            at=at,
            action=self._chance.choice((DealAction.BUY, DealAction.SELL)),
            profit=decimal_of(minor, self.digits),
            entry=DealEntry.OUT,
            symbol=symbol.name,
            volume=Decimal(hundredths_of_lots).scaleb(-2),
            price=Decimal(symbol.start + points).scaleb(-symbol.digits),
        )

    # rollovers

    def _roll_over(self, number: int, hour: datetime, result: int) -> None:
        account, moves_money = self.account, self._moves[number]
        balance, trading_result = decimal_of(self._balance, self.digits), decimal_of(result, self.digits)
        requests = self._collect(number, hour)
        snapshot = Snapshot(
            at=hour + PRICED_AFTER,
            balance=balance,
            equity=balance,
            credit=ZERO,
            margin=ZERO,
            withdrawable=balance,
            owed=ZERO,
            incoming=ZERO,
            trading_result=trading_result,
            has_open_positions=False,
            closed_lots=self._closed_lots(),
        )
        point = next_price_point(account, snapshot, moves_money=moves_money)
        point.pk = self.past.keys.next(PricePoint)
        self.past.points.append(tuple([getattr(point, name) for name in POINT_COLUMNS]))
        self._count(point)
        account.last_balance = balance
        lines = result_lines(account, point, ZERO)
        book = UnitBook(account, point)
        due = self._due(point) if moves_money else []
        if any(request.kind == Request.Kind.DEPOSIT for request in requests):
            self.past.write_points()
        if due or requests:
            lines += self._carry_out(book, due, requests, snapshot)
        book.move_account_on()
        if any(amount for _, amount in lines):
            self.past.drafts.append(Draft("rollover", f"price-point:{point.pk}", point.priced_at, lines))
        self.past.rollovers.append(
            (
                self.past.keys.next(Rollover),
                account.broker_id,
                self.past.identifiers.at(hour),
                account.pk,
                hour,
                hour,
                Rollover.State.COMPLETED.value,
                hour,
                "",
                1,
                hour,
                hour + COMPLETED_AFTER,
                point.pk,
                "" if moves_money else "quiet_window",
                {},
            )
        )

    def _carry_out(
        self, book: UnitBook, due: list[Interval], requests: list[Request], snapshot: Snapshot
    ) -> list[Any]:
        """Fees and requests of this rollover, and the transfers that follow; the ledger's lines."""
        account, point, past = self.account, book.point, self.past
        broker, free_money = self.cast.broker, snapshot.withdrawable
        execution = Execution(account, book, broker, snapshot.has_open_positions, free_money)
        execution.intervals = list(self._intervals.values())
        execution.carry_out(due, requests, self.investments)
        if any(request.state != Request.State.EXECUTED for request in requests):
            raise PastNotPossible(f"{account.name}, {point.priced_at}: {[r.reason_code for r in requests]}")
        for interval in book.advanced_intervals:
            interval.save()
        for interval in book.new_intervals:
            interval.save()
            self._intervals[interval.pk] = interval
        for investment in book.touched.values():
            # An interval that began at this rollover had no key when it was joined.
            investment.interval_id = None if investment.interval is None else investment.interval.pk
        drafts = rollover_transfers(account, execution, broker, Ends.of([execution]))
        self._move(point.priced_at, execution.releases, drafts)
        for entry in book.entries:
            entry.pk, entry.public_id = past.keys.next(UnitEntry), past.identifiers.at(point.priced_at)
            entry.recorded_at = point.priced_at
        for request in requests:
            request.unit_entry_id = request.unit_entry.pk if request.unit_entry is not None else None
        for charge in execution.charges.charges:
            charge.pk, charge.public_id = past.keys.next(Charge), past.identifiers.at(point.priced_at)
        for part in execution.charges.parts:
            part.pk, part.charge_id = past.keys.next(ChargePart), part.charge.pk
        past.entries += book.entries
        past.charges += execution.charges.charges
        past.parts += execution.charges.parts
        past.events += [
            (kind, subject, payload, point.priced_at) for kind, subject, payload in execution.events()
        ]
        return flow_lines(account, execution, drafts)

    def _due(self, point: PricePoint) -> list[Interval]:
        return [
            interval
            for interval in self._intervals.values()
            if (interval.ends_at is not None and interval.ends_at <= point.priced_at)
            or (
                interval.ends_after_sequence is not None
                and interval.ends_after_sequence <= point.flow_sequence
            )
        ]

    def _closed_lots(self) -> Decimal:
        """Of the deals that this rollover counts: each of these trades closes a position as a whole."""
        return exact_sum(self.past.deals[deal].volume for deal, leg in self._uncounted if leg is None)

    def _count(self, point: PricePoint) -> None:
        for deal, leg in self._uncounted:
            part = CountedDeal.Part.RESULT if leg is None else CountedDeal.Part.OURS
            self.past.counted.append((self.account, deal, part, point.pk))
            if leg is not None:
                leg.counted = True
        self._uncounted = []

    # people

    def _invested(self, owner: User, offer: int | None) -> Investment:
        terms = None if offer is None else self.terms[offer]
        personal = self.cast.personal_account(owner, self.account.currency)
        introduced_by = [] if terms is None else agent_chain(personal)
        return Investment(
            pk=self.past.keys.next(Investment),
            broker_id=self.account.broker_id,
            account=self.account,
            owner=owner,
            personal_account=personal,
            terms=terms,
            is_own_capital=terms is None,
            series=self.account.series,
            units=ZERO,
            lowest_units=ZERO,
            high_water_mark=ZERO,
            performance_carried=ZERO,
            value_days_put_aside=ZERO,
            value_days_checkpoint=ZERO,
            lots_put_aside=ZERO,
            lots_checkpoint=ZERO,
            subscription_checkpoint=ZERO,
            agents=[str(agent.public_id) for agent in introduced_by],
            paid_in=ZERO,
            paid_out=ZERO,
            fees_paid=ZERO,
        )

    def _plan_steps(self, investment: Investment, steps: Iterable[Step]) -> None:
        self.investments[investment.pk] = investment
        began: datetime | None = None
        for step in steps:
            if step.hour is None:
                self._today.append((investment, step))
                continue
            number = next(at for at in range(step.hour, len(self.hours)) if self._moves[at])
            self._steps.setdefault(number, []).append((investment, step))
            began = began or self.hours[number]
        investment.created_at = (began or self.hours[-1]) - timedelta(hours=1)
        investment.public_id = self.past.identifiers.at(investment.created_at)

    def _collect(self, number: int, hour: datetime) -> list[Request]:
        """The requests this rollover executes; the money of deposits goes into transit before the price."""
        requests: list[Request] = []
        for investment, step in self._steps.get(number, ()):
            amount = self._amount(investment, step, hour)
            if step.act is Act.WITHDRAW and not amount:
                continue
            request = self._request(investment, step.act, amount, hour)
            request.state = Request.State.COLLECTING
            if step.act is Act.DEPOSIT and amount is not None:
                at = hour + COLLECTED_AFTER + BETWEEN_OPERATIONS * len(requests)
                request.collection = self._transfer(
                    Transfer.Purpose.DEPOSIT, request.public_id, amount, at, payee=None
                )
                personal = investment.personal_account
                source = Endpoint(personal.login, Side.PERSONAL, personal.public_id)
                self._apply(request.collection, 1, source, -amount, at)
            requests.append(request)
        return requests

    def _amount(self, investment: Investment, step: Step, at: datetime) -> Decimal | None:
        if step.act is Act.CLOSE:
            return None
        if step.act is Act.DEPOSIT:
            return step.amount
        basis = fee_basis(investment, last_moment(self.account, at))
        return available(investment, basis).part * step.share // 10 * 10

    def _request(self, investment: Investment, act: Act, amount: Decimal | None, hour: datetime) -> Request:
        asked_at = hour - timedelta(minutes=self._chance.randint(20, 55))
        kind = {
            Act.DEPOSIT: Request.Kind.DEPOSIT,
            Act.WITHDRAW: Request.Kind.WITHDRAWAL,
            Act.CLOSE: Request.Kind.CLOSE,
        }[act]
        public_id = self.past.identifiers.at(asked_at)
        approved = kind == Request.Kind.DEPOSIT and self._approval(investment) == Offer.Approval.MANAGER
        confirmed_at = asked_at + timedelta(minutes=self._chance.randint(2, 15)) if approved else asked_at
        request = Request(
            pk=self.past.keys.next(Request),
            broker_id=self.account.broker_id,
            public_id=public_id,
            investment=investment,
            account=self.account,
            kind=kind,
            amount=amount,
            currency=self.account.currency,
            currency_digits=self.digits,
            state=Request.State.CONFIRMED,
            created_at=asked_at,
            created_by_id=investment.owner_id,
            confirmed_at=confirmed_at,
            idempotency_key=f"demo-{public_id}",
            confirmed_by_id=self.account.manager.user_id if approved else None,
        )
        if investment.is_own_capital:
            request.idempotency_key = f"own-capital-{self.account.public_id}"
            opened = {"login": self.account.login, "own_capital": str(amount)}
            self.past.events.append(("account.opened", self.account.public_id, opened, asked_at))
        self.past.requests.append(request)
        return request

    def _ask_today(self, investment: Investment, step: Step) -> None:
        """A request that is still open when the past ends."""
        if step.act is not Act.DEPOSIT and investment.state != Investment.State.ACTIVE:
            return
        last_hour = self.hours[-1]
        request = self._request(investment, step.act, self._amount(investment, step, last_hour), last_hour)
        if not step.is_confirmed and self._approval(investment) == Offer.Approval.MANAGER:
            request.state, request.confirmed_at, request.confirmed_by_id = Request.State.PENDING, None, None
            request.expires_at = request.created_at + PENDING_FOR
        payload = {
            "kind": request.kind,
            "amount": str(request.amount),
            "currency": request.currency,
            "investment": str(investment.public_id),
            "state": str(request.state),
        }
        self.past.events.append(("request.created", request.public_id, payload, request.created_at))

    def _approval(self, investment: Investment) -> str:
        return Offer.Approval.AUTOMATIC if investment.terms is None else investment.terms.offer.approval

    # money

    def _move(
        self,
        priced_at: datetime,
        releases: Sequence[tuple[Transfer, Endpoint]],
        drafts: Sequence[TransferDraft],
    ) -> None:
        at = priced_at - PRICED_AFTER + SENT_AFTER
        for transfer, destination in releases:
            at += BETWEEN_OPERATIONS
            self._apply(transfer, 2, destination, transfer.amount, at)
        for draft in drafts:
            transfer = self._transfer(draft.purpose, draft.subject, draft.amount, priced_at, draft.payee)
            at += BETWEEN_OPERATIONS
            self._apply(transfer, 1, draft.source, -draft.amount, at)
            # Whose payee has no account for it: it leaves the pool all the same, and stands in transit.
            if draft.destination is not None:
                at += BETWEEN_OPERATIONS
                self._apply(transfer, 2, draft.destination, draft.amount, at)

    def _transfer(
        self,
        purpose: Transfer.Purpose,
        subject: uuid.UUID,
        amount: Decimal,
        at: datetime,
        payee: uuid.UUID | None,
    ) -> Transfer:
        transfer = Transfer(
            pk=self.past.keys.next(Transfer),
            broker_id=self.account.broker_id,
            server=self.cast.server,
            public_id=self.past.identifiers.at(at),
            purpose=purpose,
            subject=subject,
            payee=payee,
            pool=self.account.public_id,
            amount=amount,
            currency=self.account.currency,
            currency_digits=self.digits,
            state=Transfer.State.PLANNED,
            created_at=at,
        )
        self.past.transfers.append(transfer)
        return transfer

    def _apply(self, transfer: Transfer, position: int, end: Endpoint, amount: Decimal, at: datetime) -> None:
        """One balance operation, sent and applied at `at`."""
        leg = Leg(
            pk=self.past.keys.next(Leg),
            broker_id=self.account.broker_id,
            transfer=transfer,
            position=position,
            server=self.cast.server,
            login=end.login,
            side=end.side,
            owner=end.owner,
            pool=transfer.pool,
            amount=amount,
            currency=self.account.currency,
            currency_digits=self.digits,
            state=Leg.State.APPLIED,
            attempts=1,
            key=f"{KEY_PREFIX}{crockford(self.past.identifiers.at(at))}",
            first_sent_at=at,
            applied_at=at,
            retry_at=at + timedelta(minutes=1),
        )
        deal = self.past.add_deal(
            PastDeal(
                end.login,
                at,
                DealAction.BALANCE,
                amount,
                comment=leg.key,
                dealer=self.cast.plan.manager_login,
            )
        )
        self.past.legs.append((leg, deal))
        transfer.state = Transfer.State.COMPLETED if position == 2 else Transfer.State.IN_TRANSIT
        transfer.completed_at = at if position == 2 else None
        self.past.drafts.append(replace(leg_entry(self.cast.server, leg), occurred_at=at))
        if end.side == Side.PAMM:
            self._balance += scaled_int(amount, self.digits)
            self._uncounted.append((deal, leg))

    @property
    def balance(self) -> Decimal:
        """The trading server's, with what was moved after the last snapshot."""
        return decimal_of(self._balance, self.digits)

    @property
    def opening_money(self) -> dict[PersonalAccount, Decimal]:
        """What each personal account will pay into this pool, before anything comes back."""
        paying: dict[PersonalAccount, list[Decimal]] = {}
        for investment, step in [*self._today, *(pair for pairs in self._steps.values() for pair in pairs)]:
            paying.setdefault(investment.personal_account, []).append(step.amount)
        return {personal: exact_sum(amounts) for personal, amounts in paying.items()}
