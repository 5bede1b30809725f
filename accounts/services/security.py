"""What happens to somebody's way in, as events: told to the person by whoever delivers them."""

from django.db import transaction

from accounts.models import User
from outbox.services import record_event

SECURITY_CHANGES = frozenset(
    {
        "password_changed",
        "password_set",
        "password_reset",
        "email_changed",
        "email_deleted",
        "totp_activated",
        "totp_deactivated",
        "webauthn_added",
        "webauthn_removed",
        "recovery_codes_generated",
    }
)


def record_sign_in(*, user: User, device: str, ip: str) -> None:
    """Somebody has signed in, his second factor included."""
    with transaction.atomic():
        record_event("person.signed_in", subject=user.public_id, device=device, ip=ip)


def record_security_change(*, user: User, change: str, device: str, ip: str, address: str = "") -> None:
    """One of `SECURITY_CHANGES`. `address` is where the person can be told, where that is not his own any
    more.
    """
    with transaction.atomic():
        record_event(f"security.{change}", subject=user.public_id, device=device, ip=ip, address=address)
