"""A pool in memory: the calculation's own functions in the order in which a rollover calls them.

`trade` is the boundary between rollovers: it changes the equity and takes the snapshot whose price all flows
after it use.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from allocation.calc import units as unit_rules
from allocation.calc.price import Price, price_of, time_weighted_return
from fees.calc import performance as fee_rules
from fees.calc.performance import Standing
from fees.calc.schedule import FREE_OF_FEES, Schedule
from money.exact import exact_difference, exact_sum


@dataclass
class Holding:
    units: Decimal
    standing: Standing
    schedule: Schedule
    opening: Price
    lowest_units: Decimal


@dataclass
class Pool:
    digits: int = 2
    equity: Decimal = Decimal(0)
    price: Price = Price.INITIAL
    carried: Decimal = Decimal(0)
    exchanged: Decimal = Decimal(0)
    holdings: dict[str, Holding] = field(default_factory=dict)

    @property
    def units(self) -> Decimal:
        return exact_sum(holding.units for holding in self.holdings.values())

    def trade(self, result: Decimal) -> None:
        self.equity = exact_sum((self.equity, result))
        self.price = price_of(self.equity, self.units, self.price)

    def value(self, name: str) -> Decimal:
        return unit_rules.value(self.holdings[name].units, self.price, self.digits)

    def values(self) -> dict[str, Decimal]:
        return {name: self.value(name) for name in self.holdings}

    def fee_inputs(self, name: str) -> dict[str, object]:
        holding = self.holdings[name]
        return {
            "value": self.value(name),
            "standing": holding.standing,
            "schedule": holding.schedule,
            "yield_": time_weighted_return(holding.opening, self.price),
            "net_worth": fee_rules.net_worth_basis(self.price, holding.lowest_units, self.digits),
            "digits": self.digits,
        }

    def deposit(self, name: str, amount: Decimal, schedule: Schedule = FREE_OF_FEES) -> None:
        bought = unit_rules.units_for_deposit(amount, self.price)
        self.equity = exact_sum((self.equity, amount))
        holding = self.holdings.get(name)
        if holding is None:
            self.holdings[name] = Holding(bought, Standing(amount), schedule, self.price, bought)
            return
        holding.units = exact_sum((holding.units, bought))
        holding.standing = fee_rules.after_deposit(holding.standing, amount)

    def end_interval(self, name: str) -> fee_rules.PerformanceFee:
        holding = self.holdings[name]
        fee = fee_rules.performance_fee(**self.fee_inputs(name))  # type: ignore[arg-type]
        self._redeem(holding, fee.amount)
        holding.standing = fee.standing_next
        holding.opening, holding.lowest_units = self.price, holding.units
        return fee

    def withdraw(self, name: str, net_amount: Decimal, **settings: Decimal) -> fee_rules.Withdrawal:
        holding = self.holdings[name]
        taken = fee_rules.withdrawal(net_amount=net_amount, **self.fee_inputs(name), **settings)  # type: ignore[arg-type]
        self._redeem(holding, taken.gross)
        holding.standing = taken.standing_next
        return taken

    def close(self, name: str) -> fee_rules.Closing:
        closed = fee_rules.closing(**self.fee_inputs(name))  # type: ignore[arg-type]
        value = self.value(name)
        exchange = unit_rules.rounding_exchange(
            carried=self.carried,
            paid=value,
            units=self.holdings[name].units,
            price=self.price,
            digits=self.digits,
        )
        del self.holdings[name]
        self.carried = exchange.carried
        self.exchanged = exact_sum((self.exchanged, exchange.amount))
        self.equity = exact_sum((self.equity, -value, exchange.amount))
        return closed

    def _redeem(self, holding: Holding, amount: Decimal) -> None:
        redeemed = unit_rules.units_for_redemption(amount, self.price, holding.units)
        holding.units = exact_difference(holding.units, redeemed)
        holding.lowest_units = min(holding.lowest_units, holding.units)
        self.equity = exact_difference(self.equity, amount)
