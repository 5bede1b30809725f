"""Words that pages and files of statements share."""

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from statements.calc.period import Period

DAY = "j M Y"


def period_in_words(period: Period) -> str:
    """`1 Oct 2026 to 31 Oct 2026`: both days are part of it."""
    first, last = date_format(period.first_day, DAY), date_format(period.last_day, DAY)
    if first == last:
        return first
    return _("%(first)s to %(last)s") % {"first": first, "last": last}
