"""Who puts money where and when, by chance with a seed: requests of the past, and open ones of today."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from demo.scenario import AccountPlan, BrokerPlan, OfferPlan

YEN_PER_UNIT = 150
PEOPLE_WITHOUT_INVESTMENT = 2
"""The last clients of a broker have money and no investment: to try out joining."""

SETTLING_HOURS = 3
"""No request is executed in the last hours of the past: what it moved would not be counted yet."""


class Act(Enum):
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Step:
    """One request.

    `hour` counts from the account's first rollover; None: open today, `is_confirmed` or not. `amount` of a
    deposit is in the account's currency, `share` of a withdrawal a fraction of what is available.
    """

    act: Act
    hour: int | None
    amount: Decimal = Decimal(0)
    share: Decimal = Decimal(0)
    is_confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Stake:
    """One investment to be. `client` and `offer` are indexes into the plans of broker and account."""

    client: int
    offer: int
    steps: tuple[Step, ...]

    @property
    def paid_in(self) -> Decimal:
        return sum((step.amount for step in self.steps), Decimal(0))


def stakes_of(broker: BrokerPlan, hours: Sequence[int], chance: random.Random) -> list[list[Stake]]:
    """The stakes in each account of the broker; `hours` is how many rollovers each account has had."""
    planned: list[list[Stake]] = [[] for _ in broker.accounts]
    for client in range(len(broker.clients) - PEOPLE_WITHOUT_INVESTMENT):
        for number in _accounts_of(broker, chance):
            account = broker.accounts[number]
            offer = chance.choices(
                range(len(account.offers)), weights=[offer.weight for offer in account.offers]
            )[0]
            planned[number].append(
                Stake(client, offer, _past(account, account.offers[offer], hours[number], chance))
            )
    for number, account in enumerate(broker.accounts):
        planned[number] += _today(broker, account, number, planned[number], chance)
    return planned


def _accounts_of(broker: BrokerPlan, chance: random.Random) -> list[int]:
    numbers = list(range(len(broker.accounts)))
    chance.shuffle(numbers)
    return sorted(numbers[: chance.choices((1, 2, 3, 4), weights=(2, 4, 4, 2))[0]])


def _past(account: AccountPlan, offer: OfferPlan, hours: int, chance: random.Random) -> tuple[Step, ...]:
    last = hours - SETTLING_HOURS
    joined = 1 + int(max(last - 24, 1) * chance.random() ** 1.6)
    acts = [Act.DEPOSIT] if chance.random() < 0.4 else []
    # A deposit after a withdrawal could be refused under tiers: money that was taken out waits for the
    # interval's end.
    if offer.may_be_left:
        acts += [Act.WITHDRAW] if chance.random() < 0.35 else []
        acts += [Act.CLOSE] if chance.random() < 0.22 else []
    steps = [Step(Act.DEPOSIT, joined, _amount(account, offer, chance))]
    at = joined
    for act in acts:
        at = at + 2 + int(max(last - at, 0) * chance.uniform(0.1, 0.7))
        if at >= last:
            break
        amount = _amount(account, offer, chance) / 2 // 10 * 10 if act is Act.DEPOSIT else Decimal(0)
        share = Decimal(chance.randint(10, 45)) / 100 if act is Act.WITHDRAW else Decimal(0)
        steps.append(Step(act, at, amount, share))
    return tuple(steps)


def _today(
    broker: BrokerPlan, account: AccountPlan, number: int, stakes: list[Stake], chance: random.Random
) -> list[Stake]:
    """Stakes that wait for the approver's yes; at every other account also a deposit and a withdrawal that
    the next rollover executes.
    """
    clients = range(len(broker.clients) - PEOPLE_WITHOUT_INVESTMENT)
    free = [client for client in clients if client not in {stake.client for stake in stakes}]
    offer = account.offers[0]
    waiting = [
        Stake(
            client, 0, (Step(Act.DEPOSIT, None, _amount(account, offer, chance), is_confirmed=is_confirmed),)
        )
        for client, is_confirmed in zip(free, (False, True)[: 1 + (number + 1) % 2], strict=False)
    ]
    for index, stake in enumerate(stakes):
        is_over = stake.steps[-1].act is Act.CLOSE
        if number % 2 == 0 and not is_over and account.offers[stake.offer].may_be_left:
            leaving = Step(Act.WITHDRAW, None, share=Decimal("0.10"))
            stakes[index] = replace(stake, steps=(*stake.steps, leaving))
            break
    return waiting


def _amount(account: AccountPlan, offer: OfferPlan, chance: random.Random) -> Decimal:
    """Mostly small, a few large, round, and at least twice the offer's minimum."""
    units = 50 * round(10 * 2 ** chance.uniform(0, 5.5))
    amount = Decimal(units * (YEN_PER_UNIT if account.currency == "JPY" else 1))
    return max(amount, 2 * offer.minimum)
