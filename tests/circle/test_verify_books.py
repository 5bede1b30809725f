"""`verify_books`: clean after anything the platform does, and any row changed behind its back is named."""

import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import HouseAccount, PammAccount, PersonalAccount, Role, User
from accounts.services import grant_role, introduce_client, make_agent
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from brokers.models import Broker
from fees.calc.kinds import FeeKind
from fees.calc.schedule import Tier
from fees.models import Charge, ChargePart
from fees.queries import figures_of, with_figures
from investing.models import Request
from investing.services import accept_terms, confirm_request
from ledger.models import Entry, Posting
from offers.services import revise_terms
from outbox.models import Event
from rollover.management.commands.verify_books import Command
from rollover.models import ChainLink, CountedDeal, Decision, Rollover, Seal
from rollover.services import release_account, seal_books, settle_open_transfers
from rollover.services.chain import contents_of, link_digest
from rollover.services.seals import seal_storage
from rollover.verification import (
    accrued_at,
    accrued_of_account_at,
    verify_account,
    verify_ledger,
    verify_seals,
    verify_with_server,
)
from tests.circle.test_random_histories import History, everybody_leaves
from tests.circle.world import Desk, login_of, terms
from tests.worlds import JOINED, as_owner, person
from transfers.models import Leg, Transfer
from transfers.queries import held_fees

TWENTY = terms((None, "0.20"))
EXIT = terms((None, "0.33"), lock_in_days=30, early_exit_rate=Decimal("0.015"), interval_count=3)
TIERED_EXIT = terms(
    (None, "0.10"), ("0.03", "0.40"), basis="yield", lock_in_days=30, early_exit_rate=Decimal("0.02"),
    interval_count=2,
)  # fmt: skip
MARGINAL = terms((None, "0.50"), ("400", "0.20"), basis="net_worth", mode="marginal", interval_count=2)
SHARES: dict[str, Any] = {
    "broker_share_rate": Decimal("0.20"),
    "agent_share_rates": (Decimal("0.10"), Decimal("0.05")),
}
EVERYTHING = terms(
    (None, "0.20"), management_rate=Decimal("0.05"), volume_amount_per_lot=Decimal("3.01"),
    subscription_amount=Decimal("7.77"), interval_count=3, lock_in_days=30, early_exit_rate=Decimal("0.015"),
    entry_tiers=(Tier(None, Decimal("0.015")), Tier(Decimal(500), Decimal("0.01"))), **SHARES,
)  # fmt: skip
DEARER = terms((None, "0.20"), subscription_amount=Decimal("40.00"), **SHARES)
LASTING = terms(
    (None, "0.20"), management_rate=Decimal("0.05"), subscription_amount=Decimal("9.99"), interval_count=9,
    volume_amount_per_lot=Decimal(1), lock_in_days=30, early_exit_rate=Decimal("0.01"),
)  # fmt: skip
FLOWS = [kind for kind in UnitEntry.Kind if kind != UnitEntry.Kind.WIPE_OUT]
FLAT = '{"basis": "flat", "mode": "whole", "tiers": [{"from": null, "rate": "%s"}]}'
MONTHLY = terms(
    (None, "0.20"), interval_unit="months", interval_anchor="calendar", subscription_amount=Decimal("9.00")
)


def parties(desk: Desk, manager: User, *clients: PersonalAccount) -> User:
    """The broker's account for its share, and two agents above the clients. Returns the upper one, who has no
    account for a share.
    """
    grant_role(user=manager, role=Role.ADMIN, by=None)
    HouseAccount.objects.create(
        server=desk.server, purpose=HouseAccount.Purpose.INCOME, currency="USD", currency_digits=2,
        login=desk.simulator.add_account("house\\USD", "0"),
    )  # fmt: skip
    upper = person("upper@a.example")
    lower = make_agent(user=desk.client("lower", "0").user, parent=make_agent(user=upper, by=None), by=None)
    for client in clients:
        introduce_client(personal_account=client, agent=lower, by=None)
    return upper


def found(account: PammAccount) -> list[str]:
    """Every difference of the account, of its ledger and of its server, as lines."""
    differences = [
        *verify_account(account.pk).differences,
        *verify_ledger(),
        *verify_with_server(account.pk),
    ]
    return [str(difference) for difference in differences]


@pytest.mark.parametrize("seed", [21, 22])
def test_random_history_verifies_at_every_moment(desk: Desk, seed: int) -> None:
    history = History(desk, seed)
    upper = parties(desk, history.account.manager.user, *history.clients[:4])
    history.offers += [
        desk.offer(history.account, draft, name=f"More {number}")
        for number, draft in enumerate((TIERED_EXIT, MARGINAL, MONTHLY, DEARER, EVERYTHING))
    ]
    for client in history.clients[:2]:
        desk.invest(client, history.offers[-1], "600.00")
    desk.roll(history.account)
    for _ in range(8):
        history.step()
        desk.roll(history.account)
        assert found(history.account) == []
        history.settle()
    charged = set(Charge.objects.filter(amount__gt=0).values_list("kind", flat=True))
    assert charged >= {"performance", "subscription", "volume", "entry"}
    held = held_fees().count()
    PersonalAccount.objects.create(
        user=upper, server=desk.server, login=desk.simulator.add_account("personal\\USD", "0"),
        currency="USD", currency_digits=2,
    )  # fmt: skip
    settle_open_transfers()
    assert held
    assert not held_fees().exists()
    assert found(history.account) == []
    everybody_leaves(history)
    assert found(history.account) == []
    for number in (2, 5, 8):
        assert list(map(str, verify_account(history.account.pk, at=number).differences)) == []


