"""Prints where the demo is reached and as whom one can sign in."""

import os
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt
from django.core.management.base import BaseCommand, CommandError

from accounts.models import STAFF_ROLES, Role, User
from allocation.models import Investment
from brokers.models import Broker, HostName
from brokers.queries import active_broker_ids, broker_in_scope
from brokers.scope import broker_scope
from demo.scenario import BROKERS, PASSWORD, TRADING_PASSWORD
from offers.models import JoinLink

TOTP_SECONDS = 30
INVESTORS_SHOWN = 4
COLUMNS = ("role", "name", "e-mail", "trading logins", "second factor (TOTP secret)")


class Command(BaseCommand):
    help = "Print addresses, e-mail addresses, trading logins, passwords and second factors of the demo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="every investor, not only some")
        parser.add_argument(
            "--codes", action="store_true", help="the present codes of the second factors as well"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        shown = False
        for broker_id in active_broker_ids():
            with broker_scope(broker_id):
                broker = broker_in_scope()
                if broker.slug in {plan.slug for plan in BROKERS}:
                    self._show(broker, everybody=options["all"], codes=options["codes"])
                    shown = True
        if not shown:
            raise CommandError("the demo is not loaded")
        self.stdout.write(f"\nPassword of everybody: {PASSWORD}   of every trading login: {TRADING_PASSWORD}")
        if not options["codes"]:
            self.stdout.write(
                "Without an authenticator app: manage.py demo_accounts --codes prints the present codes."
            )

    def _show(self, broker: Broker, *, everybody: bool, codes: bool) -> None:
        self.stdout.write(f"\n{broker.name}   {'   '.join(addresses_of(broker))}")
        self.stdout.write("back office: the same with /admin/ (e-mail, password and second factor)\n")
        rows = list(_people(everybody=everybody, codes=codes))
        widths = [max(len(row[column]) for row in [COLUMNS, *rows]) for column in range(len(COLUMNS))]
        for row in [COLUMNS, tuple("-" * width for width in widths), *rows]:
            self.stdout.write(
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
        for link in JoinLink.objects.select_related("offer").order_by("pk"):
            self.stdout.write(f"by link only: {link.offer.name}, /join/{link.token}/")


def addresses_of(broker: Broker) -> list[str]:
    """Where a browser finds the broker (`*.localhost` on the common port), and where a program does."""
    port = os.environ.get("DEMO_PORT")
    hosts = (
        HostName.objects.filter(broker_id=broker.pk)
        .order_by("-is_primary", "pk")
        .values_list("host", flat=True)
    )
    return [f"http://{host}:{port}/" if port and ":" not in host else f"http://{host}/" for host in hosts]


def _people(*, everybody: bool, codes: bool) -> Iterator[Sequence[str]]:
    users = User.objects.prefetch_related("memberships", "personal_accounts").order_by("pk")
    factors = _factors(users, codes=codes)
    with_money = set(
        Investment.objects.filter(state=Investment.State.ACTIVE).values_list("owner_id", flat=True)
    )
    by_rank: dict[str, list[Sequence[str]]] = {"staff": [], "manager": [], "investor": [], "newcomer": []}
    for user in users:
        roles = {Role(membership.role) for membership in user.memberships.all()}
        logins = ", ".join(f"{account.login} {account.currency}" for account in user.personal_accounts.all())
        row = (_title(roles), user.full_name, user.email, logins, factors.get(user.pk, ""))
        if roles & STAFF_ROLES:
            by_rank["staff"].append(row)
        elif roles & {Role.MANAGER, Role.AGENT}:
            by_rank["manager"].append(row)
        else:
            by_rank["investor" if user.pk in with_money else "newcomer"].append(row)
    yield from [*by_rank["staff"], *by_rank["manager"]]
    investors = by_rank["investor"] if everybody else by_rank["investor"][:INVESTORS_SHOWN]
    yield from investors
    yield from by_rank["newcomer"]
    if hidden := len(by_rank["investor"]) - len(investors):
        yield ("", f"and {hidden} more (--all)", "", "", "")


def _title(roles: set[Role]) -> str:
    told = roles - {Role.INVESTOR} or roles
    return ", ".join(sorted(str(role.label) for role in told))


def _factors(users: Iterable[User], *, codes: bool) -> dict[int, str]:
    rows = Authenticator.objects.filter(user__in=[user.pk for user in users], type=Authenticator.Type.TOTP)
    secrets = {row.user_id: decrypt(row.data["secret"]) for row in rows}
    if not codes:
        return secrets
    counter = int(time.time()) // TOTP_SECONDS
    return {
        key: f"{secret}   now {format_hotp_value(hotp_value(secret, counter))}"
        for key, secret in secrets.items()
    }
