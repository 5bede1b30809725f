"""Jobs of the track record."""

from celery import shared_task
from django.db.models import F, Q

from accounts.models import PammAccount
from brokers.queries import active_broker_ids
from brokers.scope import broker_scope
from track_record.services import refresh_statistics


@shared_task
def refresh_statistics_task() -> None:
    """For every broker: the accounts that were priced since their statistics were told."""
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            behind = Q(statistics__isnull=True) | Q(statistics__as_of__lt=F("last_priced_at"))
            refresh_statistics(PammAccount.objects.filter(behind, last_priced_at__isnull=False))
