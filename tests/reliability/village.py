"""A few pools with all that money does at a rollover, lived twice: once undisturbed, once as a test likes.

Nothing in it depends on the time that passes, so that both lives must end with the same books.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from allocation.models import Investment
from fees.calc.schedule import Tier
from fees.models import Charge
from investing.models import Request
from ledger.models import Posting
from offers.models import Offer
from rollover.models import Schedule
from tests.circle.world import Desk, terms
from transfers.models import Leg, Transfer

TERMS = terms(
    (None, "0.20"),
    entry_tiers=(Tier(None, Decimal("0.01")),),
    volume_amount_per_lot=Decimal("0.35"),
)
Digest = dict[str, list[Any]]
Hour = Callable[[], None]
"""Lets the rollovers of an hour that has just begun happen."""


@dataclass
class Village:
    desk: Desk
    offers: list[Offer] = field(default_factory=list)
    people: dict[str, PersonalAccount] = field(default_factory=dict)

    def live(self, pools: int, hour: Hour) -> None:
        """Found the pools and let three hours pass: joining, gaining, and losing and leaving."""
        for number in range(pools):
            account = self.desk.pamm_account(
                self._person(f"manager{number}"), "100.00", name=f"Pool {number}"
            )
            self.offers.append(self.desk.offer(account, TERMS, approval=Offer.Approval.AUTOMATIC))
            self._joins(number, "bob", "500.00")
            self._joins(number, "carol", "333.33")
        self._until_all_is_done(hour)
        for number, offer in enumerate(self.offers):
            self.desk.earn(offer.account, Decimal("37.13") + number)
            self.desk.withdraw(self._investment(number, "bob"), "50.00")
            self._joins(number, "dora", "250.00")
        self._until_all_is_done(hour)
        for number, offer in enumerate(self.offers):
            self.desk.earn(offer.account, Decimal("-12.01"))
            self.desk.close(self._investment(number, "bob"))
            self.desk.add_money(self._investment(number, "carol"), "77.77")
        self._until_all_is_done(hour)

    def digest(self) -> Digest:
        """The books by whose they are; when and in how many steps it came about is left out."""
        names = self._names()
        subjects = Posting.objects.values_list("account__kind", "account__subject", "account__currency")
        return {
            "ledger": sorted(
                (kind, names[subject], currency, total)
                for kind, subject, currency, total in subjects.annotate(total=Sum("amount"))
                if total
            ),
            "investments": sorted(
                Investment.objects.values_list(
                    "account__name",
                    "owner__first_name",
                    "state",
                    "units",
                    "high_water_mark",
                    "paid_in",
                    "paid_out",
                )
            ),
            "requests": sorted(
                Request.objects.values_list(
                    "account__name",
                    "created_by__first_name",
                    "kind",
                    "state",
                    "executed_amount",
                    "executed_fee",
                )
            ),
            "charges": sorted(
                Charge.objects.filter(amount__gt=0).values_list(
                    "account__name", "investment__owner__first_name", "kind", "amount"
                )
            ),
            "transfers": sorted(Transfer.objects.values_list("purpose", "amount", "state")),
            "balances": sorted(
                (names[owner], self.desk.balance(login))
                for owner, login in set(Leg.objects.values_list("owner", "login"))
            ),
        }

    def _until_all_is_done(self, hour: Hour) -> None:
        """Hours until everybody's request is executed: a late answer makes one wait for the next."""
        for _ in range(6):
            Schedule.objects.update_or_create(defaults={"every_minutes": 60, "next_at": timezone.now()})
            hour()
            if not Request.objects.filter(state__in=Request.OPEN_STATES).exists():
                return
        raise AssertionError(list(Request.objects.filter(state__in=Request.OPEN_STATES)))

    def _person(self, name: str) -> PersonalAccount:
        if name not in self.people:
            self.people[name] = self.desk.client(name, "1000")
        return self.people[name]

    def _joins(self, number: int, name: str, amount: str) -> None:
        self.desk.invest(self._person(f"{name}{number}"), self.offers[number], amount)

    def _investment(self, number: int, name: str) -> Investment:
        return Investment.objects.select_related("account", "owner", "terms__offer", "personal_account").get(
            owner=self.people[f"{name}{number}"].user
        )

    def _names(self) -> dict[uuid.UUID, str]:
        return {
            self.desk.server.public_id: "server",
            **dict(PammAccount.objects.values_list("public_id", "name")),
            **dict(PersonalAccount.objects.values_list("public_id", "user__first_name")),
            **dict(HouseAccount.objects.values_list("public_id", "purpose")),
        }
