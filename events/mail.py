"""An e-mail of a notification, as text and as HTML, in the reader's language and time zone."""

from datetime import UTC
from email.utils import formataddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import User
from brokers.brand import email_look
from brokers.models import Broker
from brokers.queries import broker_in_scope, public_address, zone_called
from events.models import Mail
from events.wording import message_of


def mail_of(mail: Mail) -> EmailMultiAlternatives:
    """What is sent for a row. Its `Message-ID` is that of the row at every attempt."""
    notification, broker = mail.notification, broker_in_scope()
    user: User = notification.user
    address = public_address(broker)
    with (
        translation.override(user.language or broker.language),
        timezone.override(zone_called(user.time_zone) or zone_called(broker.time_zone) or UTC),
    ):
        message = message_of(notification.kind, notification.facts, notification.occurred_at)
        context = {
            "broker": broker,
            "look": email_look(broker, address),
            "message": message,
            "person": user,
            "url": address + message.path,
            "preferences_url": address + reverse("events:preferences"),
            "address": address,
            "zone": timezone.get_current_timezone_name(),
        }
        return _made(mail, broker, message.title, context, address)


def sender_of(broker: Broker) -> str:
    """`Broker <address>`, as mails are sent from."""
    return formataddr((broker.name, broker.email_sender or settings.DEFAULT_FROM_EMAIL))


def _made(
    mail: Mail, broker: Broker, title: str, context: dict[str, object], address: str
) -> EmailMultiAlternatives:
    domain = urlsplit(address).hostname or "localhost"
    made = EmailMultiAlternatives(
        subject=" ".join(f"{broker.name}: {title}".split()),
        body=render_to_string("mail/notification.txt", context).strip() + "\n",
        from_email=sender_of(broker),
        to=[mail.address],
        headers={"Message-ID": f"<{mail.public_id}@{domain}>", "Auto-Submitted": "auto-generated"},
    )
    made.attach_alternative(render_to_string("mail/notification.html", context), "text/html")
    return made
