"""`manage.py verify_books`: whether all books follow from what can only be appended."""

import time
import uuid
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import PammAccount
from brokers.queries import active_broker_ids, broker_id_of_slug, broker_in_scope
from brokers.scope import broker_scope
from rollover.verification import Difference, verify_account, verify_ledger, verify_with_server


class Command(BaseCommand):
    help = (
        "Compute units, prices, marks, charges, payments and ledger again from the append-only records and "
        "print every figure that differs, with its row. Exit code 1 where any does."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--broker", help="slug of one broker; otherwise every one")
        parser.add_argument("--account", type=uuid.UUID, help="public id of one PAMM account")
        parser.add_argument(
            "--server", action="store_true", help="compare deals and balances with the trading server too"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        began, wanted = time.monotonic(), options["account"]
        accounts = rollovers = investments = differences = 0
        for broker_id in _broker_ids(options["broker"]):
            with broker_scope(broker_id):
                for account in _accounts(wanted):
                    verified = verify_account(account)
                    accounts += 1
                    rollovers += verified.rollovers
                    investments += verified.investments
                    differences += self._print(verified.differences)
                    if options["server"]:
                        differences += self._print(verify_with_server(account))
                if wanted is None:
                    differences += self._print(verify_ledger())
        if wanted is not None and not accounts:
            raise CommandError(f"there is no PAMM account {wanted}")
        self.stdout.write(
            f"{accounts} accounts, {investments} investments, {rollovers} rollovers in "
            f"{time.monotonic() - began:.1f} s: {differences or 'no'} differences"
        )
        if differences:
            raise SystemExit(1)

    def _print(self, differences: Sequence[Difference]) -> int:
        """How many there are; each is a line with its broker."""
        for difference in differences:
            self.stdout.write(f"{broker_in_scope().slug}: {difference}")
        return len(differences)


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
