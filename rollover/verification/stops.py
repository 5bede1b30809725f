"""Stops: each was reached where the price says so, not before, and asked for one close.

Only what is recorded decides: a rollover has looked at the stops whose numbers enclose it and that were old
enough when it was due. A stop rightly waits while another close is under way, and while a lock-in lasts.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.stops import is_reached
from allocation.models import Investment
from investing.models import Request, Stop
from rollover.models import Rollover
from rollover.verification.differences import Findings
from rollover.verification.records import Point
from rollover.verification.stakes import Stake


class _Due(NamedTuple):
    """When a rollover was due (or ordered `by_hand`) and done; `done` is empty while it is carried out."""

    at: datetime
    by_hand: bool
    done: datetime | None


class Stops:
    """The stops of one account beside its prices, taken rollover by rollover."""

    def __init__(self, account: PammAccount, findings: Findings) -> None:
        self._findings = findings
        self._rows = list(
            Stop.objects.filter(account=account)
            .select_related("reached", "request", "investment")
            .order_by("id")
        )
        self._beginning: dict[int, list[Stop]] = defaultdict(list)
        for row in self._rows:
            self._beginning[row.after_sequence + 1].append(row)
        self._watched: dict[str, list[tuple[object, int, Stop]]] = {kind: [] for kind in Stop.Kind.values}
        self._seen: set[int] = set()
        self._closes: dict[int, list[Request]] = defaultdict(list)
        self._due: dict[int, _Due] = {}
        self._account = account
        if self._rows:
            self._read()

    def _read(self) -> None:
        closes = Request.objects.filter(
            account=self._account,
            kind=Request.Kind.CLOSE,
            investment__in={row.investment_id for row in self._rows},
        )
        for request in closes:
            self._closes[request.investment_id].append(request)
        rollovers = Rollover.objects.filter(account=self._account, price_point__isnull=False)
        columns = ("price_point__sequence", "scheduled_for", "ordered_at", "ordered_by", "completed_at")
        for number, scheduled_for, ordered_at, ordered_by, done in rollovers.values_list(*columns):
            by_hand = ordered_by is not None
            self._due[number] = _Due(ordered_at if by_hand else scheduled_for, by_hand, done)

    def at(self, point: Point, stakes: Mapping[int, Stake]) -> None:
        """Compare what the price of `point` has reached; `stakes` as they are before its flows."""
        for row in self._beginning.pop(point.sequence, []):
            order = -row.price if row.is_loss else row.price
            heappush(self._watched[row.kind], (order, row.pk, row))
        if not point.moves_money:
            return
        price = Price(point.price_equity, point.price_units)
        for watched in self._watched.values():
            kept = []
            while watched and is_reached(watched[0][2].price, price, is_loss=watched[0][2].is_loss):
                entry = heappop(watched)
                row = entry[2]
                if row.ended_after_sequence is not None and row.ended_after_sequence < point.sequence:
                    continue
                if row.state == Stop.State.REACHED and row.ended_after_sequence == point.sequence:
                    self._seen.add(row.pk)
                    self._compare_reached(row, point)
                    continue
                kept.append(entry)
                if self._was_due(row, point) and not self._waits(row, point, stakes):
                    self._findings.add("Stop", row.public_id, "state", Stop.State.REACHED, row.state, point)
            for entry in kept:
                heappush(watched, entry)

    def compare(self) -> None:
        """What no single rollover shows."""
        for row in self._rows:
            if row.state == Stop.State.REACHED and row.pk not in self._seen:
                self._findings.add("Stop", row.public_id, "reached", None, row.reached_id)
            alive = row.investment.state == Investment.State.ACTIVE
            if row.state == Stop.State.ACTIVE and not alive:
                self._findings.add("Stop", row.public_id, "state", Stop.State.ENDED, row.state)
            if row.investment.account_id != row.account_id:
                self._findings.add(
                    "Stop", row.public_id, "account", row.investment.account_id, row.account_id
                )
        of_stops = {row.request_id for row in self._rows if row.request_id is not None}
        closes = Request.objects.filter(account=self._account, origin__in=Request.STOP_ORIGINS)
        for request in closes.exclude(pk__in=of_stops):
            self._findings.add("Request", request.public_id, "stop", "one that was reached", None)

    def _compare_reached(self, row: Stop, point: Point) -> None:
        request = row.request
        self._findings.compare(
            "Stop",
            row.public_id,
            (
                ("reached", point.pk, row.reached_id),
                ("was old enough", True, self._was_due(row, point)),
                ("kind of its request", Request.Kind.CLOSE, None if request is None else request.kind),
                ("origin of its request", row.kind, None if request is None else request.origin),
                (
                    "investment of its request",
                    row.investment_id,
                    None if request is None else request.investment_id,
                ),
            ),
            point,
        )

    def _was_due(self, row: Stop, point: Point) -> bool:
        due = self._due.get(point.sequence)
        if due is None:
            return False
        return (row.set_at if due.by_hand else row.counts_from) <= due.at

    def _waits(self, row: Stop, point: Point, stakes: Mapping[int, Stake]) -> bool:
        """Whether the stop rightly did nothing at this rollover."""
        done = self._due[point.sequence].done
        for request in self._closes[row.investment_id]:
            begun = done is None or request.created_at <= done
            if begun and (request.ended_at is None or request.ended_at >= point.priced_at):
                return True
        stake = stakes.get(row.investment_id)
        if stake is None or not stake.is_active:
            return True
        terms, joined = stake.terms, stake.joined
        if terms is None or joined is None or not terms.lock_in_days or terms.early_exit_rate:
            return False
        return point.priced_at < joined.priced_at + timedelta(days=terms.lock_in_days)
