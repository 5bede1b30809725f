"""Closing a PAMM account in order: nobody joins, positions close, everybody is paid, then it is archived."""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from accounts.models import PammAccount, User
from accounts.queries import runs_account
from allocation.models import Investment
from brokers.errors import NotAllowed
from investing.errors import AccountNotActive, ReasonMissing
from investing.models import Request
from investing.services.requests import end_deposits_of
from offers.services import close_offers_of
from outbox.services import record_event
from transfers.models import Transfer

CLOSABLE_STATES = (PammAccount.State.ACTIVE, PammAccount.State.SUSPENDED)


def order_closing(*, account: PammAccount, by: User, note: str) -> PammAccount:
    """Begin to close the account for good: nobody joins or adds money any more, deposits under way go back.

    Its next rollovers close the positions and pay everybody, without early-exit fees.

    `by` is its manager, or the broker's administrator or dealer. Raises `NotAllowed`, `ReasonMissing`,
    `AccountNotActive`.
    """
    if not runs_account(by, account):
        raise NotAllowed
    if not note.strip():
        raise ReasonMissing(field="note")
    with transaction.atomic():
        locked: PammAccount = (
            PammAccount.objects.select_for_update(of=("self",))
            .select_related("manager__user")
            .get(pk=account.pk)
        )
        if locked.state not in CLOSABLE_STATES:
            raise AccountNotActive
        close_offers_of(locked)
        locked.state = PammAccount.State.CLOSING
        locked.save(update_fields=["state"])
        end_deposits_of(locked, reason_code="account_closing")
        record_event("account.closing", subject=locked.public_id, by=str(by.public_id), note=note.strip())
    return locked


def request_closes(accounts: Collection[PammAccount]) -> int:
    """Write down, for accounts that are being closed, a close of every investment that has none.

    The manager's own capital comes last. Returns how many. Five statements at most, whatever their number.
    """
    closing = [account for account in accounts if account.state == PammAccount.State.CLOSING]
    if not closing:
        return 0
    with transaction.atomic():
        asked = Request.objects.filter(
            account__in=closing, kind=Request.Kind.CLOSE, state__in=Request.OPEN_STATES
        ).values("investment_id")
        left = (
            Investment.objects.filter(account__in=closing, state=Investment.State.ACTIVE)
            .exclude(pk__in=asked)
            .select_related("account__manager")
            .order_by("is_own_capital", "id")
        )
        now = timezone.now()
        made = Request.objects.bulk_create(
            Request(
                investment=investment,
                account=investment.account,
                kind=Request.Kind.CLOSE,
                origin=Request.Origin.ACCOUNT_CLOSING,
                state=Request.State.CONFIRMED,
                currency=investment.account.currency,
                currency_digits=investment.account.currency_digits,
                idempotency_key=f"closing-{investment.public_id}",
                created_by_id=investment.account.manager.user_id,
                created_at=now,
                confirmed_at=now,
            )
            for investment in left
        )
    return len(made)


def finish_closing(account: PammAccount) -> bool:
    """Archive an account that is being closed, once nobody has anything in it and nothing is under way.

    Whether it is closed now. In the caller's transaction, the account's row locked.
    """
    if account.state != PammAccount.State.CLOSING or account.is_held or account.units:
        return False
    pending = Request.objects.filter(account=account, state__in=Request.OPEN_STATES)
    moving = Transfer.objects.filter(
        pool=account.public_id, state__in=(Transfer.State.PLANNED, Transfer.State.IN_TRANSIT)
    )
    if pending.exists() or moving.exists():
        return False
    Investment.objects.filter(account=account, state=Investment.State.PENDING).update(
        state=Investment.State.CANCELLED,
        end_reason=Investment.EndReason.NEVER_FUNDED,
        closed_at=timezone.now(),
    )
    account.state = PammAccount.State.CLOSED
    account.closed_at = timezone.now()
    account.save(update_fields=["state", "closed_at"])
    record_event("account.closed", subject=account.public_id)
    return True
