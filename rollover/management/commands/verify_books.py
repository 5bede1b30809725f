"""`manage.py verify_books`: whether all books follow from what can only be appended, and were sealed so."""

import time
import uuid
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import PammAccount
from brokers.queries import active_broker_ids, broker_id_of_slug, broker_in_scope
from brokers.scope import broker_scope
from rollover.verification import (
    Difference,
    Statement,
    verify_account,
    verify_ledger,
    verify_seals,
    verify_with_server,
)


class Command(BaseCommand):
    help = (
        "Compute units, prices, marks, charges, payments and ledger again from the append-only records, "
        "check the hash chains and their seals, and print every figure that differs, with its row. Exit code "
        "1 where any does."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--broker", help="slug of one broker; otherwise every one")
        parser.add_argument("--account", type=uuid.UUID, help="public id of one PAMM account")
        parser.add_argument(
            "--server", action="store_true", help="compare deals and balances with the trading server too"
        )

        parser.add_argument(
            "--at",
            type=moment,
            help="as of a time (ISO 8601, UTC unless it says otherwise) or, with --account, the number of a "
            "rollover; prints what the account was then",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        began, wanted, at = time.monotonic(), options["account"], options["at"]
        if at is not None and options["server"]:
            raise CommandError("a trading server is compared as it is now: --at goes without --server")
        if isinstance(at, int) and wanted is None:
            raise CommandError("rollovers are numbered by account: name one with --account")
        accounts = rollovers = investments = differences = 0
        for broker_id in _broker_ids(options["broker"]):
            with broker_scope(broker_id):
                for account in _accounts(wanted):
                    verified = verify_account(account, at=at)
                    if verified.statement is not None:
                        self._print_statement(verified.statement)
                    accounts += 1
                    rollovers += verified.rollovers
                    investments += verified.investments
                    differences += self._print(verified.differences)
                    if options["server"]:
                        differences += self._print(verify_with_server(account))
                if wanted is None and at is None:
                    differences += self._print(verify_ledger())
                differences += self._print(verify_seals(wanted))
        if wanted is not None and not accounts:
            raise CommandError(f"there is no PAMM account {wanted}")
        self.stdout.write(
            f"{accounts} accounts, {investments} investments, {rollovers} rollovers in "
            f"{time.monotonic() - began:.1f} s: {differences or 'no'} differences"
        )
        if differences:
            raise SystemExit(1)

    def _print_statement(self, statement: Statement) -> None:
        self.stdout.write(f"{broker_in_scope().slug}: {statement.account} at {statement.at.isoformat()}")
        for what, figure in statement.lines:
            self.stdout.write(f"    {what:<40} {figure}")

    def _print(self, differences: Sequence[Difference]) -> int:
        """How many there are; each is a line with its broker."""
        for difference in differences:
            self.stdout.write(f"{broker_in_scope().slug}: {difference}")
        return len(differences)


def moment(text: str) -> datetime | int:
    """A time with its zone, or the number of a rollover. Raises `ArgumentTypeError`."""
    if text.isdigit() and len(text) < len("YYYYMMDD"):
        return int(text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is neither a time (ISO 8601) nor a number") from None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def _broker_ids(slug: str | None) -> list[int]:
    if slug is None:
        return active_broker_ids()
    broker_id = broker_id_of_slug(slug)
    if broker_id is None:
        raise CommandError(f"there is no broker {slug}")
    return [broker_id]


def _accounts(public_id: uuid.UUID | None) -> list[int]:
    accounts = PammAccount.objects.order_by("id")
    if public_id is not None:
        accounts = accounts.filter(public_id=public_id)
    return list(accounts.values_list("pk", flat=True))
