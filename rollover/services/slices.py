"""A rollover of many accounts of one broker: one batch of readings per trading server, one transaction per
account.
"""

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import PammAccount
from accounts.services import SeenPositions, keep_open_positions
from brokers.bulk import update_rows
from brokers.models import Broker
from brokers.scope import current_broker_id
from investing.services.closing import finish_closing
from investing.services.collection import collect_requests
from outbox.services import record_event, record_events
from rollover.models import Rollover
from rollover.services.claims import ClaimLost, claim, locked, postpone, renew
from rollover.services.decisions import undo_small_ones
from rollover.services.holding import hold
from rollover.services.positions import close_positions
from rollover.services.pricing import price_accounts
from rollover.services.snapshot import Reading, read_accounts
from trading.breaker import may_ask, record_answer, record_failure
from trading.gateway import Gateway, GatewayError
from trading.gateways import gateway_for
from trading.models import TradingServer
from trading.orders import settle_orders
from transfers.models import Leg, Transfer
from transfers.queries import conflicts, logins_in_flight, open_legs
from transfers.services import advance_transfers, settle_unknown

logger = logging.getLogger(__name__)

COMPLETED_COLUMNS = {
    "state": "text",
    "completed_at": "timestamptz",
    "lease_until": "timestamptz",
    "reason_code": "text",
    "reason": "jsonb",
}


def roll_over(rollover_ids: Collection[int]) -> None:
    """Carry out those of the given rollovers that are due and free, each to its end or as far as it goes now.

    Safe to call any number of times, from any number of workers, with any overlap.
    """
    holder = uuid.uuid4()
    by_server: dict[TradingServer, list[Rollover]] = defaultdict(list)
    for rollover in claim(rollover_ids, holder):
        by_server[rollover.account.server].append(rollover)
    broker = Broker.objects.get(pk=current_broker_id())
    for server, rollovers in by_server.items():
        if not may_ask(server):
            postpone(rollovers, holder, reason_code="trading_server_unavailable")
            continue
        try:
            _Slice(server, gateway_for(server), rollovers, holder, broker).run()
            note_answer(server)
        except GatewayError as error:
            logger.warning("trading server %s: %s", server.pk, error)
            postpone(rollovers, holder, reason_code="trading_server_unavailable")
            note_failure(server, error)
        except ClaimLost:
            logger.warning("lost the claim on rollovers %s", [rollover.pk for rollover in rollovers])


