"""From a join link through sign-up into the steps of joining, against a real simulated trading server."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.errors import HasTradingAccount, OwnAccountsNotOpened, TradingAccountBeingOpened
from accounts.models import PersonalAccount, User
from accounts.services import open_own_account
from brokers.models import Broker
from brokers.scope import broker_scope
from offers.models import JoinLink, Offer
from outbox.models import Event
from tests.worlds import PASSWORD, AliceBobCharlie, enrol, person, signed_in, totp_code
from trading.models import TradingGroup

ALPHA, BETA = "alpha.localhost", "beta.localhost"
SIGN_UP, TRADING_ACCOUNTS = "/accounts/signup/", "/accounts/trading-accounts/"


@pytest.fixture
def link(world: AliceBobCharlie) -> JoinLink:
    """Opens Alice's offer, which nobody else sees."""
    with broker_scope(world.alpha.pk):
        Offer.objects.filter(pk=world.pool.offer.pk).update(visibility=Offer.Visibility.LINK)
        made: JoinLink = JoinLink.objects.create(offer=world.pool.offer)
    return made


def text(answer: Any) -> str:
    words = unescape(re.sub(r"<[^>]+>", " ", answer.content.decode()))
    return re.sub(r"\s+", " ", words.replace("\N{NO-BREAK SPACE}", " "))


def settle(world: AliceBobCharlie, **rules: object) -> None:
    """What broker A demands of its clients, and lets them do."""
    with broker_scope(world.alpha.pk):
        Broker.objects.update(**rules)


def start_of(link: JoinLink) -> str:
    return f"/join/{link.token}/start/"


def sign_up(client: Client, following: str = "", **more: str) -> Any:
    sent = {"first_name": "Dora", "email": "dora@example.com", "password1": PASSWORD, "next": following}
    return client.post(SIGN_UP, sent | more)


def confirmation() -> str:
    """Path in the message that asks to confirm the address."""
    found = re.search(r"http://[^/\s]+(/\S+)", str(mail.outbox[-1].body))
    assert found is not None
    return found.group(1)


def sign_up_and_confirm(client: Client, following: str) -> Any:
    assert sign_up(client, following).status_code == 302
    return client.post(confirmation())


def dora_of(world: AliceBobCharlie) -> User:
    with broker_scope(world.alpha.pk):
        found: User = User.objects.get(email="dora@example.com")
        return found


def test_visitor_with_a_link_sees_offer_and_costs_and_the_way_to_sign_up(
    world: AliceBobCharlie, link: JoinLink
) -> None:
    answer = Client(HTTP_HOST=ALPHA).get(f"/join/{link.token}/")
    page = text(answer)
    assert "Alice invites you" in page
    assert "What it costs and how it works" in page
    assert "Sign up and invest" in page
    assert f"{SIGN_UP}?next=%2Fjoin%2F{link.token}%2Fstart%2F" in answer.content.decode()


def test_link_survives_sign_up_and_confirmation_and_leads_into_joining(
    world: AliceBobCharlie, link: JoinLink
) -> None:
    client = Client(HTTP_HOST=ALPHA)
    answer = sign_up_and_confirm(client, start_of(link))
    assert answer["Location"] == start_of(link)
    joined = client.get(start_of(link))
    assert joined["Location"] == f"/offers/{world.pool.offer.public_id}/join/?link={link.token}"
    page = text(client.get(joined["Location"]))
    assert "Invest in Pool 9000" in page
    assert "You need a personal account in USD" in page


def test_link_survives_a_confirmation_in_another_browser(world: AliceBobCharlie, link: JoinLink) -> None:
    sign_up(Client(HTTP_HOST=ALPHA), start_of(link))
    other = Client(HTTP_HOST=ALPHA)
    other.post(confirmation())
    assert other.get("/portfolio/").status_code == 302
    signed = other.post("/accounts/login/", {"login": "dora@example.com", "password": PASSWORD})
    assert signed["Location"] == start_of(link)
    assert "You were invited to an offer" in text(other.get("/"))


