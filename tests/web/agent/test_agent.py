"""The agent's page: who brought how much, what has arrived, what waits, and nothing else of anybody."""

import csv
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Agent, PersonalAccount, Role, User
from accounts.queries import client_name
from accounts.services import introduce_client, make_agent, revoke_role
from allocation.models import Investment, PricePoint
from brokers.scope import broker_scope
from fees.models import Charge, ChargePart
from fees.web import agent as agent_pages
from tests.web.charges import charged, performance_line
from tests.web.manager.pools import investor
from tests.web.manager.reading import text_of
from tests.worlds import AliceBobCharlie, person, personal_account
from transfers.models import Leg, Side, Transfer

ADDRESS = "/agent/"


@pytest.fixture
def far(world: AliceBobCharlie) -> Agent:
    return make_agent(user=person("far@example.com", first_name="Fay", last_name="Far"), by=None)


@pytest.fixture
def near(world: AliceBobCharlie, far: Agent) -> Agent:
    """Below Fay; introduced Bob."""
    made = make_agent(
        user=person("near@example.com", first_name="Ned", last_name="Near"), parent=far, by=None
    )
    introduce_client(personal_account=world.bob_account, agent=made, by=None)
    return made


def earns(
    investment: Investment, *parts: tuple[Agent, str], days_ago: int = 0, point: PricePoint | None = None
) -> Charge:
    """A fee of 20.00 of which agents, nearest first, have received their parts."""
    Investment.objects.filter(pk=investment.pk).update(agents=[str(agent.public_id) for agent, _ in parts])
    agents = tuple((agent.public_id, part) for agent, part in parts)
    return charged(investment, performance_line("20.00"), days_ago=days_ago, point=point, agents=agents)


def next_point(investment: Investment, sequence: int) -> PricePoint:
    point: PricePoint = PricePoint.objects.get(account=investment.account, sequence=1)
    point.pk, point._state.adding = None, True
    point.sequence, point.priced_at = sequence, timezone.now()
    point.save()
    return point


def paid(
    agent: Agent, investment: Investment, amount: str, state: Transfer.State, *, arriving: bool
) -> Transfer:
    """What one rollover owed the agent; its second leg is there where it is `arriving`."""
    account = investment.account
    money = {"currency": "USD", "currency_digits": 2, "server": account.server}
    made: Transfer = Transfer.objects.create(
        purpose=Transfer.Purpose.FEE, subject=account.public_id, pool=account.public_id,
        payee=agent.public_id, amount=Decimal(amount), state=state, **money,
    )  # fmt: skip
    for position in (1, 2) if arriving else (1,):
        Leg.objects.create(
            transfer=made, position=position, login=9000, side=Side.PAMM, owner=account.public_id,
            pool=account.public_id, amount=Decimal(amount), **money,
        )  # fmt: skip
    return made


def _csv(client: Client, query: str = "") -> list[list[str]]:
    answer = client.get(f"{reverse('fees:agent-csv')}{query}")
    assert answer["Content-Disposition"] == 'attachment; filename="agent-income.csv"'
    with broker_scope(None):
        text = answer.getvalue().decode()
    return list(csv.reader(text.splitlines()))


def test_agent_sees_his_own_part_by_client_currency_and_month(
    world: AliceBobCharlie, near: Agent, far: Agent, visit: Callable[[User], Client]
) -> None:
    earns(world.pool.investment, (near, "3.00"), (far, "0.40"), days_ago=70)
    earns(world.pool.investment, (near, "1.50"), (far, "0.20"))
    page = text_of(visit(near.user).get(ADDRESS))
    assert page.count("4.50 USD") == 2, "all time: in all, and by Bob"
    assert page.count("1.50 USD") == 3, "this month: in all, by Bob, and the part itself"
    assert "parts of 2 fees" in page
    assert "b…@example.com" in page
    assert "Performance fee" in page
    for foreign in ("bob@example.com", "20.00", "0.40", "1,000.00", "1,100.00", "16.60", "Agents below"):
        assert foreign not in page, "nothing of the client, the fee or anybody else's part"


def test_agent_above_sees_the_agent_below_and_not_his_clients(
    world: AliceBobCharlie, near: Agent, far: Agent, visit: Callable[[User], Client]
) -> None:
    earns(world.pool.investment, (near, "3.00"), (far, "0.40"))
    lower = make_agent(user=person("lower@example.com"), parent=near, by=None)
    page = text_of(visit(far.user).get(ADDRESS))
    assert "Agents below you, level 2" in page
    assert "Ned Near" in page
    assert "Agents below you, level 3" in page
    assert str(lower) in page, "who has brought nothing yet"
    assert "0.40 USD" in page
    assert "No clients yet" in page
    assert "3.00" not in page
    assert "…@example.com" not in page
    (row,) = _csv(visit(far.user))[1:]
    assert row[3:6] == ["2", "", "Ned Near"]
    assert row[9:] == ["0.40", "USD", "completed"]


def test_client_of_before_stays_on_the_page_while_he_pays(
    world: AliceBobCharlie, near: Agent, visit: Callable[[User], Client]
) -> None:
    earns(world.pool.investment, (near, "3.00"))
    introduce_client(personal_account=world.bob_account, agent=None, by=None)
    assert "b…@example.com" in text_of(visit(near.user).get(ADDRESS))
    assert "b…@example.com" in text_of(visit(near.user).get(reverse("fees:agent-clients")))


