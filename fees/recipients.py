"""Who receives a fee, and into which account on the trading server."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import F

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from allocation.models import Investment
from brokers.models import Broker
from transfers.models import Side
from transfers.services import Endpoint


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payment has to arrive: a trading server, and the currency its account must have."""

    server_id: int
    currency: str
    currency_digits: int


Payable = Mapping[tuple[uuid.UUID, Place], Endpoint]
"""Where parties can be paid, at every place where they have an account."""


@dataclass(frozen=True, slots=True)
class Payees:
    """Public ids of the parties to the fees of one investment; `agents` by level, the nearest first."""

    broker: uuid.UUID
    agents: tuple[uuid.UUID, ...]
    manager: uuid.UUID


@dataclass(frozen=True, slots=True)
class Recipients:
    """The parties to the fees of one PAMM account, and where each is paid."""

    account: PammAccount
    broker: uuid.UUID
    manager: uuid.UUID

    @classmethod
    def of(cls, account: PammAccount, broker: Broker) -> "Recipients":
        """Without a query where the account came with its `manager`."""
        return cls(account, broker.public_id, account.manager.public_id)

    def payees(self, investment: Investment) -> Payees:
        """Without a query: the agents are those who introduced the owner when the investment joined."""
        agents = tuple(uuid.UUID(agent) for agent in investment.agents)
        return Payees(self.broker, agents, self.manager)

    def endpoint(self, payee: uuid.UUID, payable: Payable) -> Endpoint | None:
        """Where the payee is paid; None where there is no account for it. Without a query where the account
        came with its `income_account`: that is where the manager is paid.

        `payable` is what `payable_endpoints` says of the others.
        """
        account = self.account
        if payee == self.manager:
            income = account.income_account
            return Endpoint(income.login, Side.PERSONAL, income.public_id)
        return payable.get((payee, Place(account.server_id, account.currency, account.currency_digits)))


def payable_endpoints(payees: Collection[uuid.UUID]) -> dict[tuple[uuid.UUID, Place], Endpoint]:
    """Where the broker and agents among `payees` can be paid, at every place where they have an account.

    The broker: its own account for fee income. An agent: the oldest personal account of theirs. Two
    statements, however many; none for nobody.
    """
    if not payees:
        return {}
    income = HouseAccount.objects.filter(
        purpose=HouseAccount.Purpose.INCOME, broker__public_id__in=payees
    ).select_related("broker")
    found = {
        (house.broker.public_id, _place(house)): Endpoint(house.login, Side.HOUSE, house.public_id)
        for house in income
    }
    of_agents = (
        PersonalAccount.objects.filter(user__agent_profile__public_id__in=payees)
        .annotate(payee=F("user__agent_profile__public_id"))
        .order_by("created_at", "id")
    )
    for personal in of_agents:
        endpoint = Endpoint(personal.login, Side.PERSONAL, personal.public_id)
        found.setdefault((personal.payee, _place(personal)), endpoint)
    return found


def _place(account: HouseAccount | PersonalAccount) -> Place:
    return Place(account.server_id, account.currency, account.currency_digits)
