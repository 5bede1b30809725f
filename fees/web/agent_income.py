"""What an agent earned: the figures of his pages. Of clients nothing is read but who they are.

The parts of one rollover reach an agent as one payment, or wait where he has no account that fits.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum, TextChoices
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Agent, PammAccount, PersonalAccount, User
from accounts.queries import agents_below, client_name
from fees.explanations import fee_title
from fees.models import ChargePart
from fees.recipients import Place, payable_endpoints
from money.exact import ZERO, exact_sum
from transfers.models import Leg, Transfer

OWN_LEVEL = 1
"""The level of an agent in the fees of clients he introduced himself."""
INTRODUCER = KeyTextTransform(0, "charge__investment__agents")


class PartState(TextChoices):
    """Where the money of a part is."""

    COMPLETED = "completed", _("Paid")
    RUNNING = "running", _("On its way")
    WAITING = "waiting", _("Waiting for an account")


@dataclass(frozen=True, slots=True)
class Earned:
    """Parts of one currency: of all time, and of this month by the reader's calendar."""

    currency: str
    currency_digits: int
    ever: Decimal
    this_month: Decimal
    parts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits until the agent has an account in that currency on that server."""

    server: str
    currency: str
    currency_digits: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Earner:
    """Whom an agent earns by, a client of his own or an agent below, and what."""

    name: str
    earned: Sequence[Earned]


@dataclass(frozen=True, slots=True)
class Level:
    """The agents below who stand at one level from the client, and what came through them."""

    level: int
    agents: Sequence[Earner]


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part; `through` is the client, or the agent below who introduced him."""

    part: ChargePart
    title: str
    through: str
    state: PartState
    server: str


@dataclass(frozen=True, slots=True)
class Payments:
    """What of an agent's parts has not arrived, by account and price point, and what he can do about it."""

    states: Mapping[tuple[int, int], PartState]
    waiting: Sequence[Waiting]

    def state_of(self, part: ChargePart) -> PartState:
        return self.states.get((part.account_id, part.price_point_id), PartState.COMPLETED)


def parts_of(agent: Agent) -> QuerySet[ChargePart]:
    """With all that a row tells."""
    return _parts(agent).select_related("account__server", "charge__investment__owner")


def earned_in_all(agent: Agent) -> list[Earned]:
    """By currency."""
    return [_earned(row) for row in _sums(_parts(agent))]


def clients_of(agent: Agent) -> QuerySet[User]:
    """Whom he introduced, and whose investments still pay him for having done so."""
    introduced = PersonalAccount.objects.filter(introduced_by=agent).values("user")
    paying = _parts(agent).filter(level=OWN_LEVEL).values("charge__investment__owner")
    return User.objects.filter(Q(pk__in=introduced) | Q(pk__in=paying))


def earned_by_client(agent: Agent, clients: Collection[User]) -> list[Earner]:
    """What each of these clients brought, in their order. One statement."""
    of_clients = _parts(agent).filter(level=OWN_LEVEL, charge__investment__owner__in=clients)
    sums: defaultdict[int, list[Earned]] = defaultdict(list)
    for row in _sums(of_clients, "charge__investment__owner"):
        sums[row["charge__investment__owner"]].append(_earned(row))
    return [Earner(client_name(client), sums[client.pk]) for client in clients]


def earned_by_level(agent: Agent) -> list[Level]:
    """Agents below, by level, those who have brought nothing yet too. Three statements."""
    sums: defaultdict[tuple[int, uuid.UUID], list[Earned]] = defaultdict(list)
    rows = _sums(
        _parts(agent).filter(level__gt=OWN_LEVEL).annotate(introducer=INTRODUCER), "level", "introducer"
    )
    for row in rows:
        sums[row["level"], uuid.UUID(row["introducer"])].append(_earned(row))
    below = agents_below(agent)
    introducers = {introducer for _, introducer in sums}
    levels: defaultdict[int, list[Earner]] = defaultdict(list)
    known = Agent.objects.filter(Q(pk__in=below) | Q(public_id__in=introducers)).select_related("user")
    for other in known.order_by("pk"):
        stands_at = {level for level, introducer in sums if introducer == other.public_id}
        for level in sorted(stands_at | {below[other.pk]} if other.pk in below else stands_at):
            levels[level].append(Earner(str(other), sums.get((level, other.public_id), [])))
    return [Level(level, agents) for level, agents in sorted(levels.items())]


