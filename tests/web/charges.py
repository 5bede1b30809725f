"""Charges as a rollover writes them: a real explanation, and parts for whoever shares."""

import uuid
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from allocation.models import Investment, PricePoint
from brokers.models import Broker
from fees.calc import crystallisation
from fees.calc.crystallisation import FeeLine, FeeState, Situation
from fees.calc.explanation import explanation
from fees.calc.performance import Standing
from fees.calc.schedule import Schedule
from fees.calc.terms import FeeTerms
from fees.models import Charge, ChargePart

Party = ChargePart.Party


def performance_line(amount: str) -> FeeLine:
    """A performance fee of `amount`: 20 % of five times as much, at the end of an interval."""
    fee = Decimal(amount)
    state = FeeState(Standing(Decimal(1000)))
    situation = Situation(1000 + 5 * fee, 2)
    (line,) = crystallisation.interval_end(FeeTerms(Schedule.flat(Decimal("0.20"))), state, situation).lines
    assert line.amount == fee
    return line


def charged(
    investment: Investment,
    line: FeeLine,
    *,
    days_ago: int = 0,
    occasion: Charge.Occasion = Charge.Occasion.INTERVAL_END,
    point: PricePoint | None = None,
    broker: str = "0",
    agents: tuple[tuple[uuid.UUID, str], ...] = (),
) -> Charge:
    """A charge of `line`; the manager receives what `broker` and `agents`, nearest first, leave of it."""
    account = investment.account
    made: Charge = Charge.objects.create(
        account=account, investment=investment, price_point=point or investment.joined, kind=line.kind.value,
        occasion=occasion, collects_debt=line.collects_debt, amount=line.amount, uncollected=line.uncollected,
        currency=account.currency, currency_digits=account.currency_digits, profit=line.profit,
        mark_before=line.mark_before, mark_after=line.mark_after, carried_before=line.carried_before,
        carried_after=line.carried_after, explanation=explanation(line, account.currency_digits),
        charged_at=point.priced_at if point else timezone.now() - timedelta(days=days_ago),
    )  # fmt: skip
    of_agents = [(Party.AGENT, level, payee, Decimal(part)) for level, (payee, part) in enumerate(agents, 1)]
    rest = line.amount - Decimal(broker) - sum(part for *_, part in of_agents)
    ChargePart.objects.bulk_create(
        ChargePart(
            charge=made, account=account, price_point=made.price_point, party=party, level=level, payee=payee,
            amount=part, currency=made.currency, currency_digits=made.currency_digits,
        )
        for party, level, payee, part in (
            (Party.BROKER, 0, Broker.objects.get().public_id, Decimal(broker)),
            *of_agents,
            (Party.MANAGER, 0, account.manager.public_id, rest),
        )
        if part
    )  # fmt: skip
    return made
