"""What really happens is told: a rollover with a trading server, sign-ins, changed passwords and factors."""

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.core import mail as django_mail
from django.test import Client

from accounts.devices import device_of
from accounts.models import Role
from allocation.models import Investment
from brokers.scope import broker_scope
from events.models import Mail, Notification
from events.services import change_preferences, deliver_notifications, send_due_mails
from events.wording import message_of
from outbox.models import Event
from tests.circle.conftest import zone_at_noon
from tests.circle.world import SHARES, Desk, share_as_standard, terms
from tests.simulator import SimulatorProcess
from tests.worlds import PASSWORD, AliceBobCharlie, alice_bob_charlie, broker_called, enrol, totp_code

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path_factory.mktemp("market"), timezone=zone_at_noon()).start()
    yield process
    process.stop()


@pytest.fixture
def desk(committed_db: str, market: SimulatorProcess) -> Iterator[Desk]:
    with broker_scope(broker_called("alpha").pk):
        yield Desk.open(market, "alpha")


def told(email: str) -> list[str]:
    """Titles, in order, of what is new for the person; read by this."""
    while deliver_notifications():
        pass
    new = Notification.objects.filter(user__email=email, read_at__isnull=True).order_by("pk")
    titles = [message_of(row.kind, row.facts, row.occurred_at).title for row in new]
    new.update(read_at="2026-01-01T00:00Z")
    return titles


def test_life_of_an_investment_is_told_to_everybody_concerned(desk: Desk) -> None:
    draft = terms((None, "0.20"), **SHARES)
    share_as_standard(desk, draft)
    income = desk.client("alice", "10000", Role.INVESTOR, Role.MANAGER)
    account = desk.pamm_account(income, "1000.00")
    offer = desk.offer(account, draft)
    personal = desk.client("bob", "1000")
    bob, alice = "bob@alpha.example", "alice@alpha.example"
    change_preferences(user=personal.user, choices={"deposit_arrived": (True, False)})
    investment = desk.invest(personal, offer, "500.00")
    assert told(alice) == ["Deposit to approve"]
    assert told(bob) == ["Deposit approved"]
    desk.roll(account)
    assert told(bob) == ["Deposit invested", "Deposit arrived"]
    desk.bring_price_to(account, Decimal("1.10"))
    desk.roll(account)
    assert told(bob) == ["Trading interval ended"]
    assert "Fees paid" in told(alice)
    investment = Investment.objects.get(pk=investment.pk)
    desk.withdraw(investment, "100.00")
    desk.roll(account)
    assert told(bob) == ["Withdrawal carried out", "Payout arrived"]
    desk.simulator.adjust_as_dealer(account.login or 0, "777.00")
    desk.roll(account)
    assert told(desk.dealer.email) == ["Rollover held"]
    assert "Account held" in told(alice)
    assert told(bob) == []
    completed = Event.objects.filter(kind="transfer.completed").values_list("payload__purpose", flat=True)
    assert set(completed) == {"deposit", "withdrawal", "fee"}


@pytest.fixture
def world(committed_db: str) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


def sign_in(agent: str, password: str = PASSWORD) -> Client:
    client = Client(HTTP_HOST="alpha.localhost", HTTP_USER_AGENT=agent)
    with broker_scope(None):
        client.post("/accounts/login/", {"login": "bob@example.com", "password": password})
    return client


def test_sign_in_from_a_new_device_is_told_and_mailed(world: AliceBobCharlie) -> None:
    for agent in (FIREFOX, FIREFOX):
        sign_in(agent)
    assert told("bob@example.com") == []
    sign_in(SAFARI)
    assert told("bob@example.com") == ["New sign-in"]
    send_due_mails()
    (letter,) = django_mail.outbox
    assert "Safari on iPhone" in str(letter.body)
    assert "127.0.0.1" in str(letter.body)
    sign_in(SAFARI)
    assert told("bob@example.com") == []


def test_failed_sign_in_is_no_sign_in(world: AliceBobCharlie) -> None:
    sign_in(FIREFOX, "not his password at all")
    assert not Event.objects.filter(kind="person.signed_in").exists()


def test_changed_password_is_told_by_us_once(world: AliceBobCharlie) -> None:
    client = sign_in(FIREFOX)
    new = {
        "oldpassword": PASSWORD,
        "password1": "another long and good one",
        "password2": "another long and good one",
    }
    with broker_scope(None):
        assert client.post("/accounts/password/change/", new).status_code == 302
    assert django_mail.outbox == []
    assert told("bob@example.com") == ["Password changed"]
    send_due_mails()
    (letter,) = django_mail.outbox
    assert letter.subject == "Alpha: Password changed"
    assert "another long" not in str(letter.message())


def test_reset_password_and_factors_are_told(world: AliceBobCharlie) -> None:
    with broker_scope(None):
        visitor = Client(HTTP_HOST="alpha.localhost")
        visitor.post("/accounts/password/reset/", {"email": "bob@example.com"})
        link = re.search(r"http://alpha\.localhost(/\S+)", str(django_mail.outbox[-1].body))
        assert link is not None
        page = visitor.get(link[1], follow=True)
        chosen = {"password1": "a third long and good one", "password2": "a third long and good one"}
        visitor.post(page.request["PATH_INFO"], chosen)
    assert told("bob@example.com") == ["Password changed"]
    client = sign_in(FIREFOX, "a third long and good one")
    with broker_scope(None):
        page = client.get("/accounts/2fa/totp/activate/")
        secret = page.context["form"].secret
        client.post("/accounts/2fa/totp/activate/", {"code": totp_code(secret)})
    assert "Second factor added" in told("bob@example.com")
    with broker_scope(None):
        client.post("/accounts/2fa/totp/deactivate/")
    assert "Second factor removed" in told("bob@example.com")
    assert set(Mail.objects.values_list("address", flat=True)) == {"bob@example.com"}


def test_enrolling_leaves_no_secret_in_events(world: AliceBobCharlie) -> None:
    secret = enrol(world.bob)
    assert all(secret not in str(event.payload) for event in Event.objects.all())


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
        ("x" * 500, "x" * 60),
    ],
)
def test_device_is_named_in_few_words(agent: str, device: str) -> None:
    assert device_of(agent) == device
