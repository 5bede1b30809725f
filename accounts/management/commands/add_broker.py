"""Adds a broker and its first administrator: one command for the platform's operator, run as the owner."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError, transaction

from accounts.models import Role
from accounts.services import register_staff
from brokers.errors import Refusal
from brokers.scope import broker_scope
from brokers.services import add_broker


class Command(BaseCommand):
    help = "Add a broker that answers on the given hosts, with its first administrator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--host",
            action="append",
            required=True,
            dest="hosts",
            help="repeat for more; the first is primary",
        )
        parser.add_argument("--admin", required=True, metavar="EMAIL", help="the first administrator")
        parser.add_argument("--password", help="the administrator's first password; asked for if left out")
        parser.add_argument("--time-zone", default="UTC")
        parser.add_argument("--platform", action="store_true", help="the operator's own tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        password = options["password"] or getpass.getpass(f"Password of {options['admin']}: ")
        try:
            with transaction.atomic():
                broker = add_broker(
                    slug=options["slug"],
                    name=options["name"],
                    hosts=options["hosts"],
                    is_platform=options["platform"],
                    time_zone=options["time_zone"],
                )
                with broker_scope(broker.pk):
                    role = Role.OPERATOR if options["platform"] else Role.ADMIN
                    register_staff(email=options["admin"], password=password, role=role, by=None)
        except Refusal as refusal:
            raise CommandError(f"{refusal} ({refusal.code})") from refusal
        except ProgrammingError as error:
            raise CommandError(f"the database refused; run this as the owner: {error}") from error
        hosts = ", ".join(options["hosts"])
        self.stdout.write(f"{broker.name} answers on {hosts}; {options['admin']} must enrol a second factor")
