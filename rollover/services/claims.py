"""Who works on which rollover: leases in the database, never the queue."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from rollover.models import Rollover

RETRY_AFTER = timedelta(seconds=15)


class ClaimLost(RuntimeError):
    """The lease of a rollover ran out and somebody else may have it: whoever finds this stops touching it."""


def claim(rollover_ids: Collection[int], holder: uuid.UUID) -> list[Rollover]:
    """Take those that are open and in nobody's hands, at most one per account. Returns what was taken."""
    now = timezone.now()
    busy = Rollover.objects.filter(
        account=OuterRef("account"), state__in=(Rollover.State.RUNNING, Rollover.State.SETTLING)
    ).exclude(pk=OuterRef("pk"))
    free = (
        Rollover.objects.filter(pk__in=rollover_ids, state__in=Rollover.OPEN_STATES, scheduled_for__lte=now)
        .filter(Q(lease_until__isnull=True) | Q(lease_until__lt=now))
        .filter(~Exists(busy))
    )
    lease: dict[str, Any] = {
        "lease_holder": str(holder),
        "lease_until": _lease_end(),
        "attempts": F("attempts") + 1,
    }
    try:
        with transaction.atomic():
            keys = list(free.select_for_update(skip_locked=True).values_list("pk", flat=True))
            begun = Rollover.objects.filter(pk__in=keys)
            begun.filter(started_at__isnull=True).update(started_at=now)
            begun.exclude(state=Rollover.State.SETTLING).update(state=Rollover.State.RUNNING, **lease)
            begun.filter(state=Rollover.State.SETTLING).exclude(lease_holder=str(holder)).update(**lease)
    except IntegrityError:
        # Two rollovers of one account were taken at the same instant: the sweeper brings the other one again.
        return []
    return list(
        Rollover.objects.filter(pk__in=keys)
        .select_related("account__server", "account__manager")
        .order_by("id")
    )


def renew(rollovers: Sequence[Rollover], holder: uuid.UUID) -> None:
    """Keep what is still in hand for another lease. Raises `ClaimLost` where somebody else took one over."""
    at_work = Rollover.objects.filter(
        pk__in=[rollover.pk for rollover in rollovers],
        state__in=(Rollover.State.RUNNING, Rollover.State.SETTLING),
    )
    if at_work.exclude(lease_holder__in=(str(holder), "")).exists():
        raise ClaimLost
    at_work.filter(lease_holder=str(holder)).update(lease_until=_lease_end())


def locked(rollovers: Sequence[Rollover], holder: uuid.UUID) -> dict[int, Rollover]:
    """The rows by key, locked in the caller's transaction, if all are still held. Raises `ClaimLost`."""
    keys = [rollover.pk for rollover in rollovers]
    rows = {row.pk: row for row in Rollover.objects.select_for_update().filter(pk__in=keys).order_by("id")}
    if any(row.lease_holder != str(holder) for row in rows.values()):
        raise ClaimLost
    return rows


def postpone(rollovers: Sequence[Rollover], holder: uuid.UUID, *, reason_code: str) -> None:
    """Give rollovers back, to be taken up again shortly. One that is settling stays so: its price is
    fixed.
    """
    held = Rollover.objects.filter(
        pk__in=[rollover.pk for rollover in rollovers],
        lease_holder=str(holder),
        state__in=Rollover.OPEN_STATES,
    )
    later = timezone.now() + RETRY_AFTER
    held.exclude(state=Rollover.State.SETTLING).update(state=Rollover.State.WAITING)
    held.update(lease_until=later, lease_holder="", reason_code=reason_code)


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.ROLLOVER_LEASE_SECONDS)