def test_link_survives_an_obligatory_second_factor(world: AliceBobCharlie, link: JoinLink) -> None:
    settle(world, requires_second_factor=True)
    client = Client(HTTP_HOST=ALPHA)
    sign_up_and_confirm(client, start_of(link))
    assert client.get(start_of(link))["Location"] == "/accounts/2fa/totp/activate/"
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r'id="authenticator_secret"[^>]*value="([^"]+)"', page)
    assert secret is not None
    done = client.post("/accounts/2fa/totp/activate/", {"code": totp_code(secret.group(1))}, follow=True)
    assert "You were invited to an offer" in text(done)
    assert client.get(start_of(link)).status_code == 302
    assert "/join/" in client.get(start_of(link))["Location"]


def test_client_keeps_the_obligatory_second_factor(world: AliceBobCharlie) -> None:
    settle(world, requires_second_factor=True)
    with broker_scope(world.alpha.pk):
        enrol(world.bob)
    client = signed_in(world.bob)
    # Signed in with the password alone, before there was a factor: out, and in again with it.
    assert client.get("/portfolio/")["Location"].startswith("/accounts/login/")


def test_sign_up_is_closed_to_visitors_without_a_valid_link(world: AliceBobCharlie, link: JoinLink) -> None:
    settle(world, open_sign_up=False)
    client = Client(HTTP_HOST=ALPHA)
    for following in ("", "/", "/join/nobodys/start/", f"/join/{link.token}/", "//evil.example/", "http://["):
        answer = sign_up(client, following)
        assert "Sign-up is by invitation" in text(answer), following
        assert "Sign-up is by invitation" in text(client.get(SIGN_UP, {"next": following}))
    with broker_scope(world.alpha.pk):
        assert not User.objects.filter(email="dora@example.com").exists()
    assert "Create an account" not in text(client.get("/accounts/login/"))
    assert sign_up(client, start_of(link)).status_code == 302
    assert dora_of(world).invitation == link.token


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expires_at": timezone.now() - timedelta(days=1)}, "This link is no longer valid."),
        ({"revoked_at": timezone.now()}, "This link is no longer valid."),
        ({"single_use": True, "used_at": timezone.now()}, "This link was for one person and has been used."),
    ],
    ids=["expired", "revoked", "used"],
)
def test_link_that_is_over_says_so_and_opens_no_sign_up(
    world: AliceBobCharlie, link: JoinLink, change: dict[str, object], said: str
) -> None:
    settle(world, open_sign_up=False)
    with broker_scope(world.alpha.pk):
        JoinLink.objects.filter(pk=link.pk).update(**change)
        visitor = person("eve@example.com", invitation=link.token)
    client = Client(HTTP_HOST=ALPHA)
    answer = client.get(f"/join/{link.token}/")
    assert answer.status_code == 410
    assert said in text(answer)
    assert "Ask whoever sent it for a new one." in text(answer)
    assert "Sign-up is by invitation" in text(sign_up(client, start_of(link)))
    # Told once; then the pages no longer remind of it.
    signed = signed_in(visitor)
    assert signed.get(start_of(link)).status_code == 410
    assert "You were invited" not in text(signed.get("/"))


def test_link_of_another_broker_opens_no_sign_up(world: AliceBobCharlie, link: JoinLink) -> None:
    with broker_scope(world.beta.pk):
        Broker.objects.update(open_sign_up=False)
    answer = sign_up(Client(HTTP_HOST=BETA), start_of(link))
    assert "Sign-up is by invitation" in text(answer)


def test_invitation_can_be_declined(world: AliceBobCharlie, link: JoinLink) -> None:
    client = Client(HTTP_HOST=ALPHA)
    sign_up_and_confirm(client, start_of(link))
    assert "Not interested" in text(client.get("/"))
    assert client.get("/accounts/invitation/decline/").status_code == 405
    client.post("/accounts/invitation/decline/")
    assert "You were invited" not in text(client.get("/"))
    assert dora_of(world).invitation == ""


def test_terms_of_the_broker_must_be_accepted_and_that_is_kept(world: AliceBobCharlie) -> None:
    settle(world, client_terms_url="https://alpha.example/terms")
    client = Client(HTTP_HOST=ALPHA)
    refused = sign_up(client)
    assert "Without accepting the terms no account can be opened." in text(refused)
    assert "https://alpha.example/terms" in refused.content.decode()
    assert sign_up(client, accepts_terms="on").status_code == 302
    with broker_scope(world.alpha.pk):
        told = Event.objects.get(kind="client.registered", subject=dora_of(world).public_id)
    assert told.payload["accepted_terms"] == "https://alpha.example/terms"


