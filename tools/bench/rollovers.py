"""Rounds: what the measured broker's accounts roll over, and the rollover of it, step by step on a clock."""

import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import PammAccount
from brokers.models import Broker
from brokers.scope import broker_scope
from investing.models import Request
from ledger.services import record_entries
from rollover.models import Rollover
from rollover.services.claims import claim
from rollover.services.pricing import price_accounts
from rollover.services.snapshot import read_accounts
from tools.bench.dataset import Loaded, bulk_cursor, repeat_row
from trading.models import TradingServer
from transfers.models import Leg, Side, Transfer
from transfers.services import advance_transfers, leg_entry

EARNED = Decimal("0.01")
"""What every account earns before each round, as a part of its balance: there is profit above every mark."""

WRITTEN = (
    "accounts_pammaccount",
    "allocation_interval",
    "allocation_investment",
    "allocation_pricepoint",
    "allocation_unitentry",
    "fees_charge",
    "fees_chargepart",
    "investing_request",
    "ledger_entry",
    "ledger_ledgeraccount",
    "ledger_posting",
    "outbox_event",
    "rollover_counteddeal",
    "rollover_rollover",
    "transfers_leg",
    "transfers_transfer",
)
"""Tables a round writes to. Their statistics are renewed after it, as in real life they are before a table
has grown so much: a key checked by a plan made for an empty table reads all of the full one.
"""


class RoundFailed(RuntimeError):
    """A round did not do the work it was made for, so its time says nothing."""


