"""E-mails: sent once, tried again while it is certain that none has gone, given up with a reason."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core import mail as django_mail
from django.db import connection, transaction
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import Role
from brokers.brand import email_look
from brokers.models import Broker
from brokers.scope import broker_scope
from events.models import Mail, Notification
from events.services import send_due_mails
from events.services.mails import CLAIM_SECONDS, PAUSES
from events.tasks import deliver_events_task, send_mails_task
from outbox.services import record_event
from pamm_platform.celery import app
from tests.databases import REPOSITORY
from tests.events.cases import BOB, request_of_bob
from tests.events.conftest import happened
from tests.events.post_office import PostOffice
from tests.worlds import PASSWORD, AliceBobCharlie, alice_bob_charlie, person, signed_in

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    """A mail server of our own, which the settings point at."""
    with (
        PostOffice() as office,
        override_settings(
            EMAIL_BACKEND=SMTP, EMAIL_HOST="127.0.0.1", EMAIL_PORT=office.port, EMAIL_TIMEOUT=5
        ),
    ):
        yield office


def waiting(world: AliceBobCharlie, number: int = 1) -> None:
    """So many e-mails to Bob, to be sent now."""
    for _ in range(number):
        happened("request.confirmed", request_of_bob(world).public_id, by="somebody")


def the_mail() -> Mail:
    found: Mail = Mail.objects.get()
    return found


def make_due() -> None:
    Mail.objects.filter(due_at__isnull=False).update(due_at=timezone.now() - timedelta(seconds=1))


def test_mail_is_sent_once_with_both_parts_from_the_broker(
    world: AliceBobCharlie, post_office: PostOffice
) -> None:
    Broker.objects.update(email_sender="hello@alpha.example")
    waiting(world)
    assert send_due_mails() == 1
    assert send_due_mails() == 0
    (letter,) = post_office.letters
    assert letter.recipients == [BOB]
    assert letter.message["From"] == "Alpha <hello@alpha.example>"
    assert letter.message["Subject"] == "Alpha: Deposit approved"
    assert [part.get_content_type() for part in letter.message.iter_parts()] == ["text/plain", "text/html"]
    row = the_mail()
    assert (row.state, row.attempts, row.due_at, row.reason) == (Mail.State.SENT, 1, None, "")
    assert letter.message["Message-ID"] == f"<{row.public_id}@alpha.localhost>"
    assert row.sent_at is not None


def test_many_go_over_one_connection(world: AliceBobCharlie, post_office: PostOffice) -> None:
    waiting(world, 5)
    assert send_due_mails() == 5
    assert (len(post_office.letters), post_office.connections) == (5, 1)


def test_server_that_is_away_is_tried_again_later_and_later(
    world: AliceBobCharlie, post_office: PostOffice
) -> None:
    waiting(world)
    post_office.close()
    for attempt, pause in enumerate(PAUSES, start=1):
        assert send_due_mails() == 1
        row = the_mail()
        assert (row.state, row.attempts) == (Mail.State.WAITING, attempt)
        assert "cannot be reached" in row.reason
        assert row.due_at is not None
        assert abs((row.due_at - timezone.now()).total_seconds() - pause) < 10
        assert send_due_mails() == 0
        make_due()
    send_due_mails()
    row = the_mail()
    assert (row.state, row.due_at) == (Mail.State.GIVEN_UP, None)
    assert "cannot be reached" in row.reason


@pytest.mark.parametrize(
    ("reply", "state"),
    [("550 no such person", Mail.State.GIVEN_UP), ("450 try later", Mail.State.WAITING)],
)
def test_refused_address_is_given_up_and_a_busy_one_is_not(
    reply: str, state: Mail.State, world: AliceBobCharlie, post_office: PostOffice
) -> None:
    waiting(world)
    post_office.says["RCPT"] = reply
    send_due_mails()
    row = the_mail()
    assert row.state == state
    assert reply.partition(" ")[2] in row.reason
    post_office.says.clear()
    make_due()
    send_due_mails()
    assert len(post_office.letters) == (state == Mail.State.WAITING)


def test_letter_that_is_refused_is_tried_again(world: AliceBobCharlie, post_office: PostOffice) -> None:
    waiting(world, 2)
    post_office.says["END"] = "451 out of room"
    send_due_mails()
    assert {row.state for row in Mail.objects.all()} == {Mail.State.WAITING}
    post_office.says.clear()
    make_due()
    send_due_mails()
    assert len(post_office.letters) == 2


def test_lost_answer_is_given_up_rather_than_sent_twice(
    world: AliceBobCharlie, post_office: PostOffice
) -> None:
    waiting(world)
    post_office.hangs_up_after_the_letter = True
    send_due_mails()
    row = the_mail()
    assert row.state == Mail.State.GIVEN_UP
    assert "may have arrived" in row.reason
    post_office.hangs_up_after_the_letter = False
    send_due_mails()
    assert len(post_office.letters) == 1


def test_killed_sender_leaves_a_letter_that_nobody_sends_twice(
    committed_db: str, post_office: PostOffice
) -> None:
    world = alice_bob_charlie()
    post_office.sleeps_after_the_letter = True
    with broker_scope(world.alpha.pk):
        waiting(world)
        program = f"""
import django
django.setup()
from django.conf import settings
from brokers.scope import broker_scope
from events.services import send_due_mails
settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = {SMTP!r}, "127.0.0.1", {post_office.port}
with broker_scope({world.alpha.pk}):
    send_due_mails()
