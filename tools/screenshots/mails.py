"""E-mails as readers see them: one of each kind that people of the demo were told of, and of signing in."""

from collections.abc import Iterator
from dataclasses import dataclass

import time_machine
from allauth.account.adapter import get_adapter
from django.core.mail import EmailMessage
from django.utils import translation

from accounts.models import User
from brokers.brand import email_look
from brokers.queries import broker_in_scope, public_address
from events.kinds import KINDS
from events.mail import mail_of
from events.models import Mail, Notification
from tools.screenshots.moment import MOMENT

OF_SIGNING_IN = ("email_confirmation_signup", "password_reset_key")


@dataclass(frozen=True, slots=True)
class Letter:
    name: str
    subject: str
    html: str


def letters(user: User) -> Iterator[Letter]:
    """`user` is who signs up and has lost his password."""
    with time_machine.travel(MOMENT, tick=False):
        for kind in KINDS:
            told = Notification.objects.select_related("user").filter(kind=kind).order_by("pk").last()
            if told is not None:
                yield _letter(kind, mail_of(Mail(notification=told, address=told.user.email)))
        for name in OF_SIGNING_IN:
            yield _letter(name, _of_signing_in(name, user))


def _of_signing_in(name: str, user: User) -> EmailMessage:
    broker = broker_in_scope()
    address = public_address(broker)
    context = {
        "broker": broker,
        "look": email_look(broker, address),
        "user": user,
        "activate_url": f"{address}/accounts/confirm-email/…/",
        "password_reset_url": f"{address}/accounts/password/reset/key/…/",
    }
    with translation.override(user.language or broker.language):
        message: EmailMessage = get_adapter().render_mail(f"account/email/{name}", user.email, context)
    return message


def _letter(name: str, message: EmailMessage) -> Letter:
    (html,) = [
        str(part.content) for part in getattr(message, "alternatives", ()) if part.mimetype == "text/html"
    ]
    return Letter(name.replace("_", "-"), str(message.subject), html)