def payments_of(agent: Agent) -> Payments:
    """One statement where everything has arrived, else six; the effort is that of the accounts concerned."""
    arriving = Leg.objects.filter(transfer=OuterRef("pk"), position=2)
    fees = Transfer.objects.filter(payee=agent.public_id, purpose=Transfer.Purpose.FEE)
    not_arrived = list(
        fees.filter(state__in=(Transfer.State.PLANNED, Transfer.State.IN_TRANSIT))
        .annotate(has_destination=Exists(arriving))
        .select_related("server")
        .order_by("id")
    )
    if not not_arrived:
        return Payments({}, ())
    has_account = {place for _, place in payable_endpoints({agent.public_id})}
    states: dict[int, PartState] = {}
    waiting: defaultdict[tuple[str, str, int], list[Decimal]] = defaultdict(list)
    for transfer in not_arrived:
        place = Place(transfer.server_id, transfer.currency, transfer.currency_digits)
        if transfer.has_destination or place in has_account:
            states[transfer.pk] = PartState.RUNNING
        else:
            states[transfer.pk] = PartState.WAITING
            waiting[str(transfer.server), transfer.currency, transfer.currency_digits].append(transfer.amount)
    subjects = {transfer.subject for transfer in not_arrived}
    return Payments(
        {place: states[pk] for place, pk in _transfers_by_rollover(agent, fees, subjects) if pk in states},
        [Waiting(*place, exact_sum(amounts)) for place, amounts in sorted(waiting.items())],
    )


def part_rows(parts: Iterable[ChargePart], payments: Payments) -> list[PartRow]:
    """One statement: the names of the agents below."""
    rows = list(parts)
    names = introducer_names(_introducer_of(part) for part in rows)
    return [part_row(part, payments, names) for part in rows]


def part_row(part: ChargePart, payments: Payments, names: Mapping[str, str]) -> PartRow:
    """Without a query; `names` of introducing agents by public id."""
    charge = part.charge
    is_own = part.level == OWN_LEVEL
    return PartRow(
        part=part,
        title=fee_title(charge.kind, collects_debt=charge.collects_debt),
        through=client_name(charge.investment.owner) if is_own else names.get(_introducer_of(part), ""),
        state=payments.state_of(part),
        server=str(part.account.server),
    )


def introducer_names(introducers: Iterable[str]) -> dict[str, str]:
    """Names of agents by public id."""
    agents = Agent.objects.filter(public_id__in=set(introducers) - {""}).select_related("user")
    return {str(agent.public_id): str(agent) for agent in agents}


def introducers_of(agent: Agent) -> list[str]:
    """Public ids of the agents below whose clients have paid this one a part."""
    below = _parts(agent).filter(level__gt=OWN_LEVEL).annotate(introducer=INTRODUCER)
    return list(below.order_by().values_list("introducer", flat=True).distinct())


def accounts_paying(agent: Agent) -> QuerySet[PammAccount]:
    """Whose investors' fees the agent has had a part of."""
    return PammAccount.objects.filter(pk__in=_parts(agent).values("account")).order_by("pk")


def _parts(agent: Agent) -> QuerySet[ChargePart]:
    return ChargePart.objects.filter(payee=agent.public_id)


def _sums(parts: QuerySet[ChargePart], *keys: str) -> list[dict[str, Any]]:
    this_month = Q(charge__charged_at__gte=_month_began())
    keys = (*keys, "currency", "currency_digits")
    return list(
        parts.order_by()
        .values(*keys)
        .annotate(ever=Sum("amount"), this_month=Sum("amount", filter=this_month), parts=Count("pk"))
        .order_by(*keys)
    )


def _earned(row: Mapping[str, Any]) -> Earned:
    return Earned(
        row["currency"], row["currency_digits"], row["ever"], row["this_month"] or ZERO, row["parts"]
    )


def _month_began() -> datetime:
    return timezone.localtime().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _introducer_of(part: ChargePart) -> str:
    """The nearest agent of the investment, by public id."""
    agents: list[str] = part.charge.investment.agents
    return agents[0] if agents else ""


def _transfers_by_rollover(
    agent: Agent, fees: QuerySet[Transfer], subjects: Collection[uuid.UUID]
) -> list[tuple[tuple[int, int], int]]:
    """Account and price point of each payment to the agent, with the transfer that carries it.

    Every rollover at which an account owes him anything makes one transfer, so both are in the same order.
    """
    accounts = dict(PammAccount.objects.filter(public_id__in=subjects).values_list("pk", "public_id"))
    transfers: defaultdict[uuid.UUID, list[int]] = defaultdict(list)
    for subject, pk in fees.filter(subject__in=subjects).order_by("id").values_list("subject", "pk"):
        transfers[subject].append(pk)
    points: defaultdict[int, list[int]] = defaultdict(list)
    rows = (
        _parts(agent)
        .filter(account__in=accounts)
        .order_by("price_point__sequence")
        .values_list("account", "price_point", "price_point__sequence")
        .distinct()
    )
    for account, point, _sequence in rows:
        points[account].append(point)
    return [
        ((account, point), pk)
        for account, subject in accounts.items()
        for point, pk in zip(points[account], transfers[subject], strict=False)
    ]
