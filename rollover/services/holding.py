"""Accounts that stop until a person has looked."""

from collections.abc import Mapping
from typing import Any

from accounts.models import PammAccount
from investing.models import Request
from outbox.services import record_event


def hold(account: PammAccount, reason: str, details: Mapping[str, Any]) -> None:
    """Nothing of the account is priced or paid until it is released. In the caller's transaction; `reason` is
    what the back office has words for.
    """
    account.is_held, account.hold_reason, account.hold_details = True, reason, dict(details)
    account.save(update_fields=["is_held", "hold_reason", "hold_details"])
    send_back(account.pk, "account_held")
    record_event("account.held", subject=account.public_id, reason=reason, details=account.hold_details)


def send_back(account_id: int, reason_code: str) -> None:
    """Nothing moves at this price: withdrawals wait for the next, deposits stand in transit and say why."""
    collecting = Request.objects.filter(account=account_id, state=Request.State.COLLECTING)
    deposits = collecting.filter(kind=Request.Kind.DEPOSIT)
    deposits.exclude(reason_code__in=Request.RETURNING_REASONS).update(reason_code=reason_code)
    collecting.exclude(kind=Request.Kind.DEPOSIT).update(
        state=Request.State.CONFIRMED, reason_code=reason_code
    )
