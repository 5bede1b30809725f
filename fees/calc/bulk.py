"""The end of a trading interval for very many investments: the fast form of `crystallisation.interval_end`.

The same rules in the same order, on scaled whole numbers instead of decimals and fractions; with what
becomes of units, accruals and the recipients' running sums. A property holds it equal to the plain forms in
every stored figure. An investment that has debts, or cannot pay all that is due, goes through the plain form.

Scales: money in minor units (`digits` decimals), units and marks 12 places, carried fractions and
accumulators 24. Whole numbers are exact at any size.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, TypedDict

from allocation.calc.price import Price
from allocation.calc.units import PriceIsZero
from fees.calc.crystallisation import (
    DAYS_OF_A_YEAR,
    Debt,
    FeeLine,
    FeeState,
    Situation,
    interval_end,
)
from fees.calc.explanation import as_json, number_text
from fees.calc.kinds import FeeKind
from fees.calc.performance import Standing, behind_by_balance
from fees.calc.schedule import Basis, Mode, rate_for
from fees.calc.terms import FeeTerms
from money.exact import decimal_of, scaled_int
from money.rounding import ACCUMULATOR_PLACES, CARRIED_PLACES, MARK_PLACES, UNIT_PLACES, dust_places

_UNIT = 10**UNIT_PLACES
_QUANTITY_PLACES = UNIT_PLACES + ACCUMULATOR_PLACES
"""Of units times an accumulator."""
_NOTHING = "{}"
_NO_DEBTS = "[]"


@dataclass(frozen=True, slots=True)
class Pool:
    """What terms that count profit from the lower of equity and balance look at (`behind_by_balance`)."""

    balance: Decimal
    units: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True)
class IntervalEnd:
    """What the investments of one trading interval have in common at the rollover where it ends.

    `rollover` is its number, `number` the interval's; `passed` how much of the interval has passed, from 0 to
    1 at 24 places. `value_days` and `lots_per_unit` are the account's running sums. `opened_yield` is the
    return since the interval began, `joined_yields` that of who joined later, by the key of the price point.
    """

    terms: FeeTerms
    price: Price
    digits: int
    rollover: int
    number: int
    passed: Decimal
    value_days: Decimal
    lots_per_unit: Decimal
    opened_yield: Decimal
    joined_yields: Mapping[int, Decimal]
    pool: Pool | None = None


class Stake(NamedTuple):
    """An investment as it is stored, scaled; `carried`, `debts` and `shared` are JSON.

    `joined` is the key of the price point it joined at, `agents` how many introduced its owner.
    """

    joined: int | None
    units: int
    lowest_units: int
    lowest_units_number: int
    mark: int
    performance_carried: int
    value_days_put_aside: int
    value_days_checkpoint: int
    lots_put_aside: int
    lots_checkpoint: int
    subscription_checkpoint: int
    subscription_number: int
    carried: str
    debts: str
    shared: str
    agents: int


class Due(NamedTuple):
    """`crystallisation.FeeLine`, scaled, its inputs as JSON."""

    kind: FeeKind
    collects_debt: bool
    amount: int
    uncollected: int
    profit: int
    mark_before: int
    mark_after: int
    carried_before: int
    carried_after: int
    inputs: str


class Charged(NamedTuple):
    """A fee, the units redeemed for it, and its parts: the broker's, the agents' by level, the manager's.

    No parts of nothing.
    """

    due: Due
    units: int
    parts: tuple[int, ...]


class Ended(NamedTuple):
    """The fees of one investment at the end of its interval, their sum, and its columns after it."""

    fees: list[Charged]
    charged: int
    units: int
    lowest_units: int
    lowest_units_number: int
    mark: int
    performance_carried: int
    value_days_put_aside: int
    value_days_checkpoint: int
    lots_put_aside: int
    lots_checkpoint: int
    subscription_checkpoint: int
    subscription_number: int
    carried: str
    debts: str
    shared: str


class SharedRecord(TypedDict):
    """A kind's running sums, as an investment stores them (`shares.Shared`)."""

    charged: str
    had: list[str]


