"""What a manager decides about an account: the margin policy; its end, which needs a reason and a tick."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import PammAccount, Role
from offers.models import Offer
from tests.web.manager.pools import investor
from tests.web.manager.reading import text_of
from tests.worlds import AliceBobCharlie, person, signed_in

Policy = PammAccount.MarginPolicy
CLOSING = {"note": "I retire", "sure": "on"}


def _address(world: AliceBobCharlie, name: str) -> str:
    return reverse(f"accounts:{name}", args=[world.pool.account.public_id])


def _account(world: AliceBobCharlie) -> PammAccount:
    return PammAccount.objects.get(pk=world.pool.account.pk)


def test_margin_policy_is_chosen_and_kept(world: AliceBobCharlie, alice: Client) -> None:
    assert _address(world, "settings") in text_of(alice.get(_address(world, "managed-account")))
    answer = alice.post(_address(world, "settings"), {"policy": Policy.CLOSE_IN_PROPORTION}, follow=True)
    assert "It holds from the next rollover on" in text_of(answer)
    assert _account(world).margin_policy == Policy.CLOSE_IN_PROPORTION
    assert alice.post(_address(world, "settings"), {"policy": "ask"}).status_code == 422
    assert _account(world).margin_policy == Policy.CLOSE_IN_PROPORTION


@pytest.mark.parametrize("missing", ["note", "sure"])
def test_account_is_not_closed_without_a_reason_and_a_tick(
    world: AliceBobCharlie, alice: Client, missing: str
) -> None:
    assert alice.post(_address(world, "close-account"), CLOSING | {missing: ""}).status_code == 422
    assert _account(world).state == PammAccount.State.ACTIVE


def test_account_is_closed_by_its_manager_who_saw_who_is_in_it(world: AliceBobCharlie, alice: Client) -> None:
    investor(world.pool)
    page = text_of(alice.get(_address(world, "close-account")))
    assert "Investments of others" in page
    answer = alice.post(_address(world, "close-account"), CLOSING, follow=True)
    assert "The account is being closed" in text_of(answer)
    assert _account(world).state == PammAccount.State.CLOSING
    assert set(Offer.objects.values_list("state", flat=True)) == {Offer.State.CLOSED}
    again = alice.post(_address(world, "close-account"), CLOSING)
    assert again.status_code == 422
    assert _address(world, "close-account") not in text_of(alice.get(_address(world, "settings")))


def test_staff_who_only_look_cannot_decide(world: AliceBobCharlie) -> None:
    auditor, dealer = (
        signed_in(person(f"{role}@staff.example", role)) for role in (Role.AUDITOR, Role.DEALER)
    )
    for name, posted in (("settings", {"policy": Policy.CLOSE_IN_PROPORTION}), ("close-account", CLOSING)):
        assert auditor.get(_address(world, name)).status_code == 404
        assert auditor.post(_address(world, name), posted).status_code == 404
        assert dealer.get(_address(world, name)).status_code == 200
    assert _account(world).margin_policy == Policy.WAIT
