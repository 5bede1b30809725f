"""Where a manager takes the code of a widget from, with the widget beside it."""

from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import STAFF_ROLES, User
from accounts.queries import has_role, manager_of
from brokers.errors import NotFound
from offers.queries import offers_open_to
from track_record.web.widgets import ROWS, THEMES

LEADERBOARD = "leaderboard"
HEIGHTS = {LEADERBOARD: 200 + 58 * ROWS, "offer": 360}


class WidgetForm(forms.Form):
    """Which widget, and how it looks. Any choice is one; nothing is saved."""

    show = forms.ChoiceField(label=_("Show"), required=False)
    theme = forms.ChoiceField(
        label=_("Theme"),
        required=False,
        choices=[("auto", _("as the reader's device")), ("light", _("light")), ("dark", _("dark"))],
    )
    lang = forms.ChoiceField(
        label=_("Language"),
        required=False,
        choices=[
            ("", _("the broker's")),
            *((code, get_language_info(code)["name_local"]) for code in ("en", "zh-hans")),
        ],
    )

    def __init__(self, *args: object, offers: list[tuple[str, str]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        show = self.fields["show"]
        assert isinstance(show, forms.ChoiceField)
        show.choices = [*offers, (LEADERBOARD, _("the leaderboard"))]
        for field in self.fields.values():
            field.widget.attrs |= {"class": "form-select", "data-submits": True}


@login_required
@require_safe
def widgets_page(request: HttpRequest) -> HttpResponse:
    """The snippet to copy and a live preview: a manager's own public offers, the leaderboard."""
    user = request.user
    assert isinstance(user, User)
    manager = manager_of(user)
    if manager is None and not has_role(user, *STAFF_ROLES):
        raise NotFound
    own = offers_open_to(None).filter(account__manager=manager).select_related("account") if manager else []
    offers = [(str(offer.public_id), f"{offer.account.name} · {offer.name}") for offer in own]
    form = WidgetForm(request.GET or None, offers=offers)
    shown = form.cleaned_data if form.is_valid() else {}
    what = shown.get("show") or (offers[0][0] if offers else LEADERBOARD)
    address = _address(what, shown.get("theme", ""), shown.get("lang", ""))
    context = {
        "form": form,
        "address": address,
        "url": request.build_absolute_uri(address),
        "height": HEIGHTS[LEADERBOARD if what == LEADERBOARD else "offer"],
        "shows_leaderboard": what == LEADERBOARD,
        "hosts": request.broker.widget_hosts,  # type: ignore[attr-defined]
        "has_offers": bool(offers),
    }
    return render(request, "track_record/manage_widgets.html", context)


def _address(what: str, theme: str, language: str) -> str:
    path = reverse("widgets:leaderboard") if what == LEADERBOARD else reverse("widgets:offer", args=[what])
    chosen = {"theme": theme if theme in THEMES and theme != "auto" else "", "lang": language}
    query = urlencode({name: value for name, value in chosen.items() if value})
    return f"{path}?{query}" if query else path
