"""Which charges a page of income shows."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import PammAccount


class IncomeFilter(forms.Form):
    """Which charges: of one account or investment, between two days, both included, in the reader's zone."""

    account = forms.ModelChoiceField(
        PammAccount.objects.none(),
        label=_("Account"),
        required=False,
        to_field_name="public_id",
        empty_label=_("All accounts"),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    since = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput(attrs={"class": "form-control", "type": "date"}),
    )
    until = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput(attrs={"class": "form-control", "type": "date"})
    )
    investment = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, typed: Any, *, accounts: QuerySet[PammAccount]) -> None:
        super().__init__(typed)
        self.fields["account"].queryset = accounts  # type: ignore[attr-defined]

    def condition(self, charge: str = "") -> Q:
        """What lets through the charges that are asked for, none where that cannot be read.

        `charge` leads to them from the rows that are filtered: `charge__`.
        """
        if not self.is_bound:
            return Q()
        if not self.is_valid():
            return Q(pk__in=())
        asked, found = self.cleaned_data, Q()
        if asked["account"]:
            found &= Q(account=asked["account"])
        if asked["investment"]:
            found &= Q(**{f"{charge}investment__public_id": asked["investment"]})
        if asked["since"]:
            found &= Q(**{f"{charge}charged_at__gte": _midnight(asked["since"])})
        if asked["until"]:
            # The calendar ends with its last day: there is no day after it.
            last = min(asked["until"], date.max - timedelta(days=1))
            found &= Q(**{f"{charge}charged_at__lt": _midnight(last + timedelta(days=1))})
        return found


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
