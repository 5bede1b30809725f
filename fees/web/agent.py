"""An agent's pages: clients, own parts of their fees, and what waits for an account of his."""

from functools import partial

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Agent, User
from accounts.queries import get_agent_for
from accounts.web.paging import page_by_id
from brokers.web.csv_files import csv_answer
from fees.models import ChargePart
from fees.web.agent_income import (
    OWN_LEVEL,
    Payments,
    accounts_paying,
    clients_of,
    earned_by_client,
    earned_by_level,
    earned_in_all,
    introducer_names,
    introducers_of,
    part_row,
    part_rows,
    parts_of,
    payments_of,
)
from fees.web.filters import IncomeFilter

PAGE_SIZE = 50
CLIENTS_SHOWN = 10
COLUMNS = (
    "charged_at", "account", "account_name", "level", "client", "agent", "kind", "occasion", "collects_debt",
    "own_part", "currency", "state",
)  # fmt: skip


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """What the agent earned, by whom, and every part, the latest first."""
    agent = _agent(request)
    form = IncomeFilter(request.GET or None, accounts=accounts_paying(agent))
    page = page_by_id(request, _chosen(agent, form), PAGE_SIZE)
    clients = list(clients_of(agent).order_by("-pk")[: CLIENTS_SHOWN + 1])
    payments = payments_of(agent)
    context = {
        "form": form,
        "totals": earned_in_all(agent),
        "waiting": payments.waiting,
        "clients": earned_by_client(agent, clients[:CLIENTS_SHOWN]),
        "has_more_clients": len(clients) > CLIENTS_SHOWN,
        "levels": earned_by_level(agent),
        "rows": part_rows(page.rows, payments),
        "page": page,
        "query": request.GET.urlencode(),
    }
    return render(request, "fees/agent.html", context)


@login_required
@require_safe
def clients(request: HttpRequest) -> HttpResponse:
    """Everybody the agent introduced, who came last first."""
    agent = _agent(request)
    page = page_by_id(request, clients_of(agent), PAGE_SIZE)
    context = {"page": page, "clients": earned_by_client(agent, page.rows)}
    return render(request, "fees/agent_clients.html", context)


@login_required
@require_safe
def parts_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The parts of the page as CSV, oldest first, however many there are."""
    agent = _agent(request)
    form = IncomeFilter(request.GET or None, accounts=accounts_paying(agent))
    columns = partial(_columns, payments_of(agent), introducer_names(introducers_of(agent)))
    return csv_answer("agent-income.csv", COLUMNS, _chosen(agent, form), columns)


def _chosen(agent: Agent, form: IncomeFilter) -> QuerySet[ChargePart]:
    return parts_of(agent).filter(form.condition("charge__"))


def _columns(payments: Payments, names: dict[str, str], part: ChargePart) -> tuple[str, ...]:
    row, charge = part_row(part, payments, names), part.charge
    is_own = part.level == OWN_LEVEL
    return (
        charge.charged_at.isoformat(timespec="seconds"),
        str(part.account.login),
        part.account.name,
        str(part.level),
        row.through if is_own else "",
        "" if is_own else row.through,
        charge.kind,
        charge.occasion,
        "yes" if charge.collects_debt else "no",
        format(part.amount, f".{part.currency_digits}f"),
        part.currency,
        row.state.value,
    )


def _agent(request: HttpRequest) -> Agent:
    """The agent who is signed in. Raises `NotFound` for anybody else."""
    assert isinstance(request.user, User)
    return get_agent_for(request.user)
