"""Reads of transfers."""

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from transfers.models import Leg, Transfer

UNANSWERED_STATES = (Leg.State.SENDING, Leg.State.UNKNOWN)
IN_FLIGHT_STATES = (*UNANSWERED_STATES, Leg.State.CONFLICT)
OPEN_LEG_STATES = (*IN_FLIGHT_STATES, Leg.State.PLANNED, Leg.State.REFUSED)


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


def pools_being_corrected(pools: Collection[UUID]) -> set[UUID]:
    """Those of the PAMM accounts, by public id, of which an undone operation has not arrived yet."""
    if not pools:
        return set()
    open_ones = Transfer.objects.filter(
        pool__in=pools,
        purpose=Transfer.Purpose.CORRECTION,
        state__in=(Transfer.State.PLANNED, Transfer.State.IN_TRANSIT),
    )
    return set(open_ones.values_list("pool", flat=True))


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


def conflicts(server_id: int, logins: Collection[int]) -> dict[int, Leg]:
    """By login, the operation that the server shows more than once or otherwise: nothing more of that login
    is sent until a person has decided.
    """
    found = Leg.objects.filter(server_id=server_id, login__in=logins, state=Leg.State.CONFLICT)
    return {leg.login: leg for leg in found}


def logins_in_flight(server_id: int, logins: Collection[int]) -> set[int]:
    """Logins with an operation whose outcome is not known."""
    return set(
        Leg.objects.filter(server_id=server_id, login__in=logins, state__in=IN_FLIGHT_STATES).values_list(
            "login", flat=True
        )
    )
