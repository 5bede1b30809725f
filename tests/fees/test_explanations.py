"""What charges say about themselves: the whole text, kind by kind, and words for every step there is."""

import ast
import inspect
from decimal import Decimal as D
from fractions import Fraction

import pytest

from fees import explanations
from fees.calc import crystallisation
from fees.calc import explanation as records
from fees.calc.crystallisation import Debt, FeeLine, FeeState, Situation
from fees.calc.explanation import ExplanationInvalid, explanation
from fees.calc.kinds import FeeKind
from fees.calc.performance import Standing
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.terms import EntryFee, FeeTerms
from fees.explanations import explanation_in_words, explanation_text

TIERS = (Tier(None, D(0)), Tier(D("0.10"), D("0.20")), Tier(D("0.40"), D("0.50")))
NET_WORTH = (Tier(None, D("0.50")), Tier(D(1000), D("0.40")), Tier(D(5000), D("0.30")))
FREE = Schedule.flat(D(0))
FLAT = Schedule.flat(D("0.20"))
NO_PROFIT = Standing(D(10**9))


def _ended(terms: FeeTerms, situation: Situation, state: FeeState | None = None) -> tuple[FeeLine, ...]:
    """What an interval's end charges; without a state there is no profit to charge."""
    return crystallisation.interval_end(terms, state or FeeState(NO_PROFIT), situation).lines


def _text(*lines: FeeLine | None, currency: str = "USD", digits: int = 2) -> str:
    (line,) = lines
    assert line is not None
    return explanation_text(explanation(line, digits), currency)


def test_management_fee_tells_value_days_and_what_is_carried() -> None:
    terms = FeeTerms(FREE, management_rate=D("0.02"))
    situation = Situation(D("5000.00"), 2, value_days=Fraction(150_125))
    state = FeeState(NO_PROFIT, carried={FeeKind.MANAGEMENT: D("0.001")})
    assert _text(*_ended(terms, situation, state)) == (
        "Value it is taken from: 5,000.00 USD; "
        "Rate for a year of 365 days: 2 %; "
        "Value × days since the last management fee: 150,125.00 USD × days "
        "(the value after each rollover times the time to the next one, added up); "
        "Rate × value × days ÷ 365: ≈ 8.22602740 USD; "
        "With what was carried from before: ≈ 8.22702740 USD (0.001 USD carried); "
        "Fee, rounded down: 8.22 USD; "
        "Carried to the next such fee: ≈ 0.00702740 USD"
    )


def test_subscription_fee_tells_the_part_of_the_interval_and_what_stays_owed() -> None:
    terms = FeeTerms(FREE, subscription_amount=D("30.00"))
    situation = Situation(D("7.40"), 2, interval_part=Fraction(1, 3))
    assert _text(*_ended(terms, situation)) == (
        "Value it is taken from: 7.40 USD; "
        "Fee for a whole trading interval: 30.00 USD; "
        "Part of the interval: ≈ 33.3333 % (what has passed of it and was not charged for yet); "
        "Fee × part of the interval: 10.00 USD; "
        "Rounded down: 10.00 USD; "
        "Fee that the value can pay: 7.40 USD (2.60 USD is owed as long as the investment lasts)"
    )


def test_volume_fee_in_yen_tells_the_investments_own_lots_as_one_sum() -> None:
    terms = FeeTerms(FREE, volume_amount_per_lot=D(700))
    lines = _ended(terms, Situation(D(100_000), 0, lots=Fraction("1.255")))
    assert _text(*lines, currency="JPY", digits=0) == (
        "Value it is taken from: 100,000 JPY; "
        "Fee per lot: 700 JPY; "
        "Lots since the last volume fee: 1.255 "
        "(this investment's part, by its units, of the lots closed in the account); "
        "Fee per lot × lots: 878.5 JPY; "
        "Fee, rounded down: 878 JPY; "
        "Carried to the next such fee: 0.5 JPY"
    )


def test_debts_tell_since_when_they_are_owed() -> None:
    debts = (Debt(FeeKind.VOLUME, D("3.00"), 12), Debt(FeeKind.VOLUME, D("9.00"), 15))
    lines = _ended(FeeTerms(FREE), Situation(D("10.00"), 2), FeeState(NO_PROFIT, debts=debts))
    assert _text(*lines) == (
        "Value it is taken from: 10.00 USD; "
        "Owed since rollover 12: 3.00 USD (of 3.00 USD); "
        "Owed since rollover 15: 7.00 USD (of 9.00 USD); "
        "Collected: 10.00 USD"
    )