def test_one_name_is_enough(world: AliceBobCharlie) -> None:
    assert sign_up(Client(HTTP_HOST=ALPHA)).status_code == 302
    assert (dora_of(world).first_name, dora_of(world).last_name) == ("Dora", "")


def test_client_opens_a_trading_account_once_and_sees_its_password_once(world: AliceBobCharlie) -> None:
    settle(world, opens_trading_accounts=True)
    with broker_scope(world.alpha.pk):
        group = TradingGroup.objects.get(purpose=TradingGroup.Purpose.PERSONAL)
        dora = person("dora@example.com", first_name="Dora")
    client = signed_in(dora)
    assert "Open a trading account" in text(client.get(TRADING_ACCOUNTS))
    sent = {"do": "open", "group": str(group.pk), "next": "/portfolio/"}
    opened = client.post(TRADING_ACCOUNTS, sent)
    with broker_scope(world.alpha.pk):
        account = PersonalAccount.objects.get(user=dora)
    assert str(account.login) in text(opened)
    assert "Write the password down now." in text(opened)
    assert 'href="/portfolio/"' in opened.content.decode()
    assert opened["Cache-Control"] == "private, no-store"
    password = re.search(r"<code>([^<]+)</code>", opened.content.decode())
    assert password is not None
    door = Client(HTTP_HOST=ALPHA)
    door.post("/accounts/trading-login/", {"login": account.login, "password": unescape(password.group(1))})
    assert "Dora" in text(door.get("/portfolio/"))
    # There is no other currency: nothing more is offered, and a second click opens nothing.
    assert "Open a trading account" not in text(client.get(TRADING_ACCOUNTS))
    assert client.post(TRADING_ACCOUNTS, sent).status_code == 422
    with broker_scope(world.alpha.pk):
        assert PersonalAccount.objects.filter(user=dora).count() == 1
        with pytest.raises(HasTradingAccount):
            open_own_account(user=dora, group=group)


def test_two_clicks_at_once_open_one_account(world: AliceBobCharlie) -> None:
    settle(world, opens_trading_accounts=True)
    with broker_scope(world.alpha.pk):
        group = TradingGroup.objects.get(purpose=TradingGroup.Purpose.PERSONAL)
        dora = person("dora@example.com", first_name="Dora")
        cache.add(f"opening-account:{dora.pk}", True)
        with pytest.raises(TradingAccountBeingOpened):
            open_own_account(user=dora, group=group)
        cache.delete(f"opening-account:{dora.pk}")
        open_own_account(user=dora, group=group)


def test_client_opens_none_where_the_broker_does_it(world: AliceBobCharlie) -> None:
    with broker_scope(world.alpha.pk):
        group = TradingGroup.objects.get(purpose=TradingGroup.Purpose.PERSONAL)
        dora = person("dora@example.com")
        with pytest.raises(OwnAccountsNotOpened):
            open_own_account(user=dora, group=group)
    client = signed_in(dora)
    page = text(client.get(TRADING_ACCOUNTS))
    assert "ask your broker to open one" in page
    assert "Open a trading account" not in page
    assert client.post(TRADING_ACCOUNTS, {"do": "open", "group": str(group.pk)}).status_code == 403


@pytest.mark.parametrize("purpose", [TradingGroup.Purpose.PAMM, TradingGroup.Purpose.HOUSE])
def test_client_opens_no_account_of_another_kind(world: AliceBobCharlie, purpose: str) -> None:
    settle(world, opens_trading_accounts=True)
    with broker_scope(world.alpha.pk):
        group = TradingGroup.objects.get(purpose=purpose)
        dora = person("dora@example.com")
    answer = signed_in(dora).post(TRADING_ACCOUNTS, {"do": "open", "group": str(group.pk)})
    assert answer.status_code == 422
    with broker_scope(world.alpha.pk):
        assert not PersonalAccount.objects.filter(user=dora).exists()
