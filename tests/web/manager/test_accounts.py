"""A manager's accounts: figures, what needs doing, and that the number of statements stands still."""

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import PammAccount
from rollover.models import Rollover
from tests.web.manager.pools import charge, deposit_request, investor, more_accounts, priced_at
from tests.web.manager.reading import text_of
from tests.worlds import AliceBobCharlie


def _statements(visit: Callable[[], object]) -> int:
    """Statements of one visit with nothing cached."""
    cache.clear()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        visit()
    return len(captured)


def _page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return text_of(answer)


def test_my_accounts_show_figures_fees_and_what_waits(world: AliceBobCharlie, alice: Client) -> None:
    charge(world.pool, world.pool.investment, "12.34")
    deposit_request(world.pool.investment)
    priced_at(world.pool, "1.10", days_ago=2)
    priced_at(world.pool, "1.21")
    page = _page(alice, reverse("accounts:managed"))
    assert "Pool 9000" in page
    assert "1,210.00" in page
    assert "+10.00 %" in page, "today: 1.10 → 1.21"
    assert "42.00" in page, "accrued: 20 % of 210"
    assert "12.34" in page
    assert "1 request waits" in page
    assert "Completed" in page


def test_my_accounts_say_which_one_is_held(world: AliceBobCharlie, alice: Client) -> None:
    assert "Held" not in _page(alice, reverse("accounts:managed"))
    PammAccount.objects.filter(pk=world.pool.account.pk).update(is_held=True, hold_reason="foreign_operation")
    for address in (reverse("accounts:managed"), _account_address(world)):
        page = _page(alice, address)
        assert "nothing is priced or paid" in page
        assert "Somebody else moved money" in page


def test_accrued_fee_follows_the_price_although_it_is_kept(world: AliceBobCharlie, alice: Client) -> None:
    for price, accrued in (("1.10", "20.00"), ("1.30", "60.00")):
        priced_at(world.pool, price)
        assert accrued in _page(alice, reverse("accounts:managed"))


def test_my_accounts_without_any_offer_the_first_step(
    world: AliceBobCharlie, visit: Callable[..., Client]
) -> None:
    from accounts.models import Manager, Role
    from tests.worlds import person

    newcomer = person("new@example.com", Role.MANAGER)
    Manager.objects.create(user=newcomer, display_name="New")
    page = _page(visit(newcomer), reverse("accounts:managed"))
    assert "No account yet" in page
    assert reverse("accounts:open-account") in page


def test_my_accounts_cost_the_same_statements_at_any_number(world: AliceBobCharlie, alice: Client) -> None:
    more_accounts(world, [9101])
    alice.get(reverse("accounts:managed"))
    few = _statements(lambda: alice.get(reverse("accounts:managed")))
    for account in more_accounts(world, [9102, 9103, 9104, 9105]):
        assert account.pk
    for _ in range(4):
        investor(world.pool)
    assert _statements(lambda: alice.get(reverse("accounts:managed"))) == few


def test_account_page_shows_investors_by_size_rollovers_and_offers(
    world: AliceBobCharlie, alice: Client
) -> None:
    largest = investor(world.pool, "3000")
    priced_at(world.pool, "1.10")
    page = _page(alice, _account_address(world))
    assert page.index(str(largest.owner)) < page.index("bob@example.com")
    assert "75.00" in page, "3000 of 4000 units"
    assert "3,300.00" in page
    assert "3,240.00" in page, "net: 20 % of 300 accrued"
    assert "Standard" in page
    assert "1.100000" in page
    assert reverse("offers:create", args=[world.pool.account.public_id]) in page


def _account_address(world: AliceBobCharlie) -> str:
    return reverse("accounts:managed-account", args=[world.pool.account.public_id])


@pytest.mark.parametrize("name", ["accounts:managed-account", "accounts:investors", "accounts:rollovers"])
def test_account_pages_cost_the_same_statements_at_any_size(
    world: AliceBobCharlie, alice: Client, name: str
) -> None:
    address = reverse(name, args=[world.pool.account.public_id])

    def grow() -> None:
        for _ in range(3):
            deposit_request(investor(world.pool))
            priced_at(world.pool, "1.05")

    grow()
    alice.get(address)
    small = _statements(lambda: alice.get(address))
    grow()
    assert _statements(lambda: alice.get(address)) == small


def test_lists_of_an_account_go_on_where_the_page_ended(world: AliceBobCharlie, alice: Client) -> None:
    newest = [investor(world.pool) for _ in range(51)][-1]
    address = reverse("accounts:investors", args=[world.pool.account.public_id])
    first = _page(alice, address)
    assert str(newest.owner) in first
    assert "bob@example.com" not in first
    following = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert "bob@example.com" in _page(alice, address + following.removeprefix(address))
    assert _page(alice, f"{address}?before=nonsense").count("<tr>") == first.count("<tr>")


def test_rollover_that_was_held_is_listed_without_figures(world: AliceBobCharlie, alice: Client) -> None:
    account = world.pool.account
    Rollover.objects.create(
        account=account,
        scheduled_for=account.created_at,
        ordered_at=account.created_at,
        state=Rollover.State.HELD,
    )
    assert "Held" in _page(alice, reverse("accounts:rollovers", args=[account.public_id]))
