"""Trading servers of the broker. The manager password goes in and never comes out."""

from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.models import Role
from pamm_platform.admin_pages import BackOfficeAdmin, ListOnlyAdmin, ReadOnlyInline, figure, has_any
from pamm_platform.admin_site import back_office
from trading.models import Order, ServerCondition, TradingGroup, TradingServer

ADMINISTRATORS = frozenset({Role.ADMIN})


class TradingServerForm(forms.ModelForm):  # type: ignore[type-arg]
    """`new_password` is written when something is entered and shown to nobody."""

    new_password = forms.CharField(
        label=_("Manager password"),
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
        help_text=_("Stored encrypted. Leave empty to keep the present one."),
    )

    class Meta:
        model = TradingServer
        fields = ("name", "kind", "host", "port", "manager_login", "ca_certificate", "time_zone", "is_active")

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        if zone not in available_timezones():
            raise forms.ValidationError(_("No such time zone."), code="unknown_time_zone")
        return zone

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if not password and not self.instance.pk:
            raise forms.ValidationError(_("A new server needs its password."), code="password_missing")
        return password

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data["new_password"]:
            self.instance.manager_password = self.cleaned_data["new_password"]
        return super().save(commit)


class TradingGroupInline(TabularInline):
    model = TradingGroup
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, ADMINISTRATORS)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, ADMINISTRATORS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Accounts were opened in it: its currency and digits are theirs.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ServerConditionInline(ReadOnlyInline):
    """How it has answered lately, and when it is asked again."""

    model = ServerCondition
    ordering = ("pk",)
    fields: ClassVar = ["failures", "failing_since", "retry_at", "last_answer_at", "last_error"]


@admin.register(TradingServer, site=back_office)
class TradingServerAdmin(BackOfficeAdmin):
    viewers = adders = changers = ADMINISTRATORS
    form = TradingServerForm
    list_display = (
        "name", "kind", "host", "port", "manager_login", "time_zone", "is_active", "answers",
    )  # fmt: skip
    list_select_related = ("condition",)
    fields: ClassVar = [
        "name",
        "kind",
        "host",
        "port",
        "manager_login",
        "new_password",
        "ca_certificate",
        "time_zone",
        "is_active",
    ]
    inlines: ClassVar = [TradingGroupInline, ServerConditionInline]

    @admin.display(description=_("answers"))
    def answers(self, server: TradingServer) -> Any:
        condition = getattr(server, "condition", None)
        if condition is None:
            return None
        if condition.failures:
            return _now("failing since %(moment)s") % {
                "moment": date_format(condition.failing_since, "DATETIME_FORMAT")
            }
        return _now("yes")


@admin.register(Order, site=back_office)
class OrderAdmin(ListOnlyAdmin):
    list_display: ClassVar = [
        "created_at",
        "login",
        "purpose",
        "side",
        figure("volume", _("lots")),
        "symbol",
        "position",
        "state",
        figure("filled_volume", _("filled")),
        figure("price", _("price")),
        "key",
        "refusal_text",
    ]
    list_filter = ("state", "purpose", "created_at")
    search_fields = ("=key", "=login", "=position", "=deal")
    search_help_text = _("Key, login, position or deal of an order")
