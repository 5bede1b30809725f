"""How pages write figures: money, percentages, units, moments, icons and sparklines.

Amounts are written with exactly the digits of their currency, in the reader's language. A gain or a loss is
told by sign, symbol and colour together, never by colour alone.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeGuard, TypeVar

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from money.exact import exact_difference
from money.rounding import half_even

register = template.Library()

T = TypeVar("T")

MINUS = "\N{MINUS SIGN}"
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
NOTHING = "\N{EN DASH}"
MILLION = 1_000_000


class InCurrency(Protocol):
    """Whatever knows its currency: an account, a request, a charge, a line of totals."""

    @property
    def currency(self) -> str: ...

    @property
    def currency_digits(self) -> int: ...


class HasPublicId(Protocol):
    public_id: uuid.UUID


@register.filter
def money(amount: Decimal | None, of: InCurrency) -> str:
    """`5,000.00 USD`, with the digits of the currency of `of`; a dash for None."""
    if not _is_given(amount):
        return NOTHING
    return f"{_number(amount, of.currency_digits)}\N{NO-BREAK SPACE}{of.currency}"


@register.filter
def amount(value: Decimal | None, of: InCurrency) -> str:
    """`money` without the currency, where the column or the label names it."""
    return _number(value, of.currency_digits) if _is_given(value) else NOTHING


@register.filter
def short_money(amount: Decimal | None, of: InCurrency) -> str:
    """`money` with cents only where there are any: `5,000 USD`."""
    if not _is_given(amount):
        return NOTHING
    digits = 0 if amount == int(amount) else of.currency_digits
    return f"{_number(amount, digits)}\N{NO-BREAK SPACE}{of.currency}"


@register.filter
def whole_money(amount: Decimal | None, of: InCurrency) -> str:
    """`money` rounded to whole units of the currency, for sizes that only describe; never for what somebody
    is owed.
    """
    return f"{_number(amount, 0)}\N{NO-BREAK SPACE}{of.currency}" if _is_given(amount) else NOTHING


@register.filter
def compact_money(amount: Decimal | None, of: InCurrency) -> str:
    """`whole_money`, in millions from a million on: `13.1 M JPY`. For cards and nothing that somebody is
    owed.
    """
    if not _is_given(amount) or abs(amount) < MILLION:
        return whole_money(amount, of)
    millions = _("%(number)s M") % {"number": _number(amount / MILLION, 1)}
    return f"{millions}\N{NO-BREAK SPACE}{of.currency}"


@register.filter
def plain_amount(value: Decimal | None, of: InCurrency) -> str:
    """An amount for the value of an input: a point, no grouping, no minus sign of typography."""
    return format(half_even(value, of.currency_digits), "f") if _is_given(value) else ""


@register.filter
def signed_money(amount: Decimal | None, of: InCurrency) -> str:
    """`+12.00 USD`; 0 has no sign."""
    if not _is_given(amount):
        return NOTHING
    return f"{_signed(amount, of.currency_digits)}\N{NO-BREAK SPACE}{of.currency}"


@register.filter
def signed_amount(amount: Decimal | None, of: InCurrency) -> str:
    """`signed_money` without the currency, where the column or the table names it."""
    return _signed(amount, of.currency_digits) if _is_given(amount) else NOTHING


@register.filter
def percent(rate: Decimal | None, places: int = 1) -> str:
    """A fraction as percent: 0.2 is `20 %`. Zeros after the point are left out."""
    if not _is_given(rate):
        return NOTHING
    scaled = _percent_points(rate, places).normalize()
    return f"{_number(scaled, max(-int(scaled.as_tuple().exponent), 0))}{NARROW_SPACE}%"


@register.filter
def share(rate: Decimal | None, places: int = 2) -> str:
    """A part of a whole as percent with all its places, so that a column of them aligns: `8.60 %`."""
    if not _is_given(rate):
        return NOTHING
    return f"{_number(_percent_points(rate, places), int(places))}{NARROW_SPACE}%"


@register.filter
def signed_percent(rate: Decimal | None, places: int = 2) -> str:
    """A gain or a loss as percent: 0.1234 is `+12.34 %`; 0 has no sign."""
    if not _is_given(rate):
        return NOTHING
    return f"{_signed(_percent_points(rate, places), places)}{NARROW_SPACE}%"


@register.filter
def signed_points(rate: Decimal | None, places: int = 1) -> str:
    """`signed_percent` without the percent sign, for a table that names it."""
    return _signed(_percent_points(rate, places), places) if _is_given(rate) else NOTHING


@register.filter
def rate_range(bounds: tuple[Decimal, Decimal]) -> str:
    """`20 %`, or `0–50 %` where the rates of a schedule differ."""
    lowest, highest = bounds
    if lowest == highest:
        return percent(lowest)
    return f"{percent(lowest).removesuffix(f'{NARROW_SPACE}%')}{NOTHING}{percent(highest)}"


@register.filter
def age(since: datetime | None) -> str:
    """How long ago, in the largest unit that says enough: `3 days`, `8 months`, `2.4 years`."""
    if not _is_given(since):
        return NOTHING
    days = max((timezone.now() - since).days, 0)
    if days < 60:
        return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    if days < 730:
        months = days * 12 // 365
        return ngettext("%(count)d month", "%(count)d months", months) % {"count": months}
    return _("%(count)s years") % {"count": _number(Decimal(days) / 365, 1)}


@register.filter
def initials(name: str) -> str:
    """One or two capitals that stand for a name without a picture."""
    words = [word for word in name.split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "•"


@register.filter
def monogram_class(subject: HasPublicId) -> str:
    """One of eight colours, always the same for the same account."""
    return f"monogram-{subject.public_id.int % 8}"


@register.filter
def units(number: Decimal | None, places: int = 4) -> str:
    """Units of a pool, or a price per unit, to `places` decimals."""
    return _number(number, places) if _is_given(number) else NOTHING


@register.filter
def ratio(number: Decimal | None) -> str:
    """A statistic without unit, such as a Sharpe ratio, to two decimals."""
    return _number(number, 2) if _is_given(number) else NOTHING


@register.filter
def minus(amount: Decimal, other: Decimal) -> Decimal:
    """The exact difference of two amounts."""
    return exact_difference(amount, other)


@register.filter
def tone(number: Decimal | None) -> str:
    """CSS class of a gain or a loss: `gain`, `loss` or `flat`."""
    if not _is_given(number) or number == 0:
        return "flat"
    return "gain" if number > 0 else "loss"


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """Date and time in the zone of the reader."""
    return _time(moment, "DATETIME_FORMAT")


@register.filter
def day(moment: datetime | None) -> SafeString | str:
    """The date alone, in the zone of the reader."""
    return _time(moment, "DATE_FORMAT")


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """A decorative icon of the sprite (`assets/icons.txt` lists what is in it)."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#tabler-{}"></use></svg>',
        extra,
        static("vendor/icons.svg"),
        name,
    )


