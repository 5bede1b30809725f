"""A person's profile, and in which language and time zone pages are."""

import re
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from brokers.models import Broker
from brokers.scope import broker_scope
from outbox.models import Event
from tests.worlds import PASSWORD, AliceBobCharlie, enrol, person, signed_in

PROFILE, ELSEWHERE = "/profile/", "/profile/sign-out-elsewhere/"
ALPHA = "alpha.localhost"


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def by_password(email: str) -> Client:
    client = Client(HTTP_HOST=ALPHA, headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
    assert client.post("/accounts/login/", {"login": email, "password": PASSWORD}).status_code == 302
    return client


def bob_now(world: AliceBobCharlie) -> User:
    with broker_scope(world.alpha.pk):
        found: User = User.objects.get(pk=world.bob.pk)
        return found


def language_of_page(answer: Any) -> str:
    found = re.search(r'<html lang="([^"]+)"', answer.content.decode())
    assert found is not None
    return found.group(1)


def test_profile_tells_what_is_known_and_what_protects_the_account(world: AliceBobCharlie) -> None:
    client = by_password("bob@example.com")
    page = text(client.get(PROFILE))
    assert "bob@example.com confirmed" in page
    assert "Your account is protected by a password only" in page
    assert "Firefox on Linux 127.0.0.1" in page
    with broker_scope(world.alpha.pk):
        enrol(world.bob)
    page = text(client.get(PROFILE))
    assert "on: asked for at every sign-in" in page
    assert "without them a lost phone locks you out" in page
    assert "protected by a password only" not in page


def test_profile_shows_nothing_of_others(world: AliceBobCharlie) -> None:
    by_password("alice@example.com")
    page = text(by_password("bob@example.com").get(PROFILE))
    assert "alice" not in page.lower()
    assert page.count("Firefox on Linux") == 1


def test_profile_is_of_signed_in_people(world: AliceBobCharlie) -> None:
    for method, address in (("get", PROFILE), ("post", PROFILE), ("post", ELSEWHERE)):
        assert getattr(Client(HTTP_HOST=ALPHA), method)(address).status_code == 302
    assert "You stay signed in here." in text(signed_in(world.bob).get(ELSEWHERE))


def test_profile_takes_at_most_twelve_statements(world: AliceBobCharlie) -> None:
    client = by_password("bob@example.com")
    for _number in range(3):
        by_password("bob@example.com")
    client.get(PROFILE)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(PROFILE).status_code == 200
    asked = [query for query in captured if "SELECT" in query["sql"] and "set_config" not in query["sql"]]
    assert len(asked) <= 12, [query["sql"] for query in asked]


def test_saved_profile_changes_the_pages(world: AliceBobCharlie) -> None:
    client = signed_in(world.bob)
    told = {"first_name": "Bo", "last_name": "Ng", "language": "zh-hans", "time_zone": "Asia/Tokyo"}
    assert client.post(PROFILE, told)["Location"] == PROFILE
    changed = bob_now(world)
    assert (changed.full_name, changed.language, changed.time_zone) == ("Bo Ng", "zh-hans", "Asia/Tokyo")
    page = client.get(PROFILE, headers={"Accept-Language": "en"})
    assert language_of_page(page) == "zh-hans"
    assert "Asia/Tokyo" in text(page).partition("© Alpha")[2]
    with broker_scope(world.alpha.pk):
        event = Event.objects.get(kind="person.profile_changed", subject=changed.public_id)
    assert event.payload == {"changed": ["first_name", "last_name", "language", "time_zone"]}
    client.post(PROFILE, told)
    with broker_scope(world.alpha.pk):
        assert Event.objects.filter(kind="person.profile_changed").count() == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("language", "xx"), ("time_zone", "Mars/Olympus"), ("time_zone", "Etc/GMT+1"), ("first_name", "x" * 81)],
)
def test_profile_refuses_what_pages_could_not_use(world: AliceBobCharlie, name: str, value: str) -> None:
    told = {"first_name": "Bo", "last_name": "", "language": "", "time_zone": "", name: value}
    answer = signed_in(world.bob).post(PROFILE, told)
    assert answer.status_code == 422
    assert bob_now(world).first_name == ""


def test_other_fields_cannot_be_sent_along(world: AliceBobCharlie) -> None:
    told = {"first_name": "Bo", "language": "", "time_zone": "", "email": "x@example.com", "is_active": ""}
    signed_in(world.bob).post(PROFILE, told)
    assert (bob_now(world).email, bob_now(world).is_active) == ("bob@example.com", True)


