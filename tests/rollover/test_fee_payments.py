"""Parts of fees on their way to whom they are owed: one payment each, and what waits for an account."""

import uuid
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.models import Agent, HouseAccount, PammAccount, PersonalAccount
from brokers.models import Broker
from fees.models import ChargePart
from fees.recipients import Recipients, payable_endpoints
from rollover.services.pricing import fee_payments
from rollover.services.settlement import release_outstanding_fees
from tests.worlds import AliceBobCharlie, person, personal_account
from transfers.models import Leg, Side, Transfer
from transfers.services import Endpoint, TransferDraft, plan_transfers

Party = ChargePart.Party


def part(payee: uuid.UUID, amount: str, party: Party = Party.AGENT, level: int = 0) -> ChargePart:
    return ChargePart(party=party, level=level, payee=payee, amount=Decimal(amount))


def owed(*parts: ChargePart) -> dict[uuid.UUID, Decimal]:
    sums: defaultdict[uuid.UUID, Decimal] = defaultdict(Decimal)
    for charged in parts:
        sums[charged.payee] += charged.amount
    return dict(sums)


def agent(name: str, **fields: object) -> Agent:
    made: Agent = Agent.objects.create(user=person(f"{name}@example.com"), **fields)
    return made


def income_of_the_house(account: PammAccount, **fields: object) -> HouseAccount:
    values: dict[str, object] = {
        "server": account.server, "login": 700, "currency": "USD", "currency_digits": 2,
        "purpose": HouseAccount.Purpose.INCOME,
    }  # fmt: skip
    made: HouseAccount = HouseAccount.objects.create(**{**values, **fields})
    return made


def payments(account: PammAccount, sums: dict[uuid.UUID, Decimal], broker: Broker) -> list[TransferDraft]:
    recipients = Recipients.of(account, broker)
    return fee_payments(recipients, sums, payable_endpoints(sums.keys() - {recipients.manager}))


def endpoint_of(account: PammAccount, payee: uuid.UUID, broker: Broker) -> Endpoint | None:
    return Recipients.of(account, broker).endpoint(payee, payable_endpoints([payee]))


def held(world: AliceBobCharlie, *payees: uuid.UUID) -> list[Transfer]:
    """A fee of 1.00 to each, which has left the PAMM account and stands in transit."""
    account = world.pool.account
    with transaction.atomic():
        planned = plan_transfers(
            payments(account, owed(*(part(payee, "1.00") for payee in payees)), world.alpha)
        )
    Transfer.objects.update(state=Transfer.State.IN_TRANSIT)
    Leg.objects.update(state=Leg.State.APPLIED)
    return planned


def test_fee_payments_are_one_sum_per_party_each_to_its_own_account(world: AliceBobCharlie) -> None:
    account, near, far = world.pool.account, agent("near"), agent("far")
    house = income_of_the_house(account)
    of_near = personal_account(near.user, account.server, 6001)
    manager, broker = world.alice_manager.public_id, world.alpha.public_id
    drafts = payments(
        account,
        owed(
            part(broker, "2.00", Party.BROKER),
            part(near.public_id, "1.00", level=1),
            part(far.public_id, "0.50", level=2),
            part(manager, "16.50", Party.MANAGER),
            part(broker, "0.01", Party.BROKER),
            part(manager, "0.05", Party.MANAGER),
        ),
        world.alpha,
    )
    income = account.income_account
    assert {(draft.payee, draft.amount, draft.destination) for draft in drafts} == {
        (broker, Decimal("2.01"), Endpoint(700, Side.HOUSE, house.public_id)),
        (near.public_id, Decimal("1.00"), Endpoint(6001, Side.PERSONAL, of_near.public_id)),
        (far.public_id, Decimal("0.50"), None),
        (manager, Decimal("16.55"), Endpoint(income.login, Side.PERSONAL, income.public_id)),
    }
    assert {(draft.purpose, draft.subject) for draft in drafts} == {(Transfer.Purpose.FEE, account.public_id)}


