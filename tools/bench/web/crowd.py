"""A broker with a thousand offers, a client with a hundred investments, a manager with twenty accounts and an
account with two hundred investors: plans that the demo's own loader carries out, hour by hour.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from demo.plans import SETTLING_HOURS, Act, Stake, Step
from demo.scenario import ALPHA, AccountPlan, BrokerPlan, ManagerPlan, Person

MOST_OFFERS_OF_ONE = 10
MANAGERS = 12
OF_THE_FIRST_MANAGER = 5
"""Every fifth account is the first manager's."""
YOUNG_DAYS = 30
"""Record of all accounts but the demo's own, which are as old as in the demo."""


@dataclass(frozen=True, slots=True)
class CrowdSizes:
    """`offers` of the broker, `investments` of one client, `investors` of one account (a dozen at least)."""

    offers: int = 1_000
    investments: int = 100
    investors: int = 200

    @property
    def accounts(self) -> int:
        return max(self.investments, len(ALPHA.accounts))

    def __str__(self) -> str:
        return (
            f"{self.offers:,} offers of {self.accounts} accounts, an investor with {self.investments} "
            f"investments, an account with {self.investors} investors"
        )


def broker_of(sizes: CrowdSizes) -> BrokerPlan:
    """The demo's `alpha`, grown."""
    own = list(ALPHA.accounts)
    accounts = own + [_account(number, own) for number in range(len(own), sizes.accounts)]
    missing = sizes.offers - sum(len(account.offers) for account in accounts)
    grown = []
    for account in accounts:
        more = min(missing, MOST_OFFERS_OF_ONE)
        missing -= more
        first = account.offers[0]
        extra = [replace(first, name=f"{first.name} {number}") for number in range(2, more + 2)]
        grown.append(replace(account, offers=(*account.offers, *extra)))
    clients = [*_people("Client", sizes.investors + 1), *ALPHA.clients[-2:]]
    managers = [*ALPHA.managers, *_managers(MANAGERS - len(ALPHA.managers))]
    return replace(ALPHA, accounts=tuple(grown), clients=tuple(clients), managers=tuple(managers))


@dataclass(frozen=True, slots=True)
class Planner:
    """Who puts money where: the first client everywhere, all others into the first account."""

    sizes: CrowdSizes

    def __call__(self, broker: BrokerPlan, hours: Sequence[int], chance: random.Random) -> list[list[Stake]]:
        planned = [
            [self._of_the_first(account, hours[number])] for number, account in enumerate(broker.accounts)
        ]
        leaving = Step(Act.WITHDRAW, None, share=Decimal("0.10"))
        planned[0][0] = replace(planned[0][0], steps=(*planned[0][0].steps, leaving))
        for client in range(1, self.sizes.investors):
            joined = 1 + int((hours[0] - SETTLING_HOURS - 2) * chance.random())
            amount = _amount(broker.accounts[0], chance.randint(1, 20))
            planned[0].append(Stake(client, client % 2, (Step(Act.DEPOSIT, joined, amount),)))
        for number, account in enumerate(broker.accounts):
            waiting = Step(Act.DEPOSIT, None, _amount(account, 2), is_confirmed=False)
            planned[number].append(Stake(self.sizes.investors, 0, (waiting,)))
        return planned

    def _of_the_first(self, account: AccountPlan, hours: int) -> Stake:
        last = hours - SETTLING_HOURS
        amounts = (_amount(account, 4), _amount(account, 1))
        steps = [Step(Act.DEPOSIT, 1 + last * place // 3, amount) for place, amount in enumerate(amounts)]
        return Stake(0, 0, tuple(steps))


def _amount(account: AccountPlan, times: int) -> Decimal:
    return 2 * times * max(offer.minimum for offer in account.offers)


def _account(number: int, sources: Sequence[AccountPlan]) -> AccountPlan:
    source = sources[number % len(sources)]
    manager = 0 if number % OF_THE_FIRST_MANAGER == 0 else 1 + number % (MANAGERS - 1)
    return replace(source, name=f"{source.name} {number}", manager=manager, age_days=YOUNG_DAYS)


def _people(kind: str, number: int) -> list[Person]:
    return [Person(kind, f"Number {index:04}") for index in range(number)]


def _managers(number: int) -> list[ManagerPlan]:
    return [
        ManagerPlan(person, f"Desk {index}", "One of many.")
        for index, person in enumerate(_people("Manager", number))
    ]
