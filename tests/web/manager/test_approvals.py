"""Deposits confirmed in bulk after a second look, or rejected with a reason; never unseen."""

from collections.abc import Callable

from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from investing.models import Request
from investing.services import cancel_request
from offers.models import Offer
from tests.web.manager.pools import deposit_request, investor, more_accounts
from tests.web.manager.reading import text_of
from tests.worlds import AliceBobCharlie

ADDRESS = "/manage/requests/"


def _chosen(*requests: Request, step: str = "confirm") -> dict[str, object]:
    """What the browser posts: the ticked rows and the amounts it showed."""
    shown = {f"amount-{request.public_id}": str(request.amount) for request in requests}
    return {"request": [str(request.public_id) for request in requests], "step": step, **shown}


def _state(request: Request) -> str:
    return str(Request.objects.get(pk=request.pk).state)


def test_waiting_requests_are_reviewed_and_confirmed_together(world: AliceBobCharlie, alice: Client) -> None:
    first, second = (
        deposit_request(investor(world.pool), "200.00"),
        deposit_request(investor(world.pool), "300.50"),
    )
    left_alone = deposit_request(investor(world.pool), "75.00")
    listed = text_of(alice.get(ADDRESS))
    assert "200.00" in listed
    review = text_of(alice.post(ADDRESS, _chosen(first, second, step="review")))
    assert "Confirm 2 requests?" in review
    assert "500.50" in review
    assert _state(first) == Request.State.PENDING
    answer = alice.post(ADDRESS, _chosen(first, second), follow=True)
    assert "2 requests confirmed" in text_of(answer)
    assert [_state(row) for row in (first, second, left_alone)] == ["confirmed", "confirmed", "pending"]


def test_confirmation_of_another_amount_than_shown_is_refused(world: AliceBobCharlie, alice: Client) -> None:
    fine, changed = deposit_request(investor(world.pool)), deposit_request(investor(world.pool))
    posted = _chosen(fine, changed) | {f"amount-{changed.public_id}": "9000.00"}
    assert "changed meanwhile" in text_of(alice.post(ADDRESS, posted | {"step": "review"}))
    page = text_of(alice.post(ADDRESS, posted, follow=True))
    assert "has changed since you opened it" in page
    assert (_state(fine), _state(changed)) == ("confirmed", "pending")
    for unreadable in ("", "NaN", "sNaN", "1e3x"):
        posted[f"amount-{changed.public_id}"] = unreadable
        assert alice.post(ADDRESS, posted).status_code < 500
        assert _state(changed) == "pending"


def test_request_that_was_cancelled_meanwhile_is_not_confirmed(world: AliceBobCharlie, alice: Client) -> None:
    request = deposit_request(world.pool.investment)
    cancel_request(request=request, by=world.bob)
    page = text_of(alice.post(ADDRESS, _chosen(request), follow=True))
    assert "Choose at least one request that still waits." in page
    assert _state(request) == Request.State.CANCELLED


def test_requests_that_are_not_mine_to_decide_are_neither_shown_nor_confirmed(
    world: AliceBobCharlie, alice: Client
) -> None:
    request = deposit_request(world.pool.investment, "777.00")
    Offer.objects.update(approval=Offer.Approval.BROKER)
    assert "777.00" not in text_of(alice.get(ADDRESS))
    alice.post(ADDRESS, _chosen(request))
    assert (
        alice.post(reverse("investing:reject", args=[request.public_id]), {"note": "No"}).status_code == 404
    )
    assert _state(request) == Request.State.PENDING


def test_nonsense_selections_do_nothing(world: AliceBobCharlie, alice: Client) -> None:
    request = deposit_request(world.pool.investment)
    for posted in ({}, {"request": "x"}, {"request": "", "step": "confirm"}):
        assert alice.post(ADDRESS, posted).status_code == 302
    assert _state(request) == Request.State.PENDING


def test_rejection_needs_a_reason_that_the_investor_reads(world: AliceBobCharlie, alice: Client) -> None:
    request = deposit_request(world.pool.investment)
    address = reverse("investing:reject", args=[request.public_id])
    assert "Reject this request?" in text_of(alice.get(address))
    for empty in ("", "   "):
        assert alice.post(address, {"note": empty}).status_code == 422
    assert _state(request) == Request.State.PENDING
    assert alice.post(address, {"note": "The strategy is full."}).status_code == 302
    rejected = Request.objects.get(pk=request.pk)
    assert (rejected.state, rejected.reason_note) == (Request.State.REJECTED, "The strategy is full.")
    assert alice.post(address, {"note": "Again"}).status_code == 404


def test_list_is_narrowed_to_an_account_and_shows_history(world: AliceBobCharlie, alice: Client) -> None:
    (other,) = more_accounts(world, [9101])
    deposit_request(world.pool.investment, "111.00")
    page = text_of(alice.get(f"{ADDRESS}?account={world.pool.account.public_id}"))
    assert "111.00" in page
    assert "200.00" not in page, f"the request on {other}"
    Request.objects.update(state=Request.State.FAILED)
    history = text_of(alice.get(f"{ADDRESS}?show=all"))
    assert "111.00" in history
    assert "Failed" in history
    assert "Nothing waits for you" in text_of(alice.get(f"{ADDRESS}?account=nonsense"))


def test_long_list_is_paged_oldest_first(world: AliceBobCharlie, alice: Client) -> None:
    rows = [deposit_request(world.pool.investment, f"{1000 + number}.00") for number in range(52)]
    first = text_of(alice.get(ADDRESS))
    assert "1,000.00" in first
    assert "1,051.00" not in first
    assert "1,051.00" in text_of(alice.get(f"{ADDRESS}?before={rows[49].pk}"))


def test_approvals_cost_the_same_statements_at_any_number(world: AliceBobCharlie, alice: Client) -> None:
    def visit(address: str) -> Callable[[], int]:
        def statements() -> int:
            cache.clear()
            with CaptureQueriesContext(connection) as captured:
                assert alice.get(address).status_code == 200
            return len(captured)

        return statements

    for address in (ADDRESS, f"{ADDRESS}?show=all"):
        statements = visit(address)
        deposit_request(investor(world.pool))
        statements()
        few = statements()
        for _ in range(5):
            deposit_request(investor(world.pool))
        assert statements() == few
