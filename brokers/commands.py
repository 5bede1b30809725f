"""The command's door into a broker's scope."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokers.queries import broker_id_of_slug
from brokers.scope import broker_scope


class BrokerCommand(BaseCommand):
    """A management command for one broker, named by `--broker <slug>`.

    Subclasses write `work`, not `handle`.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--broker", required=True, help="slug of the broker to work for")

    def handle(self, *args: Any, **options: Any) -> str | None:
        broker_id = broker_id_of_slug(options["broker"])
        if broker_id is None:
            raise CommandError(f"there is no broker {options['broker']}")
        with broker_scope(broker_id):
            return self.work(*args, **options)

    def work(self, *args: Any, **options: Any) -> str | None:
        raise NotImplementedError
