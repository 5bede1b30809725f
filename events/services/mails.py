"""Sending e-mails from their rows: at most once each, tried again while it is certain that none has gone."""

import logging
import smtplib
from collections.abc import Mapping
from datetime import timedelta

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils import timezone

from events.mail import mail_of
from events.models import Mail
from events.queries import mails_due

logger = logging.getLogger(__name__)

PAUSES = (60, 300, 1800, 2 * 3600, 6 * 3600, 24 * 3600)
"""Seconds before the second attempt, the third and so on; after the last one it is given up."""

CLAIM_SECONDS = 300
"""Longer than a mail server may take over one e-mail (`EMAIL_TIMEOUT`)."""

LOST = "Whoever sent it ended before the mail server's answer was noted: it may have arrived."


def send_due_mails(*, most: int = 100) -> int:
    """Send what is due at the broker in scope, at most `most`; returns how many were taken up.

    Not in a transaction: each row is claimed, sent and settled for itself.
    """
    taken = 0
    server: BaseEmailBackend | None = None
    try:
        while taken < most and (mail := _claim()) is not None:
            taken += 1
            if server is None:
                server = get_connection()
            if not _send(mail, server):
                server.close()
                server = None
    finally:
        if server is not None:
            server.close()
    return taken


def _claim() -> Mail | None:
    """The next row, ours to send; rows whose sender was lost are given up on the way."""
    while True:
        with transaction.atomic():
            mail: Mail | None = (
                mails_due()
                .select_related("notification__user")
                .select_for_update(skip_locked=True, of=("self",))
                .first()
            )
            if mail is None:
                return None
            if mail.state == Mail.State.SENDING:
                _end(mail, Mail.State.GIVEN_UP, reason=LOST)
                continue
            mail.state = Mail.State.SENDING
            mail.attempts += 1
            mail.claimed_until = mail.due_at = timezone.now() + timedelta(seconds=CLAIM_SECONDS)
            mail.save()
            return mail


def _send(mail: Mail, server: BaseEmailBackend) -> bool:
    """Whether the connection can be used for another one."""
    try:
        message = mail_of(mail)
    except Exception as error:
        # A bug. It would come again: the others go on.
        logger.exception("e-mail %s cannot be written", mail.pk)
        _end(mail, Mail.State.GIVEN_UP, reason=f"It could not be written: {error}")
        return True
    try:
        server.open()
    except (OSError, smtplib.SMTPException) as error:
        _try_again(mail, f"The mail server cannot be reached: {error}")
        return False
    message.connection = server
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = dict(error.recipients.values())
        if all(code >= 500 for code in codes):
            _end(mail, Mail.State.GIVEN_UP, reason=f"The mail server refuses the address: {_said(codes)}")
        else:
            _try_again(mail, f"The mail server does not take it now: {_said(codes)}")
    except (smtplib.SMTPSenderRefused, smtplib.SMTPResponseException) as error:
        _try_again(mail, f"The mail server refuses it: {_said({error.smtp_code: error.smtp_error})}")
    except (OSError, smtplib.SMTPException) as error:
        # The line broke somewhere between asking and the answer: it may have gone.
        _end(mail, Mail.State.GIVEN_UP, reason=f"{LOST} {type(error).__name__}: {error}")
    else:
        _end(mail, Mail.State.SENT)
        return True
    return False


def _try_again(mail: Mail, reason: str) -> None:
    """It has certainly not been sent: later, or not at all any more."""
    if mail.attempts > len(PAUSES):
        _end(mail, Mail.State.GIVEN_UP, reason=reason)
        return
    mail.state = Mail.State.WAITING
    mail.claimed_until = None
    mail.due_at = timezone.now() + timedelta(seconds=PAUSES[mail.attempts - 1])
    mail.reason = reason[:300]
    mail.save()


def _end(mail: Mail, state: Mail.State, *, reason: str = "") -> None:
    mail.state, mail.reason = state, reason[:300]
    mail.due_at = mail.claimed_until = None
    mail.sent_at = timezone.now() if state == Mail.State.SENT else None
    mail.save()


def _said(codes: Mapping[int, bytes | str]) -> str:
    return "; ".join(
        f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"
        for code, text in codes.items()
    )