def test_agent_is_paid_into_the_oldest_account_of_that_server_and_currency(world: AliceBobCharlie) -> None:
    account, one = world.pool.account, agent("agent")
    younger = personal_account(one.user, account.server, 6001)
    older = personal_account(one.user, account.server, 6002)
    PersonalAccount.objects.filter(pk=older.pk).update(created_at=younger.created_at - timedelta(days=1))
    PersonalAccount.objects.create(
        user=one.user, server=account.server, login=6003, currency="EUR", currency_digits=2,
        created_at=younger.created_at - timedelta(days=2),
    )  # fmt: skip
    endpoint = endpoint_of(account, one.public_id, world.alpha)
    assert endpoint == Endpoint(6002, Side.PERSONAL, older.public_id)


@pytest.mark.parametrize("fields", [{"currency": "EUR"}, {"purpose": HouseAccount.Purpose.ROUNDING}])
def test_broker_without_an_income_account_of_that_currency_waits(
    world: AliceBobCharlie, fields: dict[str, str]
) -> None:
    income_of_the_house(world.pool.account, **fields)
    assert endpoint_of(world.pool.account, world.alpha.public_id, world.alpha) is None


def test_payees_are_the_agents_frozen_with_the_investment(world: AliceBobCharlie) -> None:
    near, far = uuid.uuid4(), uuid.uuid4()
    world.pool.investment.agents = [str(near), str(far)]
    payees = Recipients.of(world.pool.account, world.alpha).payees(world.pool.investment)
    assert payees.agents == (near, far)
    assert (payees.broker, payees.manager) == (world.alpha.public_id, world.alice_manager.public_id)


@pytest.mark.parametrize("parties", [1, 12])
def test_fee_payments_cost_two_statements_whoever_is_paid(
    world: AliceBobCharlie, parties: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    account = PammAccount.objects.select_related("manager", "income_account").get(pk=world.pool.account.pk)
    agents = [agent(f"agent{number}") for number in range(parties)]
    for number, one in enumerate(agents[1:]):
        personal_account(one.user, account.server, 6000 + number)
    parts = [part(one.public_id, "1.00") for one in agents]
    with django_assert_num_queries(2):
        assert len(payments(account, owed(*parts), world.alpha)) == parties


def test_fees_of_the_manager_alone_look_nobody_up(
    world: AliceBobCharlie, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    account = PammAccount.objects.select_related("manager", "income_account").get(pk=world.pool.account.pk)
    with django_assert_num_queries(0):
        payments(account, owed(part(account.manager.public_id, "1.00", Party.MANAGER)), world.alpha)


def test_held_fee_gets_its_second_leg_as_soon_as_its_payee_has_an_account(world: AliceBobCharlie) -> None:
    account, one, other = world.pool.account, agent("one"), agent("other")
    first, second = held(world, one.public_id, other.public_id)
    assert release_outstanding_fees() == 0
    personal = personal_account(one.user, account.server, 6001)
    assert release_outstanding_fees() == 1
    leg = Leg.objects.get(transfer=first, position=2)
    assert (leg.login, leg.owner, leg.amount, leg.state) == (
        6001, personal.public_id, Decimal("1.00"), Leg.State.PLANNED,
    )  # fmt: skip
    assert not Leg.objects.filter(transfer=second, position=2).exists()
    assert release_outstanding_fees() == 0


def test_held_fee_waits_while_the_payee_has_an_account_elsewhere_only(world: AliceBobCharlie) -> None:
    one = agent("one")
    held(world, one.public_id)
    PersonalAccount.objects.create(
        user=one.user, server=world.pool.account.server, login=6003, currency="EUR", currency_digits=2
    )
    assert release_outstanding_fees() == 0


def test_fee_that_has_not_left_the_pool_yet_is_not_released(world: AliceBobCharlie) -> None:
    one = agent("one")
    held(world, one.public_id)
    Transfer.objects.update(state=Transfer.State.PLANNED)
    personal_account(one.user, world.pool.account.server, 6001)
    assert release_outstanding_fees() == 0


def test_releasing_takes_as_many_statements_for_many_fees_as_for_one(
    world: AliceBobCharlie, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    agents = [agent(f"agent{number}") for number in range(10)]
    held(world, *(one.public_id for one in agents))
    for number, one in enumerate(agents):
        personal_account(one.user, world.pool.account.server, 6000 + number)
    # With a savepoint and its release, as the test itself is in a transaction.
    with django_assert_max_num_queries(10):
        assert release_outstanding_fees() == 10