def test_flat_performance_fee_tells_profit_rate_and_mark() -> None:
    state = FeeState(Standing(D("5400"), D("0.004")))
    assert _text(*_ended(FeeTerms(FLAT), Situation(D("5454.03"), 2), state)) == (
        "Value after the other fees: 5,454.03 USD; "
        "High-water mark: 5,400.00 USD (profit counts above it); "
        "Profit above the mark: +54.03 USD; "
        "Rate: 20 %; "
        "Profit × rate: 10.806 USD; "
        "With what was carried from before: 10.81 USD (0.004 USD carried); "
        "Fee, rounded down: 10.81 USD; "
        "New high-water mark: 5,443.22 USD (what the profit is counted from, less the fee)"
    )


def test_performance_fee_by_yield_tells_the_tier_and_where_it_reaches() -> None:
    terms = FeeTerms(Schedule(Basis.YIELD, Mode.WHOLE, TIERS), lower_profit=True)
    situation = Situation(D("5454.00"), 2, yield_=D("0.122222222"), balance_share=D("5450.00"), rollover=7)
    assert _text(*_ended(terms, situation, FeeState(Standing(D(5400))))) == (
        "Value after the other fees: 5,454.00 USD; "
        "Profit is counted from: 5,450.00 USD (the smaller of the value and the same share of the balance); "
        "High-water mark: 5,400.00 USD (profit counts above it); "
        "Profit above the mark: +50.00 USD; "
        "Return of the trading interval: 12.2222222 % (by the price, before fees); "
        "Rate of the tier that is reached: 20 % (from 10 % to below 40 %); "
        "Profit × rate: 10.00 USD; "
        "Fee, rounded down: 10.00 USD; "
        "New high-water mark: 5,440.00 USD (what the profit is counted from, less the fee)"
    )


def test_performance_fee_by_net_worth_tells_the_average_of_the_bands() -> None:
    terms = FeeTerms(Schedule(Basis.NET_WORTH, Mode.MARGINAL, NET_WORTH))
    situation = Situation(D("1500.00"), 2, net_worth=D("1500.00"))
    assert _text(*_ended(terms, situation, FeeState(Standing(D(1400))))) == (
        "Value after the other fees: 1,500.00 USD; "
        "High-water mark: 1,400.00 USD (profit counts above it); "
        "Profit above the mark: +100.00 USD; "
        "Net worth that decides the tier: 1,500.00 USD (of the fewest units held since the interval began); "
        "Average rate of the bands: ≈ 46.6667 % "
        "(each band's rate up to there, weighted by the band's width); "
        "Profit × rate: ≈ 46.66666667 USD; "
        "Fee, rounded down: 46.66 USD; "
        "New high-water mark: 1,453.34 USD (what the profit is counted from, less the fee); "
        "Carried to the next such fee: ≈ 0.00666667 USD"
    )


def test_withdrawal_tells_the_parts_share_and_its_exit_fee() -> None:
    terms = FeeTerms(FLAT, early_exit_rate=D("0.02"))
    situation = Situation(D("1100.00"), 2, early_exit_rate=D("0.02"))
    plan = crystallisation.withdrawal(D("490.00"), terms, FeeState(Standing(D(1000))), situation)
    performance, exit_fee = plan.lines
    assert _text(performance) == (
        "Value after the other fees: 1,100.00 USD; "
        "High-water mark: 1,000.00 USD (profit counts above it); "
        "Profit above the mark: +100.00 USD; "
        "Rate: 20 %; "
        "Fee on all of the profit: 20.00 USD; "
        "Early exit fee beside it: 10.00 USD; "
        "Fee on the part that is taken out: ≈ 9.25925926 USD "
        "(490.00 USD and its exit fee, if any, × fee on all ÷ (value - fee on all)); "
        "Fee, rounded down: 9.25 USD; "
        "Leaves the investment: 509.25 USD (what is paid out and its fees); "
        "New high-water mark: ≈ 537.04545455 USD (it shrinks as the value does); "
        "Carried to the next such fee: ≈ 0.00909091 USD"
    )
    assert _text(exit_fee) == (
        "Paid out: 490.00 USD; "
        "Early exit rate: 2 % (of what is taken out early, after the performance fee); "
        "Paid out × rate ÷ (1 - rate): 10.00 USD; "
        "Fee, rounded down: 10.00 USD"
    )


