"""Refusals of fees."""

from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal


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