def test_each_part_says_whether_its_money_has_arrived(
    world: AliceBobCharlie, near: Agent, visit: Callable[[User], Client]
) -> None:
    investment = world.pool.investment
    for sequence, part in ((1, "1.00"), (2, "2.00"), (3, "3.00")):
        point = investment.joined if sequence == 1 else next_point(investment, sequence)
        earns(investment, (near, part), point=point)
    paid(near, investment, "1.00", Transfer.State.COMPLETED, arriving=True)
    paid(near, investment, "2.00", Transfer.State.IN_TRANSIT, arriving=True)
    held = paid(near, investment, "3.00", Transfer.State.IN_TRANSIT, arriving=False)

    def states() -> list[tuple[str, str]]:
        return [(row[9], row[11]) for row in _csv(visit(near.user))[1:]]

    assert states() == [("1.00", "completed"), ("2.00", "running"), ("3.00", "waiting")]
    page = text_of(visit(near.user).get(ADDRESS))
    assert "3.00 USD is waiting for you" in page
    assert "You have no account in USD on Server." in page
    assert page.count("you have no account in USD on Server") == 1
    personal_account(near.user, held.server, 6001)
    assert states() == [("1.00", "completed"), ("2.00", "running"), ("3.00", "running")]
    assert "waiting for you" not in text_of(visit(near.user).get(ADDRESS))


def test_account_of_another_currency_leaves_it_waiting(
    world: AliceBobCharlie, near: Agent, visit: Callable[[User], Client]
) -> None:
    earns(world.pool.investment, (near, "3.00"))
    paid(near, world.pool.investment, "3.00", Transfer.State.IN_TRANSIT, arriving=False)
    server = world.pool.account.server
    PersonalAccount.objects.create(
        user=near.user, server=server, login=6002, currency="EUR", currency_digits=2
    )
    assert _csv(visit(near.user))[1][11] == "waiting"


def test_csv_and_page_are_narrowed_alike(
    world: AliceBobCharlie, near: Agent, visit: Callable[[User], Client]
) -> None:
    earns(world.pool.investment, (near, "1.00"), days_ago=40)
    earns(world.pool.investment, (near, "2.00"))
    agent, today = visit(near.user), timezone.localdate()
    assert _csv(agent)[0] == list(agent_pages.COLUMNS)
    for query, parts in (
        (f"?since={today}", ["2.00"]),
        (f"?until={today - timedelta(days=30)}", ["1.00"]),
        (f"?account={world.pool.account.public_id}", ["1.00", "2.00"]),
        (f"?account={world.charlie_pool.account.public_id}", []),
        ("?since=nonsense", []),
    ):
        assert [row[9] for row in _csv(agent, query)[1:]] == parts, query
        assert ("Nothing in this selection." in text_of(agent.get(ADDRESS + query))) is not bool(parts)


def test_page_of_an_agent_who_brought_nobody_says_so(
    near: Agent, far: Agent, visit: Callable[[User], Client]
) -> None:
    page = text_of(visit(far.user).get(ADDRESS))
    assert "No clients yet" in page
    assert "Nothing here" in page
    assert "nothing yet" in page, "of Ned, who stands below"
    assert 'href="/agent/"' in page


def test_page_is_for_agents_only(
    world: AliceBobCharlie, near: Agent, visit: Callable[[User], Client]
) -> None:
    revoke_role(user=near.user, role=Role.AGENT, by=None)
    for reader in (world.alice, world.bob, near.user):
        assert 'href="/agent/"' not in text_of(visit(reader).get("/portfolio/"))
        for name in ("fees:agent", "fees:agent-clients", "fees:agent-csv"):
            assert visit(reader).get(reverse(name)).status_code == 404


@pytest.mark.parametrize(
    ("email", "names", "shown"),
    [
        ("bob@example.com", ("", ""), "b…@example.com"),
        ("bob@example.com", ("Bob", "Stone"), "Bob Stone"),
    ],
)
def test_client_is_named_and_his_address_is_not(email: str, names: tuple[str, str], shown: str) -> None:
    assert client_name(User(email=email, first_name=names[0], last_name=names[1])) == shown


def test_page_costs_the_same_statements_at_any_number(
    world: AliceBobCharlie, near: Agent, far: Agent, visit: Callable[[User], Client]
) -> None:
    agent = visit(far.user)

    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert agent.get(ADDRESS).status_code == 200
        return len(captured)

    def earn_once_more() -> None:
        investment = investor(world.pool)
        introduce_client(personal_account=investment.personal_account, agent=far, by=None)
        earns(investment, (far, "1.00"))
        below = make_agent(user=person(f"below{investment.pk}@example.com"), parent=far, by=None)
        earns(investor(world.pool), (below, "1.00"), (far, "0.10"))
        paid(far, investment, "1.00", Transfer.State.IN_TRANSIT, arriving=False)

    earn_once_more()
    statements()
    few = statements()
    for _ in range(3):
        earn_once_more()
    assert statements() == few
    assert ChargePart.objects.filter(payee=far.public_id).count() == 8
