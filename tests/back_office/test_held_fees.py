"""Fees whose receivers have no account for them: the back office sees to whom they are owed, and why."""

import uuid
from decimal import Decimal

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Agent
from brokers.models import Broker
from tests.worlds import person, trading_server
from trading.models import TradingServer
from transfers.models import Leg, Side, Transfer

TRANSFERS = "admin:transfers_transfer_changelist"


def fee(server: TradingServer, payee: uuid.UUID, *, arriving: bool = False) -> Transfer:
    """In transit; its second leg is there where it is `arriving`."""
    money = {"currency": "USD", "currency_digits": 2}
    made: Transfer = Transfer.objects.create(
        server=server, purpose=Transfer.Purpose.FEE, subject=uuid.uuid4(), payee=payee,
        pool=uuid.uuid4(), amount=Decimal("12.34"), state=Transfer.State.IN_TRANSIT, **money,
    )  # fmt: skip
    Leg.objects.bulk_create(
        Leg(
            transfer=made, position=position, server=server, login=9000, side=Side.PAMM, owner=uuid.uuid4(),
            pool=made.pool, amount=Decimal(amount), **money,
        )
        for position, amount in ((1, "-12.34"), (2, "12.34"))[: 2 if arriving else 1]
    )  # fmt: skip
    return made


def test_held_fees_are_found_by_filter_with_payee_and_reason(alpha: Broker, dealer: Client) -> None:
    server = trading_server("Meridian")
    agent = Agent.objects.create(user=person("agent@example.com"))
    fee(server, agent.public_id)
    on_its_way = fee(server, alpha.public_id, arriving=True)
    everything = dealer.get(reverse(TRANSFERS)).content.decode()
    assert everything.count("an account of agent@example.com in USD on Meridian") == 1
    assert "Alpha" in everything
    waiting = dealer.get(reverse(TRANSFERS), {"waiting": "yes"}).content.decode()
    assert "an account of agent@example.com in USD on Meridian" in waiting
    assert str(on_its_way.public_id) not in waiting


def test_list_of_transfers_costs_the_same_for_many_payees(alpha: Broker, dealer: Client) -> None:
    server = trading_server("Meridian")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert dealer.get(reverse(TRANSFERS), {"waiting": "yes"}).status_code == 200
        return len(captured)

    fee(server, Agent.objects.create(user=person("agent@example.com")).public_id)
    queries()
    for_one = queries()
    for number in range(5):
        fee(server, Agent.objects.create(user=person(f"agent{number}@example.com")).public_id)
    assert queries() == for_one
