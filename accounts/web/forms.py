"""Forms of the doors into the cabinet."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from trading.models import TradingServer


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
