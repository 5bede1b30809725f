"""Words that pages and files of statements share."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from statements.calc.period import Period


def period_in_words(period: Period) -> str:
    """`1 Oct 2026 to 31 Oct 2026`: both days are part of it."""
    layout = pgettext("layout of a day", "j M Y")
    first, last = date_format(period.first_day, layout), date_format(period.last_day, layout)
    if first == last:
        return first
    return _("%(first)s to %(last)s") % {"first": first, "last": last}


def moment_in_words(at: datetime) -> str:
    """`1 Oct 2026, 14:00`, in the active time zone."""
    return date_format(timezone.localtime(at), pgettext("layout of a moment", "j M Y, H:i"))
