"""The price series of an account: each point follows from the server's figures, its deals and the one before.

Every figure is compared with what the point before and its flows lead to, so that a changed row is named with
its neighbour instead of with all that came after.
"""

from decimal import Decimal

from allocation.calc.accumulators import lots_per_unit_after, value_days_after
from allocation.calc.price import Price, price_of
from allocation.calc.units import pool_equity
from money.exact import ZERO, exact_difference, exact_sum
from rollover.verification.differences import Findings
from rollover.verification.records import DealSums, Point
from rollover.verification.replay import Flows


class Series:
    """What the books must say before the next rollover: `equity` and `units` after the flows of the last."""

    def __init__(self, digits: int, findings: Findings) -> None:
        self.digits, self.findings = digits, findings
        self.last: Point | None = None
        self.equity = self.units = self.balance = self.floating = self.floating_change = ZERO
        self.value_days = self.lots_per_unit = ZERO
        self.wiped_out = False

    def price(self, point: Point, deals: DealSums | None) -> None:
        """Compare the figures of a point; `deals` are those it counted."""
        floating = exact_sum((point.server_equity, -point.server_balance, -point.server_credit))
        self.floating_change = exact_difference(floating, self.floating)
        result = deals.result or ZERO if deals is not None else ZERO
        counted = deals.total if deals is not None else ZERO
        closed_lots = deals.closed_lots if deals is not None else ZERO
        price = price_of(point.equity, point.units, self._last_price(point))
        self.findings.compare(
            "PricePoint",
            f"#{point.sequence}",
            (
                *self._counters(point),
                ("rollover", True, point.rollover is not None),
                ("currency_digits", self.digits, point.currency_digits),
                ("trading_result", result, point.trading_result),
                ("server_balance", exact_sum((self.balance, counted)), point.server_balance),
                (
                    "equity",
                    pool_equity(
                        equity=point.server_equity,
                        credit=point.server_credit,
                        owed=point.owed,
                        incoming=point.incoming,
                    ),
                    point.equity,
                ),
                (
                    "equity after the rollover before",
                    exact_sum((self.equity, point.trading_result, self.floating_change)),
                    point.equity,
                ),
                ("units", self.units, point.units),
                ("price_equity", price.equity, point.price_equity),
                ("price_units", price.units, point.price_units),
                ("price", Price(point.price_equity, point.price_units).rounded(), point.price),
                ("closed_lots of its deals", closed_lots, point.closed_lots),
                ("value_days", self._value_days(point), point.value_days),
                (
                    "lots_per_unit",
                    lots_per_unit_after(self.lots_per_unit, point.closed_lots, point.units),
                    point.lots_per_unit,
                ),
            ),
            point,
        )
        self.balance, self.floating = point.server_balance, floating

    def move(self, point: Point, flows: Flows, swept: Decimal) -> None:
        """Take the point's flows along. `swept`: what belonged to nobody and left."""
        self.last = point
        self.equity = exact_sum((point.equity, flows.net, -swept))
        self.units = exact_sum((point.units, flows.units))
        self.wiped_out = bool(point.units) and point.equity <= 0 and not self.units
        # A wiped-out series takes its running sums with it.
        self.value_days = ZERO if self.wiped_out else point.value_days
        self.lots_per_unit = ZERO if self.wiped_out else point.lots_per_unit

    def _counters(self, point: Point) -> list[tuple[str, object, object]]:
        last = self.last
        if last is None:
            flows_before, series, in_time = 0, {1}, True
        else:
            flows_before, in_time = last.flow_sequence, point.priced_at >= last.priced_at
            series = {last.series + 1} if self.wiped_out else {last.series}
        in_order = [
            ("sequence", 1 if last is None else last.sequence + 1, point.sequence),
            ("flow_sequence", flows_before + point.moves_money, point.flow_sequence),
            ("series", True, point.series in series),
            ("priced_at not before the one before", True, in_time),
        ]
        if point.moves_money:
            in_order.append(("moves_money above zero", True, point.equity > 0 or not point.units))
        return list(in_order)

    def _value_days(self, point: Point) -> Decimal:
        since = point.priced_at if self.last is None else self.last.priced_at
        return value_days_after(self.value_days, self._last_price(point), since, point.priced_at)

    def _last_price(self, point: Point) -> Price:
        last = self.last
        if last is None or last.series != point.series:
            return Price.INITIAL
        return Price(last.price_equity, last.price_units)
