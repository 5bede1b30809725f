"""Who is told of what, once, in words, and with which e-mail."""

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from accounts.models import PersonalAccount, User
from allocation.models import Investment
from brokers.scope import broker_scope
from events import services
from events.errors import NotYoursToChoose
from events.kinds import KINDS
from events.mail import mail_of
from events.models import Mail, Notification, Preference
from events.queries import unread_count
from events.services import change_preferences, deliver_notifications
from events.services import notifications as delivery
from events.wording import message_of
from outbox.models import Cursor
from outbox.services import record_event, record_events
from tests.events.cases import BOB, CASES, Case, charge, dealer, next_point, paid, request_of_bob
from tests.events.conftest import happened
from tests.worlds import AliceBobCharlie, person, personal_account


def told() -> set[tuple[str, str]]:
    return set(Notification.objects.values_list("user__email", "kind"))


def confirmed(world: AliceBobCharlie) -> None:
    happened("request.confirmed", request_of_bob(world).public_id, by="somebody")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_event_is_told_to_those_concerned_in_words_that_lead_on(case: Case, world: AliceBobCharlie) -> None:
    case.make(world)
    assert told() == case.told
    assert Notification.objects.count() == len(case.told)
    for row in Notification.objects.all():
        message = message_of(row.kind, row.facts, row.occurred_at)
        words = f"{message.title} {message.text}".replace("\xa0", " ")
        assert case.says in words
        assert message.title
        assert message.text
        assert not re.search(r"%\(|\{|None|“”|  | \.", words), words
        assert message.path.startswith(case.leads_to)
        assert resolve(message.path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_reads_the_same_as_text_and_as_html(case: Case, world: AliceBobCharlie) -> None:
    case.make(world)
    for row in Notification.objects.all():
        mail = Mail.objects.filter(notification=row).first() or Mail(notification=row, address=BOB)
        made = mail_of(mail)
        message = message_of(row.kind, row.facts, row.occurred_at)
        ((html, kind),) = made.alternatives
        assert kind == "text/html"
        plain = re.sub(r"\s+", " ", _without_tags(str(html)))
        text = re.sub(r"\s+", " ", str(made.body))
        for part in (message.title, message.text, *(part for line in message.details for part in line)):
            assert re.sub(r"\s+", " ", part) in text
            assert re.sub(r"\s+", " ", part) in plain
        address = f"http://alpha.localhost:8000{message.path}"
        assert address in str(made.body)
        assert f'href="{address}"' in str(html)
        assert made.subject == f"Alpha: {message.title}"
        assert made.from_email.startswith("Alpha <")


def _without_tags(html: str) -> str:
    from html import unescape

    body = html[html.index("<body") :]
    return unescape(re.sub(r"<[^>]+>", " ", body))


def test_every_kind_and_variant_has_a_case() -> None:
    """But for those that are off at first, and a fee's and an account's other variants."""
    assert {kind for case in CASES for _, kind in case.told} == KINDS.keys() - {"deposit_arrived"}


def test_event_is_told_once_whatever_happens(world: AliceBobCharlie) -> None:
    confirmed(world)
    Cursor.objects.update(taken=0)
    deliver_notifications()
    assert Notification.objects.count() == Mail.objects.count() == 1


def test_crash_between_taking_and_telling_loses_nothing(
    world: AliceBobCharlie, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses the e-mails' rows: neither notification nor cursor has moved."""
    with transaction.atomic():
        record_event("request.confirmed", subject=request_of_bob(world).public_id, by="somebody")
    with monkeypatch.context() as broken:
        broken.setattr(Mail._meta.get_field("address"), "column", "no_such_column")
        with pytest.raises(Exception, match="no_such_column"), transaction.atomic():
            deliver_notifications()
    assert told() == set()
    deliver_notifications()
    assert told() == {(BOB, "request_confirmed")}
    assert Mail.objects.count() == 1


def test_event_that_cannot_be_told_does_not_stop_the_others(world: AliceBobCharlie) -> None:
    request = request_of_bob(world)
    with transaction.atomic():
        record_event("request.confirmed", subject=request.public_id, by="somebody")
        record_event("request.executed", subject=request.public_id, without="an amount")
        record_event("request.expired", subject=request.public_id)
    while deliver_notifications():
        pass
    assert told() == {(BOB, "request_confirmed"), (BOB, "request_expired")}


def test_other_broker_is_told_nothing(world: AliceBobCharlie) -> None:
    confirmed(world)
    with broker_scope(world.beta.pk):
        assert deliver_notifications() == 0
        assert not Notification.objects.exists()
        assert not Mail.objects.exists()


def test_what_happened_long_ago_is_read_already_and_sends_nothing(world: AliceBobCharlie) -> None:
    with transaction.atomic():
        record_event(
            "request.confirmed",
            subject=request_of_bob(world).public_id,
            occurred_at=timezone.now() - timedelta(days=30),
            by="somebody",
        )
    deliver_notifications()
    assert told() == {(BOB, "request_confirmed")}
    assert unread_count(world.bob) == 0
    assert not Mail.objects.exists()


def test_somebody_is_told_where_he_chose(world: AliceBobCharlie) -> None:
    change_preferences(user=world.bob, choices={"request_confirmed": (False, True)})
    confirmed(world)
    assert unread_count(world.bob) == 0
    assert Mail.objects.count() == 1
    change_preferences(user=world.bob, choices={"request_confirmed": (True, False)})
    confirmed(world)
    assert unread_count(world.bob) == Mail.objects.count() == 1
    change_preferences(user=world.bob, choices={"request_confirmed": (False, False)})
    confirmed(world)
    assert Notification.objects.count() == 2


def test_deposit_arrived_is_told_to_who_wants_it(world: AliceBobCharlie) -> None:
    arrived = next(case for case in CASES if case.name == "payout arrived")
    change_preferences(
        user=world.bob, choices={"deposit_arrived": (True, True), "payout_arrived": (False, False)}
    )
    arrived.make(world)
    assert told() == set()
    for state, says in (("completed", "80.25 USD arrived in “Pool 9000”"), ("returned", "came back")):
        paid("deposit", state=state)(world)
        row = Notification.objects.latest("pk")
        assert says in message_of(row.kind, row.facts, row.occurred_at).text.replace("\xa0", " ")


@pytest.mark.parametrize("code", [code for code, kind in KINDS.items() if kind.is_obligatory])
def test_security_cannot_be_turned_off(code: str, world: AliceBobCharlie) -> None:
    with pytest.raises(NotYoursToChoose):
        change_preferences(user=world.bob, choices={code: (False, False)})


def test_security_is_told_whatever_a_row_says(world: AliceBobCharlie) -> None:
    Preference.objects.create(user=world.bob, kind="password_changed", in_cabinet=False, by_email=False)
    happened("security.password_changed", world.bob.public_id)
    assert unread_count(world.bob) == Mail.objects.count() == 1


def test_nobody_chooses_what_others_are_told(world: AliceBobCharlie) -> None:
    for code in ("account_held", "request_to_approve", "no such kind"):
        with pytest.raises(NotYoursToChoose):
            change_preferences(user=world.bob, choices={code: (True, True)})
    change_preferences(user=dealer(), choices={"account_held": (True, False)})


def test_changed_address_is_told_to_the_former_one(world: AliceBobCharlie) -> None:
    happened("security.email_changed", world.bob.public_id, address="old@example.com")
    assert Mail.objects.get().address == "old@example.com"


def test_first_device_and_known_ones_are_no_news(world: AliceBobCharlie) -> None:
    for device in ("Firefox on Linux", "Firefox on Linux"):
        happened("person.signed_in", world.bob.public_id, device=device)
    happened("person.signed_in", world.alice.public_id, device="Safari on iPhone")
    assert told() == set()


def test_left_people_are_told_nothing(world: AliceBobCharlie) -> None:
    User.objects.filter(pk=world.bob.pk).update(is_active=False)
    confirmed(world)
    assert told() == set()


def _thousand(world: AliceBobCharlie, number: int) -> list[Investment]:
    server = world.pool.account.server
    made = []
    for place in range(number):
        investor = User(email=f"i{place}@example.com")
        investor.set_unusable_password()
        made.append(investor)
    User.objects.bulk_create(made)
    owners = list(User.objects.filter(email__startswith="i", email__contains="@example").exclude(password=""))
    accounts = [personal_account(owner, server, 70000 + place) for place, owner in enumerate(owners)]
    return _invest(world, list(zip(owners, accounts, strict=True)))


def _invest(world: AliceBobCharlie, people: list[tuple[User, PersonalAccount]]) -> list[Investment]:
    model = world.pool.investment
    return Investment.objects.bulk_create(
        Investment(
            account=model.account, owner=owner, personal_account=account, terms=model.terms, series=1,
            joined=model.joined, state="active", joined_at=model.joined_at, units=1, interval=model.interval,
        )
        for owner, account in people
    )  # fmt: skip


def test_rollover_with_a_thousand_investors_takes_as_many_statements_as_with_one(
    world: AliceBobCharlie,
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert deliver_notifications() == 2
        return len(queries)

    def rollover(sequence: int) -> None:
        interval = world.pool.investment.interval
        assert interval is not None
        charges = {"sequence": sequence, "charges": 1, "amount": "1", "currency": "USD"}
        ended = {"sequence": sequence, "intervals": [interval.pk]}
        with transaction.atomic():
            subject = world.pool.account.public_id
            record_events([("fees.crystallised", subject, charges), ("intervals.ended", subject, ended)])

    point = next_point(world)
    charge(world, point, world.pool.investment, "20.00")
    rollover(2)
    few = statements()
    assert Notification.objects.count() == 1
    investments = _thousand(world, 1000)
    for investment in investments[:500]:
        charge(world, point, investment, "0.02")
    rollover(2)
    assert statements() <= few
    assert Notification.objects.count() == 1 + 1001
    variants = list(Notification.objects.values_list("facts__variant", flat=True))
    assert (variants.count("charged"), variants.count("free")) == (502, 500)


def test_two_investments_of_one_person_are_told_of_apart(world: AliceBobCharlie) -> None:
    (second,) = _invest(world, [(world.bob, world.bob_account)])
    point = next_point(world)
    charge(world, point, world.pool.investment, "20.00")
    charge(world, point, second, "5.00")
    happened("fees.crystallised", world.pool.account.public_id, sequence=2, charges=2, amount="25")
    amounts = {Decimal(row.facts["amount"]) for row in Notification.objects.filter(user=world.bob)}
    assert amounts == {Decimal(20), Decimal(5)}


def test_words_are_in_the_zone_and_language_of_the_reader(world: AliceBobCharlie) -> None:
    world.bob.time_zone = "Asia/Tokyo"
    world.bob.save()
    confirmed(world)
    moment = timezone.now() - timedelta(hours=0)
    Notification.objects.update(occurred_at=moment.replace(hour=20, minute=5))
    made = mail_of(Mail.objects.select_related("notification__user").get())
    assert "05:05" in str(made.body)
    assert "Asia/Tokyo" in str(made.body)


def test_unknown_kind_of_event_is_passed_over(world: AliceBobCharlie) -> None:
    happened("something.else", uuid.uuid4())
    happened("request.executed", uuid.uuid4(), kind="deposit", amount="1", fee="0", currency="USD")
    assert told() == set()


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    from django.utils import translation

    with translation.override("en"):
        yield


def test_slice_at_a_time(world: AliceBobCharlie) -> None:
    person("eve@example.com")
    for _ in range(3):
        request = request_of_bob(world)
        with transaction.atomic():
            record_event("request.confirmed", subject=request.public_id, by="somebody")
    assert [deliver_notifications(most=2) for _ in range(3)] == [2, 1, 0]
    assert Notification.objects.count() == 3
    assert services.NOTIFICATIONS == delivery.NOTIFICATIONS
