"""Nobody sees or changes what is not theirs on the manager's pages: 404, and nothing has happened."""

import uuid
from collections.abc import Callable

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import Manager, Role, User
from accounts.queries import get_pamm_account_for
from brokers.errors import NotFound
from brokers.scope import broker_scope
from investing.models import Request
from offers.models import JoinLink, Offer
from offers.web.manager import create
from tests.web.manager.pools import deposit_request
from tests.worlds import AliceBobCharlie, person

Visit = Callable[..., Client]


def _addresses(world: AliceBobCharlie) -> list[tuple[str, str]]:
    """Every page about something of Alice's, with the method it takes."""
    account, offer = world.pool.account.public_id, world.pool.offer.public_id
    request = deposit_request(world.pool.investment).public_id
    link = JoinLink.objects.create(offer=world.pool.offer).public_id
    return [
        ("get", reverse("accounts:managed-account", args=[account])),
        ("get", reverse("accounts:investors", args=[account])),
        ("get", reverse("accounts:rollovers", args=[account])),
        ("get", reverse("offers:create", args=[account])),
        ("post", reverse("offers:create", args=[account])),
        ("get", reverse("offers:managed-offer", args=[offer])),
        ("get", reverse("offers:edit", args=[offer])),
        ("post", reverse("offers:edit", args=[offer])),
        ("post", reverse("offers:move", args=[offer])),
        ("get", reverse("offers:close", args=[offer])),
        ("post", reverse("offers:close", args=[offer])),
        ("get", reverse("offers:revoke-link", args=[offer, link])),
        ("post", reverse("offers:add-link", args=[offer])),
        ("post", reverse("offers:revoke-link", args=[offer, link])),
        ("get", reverse("investing:reject", args=[request])),
        ("post", reverse("investing:reject", args=[request])),
    ]


def _another_manager() -> User:
    """Of the broker in scope."""
    rival = person("rival@example.com", Role.INVESTOR, Role.MANAGER)
    Manager.objects.create(user=rival, display_name="Rival")
    return rival


@pytest.mark.parametrize("who", ["investor", "another manager", "another broker"])
def test_pages_about_an_account_do_not_exist_for_strangers(
    world: AliceBobCharlie, visit: Visit, who: str
) -> None:
    with broker_scope(world.beta.pk):
        rival_at_beta = _another_manager()
    browsers = {
        "investor": lambda: visit(world.bob),
        "another manager": lambda: visit(_another_manager()),
        "another broker": lambda: visit(rival_at_beta, "beta.localhost"),
    }
    browser = browsers[who]()
    for method, address in _addresses(world):
        answer = getattr(browser, method)(address, {"note": "no", "step": "close", "action": "save"})
        assert answer.status_code == 404, f"{method} {address}: {answer.status_code}"
    assert Request.objects.get().state == Request.State.PENDING
    assert Offer.objects.get().state == Offer.State.OPEN
    assert JoinLink.objects.get().revoked_at is None


@pytest.mark.parametrize(
    "name", ["accounts:managed", "accounts:open-account", "investing:approvals", "fees:income"]
)
def test_managers_pages_do_not_exist_for_an_investor(world: AliceBobCharlie, visit: Visit, name: str) -> None:
    assert visit(world.bob).get(reverse(name)).status_code == 404


def test_visitor_is_asked_to_sign_in(world: AliceBobCharlie) -> None:
    visitor = Client(SERVER_NAME="alpha.localhost")
    pages = [
        "accounts:managed",
        "accounts:open-account",
        "investing:approvals",
        "fees:income",
        "fees:income-csv",
    ]
    addresses = [reverse(name) for name in pages] + [address for _, address in _addresses(world)]
    for address in addresses:
        answer = visitor.get(address)
        # A page that only takes a post may say so before it asks who is there.
        assert answer.status_code in (302, 405), address
        if answer.status_code == 302:
            assert "/login/" in answer["Location"]


def test_things_that_do_not_exist_look_like_other_peoples(world: AliceBobCharlie, visit: Visit) -> None:
    alice = visit(world.alice)
    for name in ("accounts:managed-account", "offers:create", "offers:edit", "investing:reject"):
        assert alice.get(reverse(name, args=[uuid.uuid4()])).status_code == 404


@pytest.mark.parametrize("role", [Role.DEALER, Role.AUDITOR])
def test_staff_who_only_read_accounts_get_no_editor(world: AliceBobCharlie, role: Role) -> None:
    account = world.pool.account.public_id
    request = RequestFactory().get("/")
    request.user = person("staff@example.com", role)
    assert get_pamm_account_for(request.user, account) == world.pool.account
    with pytest.raises(NotFound):
        create(request, account)
