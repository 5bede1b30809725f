"""Applies the database's fence: grants, policies, triggers. Runs as the owner after every `migrate`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from brokers.secure import FenceIncomplete, secure_database


class Command(BaseCommand):
    help = "Grant the application role what it needs, and put every table behind its policy. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--app-role", default=settings.DATABASE_APP_ROLE, help="role of web, worker and beat"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                secured = secure_database(cursor, options["app_role"])
        except FenceIncomplete as problem:
            raise CommandError(str(problem)) from problem
        if options["verbosity"]:
            self.stdout.write(f"{secured} tables secured for {options['app_role']}")
