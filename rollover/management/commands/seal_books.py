"""`manage.py seal_books`: sign the heads of all chains of a day, and export them."""

from argparse import ArgumentParser
from base64 import urlsafe_b64encode
from datetime import date
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management.base import BaseCommand, CommandError

from brokers.errors import Refusal
from brokers.queries import active_broker_ids, broker_id_of_slug, broker_in_scope
from brokers.scope import broker_scope
from rollover.services.seals import key_id, seal_books, signing_key


class Command(BaseCommand):
    help = (
        "Seal the books of the last day that is over, which a worker does by itself every day, and export "
        "the seal. What is sealed already is exported again where that failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--broker", help="slug of one broker; otherwise every one")
        parser.add_argument("--day", type=date.fromisoformat, help="another day, in the broker's zone")
        parser.add_argument(
            "--public-key",
            action="store_true",
            help="print the key that seals are checked with: its id, as for SEAL_PUBLIC_KEYS, and as PEM",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["public_key"]:
            key = signing_key().public_key()
            pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            short = urlsafe_b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
            self.stdout.write(f"{key_id(key)} {short}\n{pem.strip()}")
            return
        for broker_id in _broker_ids(options["broker"]):
            with broker_scope(broker_id):
                try:
                    seal = seal_books(options["day"])
                except Refusal as refusal:
                    raise CommandError(f"{broker_in_scope().slug}: {refusal}") from refusal
                self.stdout.write(f"{broker_in_scope().slug}: {seal.day} is sealed by {seal.key_id}")


def _broker_ids(slug: str | None) -> list[int]:
    if slug is None:
        return active_broker_ids()
    broker_id = broker_id_of_slug(slug)
    if broker_id is None:
        raise CommandError(f"there is no broker {slug}")
    return [broker_id]
