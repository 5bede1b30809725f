"""Agents: chains, moves that may not make a circle, and who may say who introduced whom."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.db import connection, transaction
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Agent, PersonalAccount, Role, User
from accounts.queries import agent_chain, has_role
from accounts.services import introduce_client, make_agent, place_agent
from brokers.errors import NotAllowed, Refusal
from brokers.scope import broker_scope, current_broker_id
from outbox.models import Event
from pamm_platform.admin_pages import change_url
from tests.worlds import AliceBobCharlie, alice_bob_charlie, person, signed_in


@pytest.fixture
def pair(db: None) -> Iterator[AliceBobCharlie]:
    """Alice, Bob and Charlie in the test's transaction, in the scope of Alice's broker."""
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


@pytest.fixture
def admin(pair: AliceBobCharlie) -> User:
    return person("admin@example.com", Role.ADMIN)


def line(length: int, by: User, name: str = "agent") -> list[Agent]:
    """Agents each of whom introduced the next, the topmost first."""
    made: list[Agent] = []
    for number in range(length):
        user = person(f"{name}{number}@example.com")
        made.append(make_agent(user=user, parent=made[-1] if made else None, by=by))
    return made


def refused_with(code: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(Refusal) as refused:
        attempt()
    assert refused.value.code == code


def test_agent_is_made_once_and_gets_the_role(pair: AliceBobCharlie, admin: User) -> None:
    agent = make_agent(user=pair.bob, by=admin)
    assert has_role(pair.bob, Role.AGENT)
    assert Event.objects.get(kind="agent.appointed").subject == agent.public_id
    refused_with("already_agent", lambda: make_agent(user=pair.bob, by=admin))


def test_chain_of_an_account_is_read_nearest_first_in_one_statement(
    pair: AliceBobCharlie, admin: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    top, middle, nearest = line(3, admin)
    make_agent(user=pair.alice, parent=middle, by=admin)
    account = introduce_client(personal_account=pair.bob_account, agent=nearest, by=admin)
    with django_assert_num_queries(1):
        assert agent_chain(account) == [nearest, middle, top]
    assert agent_chain(introduce_client(personal_account=account, agent=None, by=admin)) == []


def test_chain_is_empty_in_the_scope_of_another_broker(pair: AliceBobCharlie, admin: User) -> None:
    (agent,) = line(1, admin)
    account = introduce_client(personal_account=pair.bob_account, agent=agent, by=admin)
    with broker_scope(pair.beta.pk):
        assert agent_chain(account) == []


def test_agent_moves_with_everybody_below_but_never_under_one_of_them(
    pair: AliceBobCharlie, admin: User
) -> None:
    top, middle, low = line(3, admin)
    (other,) = line(1, admin, "other")
    for below in (top, middle, low):
        refused_with("agent_cycle", partial(place_agent, agent=top, parent=below, by=admin))
    assert [Agent.objects.get(pk=agent.pk).parent for agent in (top, middle, low)] == [None, top, middle]
    place_agent(agent=middle, parent=other, by=admin)
    account = introduce_client(personal_account=pair.bob_account, agent=low, by=admin)
    assert agent_chain(account) == [low, middle, other]
    assert place_agent(agent=middle, parent=None, by=admin).parent is None


def test_chain_has_ten_levels_and_no_more(pair: AliceBobCharlie, admin: User) -> None:
    ten = line(10, admin)
    refused_with("agent_chain_too_long", lambda: make_agent(user=pair.bob, parent=ten[-1], by=admin))
    pair_of_others = line(2, admin, "other")
    refused_with(
        "agent_chain_too_long", lambda: place_agent(agent=pair_of_others[0], parent=ten[8], by=admin)
    )
    place_agent(agent=pair_of_others[0], parent=ten[7], by=admin)
    account = introduce_client(personal_account=pair.bob_account, agent=ten[-1], by=admin)
    assert agent_chain(account) == ten[::-1]


@pytest.mark.parametrize("role", [Role.DEALER, Role.AUDITOR, Role.AGENT, Role.MANAGER])
def test_agents_are_the_administrators_to_change(pair: AliceBobCharlie, admin: User, role: Role) -> None:
    (agent,) = line(1, admin)
    by = person("somebody@example.com", role)
    for attempt in (
        lambda: make_agent(user=by, by=by),
        lambda: place_agent(agent=agent, parent=None, by=by),
        lambda: introduce_client(personal_account=pair.bob_account, agent=agent, by=by),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    assert (Agent.objects.count(), PersonalAccount.objects.get(user=pair.bob).introduced_by) == (1, None)


def test_two_moves_at_once_make_no_circle(committed_db: str) -> None:
    world = alice_bob_charlie()
    outcomes: list[str] = []
    with broker_scope(world.alpha.pk):
        admin = person("admin@example.com", Role.ADMIN)
        (one,), (two,) = line(1, admin, "one"), line(1, admin, "two")
        broker_id = current_broker_id()

        def place_two_under_one() -> None:
            with broker_scope(broker_id):
                try:
                    place_agent(agent=two, parent=one, by=admin)
                    outcomes.append("done")
                except Refusal as refusal:
                    outcomes.append(refusal.code)
            connection.close()

        second = threading.Thread(target=place_two_under_one)
        with transaction.atomic():
            place_agent(agent=one, parent=two, by=admin)
            second.start()
            _wait_until_somebody_waits()
        second.join()
        assert outcomes == ["agent_cycle"]
        assert Agent.objects.get(pk=two.pk).parent is None


def _wait_until_somebody_waits() -> None:
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waited")


def test_agents_are_made_placed_and_named_in_the_back_office(pair: AliceBobCharlie, admin: User) -> None:
    office, dealer = signed_in(admin), signed_in(person("dealer@example.com", Role.DEALER))
    (top,) = line(1, admin)
    with broker_scope(pair.beta.pk):
        foreign = make_agent(user=pair.charlie, by=None)

    make = reverse("admin:accounts_user_appoint_agent", args=[pair.bob.public_id])
    assert dealer.post(make, {"agent": ""}).status_code == 403
    assert office.post(make, {"agent": foreign.public_id}).status_code == 200
    assert office.post(make, {"agent": top.public_id}).status_code == 302
    bob = Agent.objects.get(user=pair.bob)
    assert bob.parent == top

    place = reverse("admin:accounts_agent_place", args=[top.public_id])
    assert dealer.post(place, {"agent": ""}).status_code == 403
    told = office.post(place, {"agent": bob.public_id}, follow=True).content.decode()
    assert "This agent stands below the one that is moved." in told
    assert Agent.objects.get(pk=top.pk).parent is None

    introduce = reverse("admin:accounts_personalaccount_introduce", args=[pair.bob_account.public_id])
    assert dealer.post(introduce, {"agent": bob.public_id}).status_code == 403
    assert office.post(introduce, {"agent": bob.public_id}).status_code == 302
    page = office.get(change_url(pair.bob_account)).content.decode()
    assert f"{bob} → {top}" in page
