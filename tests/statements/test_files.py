"""Files that are prepared in the background: made once, by one worker, for one person; gone after a week."""

import csv
import re
import uuid
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import Role, User
from accounts.services import revoke_role
from brokers.scope import broker_scope
from outbox.models import Event
from statements import pdf, services
from statements.models import FileFormat, StatementFile
from statements.queries.portions import LINES_AT_ONCE
from statements.services import files_to_take_up, prepare_file, remove_expired_files
from statements.tasks import prepare_file_task, tend_files_task
from statements.web import pages
from tests.statements.conftest import Visit
from tests.statements.test_pdf import text_of as pdf_text
from tests.statements.worlds import JANUARY, MONTH_END, fee, many_fees, price
from tests.web.investor.reading import text_of
from tests.worlds import AliceBobCharlie, person

State = StatementFile.State
ASK = f"/statements/prepare/?{JANUARY}"


@pytest.fixture(autouse=True)
def handed_out(monkeypatch: pytest.MonkeyPatch, kept: Path) -> list[tuple[int, int]]:
    """What the queue was given; a worker is played by `prepare_file_task`."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(prepare_file_task, "apply_async", lambda args, **options: given.append(tuple(args)))
    return given


def asked(client: Client, address: str = ASK, file_format: str = "csv") -> StatementFile:
    answer = client.post(address, {"format": file_format})
    assert answer.status_code == 302, answer.content[:400]
    public_id = uuid.UUID(answer["Location"].rstrip("/").rsplit("/", 1)[-1])
    return StatementFile.objects.get(public_id=public_id)


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def content_of(answer: Any) -> bytes:
    with broker_scope(None):
        return b"".join(answer.streaming_content)


def test_file_is_asked_for_followed_made_and_downloaded(
    world: AliceBobCharlie, january: None, bob: Client, handed_out: list[tuple[int, int]], kept: Path
) -> None:
    file = asked(bob)
    address = f"/statements/files/{file.public_id}/"
    assert handed_out == [(world.alpha.pk, file.pk)]
    page = bob.get(address)
    assert "Waiting for its turn" in text_of(page)
    assert 'hx-trigger="every 2s"' in page.content.decode()
    assert 'id="look-again"' in page.content.decode(), "without JavaScript there is a way on"
    with broker_scope(None):
        prepare_file_task(*handed_out[0])
    piece = bob.get(f"{address}progress/", headers={"HX-Request": "true"})
    assert "Your file is ready" in text_of(piece)
    assert "hx-trigger" not in piece.content.decode(), "nothing is left to ask for"
    answer = bob.get(f"{address}download/")
    assert answer["Content-Disposition"] == (
        'attachment; filename="statement-investor-2026-01-01-2026-01-31.csv"'
    )
    assert answer["Cache-Control"] == "private, no-store"
    rows = list(csv.DictReader(content_of(answer).decode().splitlines()))
    assert sum(Decimal(row["amount"]) for row in rows[:-1]) == Decimal(rows[-1]["amount"]) == Decimal("1078")
    assert "Prepared files" in text_of(bob.get("/statements/files/"))
    (event,) = Event.objects.filter(kind="statement.ready")
    assert (event.subject, event.payload["file"]) == (world.bob.public_id, str(file.public_id))
    assert len(stored(kept)) == 1


def test_pdf_is_made_in_the_language_in_which_it_was_asked_for(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    file = asked(bob, file_format="pdf")
    StatementFile.objects.update(language="de")
    prepare_file(file.pk)
    text = pdf_text(content_of(bob.get(f"/statements/files/{file.public_id}/download/")))
    assert "1.078,00" in text


def test_short_statements_download_at_once_and_long_ones_are_prepared(
    world: AliceBobCharlie, january: None, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = bob.get(f"/statements/?{JANUARY}").content.decode()
    assert "/statements/statement.csv?since" in page
    assert "/statements/prepare/" not in page
    two_years = "since=2025-01-01&until=2026-06-30"
    page = bob.get(f"/statements/?{two_years}").content.decode()
    assert "/statements/statement.csv?since" in page
    assert "Prepare PDF" in page
    assert bob.get(f"/statements/statement.pdf?{two_years}").status_code == 409
    monkeypatch.setattr(pages, "MOST_LINES_AT_ONCE", 1)
    page = bob.get(f"/statements/?{JANUARY}").content.decode()
    assert "Prepare CSV" in page
    answer = bob.get(f"/statements/statement.csv?{JANUARY}")
    assert answer.status_code == 409
    assert "let it be prepared" in text_of(answer)


def test_file_of_many_lines_tells_how_far_it_is_and_has_all_of_them(
    world: AliceBobCharlie, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_fees(world, 1200)
    file, told = asked(bob), []
    noted = services._note

    def note(which: StatementFile, **figures: int) -> None:
        noted(which, **figures)
        told.append(text_of(bob.get(f"/statements/files/{file.public_id}/")))

    monkeypatch.setattr(services, "_note", note)
    prepare_file(file.pk)
    progress = [re.findall(r"(\d+) of (\d+) lines", words) for words in told]
    assert progress[:4] == [[(str(done), "1201")] for done in (0, LINES_AT_ONCE, 2 * LINES_AT_ONCE, 1201)]
    rows = content_of(bob.get(f"/statements/files/{file.public_id}/download/")).decode().splitlines()
    assert len(rows) == 1 + 1 + 1201 + 2


def test_same_click_twice_is_one_file_and_nobody_fills_the_queue(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    assert asked(bob) == asked(bob)
    assert asked(bob, file_format="pdf") != asked(bob)
    asked(bob, "/statements/prepare/?since=2026-01-01&until=2026-01-02")
    answer = bob.post("/statements/prepare/?since=2026-01-01&until=2026-01-03", {"format": "csv"})
    assert answer.status_code == 429
    assert "3 files are being prepared for you already" in text_of(answer)


def test_file_is_its_owners_and_nobody_elses(
    world: AliceBobCharlie, january: None, bob: Client, alice: Client, visit: Visit
) -> None:
    file = asked(bob)
    prepare_file(file.pk)
    admin = visit(person("admin@example.com", Role.ADMIN))
    for stranger in (alice, admin, visit(world.charlie), visit(person("eve@example.com"))):
        for below in ("", "progress/", "download/"):
            assert stranger.get(f"/statements/files/{file.public_id}/{below}").status_code == 404
        assert stranger.post(f"/statements/files/{file.public_id}/retry/").status_code == 404
        assert str(file.public_id) not in stranger.get("/statements/files/").content.decode()


def test_staff_prepare_a_clients_file_and_lose_it_with_the_role(
    world: AliceBobCharlie, january: None, visit: Visit, bob: Client
) -> None:
    auditor = person("audit@example.com", Role.AUDITOR)
    client = visit(auditor)
    file = asked(client, f"/statements/of/{world.bob.public_id}/prepare/?{JANUARY}")
    prepare_file(file.pk)
    address = f"/statements/files/{file.public_id}/"
    assert client.get(f"{address}download/").status_code == 200
    assert bob.get(address).status_code == 404, "it was not Bob who asked"
    revoke_role(user=auditor, role=Role.AUDITOR, by=None)
    assert client.get(address).status_code == 404
    answer = bob.post(f"/statements/of/{world.alice.public_id}/prepare/?{JANUARY}", {"format": "csv"})
    assert answer.status_code == 404


def test_file_that_cannot_be_made_says_so_and_is_tried_again(
    world: AliceBobCharlie, january: None, bob: Client, monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    file = asked(bob, file_format="pdf")
    with monkeypatch.context() as broken:
        broken.setattr(pdf, "LAYOUT", Path("/nonexistent.typ"))
        prepare_file(file.pk)
    address = f"/statements/files/{file.public_id}/"
    page = text_of(bob.get(address))
    assert "This file could not be made" in page
    assert "Try again" in page
    assert bob.get(f"{address}download/").status_code == 409
    assert Event.objects.filter(kind="statement.failed", subject=world.bob.public_id).count() == 1
    assert stored(kept) == []
    assert bob.post(f"{address}retry/").status_code == 302
    prepare_file(file.pk)
    assert "Your file is ready" in text_of(bob.get(address))
    assert bob.post(f"{address}retry/").status_code == 409


def test_file_in_the_hands_of_another_worker_is_left_alone(
    world: AliceBobCharlie, january: None, bob: Client, kept: Path
) -> None:
    file = asked(bob)
    StatementFile.objects.update(
        state=State.RUNNING, attempts=1, lease_until=timezone.now() + timedelta(minutes=1)
    )
    prepare_file(file.pk)
    assert stored(kept) == []
    StatementFile.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    prepare_file(file.pk)
    file.refresh_from_db()
    assert (file.state, file.attempts) == (State.READY, 2)
    prepare_file(file.pk)
    assert len(stored(kept)) == 1


def test_worker_that_was_taken_for_dead_leaves_no_file(
    world: AliceBobCharlie, january: None, bob: Client, monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    """Its lease ran out while it stored; another one has the file by then."""
    file = asked(bob)
    save = FileSystemStorage.save

    def slow(self: FileSystemStorage, name: str, content: Any, **options: Any) -> str:
        made = save(self, name, content, **options)
        StatementFile.objects.update(attempts=2)
        return made

    monkeypatch.setattr(FileSystemStorage, "save", slow)
    prepare_file(file.pk)
    file.refresh_from_db()
    assert (file.state, file.name) == (State.RUNNING, "")
    assert stored(kept) == []
    assert not Event.objects.filter(kind="statement.ready").exists()


def test_file_that_workers_die_over_is_given_up(world: AliceBobCharlie, january: None, bob: Client) -> None:
    file = asked(bob)
    StatementFile.objects.update(
        state=State.RUNNING,
        attempts=services.MOST_ATTEMPTS,
        lease_until=timezone.now() - timedelta(seconds=1),
    )
    prepare_file(file.pk)
    file.refresh_from_db()
    assert file.state == State.FAILED


def test_file_whose_message_was_lost_is_handed_out_again(
    world: AliceBobCharlie, january: None, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(args: Any, **options: Any) -> None:
        raise OperationalError("no Redis")

    monkeypatch.setattr(prepare_file_task, "apply_async", away)
    file = asked(bob)
    assert files_to_take_up() == []
    StatementFile.objects.update(dispatched_at=timezone.now() - timedelta(minutes=5))
    handed: list[tuple[int, int]] = []
    monkeypatch.setattr(prepare_file_task, "delay", lambda *args: handed.append(args))
    with broker_scope(None):
        tend_files_task()
        tend_files_task()
    assert handed == [(world.alpha.pk, file.pk)]


def test_statement_that_changes_while_it_is_read_is_read_again(
    world: AliceBobCharlie, january: None, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its lines would not sum to its totals."""
    file, late = asked(bob), iter([True])
    noted = services._note

    def note(which: StatementFile, **figures: int) -> None:
        """Totals are read and lines are not, when it is told for the first time."""
        noted(which, **figures)
        if next(late, False):
            fee(world, "1.00", price(world, "1.10", MONTH_END + timedelta(hours=2), 3))

    monkeypatch.setattr(services, "_note", note)
    prepare_file(file.pk)
    text = content_of(bob.get(f"/statements/files/{file.public_id}/download/")).decode()
    assert "-1.00" in text
    rows = list(csv.DictReader(text.splitlines()))
    assert sum(Decimal(row["amount"]) for row in rows[:-1]) == Decimal(rows[-1]["amount"]) == Decimal("1077")


def test_expired_files_are_removed_with_their_rows(
    world: AliceBobCharlie, january: None, bob: Client, kept: Path
) -> None:
    file = asked(bob)
    prepare_file(file.pk)
    assert remove_expired_files() == 0
    StatementFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert remove_expired_files() == 1
    assert stored(kept) == []
    assert bob.get(f"/statements/files/{file.public_id}/").status_code == 404


@pytest.mark.parametrize("count", [1, 8])
def test_pages_of_files_take_twelve_queries_at_most(world: AliceBobCharlie, bob: Client, count: int) -> None:
    for number in range(count):
        StatementFile.objects.create(
            requested_by=User.objects.get(pk=world.bob.pk), subject=world.bob, kind="investor",
            format=FileFormat.CSV, first_day=date(2026, 1, 1 + number), end_day=date(2026, 2, 1),
            language="en", state=State.READY, expires_at=timezone.now(),
        )  # fmt: skip
    for address in (
        "/statements/files/",
        f"/statements/files/{StatementFile.objects.earliest('pk').public_id}/",
    ):
        with CaptureQueriesContext(connection) as queries:
            assert bob.get(address).status_code == 200
        assert len(queries) <= 8