def test_sign_out_elsewhere_ends_all_other_sessions_and_only_the_persons(world: AliceBobCharlie) -> None:
    here, there, other = (by_password(f"{name}@example.com") for name in ("bob", "bob", "alice"))
    assert here.get(ELSEWHERE).status_code == 200
    assert there.get(PROFILE).status_code == 200, "asking has ended nothing"
    assert here.post(ELSEWHERE)["Location"] == PROFILE
    assert here.get(PROFILE).status_code == 200
    assert there.get(PROFILE).status_code == 302
    assert other.get(PROFILE).status_code == 200


def test_language_is_the_persons_then_the_cookies_then_the_browsers_then_the_brokers(
    world: AliceBobCharlie,
) -> None:
    with broker_scope(world.alpha.pk):
        Broker.objects.update(language="zh-hans")
        reader = person("reader@example.com", language="en")
    visitor = Client(HTTP_HOST=ALPHA)
    assert language_of_page(visitor.get("/")) == "zh-hans"
    assert language_of_page(visitor.get("/", headers={"Accept-Language": "sv, *"})) == "zh-hans"
    assert language_of_page(visitor.get("/", headers={"Accept-Language": "sv, en-GB;q=0.5"})) == "en"
    visitor.cookies["django_language"] = "zh-hans"
    assert language_of_page(visitor.get("/", headers={"Accept-Language": "en"})) == "zh-hans"
    own = signed_in(reader)
    own.cookies["django_language"] = "zh-hans"
    assert language_of_page(own.get("/", headers={"Accept-Language": "zh-CN"})) == "en"


def test_language_chosen_on_a_page_is_kept_by_the_browser_and_by_the_profile(world: AliceBobCharlie) -> None:
    visitor = Client(HTTP_HOST=ALPHA)
    answer = visitor.post("/language/", {"language": "zh-hans", "next": "/?sort=age"})
    assert answer["Location"] == "/?sort=age"
    page = visitor.get("/", headers={"Accept-Language": "en"})
    assert language_of_page(page) == "zh-hans"
    assert "排行榜" in text(page) or "投资方案" in text(page)
    bob = signed_in(world.bob)
    bob.post("/language/", {"language": "zh-hans"})
    assert bob_now(world).language == "zh-hans"
    assert language_of_page(signed_in(world.bob).get(PROFILE)) == "zh-hans"
    with broker_scope(world.alpha.pk):
        assert Event.objects.get(kind="person.profile_changed").payload == {"changed": ["language"]}


def test_language_switch_leads_nowhere_else_and_takes_known_languages_only(world: AliceBobCharlie) -> None:
    visitor = Client(HTTP_HOST=ALPHA)
    answer = visitor.post("/language/", {"language": "zh-hans", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/"
    bob = signed_in(world.bob)
    answer = bob.post("/language/", {"language": "xx", "next": PROFILE})
    assert answer["Location"] == PROFILE
    assert settings.LANGUAGE_COOKIE_NAME not in bob.cookies
    assert bob_now(world).language == ""
    assert bob.get("/language/").status_code == 405


def test_time_zones_are_named_in_the_readers_language(world: AliceBobCharlie) -> None:
    client = signed_in(world.bob)
    assert "Buenos Aires" in text(client.get(PROFILE))
    page = client.get(PROFILE, headers={"Accept-Language": "zh-CN"}).content.decode()
    assert '<optgroup label="亚洲">' in page
    assert '<option value="Asia/Shanghai">上海 (Asia/Shanghai)</option>' in page


def test_who_signs_up_in_another_language_than_the_brokers_gets_e_mails_in_it(world: AliceBobCharlie) -> None:
    with broker_scope(world.alpha.pk):
        Broker.objects.update(open_sign_up=True)
    for email, accepted, language, written in (
        ("lin@example.com", "zh-CN", "zh-hans", "确认"),
        ("dora@example.com", "en-GB", "", "confirm"),
    ):
        sent = {"first_name": "Dora", "email": email, "password1": PASSWORD}
        visitor = Client(HTTP_HOST=ALPHA, headers={"Accept-Language": accepted})
        assert visitor.post("/accounts/signup/", sent).status_code == 302
        with broker_scope(world.alpha.pk):
            assert User.objects.get(email=email).language == language
        assert written in str(mail.outbox[-1].body)