class _Slice:
    """The rollovers of one trading server in one worker's hands."""

    def __init__(
        self,
        server: TradingServer,
        gateway: Gateway,
        rollovers: Sequence[Rollover],
        holder: uuid.UUID,
        broker: Broker,
    ) -> None:
        self.server, self.gateway, self.holder, self.broker = server, gateway, holder, broker
        self.rollovers = list(rollovers)
        self._kept_at = time.monotonic()

    def run(self) -> None:
        running = [rollover for rollover in self.rollovers if rollover.state == Rollover.State.RUNNING]
        self._settle_before()
        running = self._hold_conflicts(running)
        running = self._without(running, logins_in_flight(self.server.pk, self._logins(running)))
        if running:
            self._collect(running)
            close_positions(self.server, self.gateway, running, self.broker)
            self._keep()
            readings = self._read(running)
            self._keep()
            self._price(running, readings)
        settling = [rollover for rollover in self.rollovers if rollover.state == Rollover.State.SETTLING]
        if settling:
            self._send(settling)
            self._check(settling)

    def _keep(self) -> None:
        """Renew the lease on what is in hand, once a good part of it has passed. Raises `ClaimLost`."""
        if time.monotonic() - self._kept_at < settings.ROLLOVER_LEASE_SECONDS / 4:
            return
        renew(self.rollovers, self.holder)
        self._kept_at = time.monotonic()

    def _settle_before(self) -> None:
        """No rollover starts while one of its account's transfers is unknown; what is owed is sent first."""
        logins = self._logins(self.rollovers)
        settle_unknown(self.server, self.gateway, logins)
        carried = [rollover.public_id for rollover in self.rollovers]
        settle_orders(self.server, self.gateway, logins, carried)
        self._send(self.rollovers)

    def _hold_conflicts(self, running: Sequence[Rollover]) -> list[Rollover]:
        """An operation that stands in the server's books twice, or otherwise, is a person's to judge."""
        found = conflicts(self.server.pk, self._logins(running))
        free = []
        for rollover in running:
            leg = found.get(rollover.account.login or 0)
            if leg is None:
                free.append(rollover)
                continue
            details = {"key": leg.key, "amount": str(leg.amount), "reason": leg.refusal_text}
            reading = Reading(rollover.account_id, hold_reason="transfer_conflict", details=details)
            hold_account(rollover, self.holder, reading)
        return free

    def _read(self, running: Sequence[Rollover]) -> dict[int, Reading]:
        """Readings by account. Where small foreign operations stand between, they are undone and the accounts
        read once more.
        """
        accounts = {rollover.account_id: rollover.account for rollover in running}
        readings = read_accounts(self.server, self.gateway, list(accounts.values()), self.broker)
        corrected = undo_small_ones(readings, accounts, self.broker)
        if corrected:
            by_account = {rollover.account_id: rollover for rollover in running}
            self._send([by_account[account.pk] for account in corrected])
            readings |= read_accounts(self.server, self.gateway, corrected, self.broker)
        return readings

    def _collect(self, running: Sequence[Rollover]) -> None:
        cutoffs = {rollover.account_id: self._cutoff(rollover) for rollover in running}
        collect_requests(
            self.server,
            self.gateway,
            [rollover.account for rollover in running],
            cutoffs,
            keep_claim=self._keep,
        )

    def _cutoff(self, rollover: Rollover) -> datetime:
        """The latest confirmation this rollover executes: when it was ordered, or its hour less the freeze
        time.
        """
        if rollover.ordered_by_id is not None:
            return rollover.ordered_at
        return rollover.scheduled_for - timedelta(minutes=self.broker.freeze_minutes)

    def _price(self, running: Sequence[Rollover], readings: Mapping[int, Reading]) -> None:
        """All accounts together; should that fail, each by itself: one account's failure never stops
        another's.
        """
        sound = []
        for rollover in running:
            reading = readings.get(rollover.account_id)
            if reading is None or (reading.snapshot is None and reading.wait_reason):
                postpone([rollover], self.holder, reason_code=reading.wait_reason if reading else "not_read")
            elif reading.snapshot is None:
                self._alone(rollover, partial(hold_account, rollover, self.holder, reading))
            else:
                sound.append((rollover, reading))
        if not sound:
            return
        try:
            price_accounts(sound, self.holder, self.broker)
        except ClaimLost:
            raise
        except Exception:
            if len(sound) > 1:
                logger.warning("rollovers %s cannot be priced together", [row.pk for row, _ in sound])
            for rollover, reading in sound:
                self._keep()
                self._alone(
                    rollover,
                    partial(price_accounts, [(rollover, reading)], self.holder, self.broker),
                )

    def _alone(self, rollover: Rollover, act: Callable[[], None]) -> None:
        try:
            act()
        except ClaimLost:
            raise
        except Exception:
            logger.exception("rollover %s failed", rollover.pk)
            postpone([rollover], self.holder, reason_code="internal_error")

    def _send(self, rollovers: Sequence[Rollover]) -> None:
        logins = self._logins(rollovers)
        transfers = list(
            open_legs(self.server.pk, logins).values_list("transfer_id", flat=True).distinct()
        ) + list(
            Leg.objects.filter(server=self.server, transfer__legs__login__in=logins)
            .filter(transfer__state=Transfer.State.IN_TRANSIT, position=2)
            .exclude(state=Leg.State.APPLIED)
            .values_list("transfer_id", flat=True)
        )
        if transfers:
            advance_transfers(self.server, self.gateway, sorted(set(transfers)), keep_claim=self._keep)

    def _check(self, settling: Sequence[Rollover]) -> None:
        """Step 6: the server's balance again, with all that was just moved."""
        accounts = list(PammAccount.objects.filter(pk__in=[rollover.account_id for rollover in settling]))
        readings = read_accounts(self.server, self.gateway, accounts, self.broker)
        now = timezone.now()
        self._keep()
        with transaction.atomic():
            rows = locked(settling, self.holder)
            for rollover in settling:
                held, reading = rows[rollover.pk], readings.get(rollover.account_id)
                if reading is not None and reading.hold_reason:
                    _hold(held, reading)
                elif rollover.account.state == PammAccount.State.CLOSING:
                    finish_closing(PammAccount.objects.select_for_update().get(pk=rollover.account_id))
                held.state = Rollover.State.COMPLETED
                held.completed_at = now
                held.lease_until = None
            update_rows(list(rows.values()), COMPLETED_COLUMNS)
            keep_open_positions(_seen(accounts, readings))
            record_events(
                [
                    (
                        "rollover.completed",
                        rollover.account.public_id,
                        {"rollover": str(rollover.public_id)},
                    )
                    for rollover in settling
                ]
            )

    def _without(self, rollovers: Sequence[Rollover], logins: set[int]) -> list[Rollover]:
        waiting = [rollover for rollover in rollovers if rollover.account.login in logins]
        postpone(waiting, self.holder, reason_code="transfer_under_way")
        return [rollover for rollover in rollovers if rollover not in waiting]

    def _logins(self, rollovers: Sequence[Rollover]) -> list[int]:
        return [rollover.account.login for rollover in rollovers if rollover.account.login is not None]


def _seen(accounts: Collection[PammAccount], readings: Mapping[int, Reading]) -> dict[int, SeenPositions]:
    """What is open in those accounts that show it and whose figures add up, by key."""
    found = {account.pk: readings.get(account.pk) for account in accounts if account.shows_positions}
    return {
        key: SeenPositions(reading.snapshot.at, reading.snapshot.pool_equity, reading.positions)
        for key, reading in found.items()
        if reading is not None and reading.snapshot is not None
    }


def note_answer(server: TradingServer) -> None:
    if record_answer(server):
        with transaction.atomic():
            record_event("server.returned", subject=server.public_id, name=server.name)


def note_failure(server: TradingServer, error: GatewayError) -> None:
    if record_failure(server, str(error)):
        with transaction.atomic():
            record_event("server.failing", subject=server.public_id, name=server.name, error=str(error)[:200])


def hold_account(rollover: Rollover, holder: uuid.UUID, reading: Reading) -> None:
    """Nothing of the account is priced or paid until a person has looked: its figures do not add up."""
    with transaction.atomic():
        held = locked([rollover], holder)[rollover.pk]
        _hold(held, reading)
        held.state = Rollover.State.HELD
        held.lease_until = None
        held.save()


def _hold(rollover: Rollover, reading: Reading) -> None:
    rollover.reason_code = reading.hold_reason
    rollover.reason = reading.details
    hold(rollover.account, reading.hold_reason, reading.details)
