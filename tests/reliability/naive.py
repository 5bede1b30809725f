"""What this platform must not do, as programs that do it: the campaigns' own tests.

They work on two tables of their own, which only the tests' databases have.
"""

import uuid
from collections.abc import Sequence
from decimal import Decimal

from celery import shared_task
from django.db import connection, transaction

from tests.worlds import as_owner
from trading.gateway import Applied, Gateway


def make_tables() -> None:
    with as_owner() as cursor:
        cursor.execute("CREATE TABLE naive_purse (amount numeric NOT NULL)")
        cursor.execute("CREATE TABLE naive_payment (number int NOT NULL)")
        cursor.execute("INSERT INTO naive_purse VALUES (0)")
        cursor.execute("GRANT SELECT, INSERT, UPDATE ON naive_purse, naive_payment TO pamm_app")


def add_one_without_lock() -> None:
    _add_one("")


def add_one_with_lock() -> None:
    _add_one("FOR UPDATE")


def _add_one(lock: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT amount FROM naive_purse {lock}")
        (amount,) = cursor.fetchone()
        cursor.execute("UPDATE naive_purse SET amount = %s", [amount + 1])


def in_purse() -> int:
    return _number("SELECT amount FROM naive_purse")


@shared_task(name="tests.reliability.pay")
def pay(number: int) -> None:
    """Execute a request without asking whether it was executed."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO naive_payment VALUES (%s)", [number])


def payments() -> int:
    return _number("SELECT count(*) FROM naive_payment")


def move_until_answered(gateway: Gateway, login: int, amount: Decimal) -> None:
    """Make a balance operation, again where no answer came, nothing written down and nothing looked up."""
    for _ in range(5):
        if isinstance(gateway.adjust_balance(login, amount, uuid.uuid4().hex[:20]), Applied):
            return


def float_shares(total: float, weights: Sequence[float]) -> list[float]:
    """Each part for itself, in floating point and rounded to the cent."""
    weight_sum = sum(weights)
    return [round(total * weight / weight_sum, 2) for weight in weights]


def _number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