@dataclass
class Clock:
    """Seconds by step."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.3f}" for name, seconds in self.seconds.items())


def measured_round(loaded: Loaded) -> Clock:
    """One round from beginning to end; on the clock is the rollover alone. Raises `RoundFailed`."""
    due = prepare_round(loaded)
    clock = Clock()
    roll_over(loaded, due, clock)
    settle(loaded)
    return clock


def prepare_round(loaded: Loaded) -> list[int]:
    """The market moves, requests are confirmed and their money is in transit, intervals end.

    Returns the keys of the rollovers to be made. Step 0, which takes deposits from the personal accounts, is
    done here by statements: nearly all of it is waiting for the trading server.
    """
    loaded.rounds += 1
    loaded.gateway.trade(EARNED)
    now = timezone.now()
    with loaded.database.superuser() as cursor:
        cursor.execute(
            "UPDATE allocation_interval SET ends_at = %s WHERE broker_id = %s"
            " AND anchor_at > (SELECT min(anchor_at) FROM allocation_interval WHERE broker_id = %s)",
            [now - timedelta(minutes=1), loaded.broker_id, loaded.broker_id],
        )
    if loaded.sizes.requests:
        _confirm_requests(loaded)
        _apply_legs(loaded, "in_transit")
    with broker_scope(loaded.broker_id):
        due = Rollover.objects.bulk_create(
            Rollover(account_id=account, scheduled_for=now, ordered_at=now, dispatched_at=now)
            for account in loaded.accounts
        )
    loaded.database.checkpoint()
    return [rollover.pk for rollover in due]


def roll_over(loaded: Loaded, rollover_ids: Sequence[int], clock: Clock) -> None:
    """Claim, read and price, slice by slice: a rollover up to the commit that fixes it.

    Neither the network nor the sending of money that follows is in it.
    """
    size = settings.ROLLOVER_SLICE_SIZE
    with broker_scope(loaded.broker_id):
        server = TradingServer.objects.get(pk=loaded.server_id)
        broker = Broker.objects.get(pk=loaded.broker_id)
        for start in range(0, len(rollover_ids), size):
            holder = uuid.uuid4()
            with clock.step("claim"):
                rollovers = claim(rollover_ids[start : start + size], holder)
            with clock.step("read"):
                accounts = list(
                    PammAccount.objects.filter(pk__in=[rollover.account_id for rollover in rollovers])
                )
                readings = read_accounts(server, loaded.gateway, accounts, broker)
            with clock.step("price"):
                price_accounts(
                    [(rollover, readings[rollover.account_id]) for rollover in rollovers], holder, broker
                )


def settle(loaded: Loaded) -> None:
    """After a round: the money has arrived, the rollovers are completed. Not measured.

    Raises `RoundFailed` where something was left out, which would have made the round cheap.
    """
    with loaded.database.superuser() as cursor:
        _require_done(cursor, loaded)
    _apply_legs(loaded, "completed")
    with loaded.database.superuser() as cursor:
        cursor.execute(
            "UPDATE rollover_rollover SET state = 'completed', completed_at = now(), lease_until = NULL"
            " WHERE broker_id = %s AND state = 'settling'",
            [loaded.broker_id],
        )
    loaded.database.vacuum(*WRITTEN)


def send_some(loaded: Loaded, accounts: int) -> tuple[float, int]:
    """After a round, before it is settled: seconds that making the transfers of some accounts takes with a
    server that answers at once, and how many balance operations that was.
    """
    with broker_scope(loaded.broker_id):
        server = TradingServer.objects.get(pk=loaded.server_id)
        pools = PammAccount.objects.filter(pk__in=loaded.accounts[:accounts]).values("public_id")
        open_states = (Transfer.State.PLANNED, Transfer.State.IN_TRANSIT)
        transfers = list(
            Transfer.objects.filter(pool__in=pools, state__in=open_states).values_list("pk", flat=True)
        )
        sent = loaded.gateway.adjustments
        started = time.perf_counter()
        advance_transfers(server, loaded.gateway, transfers)
        return time.perf_counter() - started, loaded.gateway.adjustments - sent


def _apply_legs(loaded: Loaded, transfer_state: str) -> None:
    """What the trading server and the sender do leg by leg, for all planned ones at once; ledger included."""
    with broker_scope(loaded.broker_id), transaction.atomic():
        server = TradingServer.objects.get(pk=loaded.server_id)
        legs = list(Leg.objects.filter(state=Leg.State.PLANNED).select_related("transfer").order_by("id"))
        record_entries(leg_entry(server, leg) for leg in legs)
    moved = [loaded.gateway.move(leg.login, leg.amount, leg.key) for leg in legs]
    with loaded.database.superuser() as cursor:
        cursor.execute(
            "UPDATE transfers_leg leg SET state = 'applied', ticket = moved.ticket, attempts = 1,"
            " first_sent_at = now(), applied_at = now()"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS moved(id, ticket) WHERE leg.id = moved.id",
            [[leg.pk for leg in legs], moved],
        )
        cursor.execute(
            "UPDATE transfers_transfer SET state = %s, completed_at = %s"
            " WHERE broker_id = %s AND state IN ('planned', 'in_transit')",
            [transfer_state, timezone.now() if transfer_state == "completed" else None, loaded.broker_id],
        )


def _require_done(cursor: Any, loaded: Loaded) -> None:
    sizes = loaded.sizes
    expected = {
        "rollover_rollover WHERE state = 'settling'": sizes.accounts,
        "investing_request WHERE state = 'collecting'": 0,
        "investing_request WHERE state = 'executed'": sizes.requests * loaded.rounds,
        "fees_charge WHERE occasion = 'interval_end'": sizes.due * sizes.accounts * loaded.rounds,
    }
    for rows, wanted in expected.items():
        cursor.execute(f"SELECT count(*) FROM {rows} AND broker_id = %s", [loaded.broker_id])
        (found,) = cursor.fetchone()
        if found != wanted:
            raise RoundFailed(f"{rows}: {found} instead of {wanted} after {loaded.rounds} rounds")


def _confirm_requests(loaded: Loaded) -> None:
    """Nine of twenty requests are deposits, nine withdrawals, two closes; never of who has a fee due.

    Raises `RoundFailed` where every investment has had its turn.
    """
    sizes = loaded.sizes
    each = sizes.requests // sizes.accounts
    free = sizes.per_account - 1 - sizes.due
    if loaded.rounds * each > free:
        raise RoundFailed("every investment has had its request: load more of them, or make fewer rounds")
    place = f"{1 + sizes.due} + number / {sizes.accounts} + {(loaded.rounds - 1) * each}"
    asked = (
        "(SELECT number, turn, i.id AS investment, i.account_id AS account, i.owner_id AS client,"
        " personal.login, personal.public_id AS owner, pamm.public_id AS pool,"
        " count(*) FILTER (WHERE turn < 9) OVER (ORDER BY number) - 1 AS deposit"
        f" FROM generate_series(0, {each * sizes.accounts - 1}) AS number,"
        f" LATERAL (SELECT (number * 7 + {loaded.rounds}) % 20 AS turn) AS drawn,"
        " LATERAL (SELECT * FROM allocation_investment WHERE id ="
        f" {loaded.first_investment} + number % {sizes.accounts} * {sizes.per_account} + {place}) AS i"
        " JOIN accounts_personalaccount personal ON personal.id = i.personal_account_id"
        " JOIN accounts_pammaccount pamm ON pamm.id = i.account_id) AS asked"
    )
    deposits = f"(SELECT * FROM {asked} WHERE turn < 9) AS deposits"
    now = timezone.now()
    money = {"currency": "USD", "currency_digits": 2}
    with bulk_cursor(loaded.database, sizes.investments) as cursor, broker_scope(loaded.broker_id):
        collection = repeat_row(
            cursor,
            Transfer(
                server_id=loaded.server_id,
                purpose=Transfer.Purpose.DEPOSIT,
                subject=uuid.uuid4(),
                amount=Decimal("100.00"),
                **money,
            ),
            deposits,
            {"pool": "pool"},
        )
        repeat_row(
            cursor,
            Leg(
                transfer_id=collection,
                position=1,
                server_id=loaded.server_id,
                login=0,
                side=Side.PERSONAL,
                owner=uuid.uuid4(),
                amount=Decimal("-100.00"),
                **money,
            ),
            deposits,
            {
                "transfer_id": f"{collection} + deposit",
                "login": "login",
                "owner": "owner",
                "pool": "pool",
            },
        )
        repeat_row(
            cursor,
            Request(
                account_id=loaded.accounts[0],
                investment_id=loaded.first_investment,
                kind=Request.Kind.DEPOSIT,
                state=Request.State.COLLECTING,
                idempotency_key="",
                created_by_id=0,
                created_at=now - timedelta(hours=1),
                confirmed_at=now - timedelta(minutes=30),
                **money,
            ),
            asked,
            {
                "account_id": "account",
                "investment_id": "investment",
                "created_by_id": "client",
                "kind": "CASE WHEN turn < 9 THEN 'deposit' WHEN turn < 18 THEN 'withdrawal' ELSE 'close' END",
                "amount": "CASE WHEN turn < 18 THEN 100.00 END",
                "collection_id": f"CASE WHEN turn < 9 THEN {collection} + deposit END",
                "idempotency_key": f"'round-{loaded.rounds}-' || number",
            },
        )
