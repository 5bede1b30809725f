"""Why a fee is what it is, in plain words: the same on pages, in files, in the API's answers, in the audit.

Everything is read from the record that was stored with the charge (`fees.calc.explanation`); no figure is
computed here, only written: in the active language, amounts in the currency's digits, exact figures with up
to six decimals more and a ≈ where even those do not show all of it.

What an investor of an account whose trades are hidden may read is decided by what records hold: of the pool's
trading only the investment's own part of the lots, as one sum since its last volume fee, and of the pool's
balance only the investment's own share of it, once at the end of an interval. So nobody needs words of his
own, and no figure of a deal, a rollover or the whole pool can slip through.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from fees.calc.explanation import ExplanationInvalid, Record, Step
from fees.calc.kinds import FeeKind
from fees.calc.schedule import Basis
from fees.models import Charge
from money.rounding import half_even
from pamm_platform.templatetags.figures import MINUS, NARROW_SPACE, money, percent, signed_money, units

MORE_PLACES = 6
"""Decimals of an exact figure beyond the currency's own."""
RATE_PLACES = 7
"""Decimals of a percentage: those of a yield with 9 places."""
ABOUT = "\N{ALMOST EQUAL TO}"
_PLAIN = str.maketrans({"\N{NO-BREAK SPACE}": " ", NARROW_SPACE: " ", MINUS: "-"})

