"""The broker's own brand and limits."""

import re
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import Role
from brokers.brand import is_widget_host, logo_of, shades_of
from brokers.errors import Refusal
from brokers.images import MOST_BYTES, ImageNotUsable, icon_picture, logo_picture
from brokers.models import BrandImage, Broker
from brokers.palette import contrast, is_colour
from brokers.services import remove_brand_image, set_brand_image
from fees.calc.shares import Shares
from offers.drafts import check_shares
from pamm_platform.admin_pages import BackOfficeAdmin, plain
from pamm_platform.admin_site import back_office
from pamm_platform.templatetags.figures import NOTHING

FEE_CEILINGS = (
    "performance_fee_ceiling",
    "management_fee_ceiling",
    "entry_fee_ceiling",
    "early_exit_fee_ceiling",
)


CLIENTS = ("open_sign_up", "opens_trading_accounts", "requires_second_factor", "client_terms_url")

IMAGES = {
    "logo": BrandImage.Kind.LOGO,
    "logo_dark": BrandImage.Kind.LOGO_DARK,
    "icon": BrandImage.Kind.ICON,
}

NOT_A_FRACTION = _("A fraction between 0 and 1: 0.5 is 50 %.")


class SharesField(forms.CharField):
    """A list of decimal strings, written with spaces between them."""

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        typed = [share for share in re.split(r"[\s;,]+", super().to_python(value) or "") if share]
        if not all(re.fullmatch(r"\d(\.\d{1,9})?", share) for share in typed):
            raise forms.ValidationError(_("Write fractions with spaces between them: 0.10 0.05"))
        return typed


class WidgetHostsField(forms.CharField):
    """A list of origins, written with spaces between them; nothing that could say more in a policy."""

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        typed = [origin for origin in re.split(r"[\s,]+", (super().to_python(value) or "").lower()) if origin]
        if not all(is_widget_host(origin) for origin in typed):
            raise forms.ValidationError(
                _("Write addresses without a path: https://www.example.com"), code="bad_origin"
            )
        return typed


class BrokerForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses what pages or rollovers could not work with."""

    class Meta:
        model = Broker
        fields = (
            "name",
            "time_zone",
            "language",
            "primary_colour",
            "email_sender",
            "email_footer",
            "widget_hosts",
            *CLIENTS,
            "freeze_minutes",
            "quiet_minutes",
            "stale_tick_seconds",
            "floating_tolerance",
            "foreign_limit",
            *FEE_CEILINGS,
            "fee_share_rate",
            "agent_share_rates",
        )
        labels: ClassVar = {
            "fee_share_rate": _("Broker's share"),
            "open_sign_up": _("Sign-up is open"),
            "opens_trading_accounts": _("Clients open trading accounts"),
            "requires_second_factor": _("Second factor is obligatory"),
            "client_terms_url": _("Terms for clients"),
        }

    logo = forms.FileField(
        label=_("Logo"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("PNG, JPEG or WebP up to 1 MB; shown at most 240 by 48 pixels large."),
    )
    logo_dark = forms.FileField(
        label=_("Logo on dark"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("For the dark theme, where the other one could not be seen."),
    )
    icon = forms.FileField(
        label=_("Icon"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("For the browser's tab; a square."),
    )
    removed_images = forms.MultipleChoiceField(
        label=_("Remove"),
        required=False,
        choices=BrandImage.Kind.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    widget_hosts = WidgetHostsField(
        label=_("Sites with widgets"),
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget,
        help_text=_(
            "Only these may show the public widgets in a frame, with spaces between them: "
            "https://www.example.com"
        ),
    )
    agent_share_rates = SharesField(
        label=_("Agents' shares"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Of every fee, one for each level, the nearest agent first: 0.10 0.05"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["fee_share_rate"] = plain(self.instance.fee_share_rate)

    def clean_primary_colour(self) -> str:
        colour: str = self.cleaned_data["primary_colour"].lower()
        if not is_colour(colour):
            raise forms.ValidationError(_("Write a colour as #1f5fbf."), code="bad_colour")
        return colour

    def uploaded(self) -> dict[BrandImage.Kind, bytes]:
        """The pictures that were sent, read from their beginning."""
        sent = {kind: self.cleaned_data.get(name) for name, kind in IMAGES.items()}
        for file in sent.values():
            if file:
                file.seek(0)
        return {kind: file.read() for kind, file in sent.items() if file}

    def _check_images(self, cleaned: dict[str, Any]) -> None:
        for name, kind in IMAGES.items():
            file = cleaned.get(name)
            if not file:
                continue
            try:
                if file.size > MOST_BYTES:
                    raise ImageNotUsable(reason=_("The file is larger than 1 MB."))
                (icon_picture if kind == BrandImage.Kind.ICON else logo_picture)(file.read())
            except Refusal as refusal:
                self.add_error(name, forms.ValidationError(str(refusal), code=refusal.code))

    def clean_language(self) -> str:
        language: str = self.cleaned_data["language"]
        if language not in dict(settings.LANGUAGES):
            known = ", ".join(code for code, _name in settings.LANGUAGES)
            raise forms.ValidationError(
                _("Not a language of the pages: %(known)s."), code="unknown_language", params={"known": known}
            )
        return language

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        if zone not in available_timezones():
            raise forms.ValidationError(_("No such time zone."), code="unknown_time_zone")
        return zone

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("floating_tolerance", *FEE_CEILINGS):
            if name in cleaned and not 0 <= cleaned[name] <= 1:
                self.add_error(
                    name,
                    forms.ValidationError(
                        _("A fraction between 0 and 1: 0.5 is 50 %."), code="not_a_fraction"
                    ),
                )
        self._check_shares(cleaned)
        self._check_images(cleaned)
        return cleaned

    def _check_shares(self, cleaned: dict[str, Any]) -> None:
        if "fee_share_rate" not in cleaned or "agent_share_rates" not in cleaned:
            return
        agents = tuple(Decimal(share) for share in cleaned["agent_share_rates"])
        try:
            check_shares(Shares(cleaned["fee_share_rate"], agents))
        except Refusal as refusal:
            name = "fee_share_rate" if refusal.field == "broker_share_rate" else refusal.field
            self.add_error(name, str(refusal))


@admin.register(Broker, site=back_office)
class BrokerAdmin(BackOfficeAdmin):
    """The manager of `Broker` knows no other than the one in scope."""

    changers = frozenset({Role.ADMIN})
    readonly_fields = ("shades", "pictures")
    form = BrokerForm
    list_display = ("name", "slug", "time_zone", "own_language", "performance_fee_ceiling", "fee_share_rate")
    fieldsets: Any = (
        (
            _("Brand"),
            {
                "fields": (
                    "name",
                    "primary_colour",
                    "shades",
                    "logo",
                    "logo_dark",
                    "icon",
                    "removed_images",
                    "pictures",
                    "email_sender",
                    "email_footer",
                    "widget_hosts",
                    "language",
                    "time_zone",
                )
            },
        ),
        (_("Clients"), {"fields": CLIENTS}),
        (
            _("Limits"),
            {
                "fields": (
                    "freeze_minutes",
                    "quiet_minutes",
                    "stale_tick_seconds",
                    "floating_tolerance",
                    "foreign_limit",
                )
            },
        ),
        (
            _("The most an offer may charge"),
            {
                "fields": FEE_CEILINGS,
                "description": _(
                    "Fractions: 0.5 is 50 %. Offers made before keep their fees. Subscription and volume "
                    "fees have their ceilings by currency, under “Fee ceilings”."
                ),
            },
        ),
        (
            _("Who receives the fees"),
            {
                "fields": ("fee_share_rate", "agent_share_rates"),
                "description": _("For new offers. The manager receives the rest."),
            },
        ),
    )

    @admin.display(description=_("language"))
    def own_language(self, broker: Broker) -> str:
        return dict(settings.LANGUAGES)[broker.language]

    @admin.display(description=_("Shades in use"))
    def shades(self, broker: Broker) -> SafeString:
        """What pages make of the colour so that it can be read, with the contrast of each."""
        made = shades_of(broker)
        rows = (
            (_("Buttons"), made.fill, made.on_fill),
            (_("Text and lines on light"), made.ink_on_light, "#ffffff"),
            (_("Text and lines on dark"), made.ink_on_dark, "#131926"),
        )
        return format_html_join(
            "",
            '<div class="brand-shade"><span style="background:{};color:{}">Aa</span> {}: {} '
            "<small>{} : 1</small></div>",
            ((colour, other, name, colour, f"{contrast(colour, other):.1f}") for name, colour, other in rows),
        )

    @admin.display(description=_("Pictures in use"))
    def pictures(self, broker: Broker) -> SafeString | str:
        logos = [(logo_of(broker, kind), kind) for kind in BrandImage.Kind]
        shown = [(logo.url, logo.width, logo.height, kind.label) for logo, kind in logos if logo]
        if not shown:
            return NOTHING
        return format_html_join(
            "",
            '<span class="brand-picture"><img src="{}" width="{}" height="{}" alt="{}"></span>',
            shown,
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        for kind in form.cleaned_data["removed_images"]:
            remove_brand_image(broker=obj, kind=BrandImage.Kind(kind))
        for kind, content in form.uploaded().items():
            set_brand_image(broker=obj, kind=kind, uploaded=content)
