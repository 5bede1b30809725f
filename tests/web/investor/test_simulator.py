"""The fee simulator of an offer: figures by hand, refusals beside the field, nothing for strangers."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from offers.models import JoinLink, Offer, Terms
from rollover.models import Schedule
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import text_of
from tests.worlds import FLAT_TWENTY, AliceBobCharlie

NEW_YEAR = datetime(2026, 1, 1, 10, tzinfo=UTC)
TWO_MONTHS = {"amount": "1,000", "months": "2", "path": "own", "returns": "10 10"}


@pytest.fixture
def visitor() -> Client:
    return Client(SERVER_NAME="alpha.localhost")


def _terms(world: AliceBobCharlie, **changes: Any) -> Terms:
    minimum = {"minimum_first": 100, "minimum_further": 50, "minimum_remaining": 50}
    return Terms.objects.create(
        offer=world.pool.offer, version=2, performance_schedule=FLAT_TWENTY, **minimum | changes
    )


def _address(world: AliceBobCharlie) -> str:
    return f"/offers/{world.pool.offer.public_id}/simulator/"


def _see(client: Client, world: AliceBobCharlie, **query: str) -> Any:
    with time_machine.travel(NEW_YEAR, tick=False):
        return client.get(_address(world), query)


def test_figures_are_those_worked_out_by_hand(world: AliceBobCharlie, visitor: Client) -> None:
    # 1,000.00 → 1,100.00, fee 20.00; 1,080.00 → 1,188.00, profit over the mark 108.00, fee 21.60.
    page = text_of(_see(visitor, world, **TWO_MONTHS))
    for words in (
        "After all fees you would get back 1,166.40 USD",
        "Put in 1,000.00 USD",
        "+208.00 USD",
        "All fees 41.60 USD",
        "+166.40 USD",
        "Of the profit All fees against the result before fees. 20 %",
        "1 Feb 2026 +10.00 % – Performance fee 20.00 1,080.00 1,080.00 1,080.00",
        "1 Mar 2026 leaving +10.00 % -1,166.40 Performance fee 21.60",
        "How the fee came about",
        "High-water mark profit counts above it 1,080.00 USD",
    ):
        assert words in page


def test_page_opens_with_the_offers_minimum_for_a_year(world: AliceBobCharlie, visitor: Client) -> None:
    answer = _see(visitor, world)
    assert answer.status_code == 200
    assert 'name="amount" value="100"' in answer.content.decode()
    assert "/join/?amount=100.00" in answer.content.decode()
    page = text_of(answer)
    assert "1 Jan 2027 leaving" in page
    assert "Who receives" not in page


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"amount": "99"}, "amount", "minimum is 100"),
        ({"amount": "1e40"}, "amount", "digits"),
        ({"amount": "NaN"}, "amount", "Enter a number"),
        ({"amount": "100.001"}, "amount", "2 decimals"),
        ({"months": "121"}, "months", "less than or equal to 120"),
        ({"months": ""}, "months", "required"),
        ({"path": "luck"}, "path", "valid choice"),
        ({"rate": "31"}, "rate", "less than or equal to 30"),
        ({"rate": ""}, "rate", "Enter a return"),
        ({"path": "own", "returns": "two"}, "returns", "with spaces between them"),
        ({"path": "own", "returns": "-100"}, "returns", "lies between"),
        ({"path": "own"}, "returns", "at least one return"),
        ({"path": "own", "returns": "-99", "months": "12"}, "returns", "worth nothing"),
        ({"path": "own", "returns": "100", "months": "120"}, "returns", "too large"),
        ({"add": "10"}, "add", "minimum is 50"),
        ({"add": "60", "take": "60"}, "take", "Either pay in or take out"),
    ],
)
def test_what_cannot_be_simulated_is_told_beside_its_field(
    world: AliceBobCharlie, visitor: Client, typed: dict[str, str], field: str, message: str
) -> None:
    answer = _see(visitor, world, **typed)
    notes = answer.content.decode().partition(f'id="simulated-{field}-notes"')[2].partition("</div></div>")[0]
    assert answer.status_code == 422
    assert "field-error" in notes
    assert message in notes
    assert "Nothing to show yet" in text_of(answer)


def test_withdrawals_that_empty_the_investment_end_it(world: AliceBobCharlie, visitor: Client) -> None:
    page = text_of(_see(visitor, world, amount="1000", rate="0", take="400"))
    assert "The investment ends on 1 Apr 2026" in page
    assert "From month" not in page
    left_over = text_of(_see(visitor, world, amount="1000", rate="0", take="480"))
    assert "From month 2 on less than 50.00 USD would remain" in left_over


def test_lock_in_is_told_and_early_exit_charged(world: AliceBobCharlie, visitor: Client) -> None:
    _terms(world, lock_in_days=90, early_exit_rate="0.05")
    page = text_of(_see(visitor, world, amount="1000", months="2", rate="0"))
    assert "Until 1 Apr 2026 it costs 5 %" in page
    assert "50.00 USD" in page
    assert "before any money leaves" in text_of(_see(visitor, world, amount="1000"))


def test_early_exit_within_the_interval_is_told_and_charged(world: AliceBobCharlie, visitor: Client) -> None:
    _terms(world, early_exit_rate="0.05", early_exit_until="interval", interval_count=2)
    months = {"amount": "1000", "rate": "0"}
    page = text_of(_see(visitor, world, months="1", **months))
    assert "Money leaves before its trading interval ends" in page
    assert "Early exit fee A share of what is taken out early. 50.00 USD" in page
    # The second month ends with the interval.
    assert "Early exit" not in text_of(_see(visitor, world, months="2", **months))


def test_money_that_is_locked_in_cannot_leave(world: AliceBobCharlie, visitor: Client) -> None:
    _terms(world, lock_in_days=400)
    assert "it would be worth" in text_of(_see(visitor, world))
    for field, typed in (("ending", {"ending": "close"}), ("take", {"take": "10", "ending": "stay"})):
        answer = _see(visitor, world, amount="1000", **typed)
        notes = answer.content.decode().partition(f'id="simulated-{field}-notes"')[2][:300]
        assert answer.status_code == 422
        assert "locked in for 400 days" in notes


def test_too_many_short_intervals_are_refused_at_the_months(world: AliceBobCharlie, visitor: Client) -> None:
    _terms(world, interval_unit="days", interval_count=1)
    most = _see(visitor, world, months="24")
    assert most.status_code == 200
    assert "13 more fees of this month came about the same way" in text_of(most)
    refused = text_of(_see(visitor, world, months="25"))
    assert "at most this many months: 24" in refused
    Schedule.objects.create(every_minutes=5, next_at=NEW_YEAR)
    Terms.objects.create(
        offer=world.pool.offer, version=3, performance_schedule=FLAT_TWENTY, minimum_first=100,
        minimum_further=50, minimum_remaining=50, interval_unit="rollovers",
    )  # fmt: skip
    assert "too short for a simulation of months" in text_of(_see(visitor, world))
    Schedule.objects.update(every_minutes=60)
    assert "1 Feb 2026 leaving" in text_of(_see(visitor, world))


def test_volume_fee_asks_how_much_is_traded(world: AliceBobCharlie, visitor: Client) -> None:
    assert "Lots closed" not in text_of(_see(visitor, world))
    _terms(world, volume_amount_per_lot=3)
    page = text_of(_see(visitor, world, amount="1000", months="1", rate="0", lots="2"))
    assert "An amount per lot closed in the account, shared by units. 6.00 USD" in page


@pytest.mark.parametrize(
    "hidden",
    [{"visibility": Offer.Visibility.LINK}, {"visibility": Offer.Visibility.PRIVATE}, {"state": "draft"}],
)
def test_offer_that_is_not_public_has_no_simulator_for_strangers(
    world: AliceBobCharlie, visitor: Client, visit: Visit, hidden: dict[str, str]
) -> None:
    Offer.objects.filter(pk=world.pool.offer.pk).update(**hidden)
    link = JoinLink.objects.create(offer=world.pool.offer)
    assert visitor.get(_address(world)).status_code == 404
    assert visit(world.bob).get(_address(world)).status_code == 404
    assert visitor.get(_address(world), {"link": "nobodys"}).status_code == 404
    opened = visitor.get(_address(world), {"link": link.token})
    assert opened.status_code == 200
    assert f'<input type="hidden" name="link" value="{link.token}">' in opened.content.decode()
    assert visit(world.alice).get(_address(world)).status_code == 200


def test_manager_sees_who_receives_the_fees(world: AliceBobCharlie, visit: Visit) -> None:
    _terms(world, broker_share_rate="0.25", agent_share_rates=["0.1"])
    page = text_of(_see(visit(world.alice), world, **TWO_MONTHS))
    assert "Manager 27.04 USD Broker 10.40 USD Agent, level 1 4.16 USD" in page
    assert "Who receives" not in text_of(_see(visit(world.bob), world, **TWO_MONTHS))


def test_offer_page_and_joining_lead_to_the_simulator(world: AliceBobCharlie, visitor: Client) -> None:
    page = visitor.get(f"/offers/{world.pool.offer.public_id}/").content.decode()
    assert f'href="{_address(world)}"' in page


def test_page_takes_the_same_few_queries_whatever_is_simulated(
    world: AliceBobCharlie, visitor: Client
) -> None:
    counts = []
    for months in ("1", "120"):
        with CaptureQueriesContext(connection) as queries:
            assert _see(visitor, world, months=months).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
