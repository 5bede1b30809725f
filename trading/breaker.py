"""A circuit breaker per trading server, shared by all workers.

A server that fails is not asked by every worker for every slice, each waiting for its time-out: after
`FAILURES_ALLOWED` in a row nobody asks it until a pause is over, then one worker tries. The first answer
closes the circuit for all. Other servers never notice.
"""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from trading.models import ServerCondition, TradingServer

FAILURES_ALLOWED = 3
PAUSES = (timedelta(seconds=15), timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2))
"""One after the other, the last from then on."""
KNOWN_FOR = timedelta(minutes=1)
TRIAL = timedelta(seconds=30)
"""For how long the one worker that tries has the server to itself."""


def may_ask(server: TradingServer) -> bool:
    """Whether the server may be asked now. Of those who ask after a pause, only the first may."""
    condition = ServerCondition.objects.filter(server=server).first()
    if condition is None or condition.failures < FAILURES_ALLOWED or condition.retry_at is None:
        return True
    now = timezone.now()
    if now < condition.retry_at:
        return False
    trying = ServerCondition.objects.filter(pk=condition.pk, retry_at=condition.retry_at)
    return bool(trying.update(retry_at=now + TRIAL))


def record_answer(server: TradingServer) -> bool:
    """The server answers. Nothing is written where that was known a minute ago. Whether it has come back."""
    now = timezone.now()
    condition = ServerCondition.objects.filter(server=server).first()
    if condition is None:
        ServerCondition.objects.bulk_create(
            [ServerCondition(server=server, last_answer_at=now)], ignore_conflicts=True
        )
        return False
    seen = condition.last_answer_at
    if not condition.failures and seen is not None and now - seen < KNOWN_FOR:
        return False
    closed = ServerCondition.objects.filter(pk=condition.pk, failures=condition.failures).update(
        failures=0, failing_since=None, retry_at=None, last_answer_at=now, last_error=""
    )
    return bool(closed) and condition.failures >= FAILURES_ALLOWED


def record_failure(server: TradingServer, error: str) -> bool:
    """The server could not be asked, or gave no usable answer. Whether nobody asks it from now on."""
    now = timezone.now()
    with transaction.atomic():
        ServerCondition.objects.bulk_create([ServerCondition(server=server)], ignore_conflicts=True)
        condition = ServerCondition.objects.select_for_update().get(server=server)
        condition.failures += 1
        condition.failing_since = condition.failing_since or now
        condition.last_error = error[:200]
        beyond = condition.failures - FAILURES_ALLOWED
        if beyond >= 0:
            condition.retry_at = now + PAUSES[min(beyond, len(PAUSES) - 1)]
        condition.save()
    return beyond == 0
