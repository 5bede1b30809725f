"""Which broker answers on a host."""

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings

from brokers.models import Broker, HostName
from brokers.scope import broker_scope


def broker_id_of_host(host: str) -> int | None:
    """Primary key of the broker of `host` (with port, else without), or None."""
    name = host.lower()
    rows = dict(
        HostName.objects.filter(host__in={name, name.partition(":")[0]}).values_list("host", "broker_id")
    )
    return rows.get(name, rows.get(name.partition(":")[0]))


def active_broker_ids() -> list[int]:
    """Every broker that answers on some host, for work that loops over scopes."""
    return sorted(set(HostName.objects.values_list("broker_id", flat=True)))


def broker_id_of_slug(slug: str) -> int | None:
    """Primary key of the broker of that slug, or None.

    Looks into one scope after the other: for commands only.
    """
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            if Broker.objects.filter(slug=slug).exists():
                return broker_id
    return None


def broker_in_scope() -> Broker:
    """The broker in whose name we work. Raises `NoBrokerScope`."""
    return Broker.objects.get()


def public_address(broker: Broker) -> str:
    """Where the broker's pages are reached, without a slash at the end: `https://alpha.example.com`."""
    host = HostName.objects.filter(broker_id=broker.pk).order_by("-is_primary", "pk").first()
    address: str = settings.PUBLIC_ADDRESS.format(host=host.host if host else "localhost")
    return address.rstrip("/")


@lru_cache(maxsize=1000)
def zone_called(name: str) -> ZoneInfo | None:
    """The time zone of that name; None where there is none."""
    # The names are read from some hundred files each time they are asked for: 10 ms of every page.
    return ZoneInfo(name) if name in available_timezones() else None
