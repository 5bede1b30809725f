"""Crystallising the investments of an interval in bulk writes the rows that one by one writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import models, transaction

from accounts.models import PammAccount
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from allocation.services import UnitBook, write_books
from brokers.scope import broker_scope
from fees.models import Charge, ChargePart
from fees.recipients import Recipients
from fees.services import ChargeBook, bulk, crystallise_intervals_of_many, write_charges
from tests.calc.test_bulk import Case
from tests.counts import cases
from tests.worlds import AliceBobCharlie, alice_bob_charlie

INVESTMENTS = 23
OF_THE_ROW = {"id", "public_id", "recorded_at", "charge_id"}
"""Columns in which two rows of the same differ."""
NO_FIGURES = dict.fromkeys(
    (
        "server_balance",
        "server_equity",
        "server_credit",
        "server_margin",
        "owed",
        "incoming",
        "equity",
        "units",
    ),
    0,
)
MINIMUMS = {"minimum_first": 1, "minimum_further": 1, "minimum_remaining": 1}


class Pool:
    """Alice's account at a rollover where an interval of `INVESTMENTS` investments ends."""

    def __init__(self, world: AliceBobCharlie, seed: int) -> None:
        case = Case(seed, digits=2)
        self.account: PammAccount = PammAccount.objects.select_related("manager").get(
            pk=world.pool.account.pk
        )
        self.account.units = Decimal(1_000_000)
        self.recipients = Recipients.of(self.account, world.alpha)
        self.opening, self.later = (self.point(point) for point in (case.opening, case.later))
        self.now = self.point(case.charges.book.point)
        terms = self.stored(case.interval.terms, offer=world.pool.offer, version=7, **MINIMUMS)
        self.interval: Interval = self.stored(
            case.interval, terms=terms, opening=self.opening, anchor_at=case.interval.starts_at
        )
        for _ in range(INVESTMENTS):
            investment = case.investment()
            joined = {case.opening: self.opening, case.later: self.later}.get(investment.joined)
            self.stored(
                investment, terms=terms, interval=self.interval, joined=joined, series=1,
                state=Investment.State.ACTIVE, owner=world.bob,
                personal_account=world.pool.investment.personal_account,
            )  # fmt: skip

    def point(self, figures: PricePoint) -> PricePoint:
        made = {name: getattr(figures, name) for name in NO_FIGURES if getattr(figures, name) is not None}
        others = {"series": 1, "currency_digits": 2, "price": 1, "trading_result": 0}
        stored: PricePoint = self.stored(figures, **NO_FIGURES | made | others)
        return stored

    def stored(self, row: Any, **fields: Any) -> Any:
        """The row with its own key and broker, and with references to rows that are there."""
        values = {
            field.attname: getattr(row, field.attname)
            for field in row._meta.concrete_fields
            if field.name not in ("id", "broker", "public_id", *fields)
        }
        if "account_id" in values:
            values["account_id"] = self.account.pk
        return type(row).objects.create(**values | fields)

    def book(self) -> ChargeBook:
        account = PammAccount.objects.select_related("manager").get(pk=self.account.pk)
        account.units = self.account.units
        return ChargeBook(UnitBook(account, self.now), self.recipients)

    def investments(self) -> list[Investment]:
        found = Investment.objects.filter(interval=self.interval, accepted_terms=None).order_by("id")
        return list(found.select_related("terms__offer", "interval__opening", "joined"))


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def rows(model: type[models.Model]) -> list[dict[str, Any]]:
    """Of one investment in the order in which they were written."""
    left_out = OF_THE_ROW - ({"id"} if model is Investment else set())
    order = ("id",) if model is Investment else ("investment", "id")
    columns = [field.attname for field in model._meta.concrete_fields if field.attname not in left_out]
    return list(model._default_manager.order_by(*order).values(*columns))


def written(charges: ChargeBook) -> dict[str, Any]:
    """Everything the books say, in the database and in memory."""
    write_books([charges.book])
    write_charges([charges])
    parts = ChargePart.objects.order_by("charge__investment", "charge_id", "id")
    return {
        "charges": rows(Charge),
        "parts": list(
            parts.values_list("charge__investment", "charge__kind", "party", "level", "payee", "amount")
        ),
        "entries": rows(UnitEntry),
        "investments": rows(Investment),
        "payees": charges.by_payee,
        "crystallised": (charges.crystallised.charges, charges.crystallised.amount),
        "account": (charges.book.units, charges.book.equity_after),
    }


@pytest.mark.parametrize("seed", range(cases(push=12, soak=300)))
def test_bulk_writes_what_one_by_one_writes(
    world: AliceBobCharlie, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 7)
    pool = Pool(world, seed)
    with undone():
        charges = pool.book()
        charges.crystallise(pool.investments())
        one_by_one = written(charges)
    with undone():
        charges = pool.book()
        crystallise_intervals_of_many([(charges, [pool.interval])])
        assert written(charges) == one_by_one
    assert len(one_by_one["charges"]) > 5


def test_bulk_leaves_out_those_it_is_told_and_those_whose_newer_terms_begin(world: AliceBobCharlie) -> None:
    pool = Pool(world, 1)
    told, accepting, *_ = pool.investments()
    Investment.objects.filter(pk=accepting.pk).update(
        accepted_terms=pool.interval.terms, terms_accepted_at=pool.now.priced_at
    )
    charges = pool.book()
    crystallise_intervals_of_many([(charges, [pool.interval])], excluding=[told.pk])
    charged = set(Charge.objects.values_list("investment", flat=True))
    assert charged
    assert not charged & {told.pk, accepting.pk}
