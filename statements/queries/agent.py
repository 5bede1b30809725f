"""What an agent earned in a period, by client and by agent below, and what he was paid.

Of his clients' fees, and of anybody else's parts of them, nothing is read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, Q, QuerySet, Sum, TextField, When
from django.db.models.fields.json import KeyTextTransform

from accounts.models import Agent, User
from accounts.queries import client_name
from fees.calc.kinds import PLACE_OF_KIND
from fees.explanations import fee_title
from fees.models import ChargePart
from money.exact import exact_sum
from statements.calc.period import Period
from statements.queries.people import Subject
from statements.queries.portions import rows_in_portions
from statements.queries.receipts import CurrencyReceipts, receipts_of

OWN_LEVEL = 1
"""The level of an agent in the fees of clients he introduced himself."""
_INTRODUCER = KeyTextTransform(0, "charge__investment__agents")


@dataclass(frozen=True, slots=True)
class EarnedRow:
    """Parts of one currency that have something in common; `level` is 0 where they are of several."""

    name: str
    level: int
    currency: str
    currency_digits: int
    amount: Decimal
    parts: int


@dataclass(frozen=True, slots=True)
class AgentStatement:
    subject: Subject
    period: Period
    totals: Sequence[EarnedRow]
    by_kind: Sequence[EarnedRow]
    by_client: Sequence[EarnedRow]
    by_agent: Sequence[EarnedRow]
    receipts: Sequence[CurrencyReceipts]
    line_count: int

    @property
    def is_empty(self) -> bool:
        return not self.totals and not self.receipts


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One own part; `through` is the client, or the agent below who introduced him."""

    at: datetime
    code: str
    title: str
    note: str
    account_name: str
    login: int | None
    level: int
    through: str
    amount: Decimal
    currency: str
    currency_digits: int


def agent_statement(subject: Subject, period: Period) -> AgentStatement:
    """Four statements at most, whatever the number of clients and parts."""
    sums = _sums(subject, period)
    own, further = [row for row in sums if row["client"]], [row for row in sums if not row["client"]]
    clients = User.objects.in_bulk({row["client"] for row in own}) if own else {}
    agents = agent_names(row["introducer"] for row in further)
    return AgentStatement(
        subject=subject,
        period=period,
        totals=_rows(sums, lambda row: (0, "", 0)),
        by_kind=_rows(sums, lambda row: (PLACE_OF_KIND[row["kind"]], fee_title(row["kind"]), 0)),
        by_client=_rows(own, lambda row: (row["client"], client_name(clients[row["client"]]), OWN_LEVEL)),
        by_agent=_rows(further, lambda row: (row["level"], agents.get(row["introducer"], ""), row["level"])),
        receipts=receipts_of(subject.payee, period),
        line_count=sum(row["parts"] for row in sums),
    )


def agent_lines(statement: AgentStatement, start: int = 0, stop: int | None = None) -> list[AgentLine]:
    """The parts from `start` to just before `stop`, oldest first. Two statements."""
    parts = _parts(statement.subject, statement.period).order_by("charge__charged_at", "pk")
    return _lines(list(_with_relations(parts)[start:stop]))


def all_agent_lines(statement: AgentStatement) -> Iterator[Sequence[AgentLine]]:
    """All of them, in portions, each of two statements; one before them finds their order."""
    parts = _parts(statement.subject, statement.period).order_by("charge__charged_at", "pk")
    for portion in rows_in_portions(parts, _with_relations(ChargePart.objects.all())):
        yield _lines(portion)


def agent_names(introducers: Iterable[str | None]) -> dict[str, str]:
    """Names of agents by public id. One statement where there are any."""
    wanted = {introducer for introducer in introducers if introducer}
    if not wanted:
        return {}
    agents = Agent.objects.filter(public_id__in=wanted).select_related("user")
    return {str(agent.public_id): str(agent) for agent in agents}


def _parts(subject: Subject, period: Period) -> QuerySet[ChargePart]:
    return ChargePart.objects.filter(
        payee=subject.payee,
        charge__charged_at__gte=period.starts_at,
        charge__charged_at__lt=period.ends_at,
    )


def _with_relations(parts: QuerySet[ChargePart]) -> QuerySet[ChargePart]:
    return parts.select_related("account", "charge__investment__owner").defer("charge__explanation")


def _sums(subject: Subject, period: Period) -> list[dict[str, Any]]:
    """By kind of fee, and by client for own clients, by level and introducing agent for others'."""
    is_own = Q(level=OWN_LEVEL)
    parts = _parts(subject, period).annotate(
        kind=F("charge__kind"),
        client=Case(When(is_own, then=F("charge__investment__owner"))),
        introducer=Case(When(~is_own, then=_INTRODUCER), output_field=TextField()),
    )
    keys = ("kind", "level", "client", "introducer", "currency", "currency_digits")
    return list(parts.order_by().values(*keys).annotate(sum=Sum("amount"), parts=Count("pk")))


def _rows(
    sums: Sequence[dict[str, Any]], group: Callable[[dict[str, Any]], tuple[Any, str, int]]
) -> list[EarnedRow]:
    """One row per group and currency, in the groups' order; a group is its order, name and level."""
    found: defaultdict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in sums:
        found[row["currency"], row["currency_digits"], *group(row)].append(row)
    return [
        EarnedRow(
            name=name,
            level=level,
            currency=currency,
            currency_digits=digits,
            amount=exact_sum(row["sum"] for row in rows),
            parts=sum(row["parts"] for row in rows),
        )
        for (currency, digits, _, name, level), rows in sorted(found.items())
    ]


def _introducer_of(part: ChargePart) -> str:
    """The nearest agent of the investment, by public id."""
    agents: list[str] = part.charge.investment.agents
    return agents[0] if agents else ""


def _lines(parts: Sequence[ChargePart]) -> list[AgentLine]:
    names = agent_names(_introducer_of(part) for part in parts if part.level > OWN_LEVEL)
    return [_line(part, names) for part in parts]


def _line(part: ChargePart, names: dict[str, str]) -> AgentLine:
    charge = part.charge
    is_own = part.level == OWN_LEVEL
    return AgentLine(
        at=charge.charged_at,
        code=f"{charge.kind}_fee",
        title=fee_title(charge.kind, collects_debt=charge.collects_debt),
        note=str(charge.get_occasion_display()),
        account_name=part.account.name,
        login=part.account.login,
        level=part.level,
        through=client_name(charge.investment.owner) if is_own else names.get(_introducer_of(part), ""),
        amount=part.amount,
        currency=part.currency,
        currency_digits=part.currency_digits,
    )
