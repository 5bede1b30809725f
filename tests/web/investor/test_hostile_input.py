"""What nobody types by accident: answered, never with a failure of ours."""

import pytest
from django.test import Client

from investing.models import Request
from tests.web.investor.reading import text_of
from tests.worlds import AliceBobCharlie


@pytest.mark.parametrize("field", ["key", "amount", "step"])
def test_nul_character_in_a_form_is_a_bad_request(world: AliceBobCharlie, bob: Client, field: str) -> None:
    url = f"/investments/{world.pool.investment.public_id}/withdraw/"
    typed = {"amount": "100", "step": "confirm", "key": "k"}
    assert bob.post(url, typed | {field: typed[field] + "\0"}).status_code == 400
    assert Request.objects.count() == 0


@pytest.mark.parametrize(
    "address", ["/join/a%00/", "/?currency=%00", "/?%00=1", "/admin/accounts/user/?q=%00"]
)
def test_nul_character_in_an_address_is_a_bad_request(bob: Client, address: str) -> None:
    assert bob.get(address).status_code == 400


def test_nul_character_in_the_session_cookie_is_a_bad_request(bob: Client) -> None:
    bob.cookies.load('sessionid="\\000aaaaaaaaaaaa"')
    assert bob.get("/portfolio/").status_code == 400


@pytest.mark.parametrize(
    "typed",
    [{"min_return": "1e-99999"}, {"max_drawdown": "1e-99999"}, {"amount": "1e-19", "currency": "USD"}],
)
def test_filter_finer_than_anything_stored_is_refused_at_the_field(
    world: AliceBobCharlie, bob: Client, typed: dict[str, str]
) -> None:
    answer = bob.get("/", typed)
    assert answer.status_code == 200
    assert "no more than 6 decimal places" in text_of(answer)


def test_thousand_with_a_point_is_not_taken_for_one(world: AliceBobCharlie, bob: Client) -> None:
    url = f"/investments/{world.pool.investment.public_id}/withdraw/"
    answer = bob.post(url, {"amount": "1.000"})
    assert answer.status_code == 422
    assert "has 2 decimals" in text_of(answer)


@pytest.mark.parametrize(
    "page", ["/", "/portfolio/", "/requests/", "/offers/{offer}/", "/investments/{own}/close/"]
)
def test_head_is_answered_like_get(world: AliceBobCharlie, bob: Client, page: str) -> None:
    address = page.format(offer=world.pool.offer.public_id, own=world.pool.investment.public_id)
    answer = bob.head(address)
    assert answer.status_code == 200
    assert answer.content == b""
