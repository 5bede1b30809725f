"""Words that pages and files of statements share."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from statements.calc.period import Period


def period_in_words(period: Period) -> str:
    """`1 Oct 2026 to 31 Oct 2026`: both days are part of it."""
    first, last = date_format(period.first_day), date_format(period.last_day)
    if first == last:
        return first
    return _("%(first)s to %(last)s") % {"first": first, "last": last}


def moment_in_words(at: datetime) -> str:
    """`1 Oct 2026, 14:00`, in the active time zone."""
    return date_format(timezone.localtime(at), "DATETIME_FORMAT")
