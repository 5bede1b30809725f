"""One click that arrives sixteen times at once has one effect, and everybody is told the same."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import pytest
from django.core import serializers
from django.db.models import Model

from accounts.models import Manager, PammAccount
from allocation.models import Investment
from brokers.errors import Refusal
from investing.models import Request
from investing.services import (
    open_pamm_account,
    request_close,
    request_first_deposit,
    request_withdrawal,
)
from investing.services.accounts import OpenedAccount
from offers.models import Offer
from tests.circle.world import Desk, terms
from tests.counts import cases
from tests.reliability.crew import Answer, Crew

SUBMITTERS = 16
KEYS = cases(push=15, soak=250)
"""Of each service."""


@dataclass(frozen=True)
class Click:
    """A click, and another one that uses its key for something else."""

    submit: Callable[[], object]
    other: Callable[[], object]


@pytest.fixture
def crew(desk: Desk) -> Iterator[Crew]:
    with Crew(SUBMITTERS) as crew:
        yield crew


@pytest.fixture
def offer(desk: Desk) -> Offer:
    """Needs nobody's approval; its account has rolled over once."""
    account = desk.pamm_account(desk.client("alice", "1000"), "100.00")
    desk.roll(account)
    return desk.offer(account, terms((None, "0.20")), approval=Offer.Approval.AUTOMATIC)


def first_deposits(desk: Desk, offer: Offer, count: int) -> list[Click]:
    version = offer.terms.latest("version")

    def click(number: int) -> Click:
        client = desk.client(f"client{number}", "1000")
        submit = partial(
            request_first_deposit,
            owner=client.user,
            offer=offer,
            terms=version,
            personal_account=client,
            idempotency_key=f"deposit-{number}",
        )
        return Click(partial(submit, amount=Decimal("500.00")), partial(submit, amount=Decimal("500.01")))

    return [click(number) for number in range(count)]


def withdrawals(desk: Desk, offer: Offer, count: int) -> list[Click]:
    """Every two of one investment and the same amount: another key is another withdrawal."""

    def click(number: int, investment: Investment) -> Click:
        submit = partial(
            request_withdrawal,
            investment=investment,
            by=investment.owner,
            idempotency_key=f"withdrawal-{number}",
        )
        return Click(partial(submit, amount=Decimal("50.00")), partial(submit, amount=Decimal("50.01")))

    held = active_investments(desk, offer, (count + 1) // 2)
    return [click(number, held[number // 2]) for number in range(count)]


def closes(desk: Desk, offer: Offer, count: int) -> list[Click]:
    def click(number: int, investment: Investment) -> Click:
        asked = {"investment": investment, "by": investment.owner, "idempotency_key": f"close-{number}"}
        return Click(
            partial(request_close, **asked), partial(request_withdrawal, amount=Decimal("50.00"), **asked)
        )

    return [click(*numbered) for numbered in enumerate(active_investments(desk, offer, count))]


def active_investments(desk: Desk, offer: Offer, count: int) -> list[Investment]:
    """Of 500.00 each."""
    for number in range(count):
        desk.invest(desk.client(f"client{number}", "1000"), offer, "500.00")
    desk.roll(offer.account)
    held = Investment.objects.filter(terms__offer=offer, state=Investment.State.ACTIVE)
    found = list(held.select_related("account", "owner", "terms__offer", "personal_account"))
    assert len(found) == count
    return found


@pytest.mark.parametrize("clicks_of", [first_deposits, withdrawals, closes])
def test_request_submitted_sixteen_times_at_once_is_made_once_and_answered_alike(
    desk: Desk, crew: Crew, offer: Offer, clicks_of: Callable[[Desk, Offer, int], list[Click]]
) -> None:
    clicks = clicks_of(desk, offer, KEYS)
    before = Request.objects.count()
    for click in clicks:
        rows, refusals = told(crew.at_once([click.submit] * SUBMITTERS))
        assert (len(rows), refusals) == (1, Counter())
        again, refusals = told([attempt(click.submit), attempt(click.other)])
        assert (again.keys(), refusals) == (rows.keys(), Counter(idempotency_key_reused=1))
    assert Request.objects.count() == before + KEYS


@pytest.mark.parametrize("clicks_of", [first_deposits, withdrawals, closes])
def test_key_used_for_two_things_at_once_is_one_of_them_and_the_other_is_refused(
    desk: Desk, crew: Crew, offer: Offer, clicks_of: Callable[[Desk, Offer, int], list[Click]]
) -> None:
    clicks = clicks_of(desk, offer, max(2, KEYS // 5))
    before = Request.objects.count()
    for click in clicks:
        rows, refusals = told(crew.at_once([click.submit, click.other] * (SUBMITTERS // 2)))
        assert list(rows.values()) == [SUBMITTERS // 2]
        assert refusals == Counter(idempotency_key_reused=SUBMITTERS // 2)
    assert Request.objects.count() == before + len(clicks)


def test_account_opened_sixteen_times_at_once_is_one_account_here_and_at_the_server(
    desk: Desk, crew: Crew
) -> None:
    income = desk.client("alice", str(200 * KEYS))
    manager = Manager.objects.create(user=income.user, display_name="Alice")
    desk.simulator.calls(reset=True)
    for number in range(KEYS):
        submit = partial(
            open_pamm_account,
            manager=manager,
            income_account=income,
            own_capital=Decimal("100.00"),
            by=income.user,
            idempotency_key=f"account-{number}",
        )
        answers = crew.at_once([partial(submit, name="Growth")] * SUBMITTERS)
        opened = [answer for answer in answers if isinstance(answer, OpenedAccount)]
        assert len(opened) == SUBMITTERS, answers
        assert len({in_full(answer.account) for answer in opened}) == 1
        assert sum(answer.trading_password is not None for answer in opened) == 1
        _, refusals = told([attempt(partial(submit, name="Another"))])
        assert refusals == Counter(idempotency_key_reused=1)
    assert PammAccount.objects.count() == Request.objects.count() == KEYS
    assert desk.simulator.calls()["user/add"] == KEYS


def told(answers: Sequence[Answer]) -> tuple[Counter[str], Counter[str]]:
    """The requests that were answered, in full, and the codes of refusals; how often each."""
    requests = [answer for answer in answers if isinstance(answer, Request)]
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    assert len(requests) + len(refusals) == len(answers), answers
    return (
        Counter(in_full(request) for request in requests),
        Counter(refusal.code for refusal in refusals),
    )


def in_full(row: Model) -> str:
    """All fields of a row; amounts as numbers, since what was just made has not been through the database."""
    (answer,) = serializers.serialize("python", [row])
    return str(
        {
            name: value.normalize() if isinstance(value, Decimal) else value
            for name, value in answer["fields"].items()
        }
    )


def attempt(call: Callable[[], object]) -> Answer:
    try:
        return call()
    except Refusal as refusal:
        return refusal
