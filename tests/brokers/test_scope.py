"""The scope and the session's setting follow each other, whatever happens to the connection."""

import threading
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from psycopg2 import sql

from accounts.models import Membership, Role, User
from brokers.models import Broker
from brokers.scope import ForeignBroker, NoBrokerScope, broker_scope, current_broker_id
from tests.worlds import broker_called


def session_broker() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.broker', true)")
        (setting,) = cursor.fetchone()
    return setting or ""


def visible_users() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT email FROM accounts_user")
        return {email for (email,) in cursor.fetchall()}


@pytest.fixture
def brokers(committed_db: str) -> tuple[int, int]:
    """Two brokers with one person each, committed."""
    alpha, beta = broker_called("alpha").pk, broker_called("beta").pk
    for broker_id, email in ((alpha, "a@example.com"), (beta, "b@example.com")):
        with broker_scope(broker_id):
            User.objects.create_user(email)
    return alpha, beta


def test_scope_nests_and_returns() -> None:
    with broker_scope(1):
        with broker_scope(2):
            assert current_broker_id() == 2
        with broker_scope(None), pytest.raises(NoBrokerScope):
            current_broker_id()
        assert current_broker_id() == 1
    with pytest.raises(NoBrokerScope):
        current_broker_id()


def test_scope_is_not_inherited_by_a_thread() -> None:
    seen: list[type] = []

    def look() -> None:
        try:
            current_broker_id()
        except NoBrokerScope as error:
            seen.append(type(error))

    with broker_scope(1):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [NoBrokerScope]


def test_raw_sql_sees_the_rows_of_the_scope_and_none_without(brokers: tuple[int, int]) -> None:
    alpha, beta = brokers
    with broker_scope(alpha):
        assert visible_users() == {"a@example.com"}
    with broker_scope(beta):
        assert visible_users() == {"b@example.com"}
    assert visible_users() == set()


def test_connection_reused_twenty_thousand_times_holds_the_scope_each_time(brokers: tuple[int, int]) -> None:
    alpha, beta = brokers
    wrong = 0
    with connection.cursor() as cursor:
        for turn in range(20_000):
            wanted = (alpha, beta, None)[turn % 3]
            with broker_scope(wanted):
                if turn % 7 == 0:
                    cursor.execute("BEGIN")
                    cursor.execute("SELECT 1")
                    cursor.execute("ROLLBACK")
                cursor.execute("SELECT current_setting('app.broker', true)")
                wrong += cursor.fetchone() != (str(wanted) if wanted else "",)
    assert wrong == 0


def test_rollback_of_the_transaction_that_set_the_scope_does_not_leave_the_older_one(
    brokers: tuple[int, int],
) -> None:
    alpha, beta = brokers
    with broker_scope(alpha):
        visible_users()
    with broker_scope(beta):
        with transaction.atomic():
            assert visible_users() == {"b@example.com"}
            transaction.set_rollback(True)
        assert visible_users() == {"b@example.com"}


def test_savepoint_rolled_back_does_not_leave_the_older_scope(brokers: tuple[int, int]) -> None:
    alpha, beta = brokers
    with transaction.atomic():
        with broker_scope(alpha):
            visible_users()
        with broker_scope(beta):
            with transaction.atomic():
                visible_users()
                transaction.set_rollback(True)
            assert visible_users() == {"b@example.com"}


def test_savepoint_rolled_back_after_a_database_error_lets_the_scope_be_used(
    brokers: tuple[int, int],
) -> None:
    _, beta = brokers
    with broker_scope(beta), transaction.atomic():
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert visible_users() == {"b@example.com"}


def test_commit_of_an_aborted_transaction_does_not_leave_the_older_scope(brokers: tuple[int, int]) -> None:
    """PostgreSQL answers such a COMMIT with a rollback and no error."""
    alpha, beta = brokers
    with broker_scope(alpha):
        visible_users()
    connection.set_autocommit(False)
    try:
        with broker_scope(beta):
            visible_users()
            with pytest.raises(DatabaseError), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
            connection.connection.commit()
            assert visible_users() == {"b@example.com"}
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_failed_commit_does_not_leave_the_older_scope(brokers: tuple[int, int]) -> None:
    alpha, beta = brokers
    with broker_scope(alpha):
        visible_users()
    with broker_scope(beta):
        with pytest.raises(DatabaseError, match="accounts_membership_user_ref"), transaction.atomic():
            Membership.objects.create(user_id=10**9, role=Role.INVESTOR)
        assert visible_users() == {"b@example.com"}


@pytest.mark.parametrize("statement", ["ROLLBACK", "  rollback", "ABORT", sql.SQL("ROLLBACK"), b"ROLLBACK"])
def test_rollback_in_any_writing_makes_the_session_unknown(brokers: tuple[int, int], statement: Any) -> None:
    alpha, beta = brokers
    with broker_scope(alpha), connection.cursor() as cursor:
        cursor.execute("BEGIN")
        with broker_scope(beta):
            visible_users()
            cursor.execute(statement)
            assert visible_users() == {"b@example.com"}


def test_new_connection_starts_in_the_scope(brokers: tuple[int, int]) -> None:
    alpha, _ = brokers
    with broker_scope(alpha):
        connection.close()
        assert visible_users() == {"a@example.com"}


def test_server_side_cursor_and_copy_run_in_the_scope(brokers: tuple[int, int]) -> None:
    import io

    alpha, beta = brokers
    with broker_scope(alpha):
        visible_users()
    with broker_scope(beta):
        assert [user.email for user in User.objects.iterator(chunk_size=1)] == ["b@example.com"]
        copied = io.StringIO()
        with connection.cursor() as cursor:
            cursor.cursor.copy_expert("COPY (SELECT email FROM accounts_user) TO STDOUT", copied)
        assert copied.getvalue() == "b@example.com\n"


@pytest.mark.django_db
def test_broker_outside_the_scope_does_not_exist() -> None:
    alpha, beta = broker_called("alpha"), broker_called("beta")
    with broker_scope(alpha.pk):
        assert list(Broker.objects.all()) == [alpha]
        assert not Broker.objects.filter(pk=beta.pk).exists()
    with pytest.raises(NoBrokerScope):
        Broker.objects.count()


@pytest.mark.django_db
def test_row_of_one_broker_cannot_be_saved_in_the_scope_of_another() -> None:
    alpha, beta = broker_called("alpha"), broker_called("beta")
    with broker_scope(alpha.pk):
        user = User.objects.create_user("a@example.com")
    with broker_scope(beta.pk):
        for write in (user.save, user.delete):
            with pytest.raises(ForeignBroker):
                write()
        with pytest.raises(ForeignBroker):
            User.objects.bulk_create([User(email="c@example.com", broker_id=alpha.pk)])
        with pytest.raises(ForeignBroker):
            User.objects.bulk_update([user], ["email"])
