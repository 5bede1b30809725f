"""Which period a statement is asked for."""

from datetime import tzinfo
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from statements.calc.period import EARLIEST, ONE_DAY, Period, Preset, preset_period
from statements.errors import PeriodUnclear
from statements.queries import Subject, first_day_of

PRESETS: dict[Preset, Promise] = {
    Preset.THIS_MONTH: _("This month"),
    Preset.LAST_MONTH: _("Last month"),
    Preset.QUARTER: _("This quarter"),
    Preset.YEAR: _("This year"),
    Preset.LAST_YEAR: _("Last year"),
    Preset.ALL: _("Everything"),
}
DEFAULT = Preset.THIS_MONTH


class PeriodForm(forms.Form):
    """A period by name, or two days, both of them part of it. Nothing asked for is the present month."""

    period = forms.ChoiceField(
        choices=[(preset.value, label) for preset, label in PRESETS.items()],
        required=False,
        widget=forms.HiddenInput,
    )
    since = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"class": "form-control", "type": "date"}),
    )
    until = forms.DateField(
        label=_("To"),
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"class": "form-control", "type": "date"}),
    )

    def clean(self) -> dict[str, Any]:
        entered = super().clean() or {}
        since, until = entered.get("since"), entered.get("until")
        if bool(since) != bool(until) and not self.errors:
            self.add_error("until" if since else "since", _("Give both days."))
        elif since and until and since > until:
            self.add_error("until", _("The last day is before the first."))
        elif since and since < EARLIEST:
            self.add_error("since", _("That is too long ago."))
        return entered

    @property
    def preset(self) -> Preset | None:
        """The name of the period, None where days were given."""
        if self.is_bound and self.is_valid():
            if self.cleaned_data["since"]:
                return None
            if self.cleaned_data["period"]:
                return Preset(self.cleaned_data["period"])
        return DEFAULT

    def chosen(self, subject: Subject, zone: tzinfo) -> Period:
        """The period; what lies ahead of today is left out. What cannot be read is the present month."""
        today = timezone.now().astimezone(zone).date()
        preset = self.preset
        if preset is not None:
            since = first_day_of(subject, zone) if preset is Preset.ALL else None
            return preset_period(preset, today=today, since=since or today, zone=zone)
        first, last = self.cleaned_data["since"], min(self.cleaned_data["until"], today)
        return Period(min(first, last), last + ONE_DAY, zone)

    def required(self, subject: Subject, zone: tzinfo) -> Period:
        """The period for a file. Raises `PeriodUnclear`."""
        if self.is_bound and not self.is_valid():
            raise PeriodUnclear
        return self.chosen(subject, zone)


def days_query(period: Period) -> str:
    """The period as the query of an address."""
    return f"since={period.first_day.isoformat()}&until={period.last_day.isoformat()}"