def test_close_tells_the_exit_fee_on_what_is_left() -> None:
    terms = FeeTerms(Schedule(Basis.YIELD, Mode.WHOLE, TIERS))
    situation = Situation(D("1100.00"), 2, yield_=D("0.05"), early_exit_rate=D("0.015"))
    (line,) = crystallisation.closing(terms, FeeState(Standing(D(1000))), situation).lines
    assert _text(line) == (
        "Left after the other fees: 1,100.00 USD; "
        "Early exit rate: 1.5 % (of what is taken out early, after the performance fee); "
        "What is left × rate: 16.50 USD; "
        "Fee, rounded down: 16.50 USD"
    )


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ((Tier(None, D("0.01")),), "Rate: 1 %; "),
        (
            (Tier(None, D("0.02")), Tier(D(1000), D("0.01"))),
            "Rate of the tier that the deposit reaches: 1 % (from 1,000.00 USD); ",
        ),
    ],
)
def test_entry_fee_tells_the_tier_of_the_deposit(tiers: tuple[Tier, ...], said: str) -> None:
    deposited = crystallisation.deposit(
        D("1000.50"), FeeTerms(FREE, entry=EntryFee(tiers)), FeeState(), digits=2
    )
    assert _text(deposited.line) == (
        f"Deposit: 1,000.50 USD; {said}Deposit × rate: 10.005 USD; "
        "Fee, rounded down: 10.00 USD; Carried to the next such fee: 0.005 USD"
    )


def test_every_step_that_a_record_can_have_has_words() -> None:
    """The codes are read from the calculation itself: a new one without words fails here."""
    tree = ast.parse(inspect.getsource(records))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_step"
    ]
    written = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    assert len([call for call in calls if not isinstance(call.args[0], ast.Constant)]) == 1
    assert written | {"tier", "average_rate"} == explanations.STEP_CODES
    assert set(explanations.MEANINGS) == set(FeeKind)


def test_one_line_of_every_explanation_is_the_fee() -> None:
    terms = FeeTerms(
        FLAT, management_rate=D("0.5"), subscription_amount=D("90.00"), volume_amount_per_lot=D("9.00")
    )
    situation = Situation(
        D("100.00"), 2, value_days=Fraction(9000), interval_part=Fraction(1), lots=Fraction(2)
    )
    for line in _ended(
        terms, situation, FeeState(NO_PROFIT, debts=(Debt(FeeKind.MANAGEMENT, D("1.00"), 1),))
    ):
        sentences = explanation_in_words(explanation(line, 2), "USD")
        assert [sentence.figure for sentence in sentences if sentence.is_result] == [
            f"{line.amount:.2f}\N{NO-BREAK SPACE}USD"
        ]


def test_record_with_an_unknown_step_or_without_inputs_is_refused() -> None:
    record = explanation(_ended(FeeTerms(FLAT), Situation(D(10), 2), FeeState())[0], 2)
    for broken in (record | {"steps": [{"step": "magic", "result": "1"}]}, record | {"inputs": {}}, {}):
        with pytest.raises(ExplanationInvalid):
            explanation_in_words(broken, "USD")


def test_early_exit_fee_tells_what_is_carried() -> None:
    terms = FeeTerms(FLAT, early_exit_rate=D("0.02"))
    state = FeeState(Standing(D(1100)), carried={FeeKind.EARLY_EXIT: D("0.004")})
    situation = Situation(D("1100.00"), 2, early_exit_rate=D("0.02"))
    (line,) = crystallisation.withdrawal(D("100.00"), terms, state, situation).lines
    assert _text(line) == (
        "Paid out: 100.00 USD; "
        "Early exit rate: 2 % (of what is taken out early, after the performance fee); "
        "Paid out × rate ÷ (1 - rate): ≈ 2.04081633 USD; "
        "With what was carried from before: ≈ 2.04481633 USD (0.004 USD carried); "
        "Fee, rounded down: 2.04 USD; "
        "Carried to the next such fee: ≈ 0.00481633 USD"
    )
