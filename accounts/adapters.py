"""How allauth works at a broker.

Addresses folded, secrets encrypted, locks and names of the broker in scope.
"""

import time
from email.utils import formataddr
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.devices import device_of
from accounts.models import User, fold_email
from accounts.queries import needs_second_factor
from accounts.services import SECURITY_CHANGES, accept_visitor, record_security_change, record_sign_in
from accounts.web.invitation import invitation_of, invitation_url
from brokers.brand import email_look
from brokers.encryption import decrypt, encrypt
from brokers.queries import broker_in_scope, public_address
from brokers.scope import current_broker_id


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sign-up makes investors; failures count per broker and account."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": _("The e-mail address or the password is not correct."),
        "too_many_login_attempts": _("Too many failed attempts. Try again in %(minutes)d minutes.")
        % {"minutes": settings.LOCK_OUT_MINUTES},
    }

    def clean_email(self, email: str) -> str:
        return fold_email(super().clean_email(email))

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """To everybody where the broker says so, else to who holds a valid join link."""
        broker = broker_in_scope()
        return not broker.is_platform and (broker.open_sign_up or bool(invitation_of(request)))

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> User:
        visitor: User = super().save_user(request, user, form, commit=False)
        if not commit:
            return visitor
        broker, language = broker_in_scope(), get_language() or ""
        # E-mails know no browser: they are in the language somebody signed up in.
        visitor.language = language if language != broker.language else ""
        accept_visitor(visitor, invitation=invitation_of(request), accepted_terms=broker.client_terms_url)
        # The password was typed here a moment ago: it is not asked for again before a second factor is set
        # up, which may be the first thing the broker demands.
        record_authentication(request, visitor, "password", email=visitor.email)
        return visitor

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Whoever signed up by a join link goes on there, in whatever browser the address was confirmed."""
        if isinstance(request.user, User) and request.user.invitation:
            return invitation_url(request.user.invitation)
        return str(super().get_login_redirect_url(request))

    def is_safe_url(self, url: str) -> bool:
        """Only this host: allauth would also follow to the hosts of other brokers."""
        request = self.request
        return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())

    def get_from_email(self) -> str:
        broker = broker_in_scope()
        return formataddr((broker.name, broker.email_sender or settings.DEFAULT_FROM_EMAIL))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """In the look of all mails, which the broker's brand is part of."""
        broker = broker_in_scope()
        look = email_look(broker, public_address(broker))
        super().send_mail(template_prefix, email, {"broker": broker, "look": look, **context})

    def send_notification_mail(
        self,
        template_prefix: str,
        user: Any,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """What allauth would tell by e-mail is an event: the person is told in the cabinet as well."""
        change = template_prefix.rpartition("/")[2]
        if change not in SECURITY_CHANGES:
            super().send_notification_mail(template_prefix, user, context, email)
            return
        record_security_change(user=user, change=change, address=email or "", **self._device())

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> Any:
        response = super().post_login(request, user, **kwargs)
        record_sign_in(user=user, **self._device())
        return response

    def _device(self) -> dict[str, str]:
        agent = self.get_http_user_agent(self.request)
        return {"device": device_of(agent), "ip": self.get_client_ip(self.request)}

    def format_email_subject(self, subject: str) -> str:
        return f"{broker_in_scope().name}: {subject}"

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever signed in a moment ago is not asked again before enrolling a second factor."""
        if not super().is_reauthentication_required(app=app, **kwargs):
            return False
        records = get_authentication_records(self.request, self.request.user)
        newest = max((record["at"] for record in records), default=0)
        return app != "allauth.mfa" or time.time() - newest >= settings.ACCOUNT_REAUTHENTICATION_TIMEOUT

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth takes the host; a broker may answer on several, and each would have a count of its own.
        return f"{current_broker_id()}:email:{fold_email(credentials.get('email', ''))}"


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets leave the process encrypted; who needs a factor keeps at least one."""

    def encrypt(self, text: str) -> str:
        return encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt(encrypted_text)

    def get_totp_issuer(self) -> str:
        return broker_in_scope().name

    def _get_site_name(self) -> str:
        return broker_in_scope().name

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Who needs a factor may replace it by adding another first, never be without."""
        user = authenticator.user
        if not isinstance(user, User) or not needs_second_factor(user, broker_in_scope()):
            return True
        others = Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).exclude(pk=authenticator.pk)
        return authenticator.type not in FACTORS or others.exists()


#: What counts as a second factor; recovery codes only stand in for one.
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