class _AllDue(NamedTuple):
    """Fees of one investment in their order, and what it carries on."""

    fees: list[Due]
    mark: int
    performance_carried: int
    carried: str
    debts: str


class _Accruing(NamedTuple):
    """A kind that grows with time or volume: what one of its quantity costs, `price / per`, also as text."""

    kind: FeeKind
    price: int
    per: int
    written: str


class _Rate(NamedTuple):
    """The rate of a performance fee, `rate / per`, and what an explanation says of it."""

    rate: int
    per: int
    inputs: str


class IntervalEndOfMany:
    """The rule for the investments of one `IntervalEnd`: called with each."""

    def __init__(self, end: IntervalEnd) -> None:
        terms, digits = end.terms, end.digits
        self.end = end
        worth = end.price.ratio * 10**digits / _UNIT
        self._worth, self._per_unit = worth.numerator, worth.denominator
        self._value_days = scaled_int(end.value_days, ACCUMULATOR_PLACES)
        self._lots = scaled_int(end.lots_per_unit, ACCUMULATOR_PLACES)
        self._passed = scaled_int(end.passed, ACCUMULATOR_PLACES)
        places = dust_places(digits)
        self._dust, self._dust_of_minor = 10 ** (CARRIED_PLACES - places), 10 ** (places - digits)
        self._minor = 10 ** (CARRIED_PLACES - digits)
        self._mark_of_minor = 10 ** (MARK_PLACES - digits)
        self._profit_to_carried = 10 ** (CARRIED_PLACES - MARK_PLACES)
        self._accruing = _accruing_kinds(terms)
        self._schedule = f', "schedule": {json.dumps(terms.schedule.to_json())}'
        self._by_net_worth = terms.schedule.basis is Basis.NET_WORTH
        self._rates: dict[int | None, _Rate] = {}
        # The first minor unit that reaches each tier.
        self._bounds = [
            -(-Fraction(tier.lower_bound or 0) * 10**digits // 1) for tier in terms.schedule.tiers[1:]
        ]
        self._shares: dict[int, tuple[tuple[int, int], ...]] = {}
        self._balance: tuple[int, int, int, int] | None = None
        pool = end.pool
        if terms.lower_profit and pool is not None and pool.equity > 0:
            share = Fraction(pool.balance) * 10**digits / Fraction(pool.units) / _UNIT
            per_equity = Fraction(pool.balance) / Fraction(pool.equity)
            self._balance = (*share.as_integer_ratio(), *per_equity.as_integer_ratio())

    def __call__(self, stake: Stake) -> Ended | None:
        """None where nothing is charged and nothing changes. Raises `PriceIsZero`."""
        all_due = self._all_due(stake) if stake.debts == _NO_DEBTS else None
        if all_due is None:
            all_due = self._all_due_by_the_plain_form(stake)
        fees, mark, performance_carried, carried, debts = all_due
        accrues = bool(self._accruing)
        if not fees and not accrues:
            return None
        (
            _, units, lowest, lowest_number, _, _, days, days_from, lots, lots_from, paid, paid_number,
            _, _, shared, agents,
        ) = stake  # fmt: skip
        charged = 0
        sums: dict[str, SharedRecord] = {}
        written: list[Charged] = []
        for due in fees:
            amount = due.amount
            if not amount:
                written.append(Charged(due, 0, ()))
                continue
            if not charged:
                # From here on there are fewer units: what they have accrued so far is kept.
                days = _put_aside(days, units, self._value_days - days_from)
                lots = _put_aside(lots, units, self._lots - lots_from)
                days_from, lots_from = self._value_days, self._lots
                if lowest_number != self.end.number:
                    lowest, lowest_number = units, self.end.number
                if shared != _NOTHING:
                    sums = json.loads(shared)
            charged += amount
            redeemed = min(self._units_worth(amount), units)
            units -= redeemed
            parts, sums[due.kind.value] = self._split(amount, sums.get(due.kind.value), agents)
            written.append(Charged(due, redeemed, parts))
        if charged:
            lowest = min(lowest, units)
            shared = _shared_text(sums)
        if accrues:
            days = lots = 0
            days_from, lots_from = self._value_days, self._lots
            paid, paid_number = self._passed, self.end.number
        return Ended(
            written, charged, units, lowest, lowest_number, mark, performance_carried, days, days_from,
            lots, lots_from, paid, paid_number, carried, debts, shared,
        )  # fmt: skip

    def _all_due(self, stake: Stake) -> _AllDue | None:
        """None where the value does not pay all that is due: that is for the plain form."""
        digits = self.end.digits
        value = left = _half_even(stake.units * self._worth, self._per_unit)
        fees: list[Due] = []
        carried_on = stake.carried
        if self._accruing:
            carried = _carried(stake.carried)
            for kind, price, per, price_text in self._accruing:
                quantity, places = self._quantity(kind, stake)
                before = carried.get(kind, 0)
                amount, after = self._charge(price * quantity, per * 10 ** (places - CARRIED_PLACES), before)
                if amount > left:
                    return None
                carried[kind] = after
                if amount:
                    inputs = (
                        f'{{"value": "{_plain(left, digits)}", "price": "{price_text}",'
                        f' "quantity": "{_plain(quantity, places)}",'
                        f' "carried": "{_plain(before, CARRIED_PLACES)}"}}'
                    )
                    fees.append(Due(kind, False, amount, 0, 0, 0, 0, before, after, inputs))
                    left -= amount
            carried_on = _carried_text(carried)
        mark, before = stake.mark, stake.performance_carried
        counted, counted_text = left, ""
        if self._balance is not None:
            counted = self._counted(stake.units, left, value - left)
            counted_text = f', "counted_value": "{_plain(counted, digits)}"'
        profit = counted * self._mark_of_minor - mark
        if profit <= 0:
            return _AllDue(fees, mark, before, carried_on, stake.debts)
        rate, per, rate_text = self._rate(stake)
        amount, after = self._charge(rate * profit * self._profit_to_carried, per, before)
        if amount > counted:
            return None
        mark_after = (counted - amount) * self._mark_of_minor
        inputs = (
            f'{{"value": "{_plain(left, digits)}", "mark": "{_plain(mark, MARK_PLACES)}",'
            f' "carried": "{_plain(before, CARRIED_PLACES)}"{rate_text}{counted_text}}}'
        )
        fees.append(
            Due(FeeKind.PERFORMANCE, False, amount, 0, profit, mark, mark_after, before, after, inputs)
        )
        return _AllDue(fees, mark_after, after, carried_on, stake.debts)

    def _charge(self, fee: int, per: int, carried: int) -> tuple[int, int]:
        """`charge.charge` of a fee of `fee / per`, 24 places: the amount due and what is carried on."""
        unrounded = fee + carried * per
        due = max(_half_even(unrounded, per * self._dust) // self._dust_of_minor, 0)
        return due, _half_even(unrounded, per) - due * self._minor

    def _quantity(self, kind: FeeKind, stake: Stake) -> tuple[int, int]:
        """What has accrued of a kind, and at how many places."""
        if kind is FeeKind.MANAGEMENT:
            grown = self._value_days - stake.value_days_checkpoint
            return stake.units * grown + stake.value_days_put_aside * _UNIT, _QUANTITY_PLACES
        if kind is FeeKind.VOLUME:
            grown = self._lots - stake.lots_checkpoint
            return stake.units * grown + stake.lots_put_aside * _UNIT, _QUANTITY_PLACES
        paid = stake.subscription_checkpoint if stake.subscription_number == self.end.number else 0
        return max(self._passed - paid, 0), ACCUMULATOR_PLACES

    def _counted(self, units: int, left: int, charged: int) -> int:
        """The value that profit is counted from, where terms look at the balance too."""
        if self._balance is None:
            return left
        share_of_unit, per_unit, balance, equity = self._balance
        share = _half_even(units * share_of_unit, per_unit)
        return min(left, _half_even(share * equity - charged * balance, equity))

    def _rate(self, stake: Stake) -> _Rate:
        if self._by_net_worth:
            return self._rate_by_net_worth(self._lowest_units(stake))
        key = stake.joined if stake.joined in self.end.joined_yields else None
        rate = self._rates.get(key)
        if rate is None:
            schedule = self.end.terms.schedule
            yield_ = self._yield(stake)
            exact = rate_for(schedule, yield_)
            text = self._schedule
            if schedule.basis is Basis.YIELD:
                text += f', "yield": "{number_text(yield_)}"'
            rate = self._rates[key] = _Rate(exact.numerator, exact.denominator, text)
        return rate

    def _rate_by_net_worth(self, lowest_units: int) -> _Rate:
        digits, schedule = self.end.digits, self.end.terms.schedule
        net_worth = _half_even(lowest_units * self._worth, self._per_unit)
        text = f'{self._schedule}, "net_worth": "{_plain(net_worth, digits)}"'
        if schedule.mode is Mode.WHOLE:
            tier = schedule.tiers[bisect_right(self._bounds, net_worth)]
            return _Rate(*tier.rate.as_integer_ratio(), text)
        exact = rate_for(schedule, decimal_of(net_worth, digits))
        return _Rate(exact.numerator, exact.denominator, text)

    def _yield(self, stake: Stake) -> Decimal:
        opened, joined = self.end.opened_yield, stake.joined
        return opened if joined is None else self.end.joined_yields.get(joined, opened)

    def _lowest_units(self, stake: Stake) -> int:
        if stake.lowest_units_number != self.end.number:
            return stake.units
        return min(stake.lowest_units, stake.units)

    def _units_worth(self, amount: int) -> int:
        if not self._worth:
            raise PriceIsZero("no units for money at a price of 0")
        return _half_even(amount * self._per_unit, self._worth)

    def _split(
        self, amount: int, before: SharedRecord | None, agents: int
    ) -> tuple[tuple[int, ...], SharedRecord]:
        """`shares.split`, from and to the running sums as they are stored."""
        digits = self.end.digits
        rates = self._shares.get(agents)
        if rates is None:
            among = self.end.terms.shares.among(agents)
            rates = self._shares[agents] = tuple(rate.as_integer_ratio() for rate in among)
        charged = amount
        had: list[int] = []
        if before is not None:
            charged += _minor(before["charged"], digits)
            had = [_minor(text, digits) for text in before["had"]]
        left = amount
        parts: list[int] = []
        has: list[int] = []
        for at, (rate, per) in enumerate(rates):
            already = had[at] if at < len(had) else 0
            due = _half_even(rate * charged * self._dust_of_minor, per) // self._dust_of_minor - already
            part = max(min(due, left), 0)
            left -= part
            parts.append(part)
            has.append(already + part)
        parts.append(left)
        after: SharedRecord = {
            "charged": decimal_text(charged, digits),
            "had": [decimal_text(sum_, digits) for sum_ in has],
        }
        return tuple(parts), after

    def _all_due_by_the_plain_form(self, stake: Stake) -> _AllDue:
        end, digits = self.end, self.end.digits
        state = FeeState(
            Standing(
                decimal_of(stake.mark, MARK_PLACES), decimal_of(stake.performance_carried, CARRIED_PLACES)
            ),
            {FeeKind(kind): Decimal(kept) for kind, kept in json.loads(stake.carried).items()},
            tuple(
                Debt(FeeKind(debt["kind"]), Decimal(debt["amount"]), debt["since"])
                for debt in json.loads(stake.debts)
            ),
        )
        share, per_equity = None, Fraction(1)
        if end.terms.lower_profit and end.pool is not None:
            share, per_equity = behind_by_balance(
                units=decimal_of(stake.units, UNIT_PLACES),
                pool_balance=end.pool.balance,
                pool_units=end.pool.units,
                pool_equity=end.pool.equity,
                digits=digits,
            )
        quantities = {kind: self._quantity(kind, stake) for kind, *_ in self._accruing}
        accrued = {kind: Fraction(quantity, 10**places) for kind, (quantity, places) in quantities.items()}
        net_worth = _half_even(self._lowest_units(stake) * self._worth, self._per_unit)
        crystallised = interval_end(
            end.terms,
            state,
            Situation(
                value=decimal_of(_half_even(stake.units * self._worth, self._per_unit), digits),
                digits=digits,
                rollover=end.rollover,
                yield_=self._yield(stake),
                net_worth=decimal_of(net_worth, digits),
                value_days=accrued.get(FeeKind.MANAGEMENT, Fraction(0)),
                lots=accrued.get(FeeKind.VOLUME, Fraction(0)),
                interval_part=accrued.get(FeeKind.SUBSCRIPTION, Fraction(0)),
                balance_share=share,
                balance_per_equity=per_equity,
            ),
        )
        after = crystallised.state
        return _AllDue(
            [_scaled_line(line, digits) for line in crystallised.lines],
            scaled_int(after.standing.high_water_mark, MARK_PLACES),
            scaled_int(after.standing.carried, CARRIED_PLACES),
            json.dumps({kind.value: format(kept, "f") for kind, kept in after.carried.items()}),
            json.dumps(
                [
                    {"kind": debt.kind.value, "amount": format(debt.amount, "f"), "since": debt.since}
                    for debt in after.debts
                ]
            ),
        )


def decimal_text(scaled: int, places: int) -> str:
    """As `format(decimal_of(scaled, places), "f")`, several times as fast."""
    if not places:
        return str(scaled)
    digits = str(scaled)
    if len(digits) <= places + (scaled < 0):
        digits = digits.zfill(places + 1 + (scaled < 0))
    return f"{digits[:-places]}.{digits[-places:]}"


def _plain(scaled: int, places: int) -> str:
    """As `explanation.number_text` of a decimal."""
    text = decimal_text(scaled, places)
    return text.rstrip("0").rstrip(".") if places else text


def _accruing_kinds(terms: FeeTerms) -> Sequence[_Accruing]:
    """Those the terms charge, in their order."""
    priced = (
        (FeeKind.MANAGEMENT, terms.management_rate, DAYS_OF_A_YEAR),
        (FeeKind.SUBSCRIPTION, terms.subscription_amount, 1),
        (FeeKind.VOLUME, terms.volume_amount_per_lot, 1),
    )
    found = []
    for kind, price, of in priced:
        if price:
            exact = Fraction(price) / of
            found.append(_Accruing(kind, exact.numerator, exact.denominator, number_text(price)))
    return found


def _half_even(numerator: int, denominator: int) -> int:
    """The nearest whole number, a tie to the even one."""
    whole, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and whole & 1):
        whole += 1
    return whole


def _put_aside(kept: int, units: int, grown: int) -> int:
    return _half_even(kept * _UNIT + units * grown, _UNIT)


def _minor(text: str, digits: int) -> int:
    whole, _, decimals = text.partition(".")
    return int(whole + decimals) if len(decimals) == digits else scaled_int(Decimal(text), digits)


def _carried(text: str) -> dict[FeeKind, int]:
    if text == _NOTHING:
        return {}
    return {FeeKind(kind): _minor(kept, CARRIED_PLACES) for kind, kept in json.loads(text).items()}


def _carried_text(carried: Mapping[FeeKind, int]) -> str:
    kept = {kind.value: decimal_text(of, CARRIED_PLACES) for kind, of in carried.items() if of}
    return json.dumps(kept) if kept else _NOTHING


def _shared_text(sums: Mapping[str, SharedRecord]) -> str:
    """As JSON: nothing in it needs escaping."""
    kinds = [
        f'"{kind}": {{"charged": "{record["charged"]}", "had": [{_quoted(record["had"])}]}}'
        for kind, record in sums.items()
    ]
    return f"{{{', '.join(kinds)}}}"


def _quoted(texts: Sequence[str]) -> str:
    joined = '", "'.join(texts)
    return f'"{joined}"' if texts else ""


def _scaled_line(line: FeeLine, digits: int) -> Due:
    return Due(
        line.kind,
        line.collects_debt,
        scaled_int(line.amount, digits),
        scaled_int(line.uncollected, digits),
        scaled_int(line.profit, MARK_PLACES),
        scaled_int(line.mark_before, MARK_PLACES),
        scaled_int(line.mark_after, MARK_PLACES),
        scaled_int(line.carried_before, CARRIED_PLACES),
        scaled_int(line.carried_after, CARRIED_PLACES),
        json.dumps(as_json(line.inputs)),
    )
