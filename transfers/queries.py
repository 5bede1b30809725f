"""Reads of transfers."""

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from transfers.models import Leg, Transfer

OPEN_LEG_STATES = (Leg.State.PLANNED, Leg.State.SENDING, Leg.State.UNKNOWN, Leg.State.REFUSED)
IN_FLIGHT_STATES = (Leg.State.SENDING, Leg.State.UNKNOWN)


def open_legs(server_id: int, logins: Collection[int]) -> QuerySet[Leg]:
    """Legs of these logins that the server has not applied, of transfers that are still to be made."""
    return Leg.objects.filter(
        server_id=server_id,
        login__in=logins,
        state__in=OPEN_LEG_STATES,
        transfer__state__in=(Transfer.State.PLANNED, Transfer.State.IN_TRANSIT),
    )


def held_fees() -> QuerySet[Transfer]:
    """Fees that have left their PAMM account and stand in transit: there was no account to pay them into."""
    arriving = Leg.objects.filter(transfer=OuterRef("pk"), position=2)
    return Transfer.objects.filter(
        ~Exists(arriving), state=Transfer.State.IN_TRANSIT, purpose=Transfer.Purpose.FEE
    )


def under_way(server_id: int, logins: Collection[int]) -> dict[int, tuple[Decimal, Decimal]]:
    """For each login (owed, incoming): money decided but not yet out of it, and not yet into it. Both
    positive.
    """
    sums: dict[int, tuple[Decimal, Decimal]] = defaultdict(lambda: (Decimal(0), Decimal(0)))
    rows = (
        open_legs(server_id, logins)
        .values("login")
        .annotate(owed=Sum("amount", filter=Q(amount__lt=0)), incoming=Sum("amount", filter=Q(amount__gt=0)))
    )
    for row in rows:
        sums[row["login"]] = (-(row["owed"] or Decimal(0)), row["incoming"] or Decimal(0))
    return sums


def uncounted_legs(server_id: int, logins: Collection[int]) -> dict[int, list[Leg]]:
    """Applied legs by login whose deals no price point has counted yet."""
    found: dict[int, list[Leg]] = defaultdict(list)
    for leg in Leg.objects.filter(
        server_id=server_id, login__in=logins, state=Leg.State.APPLIED, counted=False
    ).order_by("id"):
        found[leg.login].append(leg)
    return found


def logins_in_flight(server_id: int, logins: Collection[int]) -> set[int]:
    """Logins with an operation whose outcome is not known."""
    return set(
        Leg.objects.filter(server_id=server_id, login__in=logins, state__in=IN_FLIGHT_STATES).values_list(
            "login", flat=True
        )
    )
