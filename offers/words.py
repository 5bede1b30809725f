"""What terms say in plain words, in the active language: the same on every page and in every file."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from accounts.models import PammAccount
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.terms import EntryFee
from offers.models import Terms
from offers.queries import entry_fee_of, schedule_of, shares_of


def terms_in_words(terms: Terms) -> list[str]:
    """What the terms mean for an investor: one sentence each, in the active language.

    Reads `terms.offer.account` for the currency; the terms need not be saved.
    """
    return [sentence for subject in terms_by_subject(terms) for sentence in subject.sentences]


@dataclass(frozen=True, slots=True)
class SubjectInWords:
    """What terms say about one subject, sentence by sentence; none about a fee that is not charged."""

    title: str
    sentences: list[str]


def terms_by_subject(terms: Terms) -> list[SubjectInWords]:
    """The sentences of `terms_in_words` by what they are about: the same subjects, in one order, for any
    terms. Fees that are not charged are named together, in one sentence of the last fee subject.
    """
    account = terms.offer.account
    return [
        SubjectInWords(_("Performance fee"), _fee_in_words(schedule_of(terms), account)),
        SubjectInWords(_("Management fee"), _management_in_words(terms)),
        SubjectInWords(_("Entry fee"), _entry_in_words(entry_fee_of(terms), account)),
        SubjectInWords(_("Subscription fee"), _subscription_in_words(terms, account)),
        SubjectInWords(_("Volume fee"), _volume_in_words(terms, account)),
        SubjectInWords(_("Early exit fee"), _early_exit_in_words(terms)),
        SubjectInWords(_("Other fees"), _not_charged_in_words(terms)),
        SubjectInWords(_("Trading interval"), _crystallisation_in_words(terms)),
        SubjectInWords(_("Amounts"), _amounts_in_words(terms, account)),
        SubjectInWords(_("Lock-in"), _lock_in_in_words(terms)),
    ]


def recipients_in_words(terms: Terms) -> list[str]:
    """Who receives the fees, for the manager: investors pay the same however a fee is split."""
    shares = shares_of(terms)
    if not (shares.broker_rate or any(shares.agent_rates)):
        return [_("The manager receives every fee as a whole.")]
    words = []
    if shares.broker_rate:
        words.append(
            _("The broker receives {rate} of every fee.").format(rate=percent_in_words(shares.broker_rate))
        )
    levels = [
        _("{rate} at level {level}").format(rate=percent_in_words(rate), level=level)
        for level, rate in enumerate(shares.agent_rates, start=1)
        if rate
    ]
    if levels:
        words.append(
            _("The agents who introduced the investor receive {rates}, the nearest being level 1.").format(
                rates=pgettext("between parts of a list", ", ").join(levels)
            )
        )
        words.append(_("The manager receives the rest, and the share of levels without an agent."))
    else:
        words.append(_("The manager receives the rest."))
    return words


def interval_in_words(terms: Terms) -> str:
    """The length of the trading interval: '1 month', '2 weeks'."""
    count = terms.interval_count
    match terms.interval_unit:
        case Terms.IntervalUnit.ROLLOVERS:
            return ngettext("{count} rollover", "{count} rollovers", count).format(count=count)
        case Terms.IntervalUnit.DAYS:
            return ngettext("{count} day", "{count} days", count).format(count=count)
        case Terms.IntervalUnit.WEEKS:
            return ngettext("{count} week", "{count} weeks", count).format(count=count)
        case _:
            return ngettext("{count} month", "{count} months", count).format(count=count)


def _fee_in_words(schedule: Schedule, account: PammAccount) -> list[str]:
    if all(tier.rate == 0 for tier in schedule.tiers):
        return [_("There is no performance fee.")]
    if schedule.basis is Basis.FLAT:
        rate = percent_in_words(schedule.tiers[0].rate)
        return [_("The performance fee is {rate} of new profit.").format(rate=rate), _carried_forward()]
    if schedule.basis is Basis.YIELD:
        lead = _("The performance fee depends on the return of the trading interval: {tiers}.")
    else:
        lead = _("The performance fee depends on what the investment is worth: {tiers}.")
    if schedule.mode is Mode.WHOLE:
        mode = _("The rate that is reached applies to the whole profit.")
    else:
        mode = _("Each rate applies to its own band only; the profit is charged at their average.")
    return [lead.format(tiers=_tiers_in_words(schedule, account)), mode, _carried_forward()]


def _carried_forward() -> str:
    return _(
        "Losses are carried forward: no fee before the investment is worth more than after its last fee."
    )


def _tiers_in_words(schedule: Schedule, account: PammAccount) -> str:
    return _rates_in_words(schedule.tiers, account, bounds_are_money=schedule.basis is not Basis.YIELD)


def _rates_in_words(tiers: Sequence[Tier], account: PammAccount, *, bounds_are_money: bool) -> str:
    def bound_in_words(bound: Decimal | None) -> str:
        return (
            amount_in_words(bound or Decimal(0), account)
            if bounds_are_money
            else percent_in_words(bound or Decimal(0))
        )

    first, *others = tiers
    if not others:
        return _("{rate} throughout").format(rate=percent_in_words(first.rate))
    lowest = _("{rate} below {bound}").format(
        bound=bound_in_words(others[0].lower_bound), rate=percent_in_words(first.rate)
    )
    rest = [
        _("{rate} from {bound}").format(
            bound=bound_in_words(tier.lower_bound), rate=percent_in_words(tier.rate)
        )
        for tier in others
    ]
    return pgettext("between parts of a list", ", ").join([lowest, *rest])


def _management_in_words(terms: Terms) -> list[str]:
    if not terms.management_rate:
        return []
    return [
        _(
            "The management fee is {rate} per year of what the investment is worth, counted from rollover to "
            "rollover, whatever the result."
        ).format(rate=percent_in_words(terms.management_rate))
    ]


def _entry_in_words(entry: EntryFee, account: PammAccount) -> list[str]:
    if not any(tier.rate for tier in entry.tiers):
        return []
    if len(entry.tiers) == 1:
        return [
            _("The entry fee is {rate} of each deposit, taken before it is invested.").format(
                rate=percent_in_words(entry.tiers[0].rate)
            )
        ]
    return [
        _("The entry fee of each deposit depends on its amount: {tiers}.").format(
            tiers=_rates_in_words(entry.tiers, account, bounds_are_money=True)
        ),
        _("The rate that is reached applies to the whole deposit and is taken before it is invested."),
    ]


def _subscription_in_words(terms: Terms, account: PammAccount) -> list[str]:
    if not terms.subscription_amount:
        return []
    return [
        _(
            "The subscription fee is {amount} for each trading interval, whatever the result; who leaves "
            "earlier pays for the time that has passed."
        ).format(amount=amount_in_words(terms.subscription_amount, account))
    ]


def _volume_in_words(terms: Terms, account: PammAccount) -> list[str]:
    if not terms.volume_amount_per_lot:
        return []
    return [
        _(
            "The volume fee is {amount} for each lot that the account closes; an investment bears its share "
            "of it, whatever the result."
        ).format(amount=amount_in_words(terms.volume_amount_per_lot, account))
    ]


def _early_exit_in_words(terms: Terms) -> list[str]:
    if not terms.early_exit_rate:
        return []
    if terms.early_exit_until == Terms.EarlyExitUntil.INTERVAL:
        return [
            _(
                "Withdrawing before the trading interval ends costs {rate} of what is withdrawn; at the "
                "rollover that ends the interval it costs nothing."
            ).format(rate=percent_in_words(terms.early_exit_rate))
        ]
    return [
        ngettext(
            "Withdrawing during the first day costs {rate} of what is withdrawn.",
            "Withdrawing during the first {days} days costs {rate} of what is withdrawn.",
            terms.lock_in_days,
        ).format(days=terms.lock_in_days, rate=percent_in_words(terms.early_exit_rate))
    ]


def _not_charged_in_words(terms: Terms) -> list[str]:
    absent = [
        word
        for word, is_charged in (
            (_("no management fee"), terms.management_rate),
            (_("no entry fee"), any(tier.rate for tier in entry_fee_of(terms).tiers)),
            (_("no subscription fee"), terms.subscription_amount),
            (_("no volume fee"), terms.volume_amount_per_lot),
            (_("no early exit fee"), terms.early_exit_rate),
        )
        if not is_charged
    ]
    if not absent:
        return [_("No fee is charged besides these.")]
    return [
        _("Nothing else is charged: {absent}.").format(
            absent=pgettext("between parts of a list", ", ").join(absent)
        )
    ]


def _crystallisation_in_words(terms: Terms) -> list[str]:
    if terms.interval_unit == Terms.IntervalUnit.ROLLOVERS:
        lasts = _("A trading interval lasts {length}; fees are charged at its end.")
    elif terms.interval_anchor == Terms.IntervalAnchor.CALENDAR:
        lasts = _("A trading interval lasts {length}, counted on the calendar; fees are charged at its end.")
    else:
        lasts = _(
            "A trading interval lasts {length}, counted from your joining; fees are charged at its end."
        )
    words = [lasts.format(length=interval_in_words(terms))]
    if terms.profit_basis == Terms.ProfitBasis.LOWER:
        words.append(_("Profit of open positions waits until they are closed; their losses count at once."))
    if terms.on_withdrawal == Terms.OnWithdrawal.WHOLE:
        words.append(_("A withdrawal charges the fee on the whole investment."))
    else:
        words.append(_("A withdrawal charges the fee on the part that is withdrawn."))
    return words


def _amounts_in_words(terms: Terms, account: PammAccount) -> list[str]:
    words = [
        _("The first deposit is at least {first}, each further one at least {further}.").format(
            first=amount_in_words(terms.minimum_first, account),
            further=amount_in_words(terms.minimum_further, account),
        ),
        _("A withdrawal that would leave less than {remaining} has to close the investment.").format(
            remaining=amount_in_words(terms.minimum_remaining, account)
        ),
    ]
    if terms.amount_step is not None:
        words.append(
            _("Deposits go in steps of {step}.").format(step=amount_in_words(terms.amount_step, account))
        )
    return words


def _lock_in_in_words(terms: Terms) -> list[str]:
    days = terms.lock_in_days
    if days == 0:
        return [_("There is no lock-in: money can be withdrawn at any rollover.")]
    if terms.early_exit_rate:
        return [_("The lock-in bars no withdrawal: it is how long the early exit fee applies.")]
    return [
        ngettext(
            "Nothing can be withdrawn during the first day.",
            "Nothing can be withdrawn during the first {days} days.",
            days,
        ).format(days=days)
    ]


def percent_in_words(rate: Decimal) -> str:
    """A fraction as a percentage without superfluous zeros: 0.125 is '12.5 %'. Stays on one line."""
    return f"{number_format(format((rate * 100).normalize(), 'f'))}\N{NARROW NO-BREAK SPACE}%"


def amount_in_words(amount: Decimal, account: PammAccount) -> str:
    """An amount with its currency; cents only where there are any."""
    digits = 0 if amount == amount.to_integral_value() else account.currency_digits
    figure = number_format(amount, decimal_pos=digits, force_grouping=True)
    return f"{figure}\N{NO-BREAK SPACE}{account.currency}"
