"""What the sign-up page asks for beside e-mail address and password."""

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from brokers.queries import broker_in_scope


class SignUpFields(forms.Form):
    """Names as people have them: one is enough. Consent is asked for where the broker names its terms."""

    field_order = ("first_name", "last_name", "email", "password1", "accepts_terms")

    first_name = forms.CharField(
        label=_("First name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "given-name"}),
    )
    last_name = forms.CharField(
        label=_("Last name"),
        required=False,
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "family-name"}),
    )
    accepts_terms = forms.BooleanField(
        label=_("I have read and accept the terms"),
        error_messages={"required": _("Without accepting the terms no account can be opened.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        broker = broker_in_scope()
        self.terms_url = broker.client_terms_url
        if not self.terms_url:
            del self.fields["accepts_terms"]

    def signup(self, request: HttpRequest, user: User) -> None:
        """Called by allauth when the person is saved; `save_user` of the adapter has done it all."""
