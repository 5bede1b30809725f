"""The only code that moves money on trading servers.

A transfer and its legs are committed before anything is sent. Each leg carries a key of its own in the
operation's comment; whoever finds a leg *sending* after a crash or a lost answer looks it up by that key and
sends it again only when the server's complete history, read several times over, does not hold it. Found more
than once, or with other figures, it is left to a person. The ledger follows in the transaction that records
the outcome.
"""

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from brokers.bulk import insert_values
from ledger.models import LedgerAccount
from ledger.services import AccountKey, Draft, record_entries
from outbox.services import record_event
from trading.gateway import Applied, Conflict, Found, Gateway, NotFound, Refused
from trading.models import TradingServer
from transfers.errors import LegNotInConflict, TransferNotReleasable, TransferOutsideTransaction
from transfers.models import Leg, Side, Transfer
from transfers.queries import UNANSWERED_STATES

REFUSED_PAUSES = (timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
"""After which a refused leg is sent again between rollovers; each rollover sends it besides."""

TOLD_OF = frozenset(
    {Transfer.Purpose.DEPOSIT, Transfer.Purpose.WITHDRAWAL, Transfer.Purpose.CLOSE, Transfer.Purpose.FEE}
)
"""Purposes whose arrival is an event: somebody's money, not the exchange of cents with the house."""

SENT_WITHIN = 0.75
"""Part of all look-ups' time in which a leg is sent, if at all: a sender that slept longer would send what
others have found missing, and sent, by then.
"""

LOGIN_BUSY_SECONDS = 2.0
"""How long a leg waits for another one in flight on the same login before it is left to the next round."""


class _LoginBusy(Exception):
    """Another leg of the login is in flight."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A trading account as one end of a transfer. `owner` is the ledger's subject: the account's public
    id.
    """

    login: int
    side: Side
    owner: uuid.UUID


@dataclass(frozen=True, slots=True)
class TransferDraft:
    """A transfer to be written down. Without `destination` the money stops in transit until it is
    released.

    `pool` is the public id of the PAMM account whose money it is. `payee` makes it a payment: the public id
    of whom it is owed to until it arrives.
    """

    server_id: int
    purpose: Transfer.Purpose
    subject: uuid.UUID
    pool: uuid.UUID
    amount: Decimal
    currency: str
    currency_digits: int
    source: Endpoint
    destination: Endpoint | None
    payee: uuid.UUID | None = None


def plan_transfers(drafts: Sequence[TransferDraft]) -> list[Transfer]:
    """Write transfers and their legs down, in the caller's transaction, with a constant number of statements.

    Raises `TransferOutsideTransaction`.
    """
    if not transaction.get_connection().in_atomic_block:
        raise TransferOutsideTransaction
    transfers: list[Transfer] = Transfer.objects.bulk_create(
        Transfer(
            server_id=draft.server_id,
            purpose=draft.purpose,
            subject=draft.subject,
            payee=draft.payee,
            pool=draft.pool,
            amount=draft.amount,
            currency=draft.currency,
            currency_digits=draft.currency_digits,
        )
        for draft in drafts
    )
    _write_legs(
        (planned, position, end, -planned.amount if position == 1 else planned.amount)
        for planned, draft in zip(transfers, drafts, strict=True)
        for position, end in ((1, draft.source), (2, draft.destination))
        if end is not None
    )
    return transfers


def release_transfers(releases: Sequence[tuple[Transfer, Endpoint]]) -> None:
    """Give transfers held in transit their second leg, in the caller's transaction. Raises
    `TransferNotReleasable`.
    """
    if any(released.state != Transfer.State.IN_TRANSIT for released, _ in releases):
        raise TransferNotReleasable
    _write_legs((released, 2, destination, released.amount) for released, destination in releases)


def _write_legs(legs: Iterable[tuple[Transfer, int, Endpoint, Decimal]]) -> None:
    """Legs as transfer, position, end and signed amount."""
    names = (
        "transfer_id", "position", "server_id", "login", "side", "owner", "pool", "amount", "currency",
        "currency_digits",
    )  # fmt: skip
    rows = [
        (
            planned.pk, position, planned.server_id, end.login, end.side.value, end.owner, planned.pool,
            amount, planned.currency, planned.currency_digits,
        )
        for planned, position, end, amount in legs
    ]  # fmt: skip
    insert_values(Leg, names, rows)


def advance_transfers(
    server: TradingServer,
    gateway: Gateway,
    transfer_ids: Collection[int],
    *,
    keep_claim: Callable[[], None] | None = None,
) -> None:
    """Take transfers as far as they go now: settle what is unknown, send what is planned.

    What stands in transit arrives first, so that it can pay for what leaves; then first legs, then their
    second.

    Calls the server outside any transaction; every outcome is committed as it is known. A leg that was
    refused is sent again by the next call, except the first leg of a deposit: its refusal ends the transfer.
    Of a login with a leg whose outcome stays unknown nothing more is tried: each try would wait for that leg
    in vain.

    `keep_claim` is called before each leg, for callers whose claim on the work runs out unless renewed; what
    it raises ends the call.
    """
    busy: set[int] = set()
    refused: set[int] = set()
    # What has no answer comes first: another leg of its login would wait for it in vain, and keep it from its
    # turn, with every call again.
    unanswered = Leg.objects.filter(transfer__in=transfer_ids, server=server, state__in=UNANSWERED_STATES)
    for leg in unanswered.select_related("transfer").order_by("id"):
        if keep_claim is not None:
            keep_claim()
        if not _settle(server, gateway, leg):
            busy.add(leg.login)
    for position in (2, 1, 2):
        legs = (
            Leg.objects.filter(transfer__in=transfer_ids, position=position, server=server)
            .exclude(state=Leg.State.APPLIED)
            .filter(transfer__state=Transfer.State.PLANNED if position == 1 else Transfer.State.IN_TRANSIT)
            .select_related("transfer")
            .order_by("id")
        )
        for leg in legs:
            if leg.login in busy or leg.pk in refused:
                continue
            if keep_claim is not None:
                keep_claim()
            if not _advance(server, gateway, leg):
                busy.add(leg.login)
            elif leg.state == Leg.State.REFUSED:
                refused.add(leg.pk)


def settle_unknown(server: TradingServer, gateway: Gateway, logins: Collection[int]) -> None:
    """Look up every leg of these logins whose outcome is not known."""
    unanswered = Leg.objects.filter(server=server, login__in=logins, state__in=UNANSWERED_STATES)
    for leg in unanswered.select_related("transfer").order_by("id"):
        _settle(server, gateway, leg)


def settle_conflict(leg: Leg, ticket: int) -> None:
    """Record a person's decision that the deal `ticket` is this leg. Whatever else has its key is foreign.

    Raises `LegNotInConflict` where it has been decided already.
    """
    if leg.state != Leg.State.CONFLICT or not _record_applied(leg.transfer.server, leg, ticket):
        raise LegNotInConflict(leg.key)


def send_after_conflict(leg: Leg) -> None:
    """Record a person's decision that no deal with its key is this leg: it is sent again.

    Raises `LegNotInConflict` where it has been decided already.
    """
    released = _row(leg).filter(state=Leg.State.CONFLICT).update(state=Leg.State.PLANNED, refusal_text="")
    if not released:
        raise LegNotInConflict(leg.key)


def mark_counted(legs: Iterable[Leg]) -> None:
    """Their deals are part of a price point now."""
    Leg.objects.filter(pk__in=[leg.pk for leg in legs]).update(counted=True)


def _advance(server: TradingServer, gateway: Gateway, leg: Leg) -> bool:
    """Whether the login is free afterwards: False where this leg, or another one, is in flight."""
    if leg.state == Leg.State.CONFLICT:
        return False
    if leg.state in UNANSWERED_STATES and not _settle(server, gateway, leg):
        return False
    if leg.state in (Leg.State.PLANNED, Leg.State.REFUSED):
        return _send(server, gateway, leg)
    return True


def _send(server: TradingServer, gateway: Gateway, leg: Leg) -> bool:
    """As `_advance`, of a leg that is not in flight."""
    try:
        deadline = _mark_sending(leg)
    except _LoginBusy:
        return False
    if deadline is None:
        return True
    outcome = gateway.adjust_balance(leg.login, leg.amount, leg.key, deadline=deadline)
    if isinstance(outcome, Applied):
        _record_applied(server, leg, outcome.ticket)
    elif isinstance(outcome, Refused):
        _record_refused(leg, outcome)
    else:
        _record_unknown(leg, outcome.reason)
        return False
    return True


def _mark_sending(leg: Leg) -> float | None:
    """Commit the intent. Until when (`time.monotonic()`) it may be sent; None where another worker has the
    leg. Raises `_LoginBusy`.
    """
    waits_until = time.monotonic() + LOGIN_BUSY_SECONDS
    while True:
        now = timezone.now()
        sent_until = time.monotonic() + SENT_WITHIN * sum(settings.TRANSFER_LOOKUP_SECONDS)
        try:
            with transaction.atomic():
                changed = (
                    _row(leg)
                    .filter(attempts=leg.attempts, state__in=(Leg.State.PLANNED, Leg.State.REFUSED))
                    .update(
                        state=Leg.State.SENDING,
                        attempts=F("attempts") + 1,
                        lookups=0,
                        first_sent_at=Coalesce("first_sent_at", now),
                        retry_at=_next_lookup(0),
                    )
                )
        except IntegrityError:
            if time.monotonic() > waits_until:
                raise _LoginBusy from None
            time.sleep(0.05)
            continue
        if not changed:
            return None
        leg.first_sent_at = leg.first_sent_at or now
        leg.attempts += 1
        return sent_until


def _settle(server: TradingServer, gateway: Gateway, leg: Leg) -> bool:
    """Whether the outcome of a leg in flight is now known (applied, or free to be sent again)."""
    if leg.first_sent_at is None:
        raise RuntimeError(f"leg {leg.key} is {leg.state} but was never sent")
    looked_at = timezone.now()
    search = gateway.find_adjustment(leg.login, leg.key, leg.amount, leg.first_sent_at)
    if isinstance(search, Found):
        _record_applied(server, leg, search.ticket)
        return True
    if isinstance(search, NotFound):
        return _record_absent(leg, looked_at)
    if isinstance(search, Conflict):
        _record_conflict(leg, search)
    else:
        _record_unknown(leg, search.reason)
    return False


def _record_absent(leg: Leg, looked_at: datetime) -> bool:
    """Whether a leg that a complete history does not hold may be sent again.

    The sender may still be waiting for the server, or the server may not show the deal yet: only looks that
    began after the pauses of `TRANSFER_LOOKUP_SECONDS` count, and all of them must have been in vain.
    """
    pauses = settings.TRANSFER_LOOKUP_SECONDS
    # Another worker may have sent it since this one looked.
    unanswered = _row(leg).filter(state__in=UNANSWERED_STATES, attempts=leg.attempts, lookups=leg.lookups)
    if leg.retry_at is not None and looked_at < leg.retry_at:
        _record_unknown(leg, "not found yet")
        return False
    if leg.lookups + 1 < len(pauses):
        unanswered.update(
            state=Leg.State.UNKNOWN,
            lookups=leg.lookups + 1,
            retry_at=_next_lookup(leg.lookups + 1),
            refusal_text=f"not found, {leg.lookups + 1} of {len(pauses)}",
        )
        leg.state = Leg.State.UNKNOWN
        return False
    if not unanswered.update(state=Leg.State.PLANNED):
        return False
    leg.state = Leg.State.PLANNED
    return True


def _record_conflict(leg: Leg, conflict: Conflict) -> None:
    """Stop: sending again could only make it worse, and nobody but a person can tell what happened."""
    with transaction.atomic():
        changed = (
            _row(leg)
            .filter(state__in=UNANSWERED_STATES)
            .update(state=Leg.State.CONFLICT, refusal_text=conflict.reason[:200])
        )
        if changed:
            record_event(
                "transfer.conflict",
                subject=leg.pool,
                key=leg.key,
                login=leg.login,
                tickets=list(conflict.tickets),
                reason=conflict.reason,
            )
    leg.state = Leg.State.CONFLICT


def _record_applied(server: TradingServer, leg: Leg, ticket: int) -> bool:
    """Whether this call recorded it: somebody else may have been quicker."""
    now = timezone.now()
    with transaction.atomic():
        changed = (
            _row(leg)
            .exclude(state=Leg.State.APPLIED)
            .update(
                state=Leg.State.APPLIED, ticket=ticket, applied_at=now, refusal_code=None, refusal_text=""
            )
        )
        if not changed:
            return False
        done = leg.position == 2
        Transfer.objects.filter(pk=leg.transfer_id).update(
            state=_arrived_state(leg) if done else Transfer.State.IN_TRANSIT,
            completed_at=now if done else None,
        )
        record_entries([leg_entry(server, leg)])
        if done and leg.transfer.purpose in TOLD_OF:
            record_event(
                "transfer.completed",
                subject=leg.transfer.public_id,
                state=_arrived_state(leg),
                purpose=leg.transfer.purpose,
                serves=str(leg.transfer.subject),
                pool=str(leg.pool),
                payee=str(leg.transfer.payee) if leg.transfer.payee else None,
                amount=str(leg.amount),
                currency=leg.currency,
            )
    leg.state = Leg.State.APPLIED
    leg.ticket = ticket
    return True


def _arrived_state(leg: Leg) -> Transfer.State:
    went_back = leg.transfer.purpose == Transfer.Purpose.DEPOSIT and leg.side != Side.PAMM
    return Transfer.State.RETURNED if went_back else Transfer.State.COMPLETED


def leg_entry(server: TradingServer, leg: Leg) -> Draft:
    """Cash against transit; a payment that arrives also turns what was payable into a claim on the account it
    arrived in.
    """

    def account(kind: LedgerAccount.Kind, subject: uuid.UUID) -> AccountKey:
        return AccountKey(kind, subject, leg.currency, leg.currency_digits)

    lines = [
        (account(LedgerAccount.Kind(leg.side), leg.owner), leg.amount),
        (account(LedgerAccount.Kind.IN_TRANSIT, server.public_id), -leg.amount),
    ]
    if leg.position == 2 and leg.transfer.payee is not None:
        claim = LedgerAccount.Kind.HOUSE_CLAIM if leg.side == Side.HOUSE else LedgerAccount.Kind.CLIENT_CLAIM
        lines += [
            (account(LedgerAccount.Kind.PAYABLE, leg.transfer.payee), leg.amount),
            (account(claim, leg.owner), -leg.amount),
        ]
    return Draft(
        kind=f"transfer_{'out' if leg.position == 1 else 'in'}",
        source=leg.key,
        occurred_at=timezone.now(),
        lines=lines,
    )


def _record_refused(leg: Leg, refusal: Refused) -> None:
    ends = leg.position == 1 and leg.transfer.purpose == Transfer.Purpose.DEPOSIT
    with transaction.atomic():
        own = _row(leg).filter(attempts=leg.attempts, state__in=UNANSWERED_STATES)
        changed = own.update(
            state=Leg.State.REFUSED,
            refusal_code=refusal.code,
            refusal_text=refusal.text[:200],
            retry_at=timezone.now() + REFUSED_PAUSES[min(leg.attempts, len(REFUSED_PAUSES)) - 1],
        )
        if changed and ends:
            Transfer.objects.filter(pk=leg.transfer_id).update(
                state=Transfer.State.REFUSED, completed_at=timezone.now()
            )
    leg.state = Leg.State.REFUSED


def _record_unknown(leg: Leg, reason: str) -> None:
    _row(leg).filter(state__in=UNANSWERED_STATES).update(state=Leg.State.UNKNOWN, refusal_text=reason[:200])
    leg.state = Leg.State.UNKNOWN


def _row(leg: Leg) -> QuerySet[Leg]:
    """The leg's row, by its login too: where the planner goes by the index of what is open, which it believes
    to be a handful, it finds it there without reading all of them.
    """
    return Leg.objects.filter(pk=leg.pk, server=leg.server_id, login=leg.login)


def _next_lookup(number: int) -> datetime:
    return timezone.now() + timedelta(seconds=settings.TRANSFER_LOOKUP_SECONDS[number])
