"""Which accounts are due, handed out in slices. Celery only carries the ids."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import DECIDING_ROLES, PammAccount, User
from accounts.queries import has_role
from brokers.errors import NotAllowed
from outbox.services import record_event
from rollover.errors import AccountNotRolling
from rollover.models import Rollover, Schedule

ROLLING_STATES = (PammAccount.State.ACTIVE, PammAccount.State.SUSPENDED, PammAccount.State.CLOSING)


def dispatch_due_rollovers(now: datetime | None = None) -> list[list[int]]:
    """Write down the rollovers that are due for the broker in scope and answer the slices to be worked on.

    A slice is of one trading server: one that fails keeps nobody else's waiting. Also answers again what
    nobody finished: the row is the truth, and a lost message costs no more than
    `ROLLOVER_REDISPATCH_SECONDS`, a dead worker no more than its lease.
    """
    moment = now or timezone.now()
    forgotten = moment - timedelta(seconds=settings.ROLLOVER_REDISPATCH_SECONDS)
    with transaction.atomic():
        scheduled_for = _claim_schedule(moment)
        if scheduled_for is not None:
            _write_down(_rolling_accounts(), scheduled_for, ordered_at=scheduled_for)
    with transaction.atomic():
        waiting = (
            Rollover.objects.filter(state__in=Rollover.OPEN_STATES, scheduled_for__lte=moment)
            .filter(Q(lease_until__isnull=True) | Q(lease_until__lt=moment))
            .filter(Q(dispatched_at__isnull=True) | Q(dispatched_at__lt=forgotten) | _given_back())
            .order_by("account__server_id", "id")
        )
        locked = waiting.select_for_update(of=("self",), skip_locked=True)
        keys: dict[int, list[int]] = defaultdict(list)
        for pk, server in locked.values_list("pk", "account__server_id"):
            keys[server].append(pk)
        handed_out = [pk for on_server in keys.values() for pk in on_server]
        Rollover.objects.filter(pk__in=handed_out).update(dispatched_at=moment)
    size = settings.ROLLOVER_SLICE_SIZE
    return [
        on_server[start : start + size]
        for on_server in keys.values()
        for start in range(0, len(on_server), size)
    ]


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
