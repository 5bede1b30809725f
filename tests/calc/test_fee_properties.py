"""What the fees of all kinds promise together, and what nobody gains by moving money."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allocation.calc.price import Price, time_weighted_return
from allocation.calc.units import units_for_deposit, units_for_redemption
from allocation.calc.units import value as value_of_units
from fees.calc.crystallisation import (
    Closed,
    Debt,
    FeeLine,
    FeeState,
    Situation,
    available,
    closing,
    deposit,
    interval_end,
    withdrawal,
)
from fees.calc.kinds import ACCRUING, FeeKind
from fees.calc.performance import Standing, net_worth_basis
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.shares import Shared, split
from fees.calc.terms import EntryFee, FeeTerms
from money.exact import decimal_of, exact_difference, exact_sum
from money.rounding import is_whole_minor_units, minor_unit

STEADY = settings(max_examples=60, derandomize=True)
"""The same examples every time, on a busy machine too."""

CENT = Decimal("0.01")
ZERO = Decimal(0)
EXAMPLE_1 = Schedule(
    Basis.YIELD,
    Mode.WHOLE,
    (Tier(None, ZERO), Tier(Decimal("0.10"), Decimal("0.20")), Tier(Decimal("0.40"), Decimal("0.50"))),
)
EXAMPLE_2 = Schedule(
    Basis.NET_WORTH,
    Mode.WHOLE,
    (
        Tier(None, Decimal("0.50")),
        Tier(Decimal(1000), Decimal("0.40")),
        Tier(Decimal(5000), Decimal("0.30")),
        Tier(Decimal(10_000), Decimal("0.15")),
    ),
)


def price(text: str) -> Price:
    return Price(Decimal(text), Decimal(1))


# One investment through time


@dataclass
class Stake:
    """An investment at prices that it does not move, by the calculation's own functions in their order."""

    terms: FeeTerms
    price: Price
    digits: int = 2
    units: Decimal = ZERO
    state: FeeState = field(default_factory=FeeState)
    value_days: Fraction = Fraction(0)
    lots: Fraction = Fraction(0)
    interval_part: Fraction = Fraction(0)
    lines: list[FeeLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opening, self.lowest = self.price, self.units

    @property
    def value(self) -> Decimal:
        return value_of_units(self.units, self.price, self.digits)

    @property
    def fees(self) -> Decimal:
        return exact_sum(line.amount for line in self.lines)

    def situation(self, early_exit_rate: Decimal = ZERO) -> Situation:
        return Situation(
            value=self.value,
            digits=self.digits,
            yield_=time_weighted_return(self.opening, self.price),
            net_worth=net_worth_basis(self.price, self.lowest, self.digits),
            value_days=self.value_days,
            lots=self.lots,
            interval_part=self.interval_part,
            early_exit_rate=early_exit_rate,
        )

    def join(self, amount: Decimal) -> "Stake":
        self.deposit(amount)
        self.lowest = self.units
        return self

    def deposit(self, amount: Decimal) -> None:
        paid_in = deposit(amount, self.terms, self.state, self.digits)
        self.units = exact_sum((self.units, units_for_deposit(paid_in.invested, self.price)))
        self.state = paid_in.state
        self.lines += [paid_in.line] if paid_in.line else []

    def wait(
        self, now: Price, *, days: Fraction = Fraction(0), lots_per_unit: Fraction = Fraction(0)
    ) -> None:
        """To the next rollover: what accrues is measured by the price and units after the last one."""
        self.value_days += self.price.ratio * Fraction(self.units) * days
        self.lots += Fraction(self.units) * lots_per_unit
        self.price = now

    def end_interval(self) -> Decimal:
        ended = interval_end(self.terms, self.state, self.situation())
        self._charge(ended.lines, ended.state)
        self.opening, self.lowest = self.price, self.units
        return ended.total

    def withdraw(self, net: Decimal, early_exit_rate: Decimal = ZERO) -> Decimal:
        taken = withdrawal(net, self.terms, self.state, self.situation(early_exit_rate))
        self._charge(taken.lines, taken.state)
        self._redeem(net)
        return taken.fees

    def close(self, early_exit_rate: Decimal = ZERO) -> Closed:
        closed = closing(self.terms, self.state, self.situation(early_exit_rate))
        self.lines += closed.lines
        self.units, self.state = ZERO, FeeState()
        return closed

    def available(self, early_exit_rate: Decimal = ZERO) -> Decimal:
        return available(self.terms, self.state, self.situation(early_exit_rate)).part

    def _charge(self, lines: tuple[FeeLine, ...], state: FeeState) -> None:
        for line in lines:
            self._redeem(line.amount)
        self.lines += lines
        self.state = state
        self.value_days = self.lots = self.interval_part = Fraction(0)

    def _redeem(self, amount: Decimal) -> None:
        if amount:
            self.units = exact_difference(self.units, units_for_redemption(amount, self.price, self.units))
            self.lowest = min(self.lowest, self.units)


# Terms, investments and moments


def amounts(digits: int, most: int = 10**6) -> st.SearchStrategy[Decimal]:
    return st.integers(0, most * 10**digits).map(lambda scaled: decimal_of(scaled, digits))


rates = st.integers(0, 1000).map(lambda permille: decimal_of(permille, 3))
small_rates = st.integers(0, 300).map(lambda permille: decimal_of(permille, 3))
places = st.sampled_from([0, 2, 3, 8])
quantities = st.fractions(0, 10**6, max_denominator=86_400)
near_prices = st.integers(50, 200).map(lambda cents: Price(decimal_of(cents, 2), Decimal(1)))
prices = st.integers(1, 10**7).map(lambda scaled: Price(decimal_of(scaled, 6), Decimal(1)))


@st.composite
def schedules(
    draw: st.DrawFn,
    bases: tuple[Basis, ...] = tuple(Basis),
    modes: tuple[Mode, ...] = tuple(Mode),
    rising: bool = False,
) -> Schedule:
    basis = draw(st.sampled_from(bases))
    if basis is Basis.FLAT:
        return Schedule.flat(draw(rates))
    bounds = sorted(draw(st.sets(st.integers(1, 2000), max_size=4)))
    tier_rates = draw(st.lists(rates, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    if rising:
        tier_rates.sort()
    lower = [None, *(decimal_of(at, 3) if basis is Basis.YIELD else Decimal(at * 500) for at in bounds)]
    tiers = tuple(Tier(at, rate) for at, rate in zip(lower, tier_rates, strict=True))
    return Schedule(basis, draw(st.sampled_from(modes)), tiers)


@st.composite
def fee_terms(draw: st.DrawFn, digits: int, schedule: Schedule | None = None) -> FeeTerms:
    return FeeTerms(
        draw(schedules()) if schedule is None else schedule,
        lower_profit=draw(st.booleans()),
        crystallises_whole=draw(st.booleans()),
        management_rate=draw(small_rates),
        entry=EntryFee((Tier(None, draw(small_rates)),)),
        subscription_amount=draw(amounts(digits, 100)),
        volume_amount_per_lot=draw(amounts(digits, 100)),
        early_exit_rate=draw(small_rates),
    )


@st.composite
def states(draw: st.DrawFn, digits: int, value: Decimal) -> FeeState:
    carried = st.integers(0, 10 ** (24 - digits) - 1).map(lambda scaled: decimal_of(scaled, 24))
    owing = st.sampled_from([*ACCRUING, FeeKind.PERFORMANCE, FeeKind.ENTRY])
    debts = draw(st.lists(st.tuples(owing, amounts(digits, 50)), max_size=3))
    mark = Fraction(value) * draw(st.fractions(0, 2, max_denominator=1000))
    return FeeState(
        Standing(decimal_of(round(mark * 10**12), 12), draw(carried)),
        {kind: draw(carried) for kind in (*ACCRUING, FeeKind.ENTRY)},
        tuple(Debt(kind, amount + minor_unit(digits), since) for since, (kind, amount) in enumerate(debts)),
    )


@st.composite
def situations(draw: st.DrawFn, digits: int, terms: FeeTerms) -> Situation:
    return Situation(
        value=draw(amounts(digits)),
        digits=digits,
        rollover=9,
        yield_=draw(st.integers(-(10**9), 3 * 10**9).map(lambda scaled: decimal_of(scaled, 9))),
        net_worth=draw(amounts(digits)),
        value_days=draw(quantities),
        lots=draw(st.fractions(0, 50, max_denominator=10**6)),
        interval_part=draw(st.fractions(0, 3, max_denominator=8760)),
        early_exit_rate=draw(st.sampled_from([ZERO, terms.early_exit_rate])),
        balance_share=draw(amounts(digits)),
        balance_per_equity=draw(st.fractions(0, 3, max_denominator=100)),
    )


Case = tuple[FeeTerms, FeeState, Situation]


@st.composite
def cases(draw: st.DrawFn, schedule: st.SearchStrategy[Schedule] | None = None) -> Case:
    digits = draw(places)
    terms = draw(fee_terms(digits, None if schedule is None else draw(schedule)))
    due = draw(situations(digits, terms))
    return terms, draw(states(digits, due.value)), due


# Amounts


@STEADY
@given(cases())
def test_closing_pays_the_value_less_the_fees_never_below_zero_in_whole_minor_units(case: Case) -> None:
    terms, state, due = case
    closed = closing(terms, state, due)
    assert closed.paid + closed.fees == due.value
    assert closed.paid >= 0
    assert exact_sum(closed.by_kind.values()) == closed.fees
    for amount in (closed.paid, *(line.amount for line in closed.lines)):
        assert amount >= 0
        assert is_whole_minor_units(amount, due.digits)


@STEADY
@given(cases())
def test_interval_end_leaves_the_value_less_the_fees_and_owes_the_rest_in_whole_minor_units(
    case: Case,
) -> None:
    terms, state, due = case
    ended = interval_end(terms, state, due)
    assert ended.value_left + ended.total == due.value
    assert ended.value_left >= 0
    for line in ended.lines:
        assert line.amount >= 0
        assert line.uncollected >= 0
        assert is_whole_minor_units(line.amount, due.digits)
        assert is_whole_minor_units(line.uncollected, due.digits)
    assert ended.state.standing.high_water_mark >= 0
    # Debts: those there were, less what was collected, and what could not be.
    owed = exact_sum(debt.amount for debt in state.debts)
    collected = exact_sum(line.amount for line in ended.lines if line.collects_debt)
    added = exact_sum(line.uncollected for line in ended.lines)
    assert exact_sum(debt.amount for debt in ended.state.debts) == owed - collected + added
    assert all(debt.amount > 0 for debt in ended.state.debts)


@STEADY
@given(cases())
def test_interval_end_nothing_that_accrued_is_lost_to_rounding(case: Case) -> None:
    terms, state, due = case
    ended = interval_end(terms, state, due)
    exact = {
        FeeKind.MANAGEMENT: Fraction(terms.management_rate) * due.value_days / 365,
        FeeKind.SUBSCRIPTION: Fraction(terms.subscription_amount) * due.interval_part,
        FeeKind.VOLUME: Fraction(terms.volume_amount_per_lot) * due.lots,
    }
    unit = Fraction(minor_unit(due.digits))
    for kind in ACCRUING:
        own = [line for line in ended.lines if line.kind is kind and not line.collects_debt]
        charged = sum(Fraction(line.amount) + Fraction(line.uncollected) for line in own)
        carried = Fraction(ended.state.carried_of(kind))
        before = Fraction(state.carried_of(kind))
        assert abs(charged + carried - before - exact[kind]) <= Fraction(1, 2 * 10**24)
        assert -Fraction(1, 10**8) <= carried < unit


@STEADY
@given(cases(), st.integers(1, 100))
def test_withdrawal_of_what_is_available_pays_it_whole_and_leaves_something(case: Case, percent: int) -> None:
    terms, state, due = case
    room = available(terms, state, due)
    assert room.closing == closing(terms, state, due).paid
    scaled = int(room.part.scaleb(due.digits)) * percent // 100
    assume(scaled)
    net = decimal_of(scaled, due.digits)
    taken = withdrawal(net, terms, state, due)
    assert taken.net == net
    assert taken.gross == net + taken.fees < due.value
    assert all(is_whole_minor_units(line.amount, due.digits) for line in taken.lines)
    assert all(line.amount >= 0 for line in taken.lines)
    assert taken.state.standing.high_water_mark >= 0


# Accrued


@STEADY
@given(cases())
def test_closing_right_after_an_interval_end_costs_in_all_what_closing_before_it_did(case: Case) -> None:
    """What is accrued before an interval end is what it charges, and what is accrued right after it.

    For one price: also with the lower basis, where the rest of the profit is charged at the close, as long as
    nothing is owed for want of value.
    """
    terms, state, due = case
    before = closing(terms, state, due)
    ended = interval_end(terms, state, due)
    after = closing(
        terms,
        ended.state,
        replace(
            due,
            value=ended.value_left,
            value_days=Fraction(0),
            lots=Fraction(0),
            interval_part=Fraction(0),
        ),
    )
    assert abs(ended.total + after.fees - before.fees) <= minor_unit(due.digits)
    if not terms.lower_profit:
        assert after.paid == before.paid


# More profit


@STEADY
@given(
    cases(schedules(bases=(Basis.FLAT, Basis.YIELD, Basis.NET_WORTH), modes=(Mode.MARGINAL,), rising=True)),
    st.fractions(0, 3, max_denominator=1000),
    st.fractions(0, 3, max_denominator=1000),
)
def test_marginal_rising_rates_more_profit_is_never_a_smaller_fee_of_all_kinds_together(
    case: Case, less: Fraction, more: Fraction
) -> None:
    """Whatever the mark, the flows, the other fees and the debts: with rates that rise with the basis, the
    same investment at a higher price pays no less. (With rates that fall it takes a mark at or above the
    value at the interval's start: see below.)
    """
    terms, state, due = case
    charged_at_end, charged_at_close = [], []
    for growth in sorted((less, more)):
        moved = replace(
            due,
            value=decimal_of(round(Fraction(due.value) * growth * 10**due.digits), due.digits),
            net_worth=decimal_of(round(Fraction(due.net_worth) * growth * 10**due.digits), due.digits),
            yield_=decimal_of(round((growth - 1) * 10**9), 9),
            balance_share=None,
        )
        charged_at_end.append(interval_end(terms, state, moved).total)
        charged_at_close.append(closing(terms, state, moved).fees)
    assert charged_at_end[0] <= charged_at_end[1]
    assert charged_at_close[0] <= charged_at_close[1]


FALLING = Schedule(
    Basis.YIELD, Mode.MARGINAL, (Tier(None, Decimal("0.50")), Tier(Decimal("0.10"), Decimal("0.00")))
)


def test_marginal_falling_rates_with_profit_from_before_the_interval_can_cost_less_at_a_higher_price() -> (
    None
):
    """The limit of the promise. Profit that an earlier interval left uncharged (lower basis: it floated) is
    rated by this interval's yield, and an average of falling rates falls.
    """
    terms, uncharged = FeeTerms(FALLING), FeeState(Standing(Decimal(100)))
    fees = [
        interval_end(terms, uncharged, Situation(Decimal(value), 2, yield_=Decimal(yield_))).total
        for value, yield_ in (("220.00", "0.10"), ("400.00", "1.00"))
    ]
    assert fees == [Decimal("60.00"), Decimal("15.00")]


@STEADY
@given(
    schedules(bases=(Basis.YIELD,), modes=(Mode.MARGINAL,)),
    amounts(2, 10**5),
    amounts(2, 10**5),
    st.integers(-1000, 3000),
    st.integers(-1000, 3000),
)
def test_marginal_any_rates_mark_not_below_the_start_more_profit_is_never_a_smaller_fee(
    schedule: Schedule, start: Decimal, loss_carried: Decimal, less: int, more: int
) -> None:
    state = FeeState(Standing(start + loss_carried))
    fees = []
    for permille in sorted((less, more)):
        value = decimal_of(int(start.scaleb(2)) * (1000 + permille), 5)
        # In thousandths of a cent: only the rule is looked at, not the rounding of values.
        due = Situation(value, 5, yield_=decimal_of(permille, 3))
        fees.append(interval_end(FeeTerms(schedule), state, due).total)
    assert fees[0] <= fees[1]


# The same history


Step = tuple[str, int, Price, int]
histories = st.lists(
    st.tuples(
        st.sampled_from(["wait", "deposit", "withdraw", "end"]),
        st.integers(1, 100),
        prices,
        st.integers(0, 200),
    ),
    min_size=1,
    max_size=10,
)


def play(stake: Stake, steps: list[Step], share: Fraction = Fraction(1)) -> None:
    """Wait to each step's price, then do it. `share` is the stake's part of the deposits."""
    for what, percent, now, lots in steps:
        stake.wait(now, days=Fraction(percent, 24), lots_per_unit=Fraction(lots, 10**6))
        if what == "deposit":
            stake.deposit(decimal_of(int(percent * 10000 * share), 2))
        elif what == "withdraw":
            part = decimal_of(int(stake.available().scaleb(2)) * percent // 100, 2)
            if part:
                stake.withdraw(part)
        elif what == "end":
            stake.end_interval()


@STEADY
@given(fee_terms(2), amounts(2, 10**5), histories)
def test_two_investments_with_the_same_history_pay_the_same(
    terms: FeeTerms, amount: Decimal, steps: list[Step]
) -> None:
    stakes = [Stake(terms, price("1.25")).join(amount + CENT) for _ in range(2)]
    for stake in stakes:
        play(stake, steps)
        stake.close()
    assert stakes[0].lines == stakes[1].lines


# Splitting, pieces


@STEADY
@given(
    schedules(bases=(Basis.FLAT, Basis.YIELD)),
    small_rates,
    amounts(2, 100),
    st.integers(100, 10**7),
    st.integers(1, 99),
    st.lists(st.tuples(st.just("end"), st.integers(1, 100), near_prices, st.integers(0, 200)), max_size=6),
)
def test_splitting_an_investment_in_two_changes_fees_by_rounding_only(
    schedule: Schedule, management: Decimal, per_lot: Decimal, cents: int, percent: int, ends: list[Step]
) -> None:
    """Flat and yield schedules, with management and volume fee. (Not subscription and entry tiers, which are
    per investment and per deposit, nor tiers of net worth.)

    Bound, while the price stays between 0.50 and 2.00: three minor units for each interval end and one for
    each of the three kinds. At each end three values are rounded by up to half a unit; two fractions are
    carried in place of one; and what one charged a unit later has earned until then. (A price that falls to a
    thousandth and comes back makes ten units of the one that was taken at the bottom.)
    """
    terms = FeeTerms(schedule, management_rate=management, volume_amount_per_lot=per_lot)
    amount, part = decimal_of(cents, 2), decimal_of(cents * percent // 100, 2)
    whole = Stake(terms, price("1")).join(amount)
    halves = [Stake(terms, price("1")).join(part), Stake(terms, price("1")).join(amount - part)]
    for stake in (whole, *halves):
        play(stake, ends)
        stake.close()
    apart = exact_sum(half.fees for half in halves)
    assert abs(apart - whole.fees) <= CENT * (3 * (len(ends) + 1) + 3)


@STEADY
@given(
    cases(schedules(bases=(Basis.FLAT, Basis.YIELD))),
    st.lists(st.integers(1, 100), min_size=1, max_size=10),
)
def test_taking_it_all_in_pieces_pays_what_one_close_pays(case: Case, pieces: list[int]) -> None:
    """All kinds, early exit included, at one price.

    Bound: one minor unit, and one for each piece while early exit is charged: its fee is rounded down for
    each piece and carries nothing.
    """
    terms, state, due = case
    unit = minor_unit(due.digits)
    at_once = closing(terms, state, due)
    paid, fees, taken_pieces, first = ZERO, ZERO, 0, due.value
    for percent in pieces:
        scaled = int(available(terms, state, due).part.scaleb(due.digits)) * percent // 100
        if not scaled:
            break
        taken = withdrawal(decimal_of(scaled, due.digits), terms, state, due)
        paid, fees, taken_pieces = paid + taken.net, fees + taken.fees, taken_pieces + 1
        state = taken.state
        due = replace(
            due,
            value=exact_difference(due.value, taken.gross),
            value_days=Fraction(0),
            lots=Fraction(0),
            interval_part=Fraction(0),
        )
    last = closing(terms, state, due)
    assert paid + fees + last.paid + last.fees == first
    bound = unit * (1 + (taken_pieces if due.early_exit_rate else 0))
    assert abs(fees + last.fees - at_once.fees) <= bound


# What nobody gains by


def test_attack_taking_out_the_profit_in_steps_of_thirty_cents_saves_nothing() -> None:
    terms = FeeTerms(
        Schedule.flat(Decimal("0.20")),
        management_rate=Decimal("0.02"),
        volume_amount_per_lot=Decimal("7.00"),
    )

    def grown() -> Stake:
        stake = Stake(terms, price("1")).join(Decimal("500.00"))
        stake.wait(price("1.2"), days=Fraction(100), lots_per_unit=Fraction(1, 10_000))
        return stake

    at_once = grown()
    paid_at_once = at_once.close().paid
    in_steps, taken = grown(), ZERO
    while in_steps.available() >= Decimal("0.30"):
        in_steps.withdraw(Decimal("0.30"))
        taken += Decimal("0.30")
    assert taken > 550
    assert taken + in_steps.close().paid == paid_at_once
    assert in_steps.fees == at_once.fees


@pytest.mark.parametrize("rate", ["0.05", "0.01"])
def test_attack_early_exit_in_small_steps_saves_nothing(rate: str) -> None:
    """0.30 at 1 % is a third of a cent: too little for a fee, and carried to the next."""
    terms, leaving = FeeTerms(Schedule.flat(ZERO), early_exit_rate=Decimal(rate)), Decimal(rate)
    at_once = Stake(terms, price("1")).join(Decimal("300.00")).close(leaving).fees
    stake, steps = Stake(terms, price("1")).join(Decimal("300.00")), 0
    while stake.available(leaving) >= Decimal("0.30"):
        stake.withdraw(Decimal("0.30"), leaving)
        steps += 1
    stake.close(leaving)
    assert at_once == stake.fees
    assert steps > 900


def test_attack_an_interval_of_one_rollover_does_not_starve_the_broker() -> None:
    # 0.04 gained at every rollover, at 20 %: 0.008, a cent on four of five.
    stake, shared = (
        Stake(FeeTerms(Schedule.flat(Decimal("0.20"))), price("1")).join(Decimal("100.00")),
        Shared(),
    )
    for _ in range(1000):
        target = exact_sum((stake.value, Decimal("0.04")))
        stake.wait(Price(target, stake.units))
        charged = stake.end_interval()
        if charged:
            _, shared = split(charged, shared, (Decimal("0.10"), Decimal("0.05")), 2)
    assert (stake.fees, shared.charged) == (Decimal("8.00"), Decimal("8.00"))
    # At the last fee a cent is due to both, and it was one cent.
    assert shared.had == (Decimal("0.80"), Decimal("0.39"))


def test_attack_close_and_rejoin_at_nine_percent_each_quarter_pays_what_staying_does() -> None:
    """Example 1 with intervals of a quarter: the interval's end charges at 9 % what the close does, nothing,
    and moves the mark as rejoining would.
    """
    stays = Stake(FeeTerms(EXAMPLE_1), price("1")).join(Decimal("5000.00"))
    money = Decimal("5000.00")
    for quarter in range(1, 5):
        now = Price(Decimal("1.09") ** quarter, Decimal(1))
        rejoins = Stake(FeeTerms(EXAMPLE_1), stays.price).join(money)
        stays.wait(now)
        rejoins.wait(now)
        money = rejoins.close().paid
        stays.end_interval()
    assert stays.fees == 0
    assert abs(money - stays.close().paid) <= CENT * 2  # four values rounded by up to half a cent


def test_attack_close_and_rejoin_within_a_long_interval_is_not_stopped_by_the_calculation() -> None:
    """Example 1 with an interval of a year: 41 % in one piece cost half of it, four closes at 9 % nothing.

    What protects is that money taken out before its interval's end comes back only after it (the refusal of
    requests); then whoever leaves at 9 % pays what he would have by then, and misses the rest.
    """
    stays = Stake(FeeTerms(EXAMPLE_1), price("1")).join(Decimal("5000.00"))
    stays.wait(Price(Decimal("1.09") ** 4, Decimal(1)))
    assert stays.end_interval() == Decimal("1028.95")  # half of 2,057.91 (a value of 7,057.91)

    leaves = Stake(FeeTerms(EXAMPLE_1), price("1")).join(Decimal("5000.00"))
    leaves.wait(price("1.09"))
    accrued = closing(leaves.terms, leaves.state, leaves.situation())
    closed = leaves.close()
    assert (closed.fees, closed.paid) == (accrued.fees, accrued.paid) == (ZERO, Decimal("5450.00"))
    assert closed.paid < stays.value


def test_attack_a_large_deposit_an_hour_before_the_interval_ends_buys_no_tier() -> None:
    honest, buyer = (Stake(FeeTerms(EXAMPLE_2), price("1")).join(Decimal("900.00")) for _ in range(2))
    for stake in (honest, buyer):
        stake.wait(price("1.1"))
    buyer.deposit(Decimal("100000.00"))  # 15 % from 10,000
    assert honest.end_interval() == buyer.end_interval() == Decimal("45.00")
    # It counts from the next interval on, in which it is held from the start.
    buyer.wait(price("1.21"))
    assert buyer.end_interval() == Decimal("1514.17")  # 15 % of 10,094.50


def test_attack_a_withdrawal_and_a_deposit_at_one_rollover_only_worsens_the_tier() -> None:
    stays, moves = (Stake(FeeTerms(EXAMPLE_2), price("1")).join(Decimal("12000.00")) for _ in range(2))
    for stake in (stays, moves):
        stake.wait(price("1.1"))
    fee_of_part = moves.withdraw(Decimal("12971.00"))
    moves.deposit(Decimal("12971.00"))
    assert fee_of_part == Decimal("179.32")
    stays_fee = stays.end_interval()
    assert stays_fee == Decimal("180.00")
    assert fee_of_part + moves.end_interval() >= stays_fee


def test_attack_closing_in_a_loss_and_rejoining_only_lowers_the_mark() -> None:
    terms = FeeTerms(Schedule.flat(Decimal("0.20")))
    stays = Stake(terms, price("1")).join(Decimal("1000.00"))
    stays.wait(price("0.8"))
    again = Stake(terms, price("0.8")).join(Decimal("800.00"))
    for stake in (stays, again):
        stake.wait(price("1"))
    assert (stays.end_interval(), again.end_interval()) == (ZERO, Decimal("40.00"))


@pytest.mark.parametrize(
    "late",
    [
        lambda stake: stake.withdraw(Decimal("100.00")),
        lambda stake: stake.deposit(Decimal("100.00")),
        lambda stake: None,
    ],
    ids=["withdraw", "deposit", "nothing"],
)
def test_attack_no_flow_before_the_interval_ends_escapes_what_has_accrued(
    late: Callable[[Stake], object],
) -> None:
    terms = FeeTerms(
        Schedule.flat(ZERO), management_rate=Decimal("0.365"), volume_amount_per_lot=Decimal("10.00")
    )
    stake = Stake(terms, price("1")).join(Decimal("1000.00"))
    stake.wait(price("1"), days=Fraction(30), lots_per_unit=Fraction(1, 1000))
    late(stake)
    stake.end_interval()
    assert stake.fees == Decimal("40.00")  # 30 days at 1.00, one lot at 10.00
