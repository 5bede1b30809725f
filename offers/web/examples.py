"""What an offer would cost, told by examples that the fee calculation itself works out."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from allocation.calc.price import Price, time_weighted_return
from fees.calc.crystallisation import FeeState, Situation, deposit, interval_end
from fees.calc.performance import Standing
from fees.calc.schedule import Basis, Schedule
from fees.calc.terms import FeeTerms
from money.exact import exact_difference
from money.rounding import nearest_money
from offers.models import Terms
from offers.queries import entry_fee_of, fee_terms_of
from offers.words import amount_in_words, percent_in_words

#: More fees than these beside the one on profit are counted, not named.
MOST_NAMED = 2
EXAMPLE_RETURNS = (Decimal("-0.10"), Decimal("0.05"), Decimal("0.20"), Decimal("0.50"))


@dataclass(frozen=True, slots=True)
class FeeExample:
    """One trading interval: what `capital` grew to before fees, the fees at its end, and what is left."""

    capital: Decimal
    gross_return: Decimal
    becomes: Decimal
    fee: Decimal
    keeps: Decimal


def fee_examples(
    terms: Terms, capital: Decimal, gross_returns: Sequence[Decimal] = EXAMPLE_RETURNS
) -> list[FeeExample]:
    """For somebody who has `capital` (> 0) invested, after any entry fee, and moves no money until the first
    interval ends.

    The management fee is that on `capital` for the interval's usual length. The volume fee depends on what
    the manager trades and is left out.
    """
    fee_terms = fee_terms_of(terms)
    digits = terms.offer.account.currency_digits
    days = _usual_days(terms)
    return [_example(fee_terms, capital, gross, days, digits) for gross in gross_returns]


def entry_fee(terms: Terms, amount: Decimal) -> Decimal:
    """What is taken of a first deposit of `amount` before it is invested."""
    digits = terms.offer.account.currency_digits
    return exact_difference(amount, deposit(amount, fee_terms_of(terms), FeeState(), digits).invested)


@dataclass(frozen=True, slots=True)
class FeeInShort:
    """A fee other than on profit, as one line of a list."""

    label: str
    price: str


def other_fees(terms: Terms) -> list[FeeInShort]:
    """Every fee that is charged besides the one on profit."""
    account = terms.offer.account
    fees = []
    if terms.management_rate:
        price = _("{rate} per year").format(rate=percent_in_words(terms.management_rate))
        fees.append(FeeInShort(_("Management fee"), price))
    if (entry := entry_fee_in_short(terms)) is not None:
        fees.append(entry)
    if terms.subscription_amount:
        price = _("{amount} per interval").format(amount=amount_in_words(terms.subscription_amount, account))
        fees.append(FeeInShort(_("Subscription fee"), price))
    if terms.volume_amount_per_lot:
        price = _("{amount} per lot, shared").format(
            amount=amount_in_words(terms.volume_amount_per_lot, account)
        )
        fees.append(FeeInShort(_("Volume fee"), price))
    if terms.early_exit_rate:
        if terms.early_exit_until == Terms.EarlyExitUntil.INTERVAL:
            price = _("{rate} before the interval ends")
        else:
            price = ngettext("{rate} for one day", "{rate} for {days} days", terms.lock_in_days)
        price = price.format(rate=percent_in_words(terms.early_exit_rate), days=terms.lock_in_days)
        fees.append(FeeInShort(_("Early exit fee"), price))
    return fees


def entry_fee_in_short(terms: Terms) -> FeeInShort | None:
    """The entry fee as one line; None where there is none."""
    rates = [tier.rate for tier in entry_fee_of(terms).tiers]
    if not any(rates):
        return None
    lowest, highest = percent_in_words(min(rates)), percent_in_words(max(rates))
    price = lowest if lowest == highest else f"{lowest} – {highest}"
    return FeeInShort(_("Entry fee"), _("{rate} of each deposit").format(rate=price))


def fee_in_short(terms: Terms) -> tuple[Decimal, Decimal]:
    """Lowest and highest rate of the performance fee, as fractions."""
    rates = [tier.rate for tier in Schedule.from_json(terms.performance_schedule).tiers]
    return min(rates), max(rates)


def fees_in_words(terms: Terms) -> str:
    """All fees in one line: the one on profit, and the others by name or, where there are many, by number.

    `0–50 % of new profit; management fee 2 % per year`.
    """
    bounds = fee_in_short(terms)
    others = other_fees(terms)
    parts = []
    if any(bounds):
        parts.append(_("{rate} of new profit").format(rate=_range_in_words(*bounds)))
    elif not others:
        return _("none")
    if len(others) > MOST_NAMED:
        parts.append(ngettext("one more fee", "{count} more fees", len(others)).format(count=len(others)))
    else:
        parts += [_("{fee} {price}").format(fee=fee.label.lower(), price=fee.price) for fee in others]
    return pgettext("between parts of a list", "; ").join(parts)


def _range_in_words(lowest: Decimal, highest: Decimal) -> str:
    if lowest == highest:
        return percent_in_words(lowest)
    return _("{lowest} to {highest}").format(
        lowest=percent_in_words(lowest), highest=percent_in_words(highest)
    )


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier for a table. Bounds are fractions or money by the basis; None is no bound."""

    from_bound: Decimal | None
    to_bound: Decimal | None
    rate: Decimal


@dataclass(frozen=True, slots=True)
class TierTable:
    """The tiers of a schedule, and whether their bounds are money (else yields)."""

    rows: list[TierRow]
    is_money: bool


def tier_table(terms: Terms) -> TierTable | None:
    """The tiers as a table; None for a flat fee, which needs none."""
    schedule = Schedule.from_json(terms.performance_schedule)
    if schedule.basis is Basis.FLAT:
        return None
    upper = [tier.lower_bound for tier in schedule.tiers[1:]] + [None]
    rows = [
        TierRow(tier.lower_bound, end, tier.rate) for tier, end in zip(schedule.tiers, upper, strict=True)
    ]
    return TierTable(rows, schedule.basis is Basis.NET_WORTH)


def _example(
    terms: FeeTerms, capital: Decimal, gross_return: Decimal, days: Fraction, digits: int
) -> FeeExample:
    becomes = nearest_money(capital * (1 + gross_return), digits)
    situation = Situation(
        value=becomes,
        digits=digits,
        yield_=time_weighted_return(Price(capital, Decimal(1)), Price(becomes, Decimal(1))),
        net_worth=becomes,
        value_days=Fraction(capital) * days,
        interval_part=Fraction(1),
    )
    left = interval_end(terms, FeeState(Standing(high_water_mark=capital)), situation).value_left
    return FeeExample(capital, gross_return, becomes, exact_difference(becomes, left), left)


def _usual_days(terms: Terms) -> Fraction:
    """Length of a trading interval; a rollover is taken for an hour, a month for a twelfth of 365 days."""
    one = {
        Terms.IntervalUnit.ROLLOVERS: Fraction(1, 24),
        Terms.IntervalUnit.DAYS: Fraction(1),
        Terms.IntervalUnit.WEEKS: Fraction(7),
        Terms.IntervalUnit.MONTHS: Fraction(365, 12),
    }
    return one[Terms.IntervalUnit(terms.interval_unit)] * terms.interval_count