def test_floating_results_and_an_account_under_water_verify(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    offer = desk.offer(account, terms((None, "0.25"), profit_basis="lower"))
    desk.invest(desk.client("bob", "5000"), offer, "777.77")
    desk.roll(account)
    desk.earn(account, Decimal("50.01"))
    desk.hold(account, Decimal("120.37"))
    desk.roll(account)
    assert Charge.objects.filter(amount__gt=0).exists()
    desk.flatten(account)
    desk.roll(account)
    desk.sink(account)
    (rollover,) = desk.roll(account)
    assert rollover.price_point.price == 0
    assert found(account) == []
    desk.surface(account)
    desk.roll(account)
    assert found(account) == []


def test_wiped_out_series_and_the_next_one_verify(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    bob = desk.client("bob", "5000")
    # The second fee takes all that is left: an investment without units, with a debt.
    offer = desk.offer(account, terms((None, "0.20"), subscription_amount=Decimal("300.00")))
    accruing = terms((None, "0.20"), management_rate=Decimal("0.05"), interval_count=9)
    kept = desk.offer(account, accruing, name="Accruing")
    desk.invest(bob, offer, "500.00")
    desk.invest(desk.client("carol", "5000"), kept, "500.00")
    for _ in range(3):
        desk.roll(account)
    investment = Investment.objects.get(terms__offer=offer)
    assert not investment.units
    assert investment.debts
    desk.wipe_out(account)
    desk.roll(account)
    assert Investment.objects.filter(end_reason=Investment.EndReason.WIPED_OUT).count() == 3
    account.refresh_from_db()
    assert account.last_value_days == 0
    assert found(account) == []
    account.refresh_from_db()
    release_account(account=account, by=desk.dealer, note="a new series")
    assert found(account) == []
    desk.roll(account)
    assert found(account) == []


def test_newer_terms_verify_by_the_record_of_their_beginning(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    offer = desk.offer(account, TIERED_EXIT)
    bob = desk.invest(desk.client("bob", "5000"), offer, "500.00")
    desk.invest(desk.client("carol", "5000"), offer, "500.00")
    desk.roll(account)
    for draft in (TWENTY, EXIT):
        newer = revise_terms(offer=offer, terms=draft, by=account.manager.user)
        bob.refresh_from_db()
        accept_terms(investment=bob, terms=newer, by=bob.owner)
        for gain in ("31.31", "47.47", "-5.05"):
            desk.earn(account, Decimal(gain))
            desk.roll(account)
            assert found(account) == []
    event = Event.objects.filter(kind="terms.took_effect").latest("id")
    with rewritten("outbox_event", event.pk, "DELETE"):
        require_named(found(account), "Investment", bob.public_id, "terms")


def test_own_capital_added_and_taken_out_verifies(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    desk.roll(account)
    own = Investment.objects.get()
    desk.add_money(own, "500.00")
    desk.earn(account, Decimal("10.00"))
    desk.roll(account)
    assert found(account) == []
    desk.withdraw(Investment.objects.get(), "100.00")
    desk.roll(account)
    assert found(account) == []


def test_swept_remainder_verifies(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    desk.earn_without_units(account, Decimal("0.70"))
    for _ in range(3):
        desk.roll(account)
        assert found(account) == []
    assert Transfer.objects.filter(purpose=Transfer.Purpose.SWEEP).count() == 1


@pytest.fixture
def pool(desk: Desk) -> PammAccount:
    """A pool with a charge of each kind and occasion, debts, agents of whom one has no account, a part
    withdrawal, a close and its rounding exchange. Large, so that seconds cost a management fee.
    """
    account = desk.pamm_account(desk.client("alice", "10000000"), "1000.00")
    people = {name: desk.client(name, "900000000") for name in ("bob", "carol", "dan")}
    parties(desk, account.manager.user, people["bob"], people["dan"])
    every = desk.offer(account, EVERYTHING)
    bob = desk.invest(people["bob"], every, "777777777.77")
    carol = desk.invest(people["carol"], desk.offer(account, LASTING, name="Lasting"), "555555555.55")
    dan = desk.invest(people["dan"], desk.offer(account, DEARER, name="Dearer"), "50.00")
    desk.roll(account)
    desk.earn(account, Decimal("12345.67"))
    desk.roll(account)
    bob.refresh_from_db()
    carol.refresh_from_db()
    desk.withdraw(bob, "50000000.00")
    desk.withdraw(carol, "100.00")
    desk.earn(account, Decimal("6789.01"))
    desk.roll(account)
    dan.refresh_from_db()
    more = desk.add_money(dan, "100.00")
    if more.state == Request.State.PENDING:
        confirm_request(request=more, by=desk.dealer)
    desk.roll(account)
    desk.close(Investment.objects.get(pk=carol.pk))
    desk.earn(account, Decimal("-33.33"))
    desk.roll(account)
    desk.roll(account)
    settle_open_transfers()
    account.refresh_from_db()
    charges = Charge.objects.filter(amount__gt=0)
    assert set(charges.values_list("kind", flat=True)) == set(Charge.Kind.values)
    assert set(charges.values_list("occasion", flat=True)) == set(Charge.Occasion.values)
    assert charges.filter(collects_debt=True).exists()
    assert Charge.objects.filter(uncollected__gt=0).exists()
    assert held_fees().exists()
    assert found(account) == []
    return account


@contextmanager
def rewritten(table: str, row: int, change: str) -> Iterator[None]:
    """What no door of the platform allows: the tables' owner switches the guard off and changes history,
    by an assignment or DELETE; afterwards the row is as it was.
    """
    column = change.partition(" = ")[0]
    with _unguarded(table) as cursor:
        cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t WHERE id = %s", [row])
        (kept,) = cursor.fetchone()
        statement = f"DELETE FROM {table}" if change == "DELETE" else f"UPDATE {table} SET {change}"
        cursor.execute(f"{statement} WHERE id = %s", [row])
        assert cursor.rowcount == 1
    yield
    with _unguarded(table) as cursor:
        if change == "DELETE":
            cursor.execute(
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, %s)", [kept]
            )
        else:
            before = f"(jsonb_populate_record(NULL::{table}, %s)).{column}"
            cursor.execute(f"UPDATE {table} SET {column} = {before} WHERE id = %s", [kept, row])


@contextmanager
def _unguarded(table: str) -> Iterator[Any]:
    with as_owner() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield cursor
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def require_named(lines: Iterable[str], model: str, row: object, what: str) -> None:
    named = [line for line in lines if line.startswith(f"{model} {row} (") and f": {what}" in line]
    assert named, f"no {model} {row}: {what} in\n" + "\n".join(lines)


def beside_the_chain(lines: Iterable[str]) -> list[str]:
    """Without the links, which show that a rollover was changed whatever else shows where."""
    return [line for line in lines if not line.startswith("ChainLink ")]


def investment_of(name: str) -> Investment:
    return Investment.objects.get(owner__first_name=name)


Case = tuple[str, int, str, str, object, str]
"""Table, row and change; model, row and figure that are named."""


def test_changed_unit_entry_is_named_with_its_rollover(pool: PammAccount) -> None:
    """One of each kind at once. Amounts of withdrawals are what people asked for: there the units differ."""
    entries = [UnitEntry.objects.filter(kind=kind).earliest("id") for kind in FLOWS]
    for column, by in (("units", "0.000000000001"), ("amount", "0.01")):
        with ExitStack() as changes:
            for entry in entries:
                change = f"{column} = {column} - {by}"
                changes.enter_context(rewritten("allocation_unitentry", entry.pk, change))
            lines = found(pool)
        for entry in entries:
            of_entry = [line for line in lines if str(entry.price_point.rollover.public_id) in line]
            asked = entry.kind == UnitEntry.Kind.WITHDRAWAL
            require_named(of_entry, "UnitEntry", entry.public_id, "units" if asked else column)
    assert found(pool) == []


def test_every_other_changed_record_is_named(pool: PammAccount) -> None:
    """One record of each part of the books at a time, each put right again before the next: what was changed
    in one hides nothing in another.
    """
    for cases in zip_longest(
        fee_cases(), point_cases(), investment_cases(), account_cases(pool), payment_cases()
    ):
        changed = [case for case in cases if case is not None]
        with ExitStack() as changes:
            for table, row, change, *_ in changed:
                changes.enter_context(rewritten(table, row, change))
            lines = found(pool)
        for _, _, _, model, name, what in changed:
            require_named(lines, model, name, what)
    assert found(pool) == []


def fee_cases() -> Iterator[Case]:
    bob = investment_of("Bob")
    assert bob.terms is not None
    charge = Charge.objects.get(
        occasion=Charge.Occasion.WITHDRAWAL, kind="performance", investment=bob, amount__gt=0
    )
    for column, by in (
        ("amount", "0.01"), ("uncollected", "0.01"), ("mark_before", "0.01"), ("mark_after", "0.01"),
        ("profit", "0.01"), ("carried_before", "0.0000000000000000001"),
        ("carried_after", "0.0000000000000000001"),
    ):  # fmt: skip
        change = f"{column} = {column} + {by}"
        yield "fees_charge", charge.pk, change, "Charge", charge.public_id, f"{column}: expected"
    for kind, name in (
        ("performance", "mark"), ("management", "quantity"), ("subscription", "price"), ("volume", "carried"),
        ("entry", "deposit"), ("early_exit", "withdrawn"),
    ):  # fmt: skip
        fee = Charge.objects.filter(kind=kind, investment=bob, amount__gt=0).exclude(occasion="close")
        explained = fee.latest("id")
        change = f"""explanation = jsonb_set(explanation, '{{inputs,{name}}}', '"3"')"""
        yield "fees_charge", explained.pk, change, "Charge", explained.public_id, f"explanation inputs.{name}"
    step = """explanation = explanation || '{"steps": "none"}'"""
    yield (
        "fees_charge", charge.pk, step, "Charge", charge.public_id, "explanation recomputed: steps",
    )  # fmt: skip
    nothing = "explanation = '{}'"
    yield "fees_charge", charge.pk, nothing, "Charge", charge.public_id, "explanation recomputed"
    collected = Charge.objects.filter(collects_debt=True).earliest("id")
    yield (
        "fees_charge", collected.pk, "collects_debt = false",
        "Charge", f"of investment {collected.investment.public_id}", "subscription, interval_end",
    )  # fmt: skip
    for party, level in (("broker", 0), ("agent", 2), ("manager", 0)):
        part = ChargePart.objects.filter(party=party, level=level).latest("id")
        name = f"{party} {level} of charge {part.charge.public_id}"
        yield "fees_chargepart", part.pk, "amount = amount + 0.01", "ChargePart", name, "amount"
        yield "fees_chargepart", part.pk, "payee = uuidv7()", "ChargePart", name, "payee"
        yield "fees_chargepart", part.pk, "DELETE", "ChargePart", name, "amount"
    first = Charge.objects.filter(investment=bob, kind="performance", amount__gt=0).earliest("id")
    cheaper = f"performance_schedule = '{FLAT % '0.10'}'"
    yield "offers_terms", bob.terms_id or 0, cheaper, "Charge", first.public_id, "amount"


def point_cases() -> Iterator[Case]:
    point = PricePoint.objects.get(sequence=3)
    deal = CountedDeal.objects.filter(part=CountedDeal.Part.RESULT, amount__gt=0).earliest("id")
    ours = CountedDeal.objects.filter(part=CountedDeal.Part.OURS).earliest("id")
    for column, by, what in (
        ("equity", "0.01", "equity"), ("server_balance", "0.01", "server_balance"),
        ("price", "0.000000000001", "price"), ("units", "1", "units"), ("owed", "1", "equity"),
        ("value_days", "0.000001", "value_days"),
        ("lots_per_unit", "0.000001", "lots_per_unit"), ("closed_lots", "0.1", "lots_per_unit"),
        ("closed_lots", "0.1", "closed_lots of its deals"),
    ):  # fmt: skip
        change = f"{column} = {column} + {by}"
        yield "allocation_pricepoint", point.pk, change, "PricePoint", "#3", what
    change = "price_point_id = NULL"
    yield "rollover_rollover", point.rollover.pk, change, "PricePoint", "#3", "rollover"
    more = "amount = amount + 0.01"
    yield "rollover_counteddeal", deal.pk, more, "CountedDeal", deal.ticket, "amount"
    yield "rollover_counteddeal", ours.pk, more, "CountedDeal", ours.ticket, "amount"
    other, ticket = "ticket = ticket + 100000000", deal.ticket + 100000000
    yield "rollover_counteddeal", deal.pk, other, "CountedDeal", ticket, "deal on the trading server"


def investment_cases() -> Iterator[Case]:
    bob, carol, dan = (investment_of(name) for name in ("Bob", "Carol", "Dan"))
    for column, by in (
        ("units", "1"), ("high_water_mark", "0.01"), ("performance_carried", "0.001"), ("paid_in", "1"),
        ("paid_out", "1"), ("fees_paid", "1"), ("value_days_put_aside", "0.001"),
        ("value_days_checkpoint", "0.001"), ("lots_put_aside", "0.001"), ("lots_checkpoint", "0.001"),
        ("subscription_checkpoint", "0.1"), ("subscription_number", "1"),
    ):  # fmt: skip
        change = f"{column} = {column} + {by}"
        yield "allocation_investment", bob.pk, change, "Investment", bob.public_id, f"{column}: expected"
    for row, change, what in (
        (bob, """carried = carried || '{"management": "0.001"}'""", "carried"),
        (bob, "shared = '{}'", "shared"),
        (dan, "debts = '[]'", "debts"),
        (dan, """debts = jsonb_set(debts, '{0,amount}', '"0.01"')""", "debts"),
        (carol, "high_water_mark = 1", "high_water_mark"),
        (carol, "state = 'active'", "state"),
    ):
        yield "allocation_investment", row.pk, change, "Investment", row.public_id, what
    part = ChargePart.objects.filter(party="agent", level=1, charge__investment=bob).earliest("id")
    name = f"agent 1 of charge {part.charge.public_id}"
    yield "allocation_investment", bob.pk, "agents = '[]'", "ChargePart", name, "amount"
    interval = Interval.objects.earliest("id")
    yield "allocation_interval", interval.pk, "number = number + 1", "Interval", interval.pk, "number"


def account_cases(pool: PammAccount) -> Iterator[Case]:
    for column, by in (
        ("units", "1"), ("last_equity", "0.01"), ("last_balance", "0.01"), ("last_floating", "0.01"),
        ("sequence", "1"), ("rounding_carried", "0.001"), ("last_price_equity", "0.01"),
        ("last_value_days", "0.001"), ("last_lots_per_unit", "0.001"),
    ):  # fmt: skip
        change = f"{column} = {column} + {by}"
        yield "accounts_pammaccount", pool.pk, change, "PammAccount", pool.public_id, column


def payment_cases() -> Iterator[Case]:
    posting = Posting.objects.filter(entry__kind="rollover").earliest("id")
    leg_posting = Posting.objects.filter(entry__kind="transfer_in").earliest("id")
    payable = Posting.objects.filter(entry__kind="rollover", account__kind="payable").earliest("id")
    fees = Transfer.objects.filter(purpose=Transfer.Purpose.FEE, state="completed").earliest("id")
    held, payout = held_fees().earliest("id"), Transfer.objects.get(purpose=Transfer.Purpose.CLOSE)
    leg, arrived = payout.legs.get(position=1), fees.legs.get(position=2)
    close = Request.objects.get(kind=Request.Kind.CLOSE)
    more = "amount = amount + 0.01"
    leg_entry = f"{leg_posting.entry.public_id} of leg {leg_posting.entry.source}"
    yield "ledger_posting", posting.pk, more, "Entry", posting.entry.public_id, "postings"
    unbalanced = "sum of its postings in USD"
    yield "ledger_posting", posting.pk, more, "Entry", posting.entry.public_id, unbalanced
    yield "ledger_posting", payable.pk, more, "Entry", payable.entry.public_id, "postings"
    owed = "balance of payable in USD"
    yield "ledger_posting", payable.pk, more, "LedgerAccount", payable.account.subject, owed
    yield "ledger_posting", leg_posting.pk, more, "Entry", leg_entry, "postings"
    lost = "source = 'x' || source"
    yield "ledger_entry", posting.entry_id, lost, "Entry", posting.entry.public_id, "source"
    yield "transfers_transfer", fees.pk, more, "Transfer", fees.public_id, "amount"
    stranger = "payee = uuidv7()"
    yield "transfers_transfer", fees.pk, stranger, "Transfer", f"fee of {fees.payee}", "amount"
    yield "transfers_transfer", payout.pk, stranger, "Transfer", payout.public_id, "payee"
    yield "transfers_transfer", payout.pk, more, "Transfer", f"of request {close.public_id}", "amounts"
    yield "transfers_transfer", held.pk, "state = 'completed'", "Transfer", held.public_id, "applied legs"
    yield "transfers_leg", arrived.pk, "owner = uuidv7()", "Leg", arrived.key, "owner"
    yield "transfers_leg", leg.pk, more, "Leg", leg.key, "amount"
    back = "state = 'planned'"
    yield "transfers_leg", leg.pk, back, "Transfer", payout.public_id, "applied legs while completed"
    for column in ("executed_amount", "executed_fee"):
        change = f"{column} = {column} + 1"
        yield "investing_request", close.pk, change, "Request", close.public_id, column


def test_removed_moved_or_added_record_is_named_by_what_it_belongs_to(pool: PammAccount) -> None:
    entry = UnitEntry.objects.filter(kind=UnitEntry.Kind.PERFORMANCE_FEE).earliest("id")
    with rewritten("allocation_unitentry", entry.pk, "DELETE"):
        lines = found(pool)
    require_named(lines, "UnitEntry", f"of investment {entry.investment.public_id}", entry.kind)
    assert len(beside_the_chain(lines)) == 1
    charge = Charge.objects.filter(kind=Charge.Kind.EARLY_EXIT).earliest("id")
    with ExitStack() as removed:
        for part in charge.parts.all():
            removed.enter_context(rewritten("fees_chargepart", part.pk, "DELETE"))
        removed.enter_context(rewritten("fees_charge", charge.pk, "DELETE"))
        lines = found(pool)
    require_named(lines, "Charge", f"of investment {charge.investment.public_id}", "early_exit, withdrawal")
    assert len(beside_the_chain(lines)) == 1
    ledger = Entry.objects.get(source=f"price-point:{PricePoint.objects.get(sequence=2).pk}")
    with ExitStack() as removed:
        for posting in Posting.objects.filter(entry=ledger):
            removed.enter_context(rewritten("ledger_posting", posting.pk, "DELETE"))
        require_named(found(pool), "Entry", ledger.public_id, "postings")
        removed.enter_context(rewritten("ledger_entry", ledger.pk, "DELETE"))
        require_named(found(pool), "Entry", ledger.source, "postings")
    third = PricePoint.objects.get(sequence=3)
    with rewritten("allocation_pricepoint", third.pk, "sequence = sequence + 100"):
        require_named(found(pool), "PricePoint", "#103", "sequence")
    with rewritten("allocation_pricepoint", third.pk, "flow_sequence = flow_sequence + 1"):
        require_named(found(pool), "PricePoint", "#3", "flow_sequence")
    assert found(pool) == []
    added = Charge.objects.latest("id")
    added.pk, added._state.adding = None, True
    added.public_id = pool.public_id
    added.save()
    require_named(found(pool), "Charge", added.public_id, f"{added.kind}, {added.occasion}")


@pytest.fixture
def small(desk: Desk) -> PammAccount:
    """A pool with one investor and one charge."""
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    desk.invest(desk.client("bob", "5000"), desk.offer(account, TWENTY), "333.33")
    desk.roll(account)
    desk.earn(account, Decimal("12.34"))
    desk.roll(account)
    return account


def test_decision_about_somebody_elses_operation_is_part_of_the_books(desk: Desk, small: PammAccount) -> None:
    ticket = desk.simulator.adjust_as_dealer(login_of(small), "5.00", comment="by hand")
    desk.roll(small)
    assert found(small) == []
    assert verify_account(small.pk, at=3).differences == ()
    decision = Decision.objects.get(ticket=ticket)
    assert decision.transfer is not None
    entry = Entry.objects.get(source=f"decision:{decision.public_id}")
    with rewritten("rollover_decision", decision.pk, "DELETE"):
        lines = found(small)
    require_named(lines, "CountedDeal", ticket, "decision whose it is")
    require_named(lines, "Transfer", decision.transfer.public_id, "decision")
    require_named(lines, "Entry", entry.public_id, "source")
    with rewritten("rollover_decision", decision.pk, "amount = 4"):
        lines = found(small)
    require_named(lines, "CountedDeal", ticket, "amount")
    require_named(lines, "Decision", decision.public_id, "amount of the transfer that undoes it")
    require_named(lines, "Entry", f"{entry.public_id} of decision {decision.public_id}", "postings")
    with rewritten("rollover_decision", decision.pk, "transfer_id = NULL"):
        lines = found(small)
    require_named(lines, "Decision", decision.public_id, "amount of the transfer that undoes it")
    require_named(lines, "Transfer", decision.transfer.public_id, "decision")
    assert found(small) == []


def test_unit_entry_posting_and_rollover_changed_by_the_owner_are_named_each(small: PammAccount) -> None:
    entry = UnitEntry.objects.earliest("id")
    posting = Posting.objects.filter(entry__kind="rollover").earliest("id")
    point = PricePoint.objects.get(sequence=2)
    rollover = Rollover.objects.get(price_point=point)
    first = PricePoint.objects.get(sequence=1).rollover
    with rewritten("allocation_unitentry", entry.pk, "units = units + 1"):
        lines = found(small)
    require_named(lines, "UnitEntry", entry.public_id, "units: expected")
    require_named(lines, "ChainLink", "#1", "digest of its rollover")
    assert str(first.public_id) in lines[0]
    with rewritten("ledger_posting", posting.pk, "amount = amount + 0.01"):
        lines = found(small)
    require_named(lines, "Entry", posting.entry.public_id, "postings: expected")
    require_named(lines, "ChainLink", "#1", "digest of its rollover")
    with rewritten("allocation_pricepoint", point.pk, "equity = equity + 0.01"):
        lines = found(small)
    require_named(lines, "PricePoint", "#2", "equity: expected")
    require_named(lines, "ChainLink", "#2", "digest of its rollover")
    with rewritten("rollover_rollover", rollover.pk, "ordered_at = ordered_at - interval '1 day'"):
        lines = found(small)
    require_named(lines, "ChainLink", "#2", "digest of its rollover")
    assert len(lines) == 1
    with rewritten("rollover_rollover", rollover.pk, "state = 'held'"):
        require_named(found(small), "Rollover", rollover.public_id, "state: expected completed or settling")
    assert found(small) == []


def test_changes_that_no_sum_shows_are_found_by_the_chain(desk: Desk, small: PammAccount) -> None:
    """Swapped amounts, a moved moment, rows of nothing more or less: every figure still follows."""
    desk.earn(small, Decimal("5.00"))
    desk.earn(small, Decimal("-2.00"))
    desk.roll(small)
    at_last = CountedDeal.objects.filter(price_point__sequence=3, part=CountedDeal.Part.RESULT)
    won, lost = at_last.get(amount=Decimal(5)), at_last.get(amount=Decimal(-2))
    nothing = at_last.filter(amount=0, closed_lots=0).earliest("id")
    entry = UnitEntry.objects.earliest("id")
    with (
        rewritten("rollover_counteddeal", won.pk, "amount = -2"),
        rewritten("rollover_counteddeal", lost.pk, "amount = 5"),
    ):
        assert named_by_the_chain(small) == {"#3": {"digest of its rollover"}}
    with rewritten("allocation_unitentry", entry.pk, "recorded_at = recorded_at - interval '1 hour'"):
        assert named_by_the_chain(small) == {"#1": {"digest of its rollover"}}
    with rewritten("rollover_counteddeal", nothing.pk, "DELETE"):
        assert named_by_the_chain(small) == {"#3": {"rows of its rollover", "digest of its rollover"}}
    nothing.pk, nothing._state.adding, nothing.ticket = None, True, nothing.ticket + 1_000_000
    nothing.save()
    assert named_by_the_chain(small) == {"#3": {"rows of its rollover", "digest of its rollover"}}


def named_by_the_chain(account: PammAccount) -> dict[str, set[str]]:
    """By link what differs, where nothing else does."""
    named: dict[str, set[str]] = {}
    for difference in (*verify_account(account.pk).differences, *verify_ledger()):
        assert difference.model == "ChainLink", difference
        named.setdefault(difference.row, set()).add(difference.what)
    return named


def test_changed_removed_and_recomputed_links_are_found(desk: Desk, small: PammAccount) -> None:
    for _ in range(2):
        desk.roll(small)
    second = ChainLink.objects.get(sequence=2)
    with rewritten("rollover_chainlink", second.pk, "DELETE"):
        named = named_by_the_chain(small)
    assert named["#2"] == {"link of this rollover"}
    assert named["#3"] == {"sequence", "digest of the link before"}
    # A forger who computes one link anew stands out at the next.
    deal = CountedDeal.objects.filter(price_point__sequence=2, amount=0).earliest("id")
    with rewritten("rollover_counteddeal", deal.pk, "symbol = 'XAUUSD'"):
        content = list(contents_of(small, until=4))[1]
        forged = link_digest(bytes(second.previous), small.public_id, content)
        with rewritten("rollover_chainlink", second.pk, f"digest = '\\x{forged.hex()}'"):
            assert named_by_the_chain(small) == {"#3": {"digest of the link before"}}
    assert found(small) == []


@contextmanager
def sealed(account: PammAccount, days: int = 1) -> Iterator[Path]:
    """The books of the present day sealed, as on a day to come. The folder of the exports."""
    with time_machine.travel(timezone.now() + timedelta(days=days, hours=2), tick=False):
        seal_books()
        yield Path(seal_storage().path("")) / str(Broker.objects.get().public_id)


@pytest.fixture
def seals_outside(settings: Settings, tmp_path: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "seals": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "seals"},
        },
    }


def test_end_that_was_cut_off_is_found_by_the_exported_seal(desk: Desk, seals_outside: None) -> None:
    """All rows of the last rollover removed and the account set back: nothing inside is left to find."""
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    for _ in range(2):
        desk.roll(account)
    before = PammAccount.objects.values().get(pk=account.pk)
    desk.roll(account)
    head = ChainLink.objects.latest("sequence")
    assert head.sequence == 3
    with sealed(account):
        assert verify_seals() == []
    seal = Seal.objects.get()
    point = head.price_point
    entry = Entry.objects.filter(source=f"price-point:{point.pk}")
    with as_owner() as cursor:
        tables = (
            "rollover_chainlink", "rollover_counteddeal", "rollover_rollover", "ledger_posting",
            "ledger_entry", "allocation_pricepoint", "rollover_seal",
        )  # fmt: skip
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for table, column, keys in (
            ("rollover_chainlink", "id", [head.pk]),
            ("rollover_counteddeal", "price_point_id", [point.pk]),
            ("rollover_rollover", "price_point_id", [point.pk]),
            ("ledger_posting", "entry_id", list(entry.values_list("pk", flat=True))),
            ("ledger_entry", "id", list(entry.values_list("pk", flat=True))),
            ("allocation_pricepoint", "id", [point.pk]),
            ("rollover_seal", "id", [seal.pk]),
        ):
            cursor.execute(f"DELETE FROM {table} WHERE {column} = ANY(%s)", [keys])
        changed = {
            name: before[name]
            for name in ("sequence", "flow_sequence", "last_priced_at", "last_value_days", "last_equity")
        }
        cursor.execute(
            f"UPDATE accounts_pammaccount SET {', '.join(f'{name} = %s' for name in changed)} WHERE id = %s",
            [*changed.values(), account.pk],
        )
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    assert named_by_the_chain(account) == {}
    lines = [str(difference) for difference in verify_seals()]
    require_named(lines, "ChainLink", "#3", f"digest of account {account.public_id}, as sealed on {seal.day}")
    require_named(lines, "Seal", str(seal.day), "row: expected the one that was exported")
    assert printed("--account", str(account.public_id))[0] == 1


def test_seal_that_was_changed_anywhere_is_found(desk: Desk, small: PammAccount, seals_outside: None) -> None:
    with sealed(small) as folder, sealed(small, days=2):
        pass
    first, second = Seal.objects.order_by("day")
    document = folder / f"{first.day}.json"
    event = Event.objects.earliest("id")
    between = f"of outbox_event 1 to {Event.objects.latest('id').pk}"
    for table, row, change, name, what in (
        (
            "rollover_seal",
            first.pk,
            "document = replace(document, '#', '@') || ' '",
            first.day,
            "exported document",
        ),
        ("rollover_seal", first.pk, "signature = 'AAAA'", first.day, "exported signature"),
        ("rollover_seal", first.pk, "DELETE", first.day, "row: expected"),
        ("outbox_event", event.pk, "kind = 'other'", first.day, f"digest {between}"),
        ("outbox_event", event.pk, "DELETE", first.day, f"rows {between}"),
    ):
        with rewritten(table, row, change):
            require_named(map(str, verify_seals()), "Seal", name, what)
    assert verify_seals() == []
    kept = document.read_bytes()
    document.write_bytes(kept.replace(b'"format":1', b'"format":2'))
    lines = [str(difference) for difference in verify_seals()]
    require_named(lines, "Seal", str(first.day), "signature: expected")
    require_named(lines, "Seal", str(second.day), "seal before")
    document.unlink()
    require_named(map(str, verify_seals()), "Seal", str(first.day), "exported file")


def test_books_as_of_an_earlier_moment_are_what_they_were(desk: Desk, pool: PammAccount) -> None:
    """At each rollover, and between two of its payments: as it was then, and clean whatever came later."""
    last = PricePoint.objects.filter(account=pool).latest("sequence")
    for number in range(1, last.sequence + 1):
        verified = verify_account(pool.pk, at=number)
        assert verified.differences == (), list(map(str, verified.differences))
        assert (verified.rollovers, verified.statement is not None) == (number, True)
    for leg in Leg.objects.filter(pool=pool.public_id).order_by("-id")[:6]:
        assert leg.applied_at is not None
        for moment in (leg.applied_at, leg.applied_at - timedelta.resolution):
            assert list(map(str, verify_account(pool.pk, at=moment).differences)) == []
    third = PricePoint.objects.get(sequence=3)
    figures = statement_of(pool, at=2)
    assert Decimal(figures["units after its flows"]) == third.units
    assert Decimal(figures["ledger, pamm_cash"]) == third.server_balance - third.trading_result
    assert statement_of(pool, at=JOINED) == {"currency": "USD", "last rollover": "nothing"}
    entry = UnitEntry.objects.filter(price_point=third).latest("id")
    with rewritten("allocation_unitentry", entry.pk, "units = units - 1"):
        assert verify_account(pool.pk, at=2).differences == ()
        named = [str(difference) for difference in verify_account(pool.pk, at=3).differences]
        require_named(named, "UnitEntry", entry.public_id, "units")


def statement_of(account: PammAccount, *, at: int | datetime) -> dict[str, str]:
    statement = verify_account(account.pk, at=at).statement
    assert statement is not None
    return dict(statement.lines)


def test_command_prints_what_an_account_was(small: PammAccount) -> None:
    code, lines = printed("--account", str(small.public_id), "--at", "1")
    assert code == 0
    assert lines[0].startswith(f"a: Pool {small.public_id} at ")
    figures = {line[4:44].strip(): line[45:] for line in lines if line.startswith("    ")}
    assert figures["equity after its flows"] == "1333.33"
    assert figures["unit entries, deposit (2)"] == "1333.33"
    assert figures["ledger, pool_claim"] == "-1333.33"
    assert len(figures["digest of its link"]) == 64
    code, lines = printed("--at", "2020-01-01")
    assert (code, lines[1].split()) == (0, ["currency", "USD"])
    for wrong, message in (
        (("--at", "1"), "numbered by account"),
        (("--at", "yesterday"), "neither a time"),
        (("--at", "2020-01-01", "--server"), "goes without --server"),
    ):
        with pytest.raises(CommandError, match=message):
            printed(*wrong)


def test_operation_that_only_the_server_has_is_found(desk: Desk, small: PammAccount) -> None:
    desk.simulator.adjust_as_dealer(login_of(small), "5.00", comment="by hand")
    assert found(small) == []  # newer than all that was counted: the next rollover's affair
    deal = CountedDeal.objects.filter(part=CountedDeal.Part.RESULT).earliest("id")
    with rewritten("rollover_counteddeal", deal.pk, "DELETE"):
        require_named(found(small), "CountedDeal", deal.ticket, "amount: expected")


def test_accrued_at_a_past_rollover_is_what_closing_there_charged(pool: PammAccount) -> None:
    carol = investment_of("Carol")
    charged = Charge.objects.filter(investment=carol, occasion=Charge.Occasion.CLOSE, amount__gt=0)
    point = charged.latest("id").price_point
    accrued = accrued_at(carol, point, before_flows=True)
    assert accrued.by_kind == {FeeKind(charge.kind): charge.amount for charge in charged}
    assert set(accrued.by_kind) >= {FeeKind.MANAGEMENT, FeeKind.SUBSCRIPTION, FeeKind.VOLUME}
    close = Request.objects.get(investment=carol, kind=Request.Kind.CLOSE)
    assert (accrued.net, accrued.fee) == (close.executed_amount, close.executed_fee)
    assert accrued_at(carol, point).value == 0
    # Before it joined, and right after.
    joining = PricePoint.objects.get(sequence=1)
    assert accrued_at(carol, joining, before_flows=True).value == 0
    assert set(accrued_at(carol, joining).by_kind) == {FeeKind.EARLY_EXIT}

    # At the last rollover: what every page shows.
    last = accrued_of_account_at(PricePoint.objects.latest("sequence"))
    active = Investment.objects.filter(account=pool, state=Investment.State.ACTIVE)
    for key, shown in figures_of(with_figures(active)).items():
        assert (last[key].value, last[key].by_kind) == (shown.value, shown.accrued)
        assert (last[key].fee, last[key].net) == (shown.accrued_fee, shown.net)
    assert set(last) > set(active.values_list("pk", flat=True))


def printed(*arguments: str) -> tuple[int, list[str]]:
    """Exit code and lines of the command."""
    out, code = io.StringIO(), 0
    try:
        call_command(Command(), *arguments, stdout=out)
    except SystemExit as end:
        code = int(str(end.code))
    return code, out.getvalue().splitlines()


def test_command_ends_with_1_and_a_line_for_every_difference(small: PammAccount) -> None:
    code, lines = printed("--server")
    assert (code, len(lines)) == (0, 1)
    assert lines[0].startswith("1 accounts, 2 investments, 2 rollovers in ")
    assert lines[0].endswith(": no differences")
    charge = Charge.objects.earliest("id")
    rollover = Rollover.objects.get(price_point=charge.price_point)
    with rewritten("fees_charge", charge.pk, "mark_after = 1"):
        for arguments in ((), ("--broker", "a"), ("--account", str(small.public_id))):
            code, lines = printed(*arguments)
            assert code == 1
            assert lines[0].startswith(
                f"a: Charge {charge.public_id} (account Pool {small.public_id}, rollover {rollover.public_id}"
            )
            assert ": mark_after: expected " in lines[0]
            assert lines[0].endswith(", found 1")
            assert lines[-1].endswith("2 differences")


def test_server_that_does_not_answer_is_a_difference(desk: Desk, small: PammAccount) -> None:
    desk.simulator.kill()
    try:
        code, lines = printed("--server")
    finally:
        desk.simulator.start()
    assert code == 1
    assert lines[0].startswith(f"a: PammAccount {small.public_id} (")
    assert ": trading server: expected an answer, found " in lines[0]


def test_command_for_nobody_says_so(desk: Desk) -> None:
    with pytest.raises(CommandError, match="no broker nowhere"):
        printed("--broker", "nowhere")
    with pytest.raises(CommandError, match="no PAMM account"):
        printed("--account", str(desk.dealer.public_id))


def test_verification_asks_as_often_after_many_rollovers_as_after_few(desk: Desk, pool: PammAccount) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert verify_account(pool.pk).differences == ()
        return len(queries)

    few = asked()
    personal: PersonalAccount = desk.client("dave", "5000")
    bob = investment_of("Bob")
    assert bob.terms is not None
    for _ in range(3):
        desk.invest(personal, bob.terms.offer, "50.00")
        desk.earn(pool, Decimal("10.00"))
        desk.roll(pool)
    assert asked() == few <= 36


def test_verification_writes_nothing(small: PammAccount) -> None:
    with CaptureQueriesContext(connection) as queries:
        verify_account(small.pk)
        verify_ledger()
    verbs = {query["sql"].split()[0].upper() for query in queries}
    assert verbs <= {"SELECT", "BEGIN", "COMMIT", "SET", "DECLARE"}, verbs
