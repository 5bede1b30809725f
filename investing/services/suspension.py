"""Suspending a PAMM account: nobody joins it or adds money until that ends; who is in it may leave."""

from django.db import transaction

from accounts.models import DECIDING_ROLES, PammAccount, User
from accounts.queries import has_role
from brokers.errors import NotAllowed
from investing.errors import AccountNotActive, AccountNotSuspended, ReasonMissing
from investing.services.requests import end_deposits_of
from outbox.services import record_event


def suspend_account(*, account: PammAccount, by: User, note: str) -> PammAccount:
    """Let nobody join the account or add money to it; deposits under way go back.

    Rollovers go on: withdrawals, closes, stops and fees are as ever, and so is trading, whose rights the
    broker sets on the trading server. Suspending it again changes nothing.

    `by` is the broker's administrator or dealer. Raises `NotAllowed`, `ReasonMissing`, `AccountNotActive`
    where it is not active.
    """
    _require(by, note)
    with transaction.atomic():
        locked = _locked(account)
        if locked.state == PammAccount.State.SUSPENDED:
            return locked
        if locked.state != PammAccount.State.ACTIVE:
            raise AccountNotActive
        _enter(locked, PammAccount.State.SUSPENDED)
        end_deposits_of(locked, reason_code="account_suspended")
        record_event("account.suspended", subject=locked.public_id, by=str(by.public_id), note=note.strip())
    return locked


def resume_account(*, account: PammAccount, by: User, note: str) -> PammAccount:
    """End the suspension: its offers take investments again. Those of a second click find it ended.

    `by` as above. Raises `NotAllowed`, `ReasonMissing`, `AccountNotSuspended`.
    """
    _require(by, note)
    with transaction.atomic():
        locked = _locked(account)
        if locked.state == PammAccount.State.ACTIVE:
            return locked
        if locked.state != PammAccount.State.SUSPENDED:
            raise AccountNotSuspended
        _enter(locked, PammAccount.State.ACTIVE)
        record_event("account.resumed", subject=locked.public_id, by=str(by.public_id), note=note.strip())
    return locked


def _require(by: User, note: str) -> None:
    if not has_role(by, *DECIDING_ROLES):
        raise NotAllowed
    if not note.strip():
        raise ReasonMissing(field="note")


def _locked(account: PammAccount) -> PammAccount:
    locked: PammAccount = PammAccount.objects.select_for_update().get(pk=account.pk)
    return locked


def _enter(account: PammAccount, state: PammAccount.State) -> None:
    account.state = state
    account.save(update_fields=["state"])
