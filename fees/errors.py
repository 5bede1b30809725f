"""Refusals of fees."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal
from fees.calc.simulation import StepImpossible


class NothingIsAvailable(Refusal):
    code = "nothing_available"
    message = _("The fees that are due take the whole value: nothing can be withdrawn.")


class MoreThanAvailable(Refusal):
    code = "more_than_available"
    message = _("At most {largest} {currency} can be withdrawn.")


class TooLittleWouldRemain(Refusal):
    code = "too_little_would_remain"
    message = _(
        "Less than the minimum of {minimum} {currency} would remain. Withdraw at most {largest} {currency}, "
        "or close the investment."
    )


_STEP_FAULTS: dict[str, Promise] = {
    "time_not_rising": _("Each step must be later than the one before."),
    "already_closed": _("The investment was closed at an earlier step or by this one."),
    "several_prices": _("Give one of the equity, the price and the profit or loss."),
    "price_negative": _("A price cannot be below 0."),
    "lots_negative": _("Lots cannot be below 0."),
    "withdraw_and_close": _("A step either withdraws an amount or closes."),
    "amount_not_positive": _("The amount must be above 0."),
    "not_invested": _("Nothing has been deposited yet."),
    "equity_without_units": _("Nobody has invested yet: there is nothing to gain or lose."),
    "price_is_zero": _("The pool is worth nothing: no money moves and no fee is charged."),
}


def step_fault(impossible: StepImpossible) -> str:
    """Why a simulated step cannot be carried out, in words."""
    return str(_STEP_FAULTS[impossible.code])
