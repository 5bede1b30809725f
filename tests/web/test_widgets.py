"""Public widgets: without cookies, framed only where the broker says, public offers only, small and kept."""

import gzip
import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import PammAccount
from brokers.models import Broker
from offers.models import Offer
from tests.web.manager.conftest import Visit, visit, world
from tests.worlds import AliceBobCharlie, signed_in

__all__ = ["visit", "world"]
LEADERBOARD = "/widgets/leaderboard/"
NOBODYS = "/widgets/offers/00000000-0000-7000-8000-000000000001/"


def card(world: AliceBobCharlie) -> str:
    return f"/widgets/offers/{world.pool.offer.public_id}/"


@pytest.fixture
def visitor() -> Client:
    return Client(HTTP_HOST="alpha.localhost")


def directives(answer: Any) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in answer["Content-Security-Policy"].split(";")]
    return {name: rest for name, _, rest in parts}


def test_card_and_leaderboard_show_the_offer_and_lead_to_it(world: AliceBobCharlie, visitor: Client) -> None:
    offer = f'href="http://alpha.localhost/offers/{world.pool.offer.public_id}/"'
    for address in (card(world), LEADERBOARD):
        page = visitor.get(address).content.decode()
        assert "Pool 9000" in page
        assert offer in page
        assert "Your capital is at risk." in page
        assert "<script" not in page
        assert "style=" not in page


def test_widget_sets_and_reads_no_cookie(world: AliceBobCharlie, visit: Visit, visitor: Client) -> None:
    alice = visit(world.alice)
    alice.cookies["theme"] = "dark"
    for address in (card(world), LEADERBOARD, NOBODYS):
        signed_in, stranger = alice.get(address), visitor.get(address)
        assert not signed_in.cookies
        assert not stranger.cookies
        assert signed_in["Vary"] == "Accept-Encoding"
        assert "no-store" not in signed_in.get("Cache-Control", "")
        assert "Your account" not in signed_in.content.decode()
    assert alice.get(LEADERBOARD).content == visitor.get(LEADERBOARD).content


@pytest.mark.parametrize(
    "change",
    [
        {"visibility": Offer.Visibility.LINK},
        {"visibility": Offer.Visibility.PRIVATE},
        {"state": Offer.State.PAUSED},
        {"state": Offer.State.DRAFT},
    ],
    ids=str,
)
def test_offer_that_is_not_open_to_all_has_no_card_even_for_its_manager(
    world: AliceBobCharlie, visit: Visit, change: dict[str, str]
) -> None:
    Offer.objects.update(**change)
    for client in (visit(world.alice), visit(world.bob)):
        assert client.get(card(world)).status_code == 404
        assert "Pool 9000" not in client.get(LEADERBOARD).content.decode()


def test_account_that_is_suspended_has_no_card(world: AliceBobCharlie, visitor: Client) -> None:
    PammAccount.objects.update(state=PammAccount.State.SUSPENDED)
    assert visitor.get(card(world)).status_code == 404


def test_card_of_one_broker_is_not_at_the_other(world: AliceBobCharlie) -> None:
    assert Client(HTTP_HOST="beta.localhost").get(card(world)).status_code == 404


def test_only_widgets_are_framed_and_only_where_the_broker_says(
    world: AliceBobCharlie, visitor: Client
) -> None:
    for address in (card(world), LEADERBOARD):
        answer = visitor.get(address)
        assert directives(answer)["frame-ancestors"] == "'self'"
        assert directives(answer)["default-src"] == "'self'"
        assert "X-Frame-Options" not in answer
    Broker.objects.update(widget_hosts=["https://www.example.com"])
    assert directives(visitor.get(LEADERBOARD))["frame-ancestors"] == "'self' https://www.example.com"
    for address in ("/", f"/offers/{world.pool.offer.public_id}/", "/accounts/login/", NOBODYS):
        answer = visitor.get(address)
        assert directives(answer)["frame-ancestors"] == "'none'"
        assert answer["X-Frame-Options"] == "DENY"


def test_widget_is_kept_and_asked_for_again_by_its_etag(world: AliceBobCharlie, visitor: Client) -> None:
    for address in (card(world), LEADERBOARD):
        answer = visitor.get(address)
        assert answer["Cache-Control"] == "public, max-age=300"
        again = visitor.get(address, HTTP_IF_NONE_MATCH=answer["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        assert directives(again)["frame-ancestors"] == "'self'"
    etag = visitor.get(card(world))["ETag"]
    Offer.objects.update(name="Renamed")
    assert visitor.get(card(world), HTTP_IF_NONE_MATCH=etag).status_code == 200


@pytest.mark.parametrize(
    ("query", "theme"),
    [("", "auto"), ("?theme=dark", "dark"), ("?theme=light", "light"), ("?theme=x%22", "auto")],
)
def test_theme_is_that_of_the_address(
    world: AliceBobCharlie, visitor: Client, query: str, theme: str
) -> None:
    assert f'data-bs-theme="{theme}"' in visitor.get(LEADERBOARD + query).content.decode()


def test_language_is_that_of_the_address_or_the_brokers_and_never_the_browsers(
    world: AliceBobCharlie, visitor: Client
) -> None:
    def language(query: str = "") -> str:
        page = visitor.get(LEADERBOARD + query, HTTP_ACCEPT_LANGUAGE="fr").content.decode()
        found = re.search(r'<html lang="([^"]+)"', page)
        assert found is not None
        return found[1]

    assert language() == "en"
    assert language("?lang=zh-hans") == "zh-hans"
    assert language("?lang=../../etc") == "en"
    Broker.objects.update(language="zh-hans")
    assert language() == "zh-hans"
    assert language("?lang=en") == "en"


@pytest.mark.parametrize("count", ["0", "-1", "x", "99999", "\u0663", "\u00b2", "1"])
def test_any_count_is_answered(world: AliceBobCharlie, visitor: Client, count: str) -> None:
    assert visitor.get(LEADERBOARD, {"count": count}).status_code == 200


def test_widget_weighs_a_few_kilobytes(world: AliceBobCharlie, visitor: Client) -> None:
    for address in (card(world), LEADERBOARD):
        assert len(gzip.compress(visitor.get(address).content)) < 3_000


def test_manager_copies_the_code_and_sees_the_widget(world: AliceBobCharlie, visit: Visit) -> None:
    alice = visit(world.alice)
    page = alice.get("/manage/widgets/").content.decode()
    assert f'src="{card(world)}"' in page
    assert f'&lt;iframe src="http://alpha.localhost{card(world)}"' in page
    assert "No site may show widgets yet" in page
    Broker.objects.update(widget_hosts=["https://www.example.com"])
    page = alice.get("/manage/widgets/?show=leaderboard&theme=dark&lang=zh-hans").content.decode()
    assert 'src="/widgets/leaderboard/?theme=dark&amp;lang=zh-hans"' in page
    assert "https://www.example.com" in page
    strange = alice.get("/manage/widgets/?show=javascript:alert(1)&theme=%22&lang=%22").content.decode()
    assert 'src="javascript' not in strange
    assert f'src="{card(world)}"' in strange


def test_page_of_widgets_is_for_managers_and_staff(world: AliceBobCharlie, visit: Visit) -> None:
    assert visit(world.bob).get("/manage/widgets/").status_code == 404
    page = signed_in(world.charlie).get("/manage/widgets/").content.decode()
    assert f"/widgets/offers/{world.charlie_pool.offer.public_id}/" in page
    assert str(world.pool.offer.public_id) not in page
