"""Which broker answers on a host."""

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
