"""Which trades a page shows."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from statements.calc.period import EARLIEST, LATEST, midnight


class TradesFilter(forms.Form):
    """Trades in one symbol, closed between two days, both included, in the reader's zone."""

    symbol = forms.ChoiceField(
        label=_("Symbol"), required=False, widget=forms.Select(attrs={"class": "form-select"})
    )
    since = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput(attrs={"class": "form-control", "type": "date"}),
    )
    until = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput(attrs={"class": "form-control", "type": "date"})
    )

    def __init__(self, typed: Mapping[str, Any] | None, *, symbols: Sequence[str]) -> None:
        super().__init__(typed)
        choices = [("", _("All symbols")), *((symbol, symbol) for symbol in symbols)]
        self.fields["symbol"].choices = choices  # type: ignore[attr-defined]

    @property
    def is_used(self) -> bool:
        """Whether anything is asked for, well or badly."""
        return any(self.data.get(name) for name in self.fields)

    def condition(self) -> Q:
        """What lets through the trades that are asked for, none where that cannot be read."""
        if not self.is_bound:
            return Q()
        if not self.is_valid():
            return Q(pk__in=())
        asked, found = self.cleaned_data, Q()
        if asked["symbol"]:
            found &= Q(symbol=asked["symbol"])
        if asked["since"]:
            found &= Q(executed_at__gte=midnight(_within(asked["since"]), timezone.get_current_timezone()))
        if asked["until"]:
            after = _within(_within(asked["until"]) + timedelta(days=1))
            found &= Q(executed_at__lt=midnight(after, timezone.get_current_timezone()))
        return found


def _within(day: date) -> date:
    return min(max(day, EARLIEST), LATEST)