"""
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test"}
        sender = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, env=environment)
        deadline = time.monotonic() + 30
        while not post_office.letters and time.monotonic() < deadline:
            time.sleep(0.05)
        sender.send_signal(signal.SIGKILL)
        sender.wait(timeout=10)
        post_office.sleeps_after_the_letter = False
        assert the_mail().state == Mail.State.SENDING
        assert send_due_mails() == 0
        claimed = the_mail().claimed_until
        assert claimed is not None
        assert abs((claimed - timezone.now()).total_seconds() - CLAIM_SECONDS) < 40
        make_due()
        assert send_due_mails() == 0
        row = the_mail()
        assert row.state == Mail.State.GIVEN_UP
        assert "may have arrived" in row.reason
        assert len(post_office.letters) == 1


def test_mail_that_cannot_be_written_is_given_up_and_the_others_go(
    world: AliceBobCharlie, post_office: PostOffice
) -> None:
    waiting(world, 2)
    broken = Mail.objects.order_by("pk")[0]
    Notification.objects.filter(pk=broken.notification_id).update(facts={})
    assert send_due_mails() == 2
    broken.refresh_from_db()
    assert broken.state == Mail.State.GIVEN_UP
    assert "could not be written" in broken.reason
    assert len(post_office.letters) == 1


def test_broker_with_a_logo_and_a_footer_has_both_in_its_mails(
    world: AliceBobCharlie, post_office: PostOffice
) -> None:
    Broker.objects.update(
        email_footer="Alpha Ltd, 1 High Street",
        brand_images={"logo": {"version": "abc", "width": 240, "height": 60}},
    )
    waiting(world)
    send_due_mails()
    text, html = (part.get_content() for part in post_office.letters[0].message.iter_parts())
    assert "Alpha Ltd, 1 High Street" in text
    assert "Alpha Ltd, 1 High Street" in html
    assert 'width="120" height="30" alt="Alpha"' in html
    assert 'src="http://alpha.localhost:8000/' in html


def test_two_senders_at_once_send_each_once(committed_db: str, post_office: PostOffice) -> None:
    world = alice_bob_charlie()

    def send() -> None:
        with broker_scope(world.alpha.pk):
            send_due_mails()
        connection.close()

    with broker_scope(world.alpha.pk):
        waiting(world, 12)
        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert set(Mail.objects.values_list("state", flat=True)) == {Mail.State.SENT}
    ids = [letter.message["Message-ID"] for letter in post_office.letters]
    assert len(ids) == len(set(ids)) == 12


def test_ticks_wake_whoever_has_something_to_do(
    world: AliceBobCharlie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.conf, "task_always_eager", True)
    with transaction.atomic():
        record_event("request.confirmed", subject=request_of_bob(world).public_id, by="somebody")
    with broker_scope(None):
        deliver_events_task()
    assert [letter.to for letter in django_mail.outbox] == [[BOB]]
    Mail.objects.update(state=Mail.State.WAITING, due_at=timezone.now())
    with broker_scope(None):
        send_mails_task()
    assert len(django_mail.outbox) == 2


def test_staff_read_what_was_sent_and_why_not(world: AliceBobCharlie, post_office: PostOffice) -> None:
    waiting(world)
    post_office.says["RCPT"] = "550 no such person"
    send_due_mails()
    auditor = signed_in(person("auditor@example.com", Role.AUDITOR))
    page = auditor.get("/admin/events/mail/")
    assert page.status_code == 200
    assert "no such person" in page.content.decode()
    row = auditor.get(f"/admin/events/mail/{the_mail().public_id}/change/").content.decode()
    assert "Given up" in row
    assert auditor.post(f"/admin/events/mail/{the_mail().public_id}/change/", {}).status_code == 403
    assert auditor.get("/admin/events/mail/add/").status_code == 403


def test_no_mail_carries_a_secret(world: AliceBobCharlie, post_office: PostOffice) -> None:
    happened("security.password_changed", world.bob.public_id, device="Firefox on Linux", ip="192.0.2.7")
    send_due_mails()
    (letter,) = post_office.letters
    text = letter.message.as_string()
    assert "192.0.2.7" in text
    assert world.bob.password not in text
    assert "token" not in text.lower()


def test_sign_up_and_reset_mails_have_the_same_look(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST="alpha.localhost")
    for address, fields in (
        ("/accounts/signup/", {"first_name": "Dora", "email": "dora@example.com", "password1": PASSWORD}),
        ("/accounts/signup/", {"first_name": "Bob", "email": BOB, "password1": PASSWORD}),
        ("/accounts/password/reset/", {"email": BOB}),
        ("/accounts/password/reset/", {"email": "nobody@example.com"}),
    ):
        before = len(django_mail.outbox)
        assert client.post(address, fields).status_code == 302
        (letter,) = django_mail.outbox[before:]
        assert isinstance(letter, django_mail.EmailMultiAlternatives)
        ((html, kind),) = letter.alternatives
        assert kind == "text/html"
        assert letter.subject.startswith("Alpha: ")
        assert letter.from_email.startswith("Alpha <")
        (link,) = {line for line in str(letter.body).splitlines() if line.startswith("http")}
        assert f'href="{link}"' in str(html)
        assert email_look(world.alpha, "").fill in str(html)
