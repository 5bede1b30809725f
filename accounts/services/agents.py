"""Agents: who introduces clients, and whom an agent was introduced by in turn.

A chain runs from the agent who introduced a client up to the one whom nobody introduced. Only the broker's
administrator writes here; `by` None is the platform's operator at a terminal.
"""

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from accounts.errors import AgentChainTooLong, AgentCycle, AlreadyAgent
from accounts.models import Agent, PersonalAccount, Role, User
from accounts.services.people import acting, grant_role, require_admin
from brokers.models import Broker
from fees.calc.shares import MOST_AGENT_LEVELS
from outbox.services import record_event


def make_agent(*, user: User, parent: Agent | None = None, by: User | None) -> Agent:
    """Let somebody introduce clients, below `parent` if given; grants the role.

    Raises `AlreadyAgent`, `AgentChainTooLong`, `NotAllowed`.
    """
    require_admin(by)
    try:
        with transaction.atomic():
            _require_short_chain(None, parent, _locked_parents())
            agent: Agent = Agent.objects.create(user=user, parent=parent)
            grant_role(user=user, role=Role.AGENT, by=by)
            record_event("agent.appointed", subject=agent.public_id, parent=_public_id(parent), by=acting(by))
    except IntegrityError as error:
        raise AlreadyAgent from error
    return agent


def place_agent(*, agent: Agent, parent: Agent | None, by: User | None) -> Agent:
    """Move an agent, with everybody below, under `parent` or to the top.

    Investments keep the agents they joined with. Raises `AgentCycle` where the parent stands below the agent,
    `AgentChainTooLong`, `NotAllowed`.
    """
    require_admin(by)
    with transaction.atomic():
        parents = _locked_parents()
        if parent is not None and agent.pk in _chain(parent.pk, parents):
            raise AgentCycle(field="parent")
        _require_short_chain(agent, parent, parents)
        Agent.objects.filter(pk=agent.pk).update(parent=parent)
        record_event("agent.placed", subject=agent.public_id, parent=_public_id(parent), by=acting(by))
    agent.refresh_from_db()
    return agent


def introduce_client(
    *, personal_account: PersonalAccount, agent: Agent | None, by: User | None
) -> PersonalAccount:
    """Say who introduced the owner of a personal account; None: nobody.

    For investments that are made from now on. Raises `NotAllowed`.
    """
    require_admin(by)
    with transaction.atomic():
        PersonalAccount.objects.filter(pk=personal_account.pk).update(introduced_by=agent)
        record_event(
            "client.introduced", subject=personal_account.public_id, agent=_public_id(agent), by=acting(by)
        )
    personal_account.refresh_from_db()
    return personal_account


def _locked_parents() -> Mapping[int, int | None]:
    """Parent of every agent, none of which changes until the transaction ends: of two moves at once, each
    harmless alone, the second must see the first.
    """
    Broker.objects.select_for_update(no_key=True).get()
    return dict(Agent.objects.values_list("pk", "parent_id"))


def _chain(agent: int, parents: Mapping[int, int | None]) -> list[int]:
    """The agent and everybody above, nearest first."""
    chain = [agent]
    while (above := parents[chain[-1]]) is not None:
        chain.append(above)
    return chain


def _require_short_chain(
    moved: Agent | None, parent: Agent | None, parents: Mapping[int, int | None]
) -> None:
    """No chain through the moved agent (None: a new one) under its parent has more levels than may share."""
    above = 0 if parent is None else len(_chain(parent.pk, parents))
    below = 1
    if moved is not None:
        chains = (_chain(agent, parents) for agent in parents)
        below = max(chain.index(moved.pk) + 1 for chain in chains if moved.pk in chain)
    if above + below > MOST_AGENT_LEVELS:
        raise AgentChainTooLong(field="parent", most=MOST_AGENT_LEVELS)


def _public_id(agent: Agent | None) -> str | None:
    return None if agent is None else str(agent.public_id)