@register.inclusion_tag("components/sparkline.html")
def sparkline(values: Sequence[Decimal | float | str], label: str = "") -> dict[str, object]:
    """A small curve of `values`, oldest first, drawn on the server; nothing for fewer than two.

    The coordinates are only a picture: floats are good enough for it.
    """
    heights = [float(value) for value in values]
    if len(heights) < 2:
        return {"points": "", "label": label}
    low, high = min(heights), max(heights)
    spread = (high - low) or 1.0
    step = 120 / (len(heights) - 1)
    points = [
        f"{index * step:.1f},{34 - (height - low) / spread * 30:.1f}" for index, height in enumerate(heights)
    ]
    return {
        "points": " ".join(points),
        "area": f"0,36 {' '.join(points)} 120,36",
        "last": points[-1].split(","),
        "tone": tone(Decimal(heights[-1] - heights[0])),
        "label": label,
    }


def _is_given(figure: T | None) -> TypeGuard[T]:
    """False for None, and for the empty text that a template makes of an attribute of nothing."""
    return figure is not None and figure != ""


def _number(number: Decimal | int, places: int) -> str:
    # Rounded first: Django's own formatting cuts digits off.
    rounded = half_even(number, places)
    text = number_format(abs(rounded), decimal_pos=places, use_l10n=True, force_grouping=True)
    return f"{MINUS}{text}" if rounded < 0 else text


def _signed(number: Decimal | int, places: int) -> str:
    written = _number(number, places)
    return f"+{written}" if half_even(number, places) > 0 else written


def _percent_points(rate: Decimal, places: int) -> Decimal:
    return half_even(rate * 100, int(places))


def _time(moment: datetime | None, layout: str) -> SafeString | str:
    if not _is_given(moment):
        return NOTHING
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        _("Time zone: %(zone)s") % {"zone": timezone.get_current_timezone_name()},
        date_format(local, layout),
    )
