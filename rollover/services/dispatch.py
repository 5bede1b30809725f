"""Which accounts are due, handed out in slices. Celery only carries the ids."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import DECIDING_ROLES, PammAccount, User
from accounts.queries import has_role
from brokers.errors import NotAllowed
from outbox.services import record_event
from rollover.errors import AccountNotHeld, AccountNotRolling, NoteMissing
from rollover.models import Rollover, Schedule

ROLLING_STATES = (PammAccount.State.ACTIVE, PammAccount.State.SUSPENDED, PammAccount.State.CLOSING)
REDISPATCH_AFTER = timedelta(seconds=60)


def dispatch_due_rollovers(now: datetime | None = None) -> list[list[int]]:
    """Write down the rollovers that are due for the broker in scope and answer the slices to be worked on.

    Also answers again what nobody finished: the row is the truth, a lost message or a dead worker costs a
    minute.
    """
    moment = now or timezone.now()
    with transaction.atomic():
        scheduled_for = _claim_schedule(moment)
        if scheduled_for is not None:
            _write_down(_rolling_accounts(), scheduled_for, ordered_at=scheduled_for)
    with transaction.atomic():
        waiting = (
            Rollover.objects.filter(state__in=Rollover.OPEN_STATES, scheduled_for__lte=moment)
            .filter(Q(lease_until__isnull=True) | Q(lease_until__lt=moment))
            .filter(
                Q(dispatched_at__isnull=True) | Q(dispatched_at__lt=moment - REDISPATCH_AFTER) | _given_back()
            )
            .order_by("account__server_id", "id")
        )
        keys = list(waiting.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True))
        Rollover.objects.filter(pk__in=keys).update(dispatched_at=moment)
    size = settings.ROLLOVER_SLICE_SIZE
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def order_rollover(*, accounts: Iterable[PammAccount], by: User) -> list[Rollover]:
    """Order rollovers by hand: they execute what was confirmed before now. An account with an open one keeps
    that.

    Raises `NotAllowed` unless `by` is the broker's administrator or dealer; `AccountNotRolling`.
    """
    if not has_role(by, *DECIDING_ROLES):
        raise NotAllowed
    wanted = list(accounts)
    now = timezone.now()
    for account in wanted:
        if account.state not in ROLLING_STATES or account.is_held:
            raise AccountNotRolling(account=account.name)
    with transaction.atomic():
        free = _rolling_accounts().filter(pk__in=[account.pk for account in wanted])
        ordered = _write_down(free, now, ordered_at=now, by=by)
        for rollover in ordered:
            record_event("rollover.ordered", subject=rollover.account.public_id, by=str(by.public_id))
    return ordered


def release_account(
    *, account: PammAccount, by: User, note: str, accept_through_ticket: int | None = None
) -> PammAccount:
    """Let a held account roll over again; it is held again if its figures still do not add up.

    `accept_through_ticket` takes foreign operations up to that deal as the investors' result. A wiped-out
    account starts a new series. Raises `NotAllowed`, `NoteMissing`, `AccountNotHeld`.
    """
    if not has_role(by, *DECIDING_ROLES):
        raise NotAllowed
    if not note.strip():
        raise NoteMissing(field="note")
    with transaction.atomic():
        locked: PammAccount = PammAccount.objects.select_for_update().get(pk=account.pk)
        if not locked.is_held:
            raise AccountNotHeld
        if locked.hold_reason == "wiped_out":
            _begin_series(locked)
        reason = locked.hold_reason
        locked.is_held = False
        locked.hold_reason = ""
        locked.hold_details = {}
        if accept_through_ticket is not None:
            locked.accepted_ticket = max(locked.accepted_ticket, accept_through_ticket)
        locked.save()
        record_event(
            "account.released",
            subject=locked.public_id,
            by=str(by.public_id),
            note=note.strip(),
            reason=reason,
            accepted_through=accept_through_ticket,
        )
    return locked


def _begin_series(account: PammAccount) -> None:
    account.series += 1
    account.last_price_equity = account.last_price_units = Decimal(1)


def _claim_schedule(moment: datetime) -> datetime | None:
    """The hour that is due, claimed for this call; None if none is, or somebody else was quicker."""
    schedule = Schedule.objects.filter(is_active=True, next_at__lte=moment).first()
    if schedule is None:
        return None
    step = timedelta(minutes=schedule.every_minutes)
    due: datetime = schedule.next_at
    # Missed hours are not replayed: the latest one covers the time since the last rollover.
    latest = due + step * ((moment - due) // step)
    claimed = Schedule.objects.filter(pk=schedule.pk, next_at=due).update(next_at=latest + step)
    return latest if claimed else None


def _rolling_accounts() -> QuerySet[PammAccount]:
    unfinished = Rollover.objects.filter(account=OuterRef("pk"), state__in=Rollover.OPEN_STATES)
    return PammAccount.objects.filter(
        ~Exists(unfinished), state__in=ROLLING_STATES, is_held=False, login__isnull=False
    )


def _write_down(
    accounts: Iterable[PammAccount], scheduled_for: datetime, *, ordered_at: datetime, by: User | None = None
) -> list[Rollover]:
    Rollover.objects.bulk_create(
        (
            Rollover(account=account, scheduled_for=scheduled_for, ordered_at=ordered_at, ordered_by=by)
            for account in accounts
        ),
        ignore_conflicts=True,
    )
    return list(Rollover.objects.filter(scheduled_for=scheduled_for, ordered_by=by).select_related("account"))


def _given_back() -> Q:
    """Postponed by a worker: its lease says when to try again."""
    return Q(
        state__in=(Rollover.State.WAITING, Rollover.State.SETTLING),
        lease_holder="",
        lease_until__isnull=False,
    )
