"""Forms of the doors into the cabinet."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import PersonalAccount
from trading.models import TradingGroup, TradingServer


class TradingLoginForm(forms.Form):
    """A trading login and its main password; the server is asked for only where the broker has several."""

    server: forms.ModelChoiceField[TradingServer] = forms.ModelChoiceField(
        queryset=None,
        label=_("Trading server"),
        empty_label=None,
        to_field_name="public_id",
    )
    login = forms.IntegerField(
        label=_("Trading login"),
        min_value=1,
        max_value=2**63 - 1,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label=_("Trading password"),
        strip=False,
        max_length=64,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        servers = TradingServer.objects.filter(is_active=True).order_by("name")
        self.fields["server"].queryset = servers  # type: ignore[attr-defined]
        self._only_server = servers[0] if len(servers) == 1 else None
        if self._only_server is not None:
            del self.fields["server"]

    @property
    def chosen_server(self) -> TradingServer:
        server: TradingServer = self._only_server or self.cleaned_data["server"]
        return server


class ConnectAccountForm(TradingLoginForm):
    """The same in the cabinet, where the browser must not fill in what opened the cabinet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("login", "password"):
            attributes = self.fields[name].widget.attrs
            attributes |= {"class": "form-control", "autocomplete": "off"}
            attributes.pop("autofocus", None)
        if "server" in self.fields:
            self.fields["server"].widget.attrs["class"] = "form-select"

    def focus_error(self) -> None:
        """Put the cursor where something is wrong: on a phone that is below what the page opens with."""
        wrong = next((name for name in self.errors if name in self.fields), "password")
        self.fields[wrong].widget.attrs["autofocus"] = True

    @property
    def has_server(self) -> bool:
        """Whether there is any trading server to ask: the platform itself has none."""
        return self._only_server is not None or len(self.fields["server"].queryset) > 0  # type: ignore[attr-defined]


class GroupChoice(forms.ModelChoiceField[TradingGroup]):
    """Told by its currency; the server's name is added where there are several."""

    names_server = False

    def label_from_instance(self, group: TradingGroup) -> str:
        return f"{group.currency} · {group.server}" if self.names_server else group.currency


class OpenOwnAccountForm(forms.Form):
    """In which currency a client opens a trading account: those that he has none in yet."""

    group = GroupChoice(
        queryset=None,
        label=_("Currency"),
        empty_label=None,
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def __init__(self, *args: Any, accounts: Sequence[PersonalAccount], currency: str = "") -> None:
        super().__init__(*args)
        held = {(account.server_id, account.currency) for account in accounts}
        groups = TradingGroup.objects.filter(
            purpose=TradingGroup.Purpose.PERSONAL, server__is_active=True
        ).order_by("currency", "pk")
        # One group of a currency and server: which of several is nothing that a client could choose.
        offered: dict[tuple[int, str], int] = {}
        for group in groups:
            if (group.server_id, group.currency) not in held:
                offered.setdefault((group.server_id, group.currency), group.pk)
                if group.currency == currency:
                    self.initial.setdefault("group", group.pk)
        field: Any = self.fields["group"]
        field.queryset = groups.filter(pk__in=offered.values()).select_related("server")
        field.names_server = len({server for server, _currency in offered}) > 1
        self.has_choice = bool(offered)
