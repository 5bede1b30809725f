"""A person's profile: name, language, time zone, and what keeps others out."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.queries import latest_sign_ins, needs_second_factor
from accounts.services import change_profile, end_sessions
from accounts.web.zones import zones_by_area
from brokers.models import Broker
from brokers.web.long_select import LongSelect

SIGN_INS_SHOWN = 5


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """Names as people have them; language and time zone may be left to browser and broker."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "language", "time_zone")

    language = forms.ChoiceField(
        label=_("Language"), required=False, widget=forms.Select(attrs={"class": "form-select"})
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), required=False, widget=LongSelect(attrs={"class": "form-select"})
    )

    def __init__(self, *args: Any, broker: Broker, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, autocomplete in (("first_name", "given-name"), ("last_name", "family-name")):
            self.fields[name].widget.attrs |= {"class": "form-control", "autocomplete": autocomplete}
        self.fields["first_name"].required = True
        zones = zones_by_area(to_locale(get_language() or settings.LANGUAGE_CODE))
        brokers_own = _now("As my broker has it (%(zone)s)") % {"zone": broker.time_zone}
        self.fields["language"].choices = [("", _("As my browser has it")), *settings.LANGUAGES]  # type: ignore[attr-defined]
        self.fields["time_zone"].choices = [("", brokers_own), *zones]  # type: ignore[attr-defined]

    @property
    def choices(self) -> list[forms.BoundField]:
        """Fields of which something is chosen in any case, be it to leave it to others."""
        return [self["language"], self["time_zone"]]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile_page(request: HttpRequest) -> HttpResponse:
    """All about the person on one page; what needs the password again has pages of its own."""
    person = _person(request)
    # The form writes into the row it is given: the page goes on showing the name that is saved.
    entered = User.objects.get(pk=person.pk) if request.method == "POST" else person
    form = ProfileForm(request.POST or None, instance=entered, broker=request.broker)  # type: ignore[attr-defined]
    if form.is_valid():
        change_profile(user=person, **{name: form.cleaned_data[name] for name in ProfileForm.Meta.fields})
        messages.success(request, _("Your profile is saved."))
        return redirect("accounts:profile")
    kinds = list(Authenticator.objects.filter(user=person).values_list("type", flat=True))
    context = {
        "form": form,
        "addresses": EmailAddress.objects.filter(user=person).order_by("-primary", "pk"),
        "has_app": Authenticator.Type.TOTP in kinds,
        "passkeys": kinds.count(Authenticator.Type.WEBAUTHN),
        "has_codes": Authenticator.Type.RECOVERY_CODES in kinds,
        "needs_second_factor": needs_second_factor(person, request.broker),  # type: ignore[attr-defined]
        "sign_ins": latest_sign_ins(person, SIGN_INS_SHOWN),
    }
    return render(request, "accounts/profile.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sign_out_elsewhere(request: HttpRequest) -> HttpResponse:
    """End every session of the person but this one, after asking once more."""
    if request.method != "POST":
        return render(request, "accounts/sign_out_elsewhere.html")
    person = end_sessions(user=_person(request))
    update_session_auth_hash(request, person)
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("accounts:profile")


def _person(request: HttpRequest) -> User:
    """Who is signed in: the pages are behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user