MEANINGS: dict[FeeKind, str | Promise] = {
    FeeKind.MANAGEMENT: gettext_lazy("A yearly rate on the value, for each day since it was last charged."),
    FeeKind.SUBSCRIPTION: gettext_lazy("A fixed amount per trading interval, for the part that has passed."),
    FeeKind.VOLUME: gettext_lazy("An amount per lot closed in the account, shared by units."),
    FeeKind.PERFORMANCE: gettext_lazy("A share of the profit above the high-water mark."),
    FeeKind.ENTRY: gettext_lazy("A share of each deposit, taken before it is invested."),
    FeeKind.EARLY_EXIT: gettext_lazy("A share of what is taken out early."),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of an explanation: what it is, the written figure, and a remark.

    `is_result` marks the line whose figure is the fee.
    """

    label: str
    figure: str
    note: str = ""
    is_result: bool = False

    def __str__(self) -> str:
        return f"{self.label}: {self.figure}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True, slots=True)
class Explained:
    """A charge as somebody reads it."""

    title: str
    meaning: str
    sentences: Sequence[Sentence]


@dataclass(frozen=True, slots=True)
class FeeOfKind:
    """What one kind of fee comes to, what it is called, and what it is for."""

    title: str
    meaning: str
    amount: Decimal


@dataclass(slots=True)
class _Currency:
    """Whose digits amounts are written in."""

    currency: str
    currency_digits: int


def explained(charge: Charge) -> Explained:
    """The charge in words. A record that cannot be read says so, and spoils no page."""
    kind = FeeKind(charge.kind)
    try:
        sentences = explanation_in_words(charge.explanation, charge.currency)
    except ExplanationInvalid:
        unread = Sentence(
            _("The record of this charge cannot be read"), _("see the verification of the books")
        )
        sentences = [unread, _fee(_("Fee"), money(charge.amount, charge))]
    return Explained(
        title=fee_title(kind, collects_debt=charge.collects_debt),
        meaning=str(MEANINGS[kind]),
        sentences=sentences,
    )


def fee_title(kind: FeeKind | str, *, collects_debt: bool = False) -> str:
    """What a fee is called, everywhere."""
    label = str(Charge.Kind(kind).label)
    return _("%(fee)s owed from before") % {"fee": label} if collects_debt else label


def fees_by_kind(amounts: Mapping[FeeKind, Decimal]) -> list[FeeOfKind]:
    """Fees by kind, named, in the order in which one crystallisation charges them."""
    return [
        FeeOfKind(fee_title(kind), str(MEANINGS[kind]), amounts[kind]) for kind in FeeKind if kind in amounts
    ]


def explanation_in_words(record: Mapping[str, Any], currency: str) -> list[Sentence]:
    """Every input and step of `record`, in their order, in the active language.

    Raises ExplanationInvalid where it is no record of ours, or has a step nobody here has words for.
    """
    try:
        return list(_Words(record, currency).sentences())
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, InvalidOperation) as error:
        raise ExplanationInvalid(str(error)) from error


def explanation_text(record: Mapping[str, Any], currency: str) -> str:
    """`explanation_in_words` on one line, for files and programs: plain spaces and signs.

    Raises ExplanationInvalid.
    """
    return _on_one_line(explanation_in_words(record, currency))


def charge_text(charge: Charge) -> str:
    """The explanation of a charge on one line; a record that cannot be read says so."""
    return _on_one_line(explained(charge).sentences)


class _Words:
    """The sentences of one record."""

    def __init__(self, record: Record | Mapping[str, Any], currency: str) -> None:
        self.record = record
        self.inputs: Mapping[str, Any] = record["inputs"]
        self.kind = FeeKind(record["kind"])
        self.of = _Currency(currency, int(record["digits"]))

    def sentences(self) -> Iterator[Sentence]:
        yield from self._inputs()
        for step in self.record["steps"]:
            yield from _STEPS[step["step"]](self, step)
        if self.record["collects_debt"]:
            yield _fee(_("Collected"), self._money(self.record["amount"]))

    # What the fee was computed from.

    def _inputs(self) -> Iterator[Sentence]:
        if self.record["collects_debt"]:
            yield self._taken_from()
        else:
            yield from _INPUTS[self.kind](self)

    def _management_inputs(self) -> Iterator[Sentence]:
        yield self._taken_from()
        yield Sentence(_("Rate for a year of 365 days"), _percent(self.inputs["price"]))
        yield Sentence(
            _("Value × days since the last management fee"),
            _("%(amount)s × days") % {"amount": self._exact_money(self.inputs["quantity"])},
            _("the value after each rollover times the time to the next one, added up"),
        )

    def _subscription_inputs(self) -> Iterator[Sentence]:
        yield self._taken_from()
        yield Sentence(_("Fee for a whole trading interval"), self._money(self.inputs["price"]))
        yield Sentence(
            _("Part of the interval"),
            _percent(self.inputs["quantity"], 4),
            _("what has passed of it and was not charged for yet"),
        )

    def _volume_inputs(self) -> Iterator[Sentence]:
        yield self._taken_from()
        yield Sentence(_("Fee per lot"), self._money(self.inputs["price"]))
        yield Sentence(
            _("Lots since the last volume fee"),
            _figure(self.inputs["quantity"], 2, 2 + MORE_PLACES),
            _("this investment's part, by its units, of the lots closed in the account"),
        )

    def _performance_inputs(self) -> Iterator[Sentence]:
        yield Sentence(_("Value after the other fees"), self._money(self.inputs["value"]))
        if "counted_value" in self.inputs:
            yield Sentence(
                _("Profit is counted from"),
                self._money(self.inputs["counted_value"]),
                _("the smaller of the value and the same share of the balance"),
            )
        yield Sentence(
            _("High-water mark"), self._exact_money(self.inputs["mark"]), _("profit counts above it")
        )

    def _entry_inputs(self) -> Iterator[Sentence]:
        yield Sentence(_("Deposit"), self._money(self.inputs["deposit"]))

    def _early_exit_inputs(self) -> Iterator[Sentence]:
        if "withdrawn" in self.inputs:
            yield Sentence(_("Paid out"), self._money(self.inputs["withdrawn"]))
        else:
            yield Sentence(_("Left after the other fees"), self._money(self.inputs["left"]))
        yield Sentence(
            _("Early exit rate"),
            _percent(self.inputs["rate"]),
            _("of what is taken out early, after the performance fee"),
        )

    def _taken_from(self) -> Sentence:
        return Sentence(_("Value it is taken from"), self._money(self.inputs["value"]))

    # Steps, in the order in which the calculation takes them.

    def _accrued(self, step: Step) -> Iterator[Sentence]:
        labels = {
            FeeKind.MANAGEMENT: _("Rate × value × days ÷ 365"),
            FeeKind.SUBSCRIPTION: _("Fee × part of the interval"),
            FeeKind.VOLUME: _("Fee per lot × lots"),
        }
        yield Sentence(labels[self.kind], self._exact_money(step["result"]))

    def _entry_tier(self, step: Step) -> Iterator[Sentence]:
        tiers = self.inputs["tiers"]
        if len(tiers) == 1:
            yield Sentence(_("Rate"), _percent(step["result"]))
        else:
            reach = self._reach(tiers, step["tier"], self._money)
            yield Sentence(_("Rate of the tier that the deposit reaches"), _percent(step["result"]), reach)

    def _of_deposit(self, step: Step) -> Iterator[Sentence]:
        yield Sentence(_("Deposit × rate"), self._exact_money(step["result"]))

    def _early_exit(self, step: Step) -> Iterator[Sentence]:
        label = _("Paid out × rate ÷ (1 − rate)") if "withdrawn" in self.inputs else _("What is left × rate")
        yield Sentence(label, self._exact_money(step["result"]))

    def _debt_collected(self, step: Step) -> Iterator[Sentence]:
        yield Sentence(
            _("Owed since rollover %(number)s") % {"number": step["since"]},
            self._money(step["result"]),
            _("of %(owed)s") % {"owed": self._money(step["owed"])},
        )

    def _profit(self, step: Step) -> Iterator[Sentence]:
        places = _places(step["result"], self.of.currency_digits, self.of.currency_digits + MORE_PLACES)
        exact = _Currency(self.of.currency, places)
        yield Sentence(_("Profit above the mark"), signed_money(Decimal(step["result"]), exact))

    def _flat_rate(self, step: Step) -> Iterator[Sentence]:
        yield Sentence(_("Rate"), _percent(step["result"]))

    def _tier(self, step: Step) -> Iterator[Sentence]:
        yield self._basis(step)
        tiers = self.inputs["schedule"]["tiers"]
        reach = self._reach(tiers, step["tier"], self._bound_writer(step))
        yield Sentence(_("Rate of the tier that is reached"), _percent(step["result"]), reach)

    def _average_rate(self, step: Step) -> Iterator[Sentence]:
        yield self._basis(step)
        note = (
            _("each band's rate up to there, weighted by the band's width")
            if Decimal(step["at"]) > 0
            else _("the first band's rate")
        )
        yield Sentence(_("Average rate of the bands"), _percent(step["result"], 4), note)

    def _of_profit(self, step: Step) -> Iterator[Sentence]:
        label = _("Fee on all of the profit") if "withdrawn" in self.inputs else _("Profit × rate")
        yield Sentence(label, self._exact_money(step["result"]))

    def _with_carried(self, step: Step) -> Iterator[Sentence]:
        if Decimal(self.inputs["carried"]):
            yield Sentence(
                _("With what was carried from before"),
                self._exact_money(step["result"]),
                _("%(carried)s carried") % {"carried": self._exact_money(self.inputs["carried"])},
            )

    def _exit_fee_beside(self, step: Step) -> Iterator[Sentence]:
        yield Sentence(_("Early exit fee beside it"), self._money(step["result"]))

    def _part(self, step: Step) -> Iterator[Sentence]:
        paid = self._money(self.inputs["withdrawn"])
        yield Sentence(
            _("Fee on the part that is taken out"),
            self._exact_money(step["result"]),
            _("%(paid)s and its exit fee, if any, × fee on all ÷ (value − fee on all)") % {"paid": paid},
        )

    def _rounded(self, step: Step) -> Iterator[Sentence]:
        is_limited = any(other["step"] == "limited" for other in self.record["steps"])
        yield Sentence(
            _("Rounded down") if is_limited else _("Fee, rounded down"),
            self._money(step["result"]),
            is_result=not is_limited,
        )

    def _limited(self, step: Step) -> Iterator[Sentence]:
        yield _fee(
            _("Fee that the value can pay"),
            self._money(step["result"]),
            _("%(uncollected)s is owed as long as the investment lasts")
            % {"uncollected": self._money(step["uncollected"])},
        )

    def _gross(self, step: Step) -> Iterator[Sentence]:
        yield Sentence(
            _("Leaves the investment"), self._money(step["result"]), _("what is paid out and its fees")
        )

    def _mark(self, step: Step) -> Iterator[Sentence]:
        note = (
            _("it shrinks as the value does")
            if "withdrawn" in self.inputs
            else _("what the profit is counted from, less the fee")
        )
        yield Sentence(_("New high-water mark"), self._exact_money(step["result"]), note)

    def _carried_on(self, step: Step) -> Iterator[Sentence]:
        if Decimal(step["result"]):
            yield Sentence(_("Carried to the next such fee"), self._exact_money(step["result"]))

    # How figures are written.

    def _basis(self, step: Step) -> Sentence:
        if step["basis"] == Basis.YIELD:
            return Sentence(
                _("Return of the trading interval"),
                _percent(step["at"]),
                _("by the price, before fees"),
            )
        return Sentence(
            _("Net worth that decides the tier"),
            self._money(step["at"]),
            _("of the fewest units held since the interval began"),
        )

    def _bound_writer(self, step: Step) -> Callable[[str], str]:
        return _percent if step["basis"] == Basis.YIELD else self._money

    def _reach(
        self, tiers: Sequence[Mapping[str, str | None]], reached: int, write: Callable[[str], str]
    ) -> str:
        """From where to where a tier reaches; nothing for one that reaches everywhere."""
        lower = tiers[reached]["from"]
        upper = tiers[reached + 1]["from"] if reached + 1 < len(tiers) else None
        if lower is not None and upper is not None:
            return _("from %(lower)s to below %(upper)s") % {"lower": write(lower), "upper": write(upper)}
        if lower is not None:
            return _("from %(lower)s") % {"lower": write(lower)}
        return _("below %(upper)s") % {"upper": write(upper)} if upper is not None else ""

    def _money(self, amount: str) -> str:
        return money(Decimal(amount), self.of)

    def _exact_money(self, number: str) -> str:
        digits = self.of.currency_digits
        return f"{_figure(number, digits, digits + MORE_PLACES)}\N{NO-BREAK SPACE}{self.of.currency}"


def _on_one_line(sentences: Sequence[Sentence]) -> str:
    return pgettext("between parts of a list", "; ").join(map(str, sentences)).translate(_PLAIN)


def _fee(label: str, figure: str, note: str = "") -> Sentence:
    return Sentence(label, figure, note, is_result=True)


def _figure(number: str, least: int, most: int) -> str:
    """A decimal or a ratio with at least and at most so many decimals; ≈ where it has more."""
    exact = Fraction(number)
    shown = half_even(exact, most)
    if Fraction(shown) != exact:
        return f"{ABOUT}{NARROW_SPACE}{units(shown, most)}"
    return units(shown, _places(number, least, most))


def _places(number: str, least: int, most: int) -> int:
    """Decimals that a number needs, within bounds."""
    shown = half_even(Fraction(number), most)
    return max(least, -int(shown.normalize().as_tuple().exponent))


def _percent(rate: str, places: int = RATE_PLACES) -> str:
    exact = Fraction(rate)
    shown = half_even(exact, places + 2)
    written = percent(shown, places)
    return written if Fraction(shown) == exact else f"{ABOUT}{NARROW_SPACE}{written}"


_INPUTS: dict[FeeKind, Callable[[_Words], Iterator[Sentence]]] = {
    FeeKind.MANAGEMENT: _Words._management_inputs,
    FeeKind.SUBSCRIPTION: _Words._subscription_inputs,
    FeeKind.VOLUME: _Words._volume_inputs,
    FeeKind.PERFORMANCE: _Words._performance_inputs,
    FeeKind.ENTRY: _Words._entry_inputs,
    FeeKind.EARLY_EXIT: _Words._early_exit_inputs,
}

_STEPS: dict[str, Callable[[_Words, Step], Iterator[Sentence]]] = {
    "accrued": _Words._accrued,
    "entry_tier": _Words._entry_tier,
    "of_deposit": _Words._of_deposit,
    "early_exit": _Words._early_exit,
    "debt_collected": _Words._debt_collected,
    "profit": _Words._profit,
    "flat_rate": _Words._flat_rate,
    "tier": _Words._tier,
    "average_rate": _Words._average_rate,
    "of_profit": _Words._of_profit,
    "with_carried": _Words._with_carried,
    "exit_fee_beside": _Words._exit_fee_beside,
    "part": _Words._part,
    "rounded": _Words._rounded,
    "limited": _Words._limited,
    "gross": _Words._gross,
    "mark": _Words._mark,
    "carried_on": _Words._carried_on,
}

STEP_CODES = frozenset(_STEPS)
"""Steps there are words for: all that `fees.calc.explanation` takes."""
