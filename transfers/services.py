"""The only code that moves money on trading servers.

A transfer and its legs are committed before anything is sent. Each leg carries a key of its own in the
operation's comment; whoever finds a leg *sending* after a crash or a lost answer looks it up by that key and
sends it again only when the server's complete history does not hold it. The ledger follows in the transaction
that records the outcome.
"""

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from ledger.models import LedgerAccount
from ledger.services import AccountKey, Draft, record_entries
from trading.gateway import Applied, Conflict, Found, Gateway, NotFound, Refused
from trading.models import TradingServer
from transfers.errors import TransferNotReleasable, TransferOutsideTransaction
from transfers.models import Leg, Side, Transfer
from transfers.queries import IN_FLIGHT_STATES

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

    `payee` makes it a payment: the public id of whom it is owed to until it arrives.
    """

    server_id: int
    purpose: Transfer.Purpose
    subject: uuid.UUID
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
            amount=draft.amount,
            currency=draft.currency,
            currency_digits=draft.currency_digits,
        )
        for draft in drafts
    )
    Leg.objects.bulk_create(
        _leg(planned, position, end, -planned.amount if position == 1 else planned.amount)
        for planned, draft in zip(transfers, drafts, strict=True)
        for position, end in ((1, draft.source), (2, draft.destination))
        if end is not None
    )
    return transfers


def release_transfers(releases: Sequence[tuple[Transfer, Endpoint]]) -> list[Leg]:
    """Give transfers held in transit their second leg, in the caller's transaction. Raises
    `TransferNotReleasable`.
    """
    if any(released.state != Transfer.State.IN_TRANSIT for released, _ in releases):
        raise TransferNotReleasable
    legs: list[Leg] = Leg.objects.bulk_create(
        _leg(released, 2, destination, released.amount) for released, destination in releases
    )
    return legs


def _leg(planned: Transfer, position: int, end: Endpoint, amount: Decimal) -> Leg:
    return Leg(
        transfer=planned,
        position=position,
        server_id=planned.server_id,
        login=end.login,
        side=end.side,
        owner=end.owner,
        amount=amount,
        currency=planned.currency,
        currency_digits=planned.currency_digits,
    )


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
    refused is sent again, except the first leg of a deposit: its refusal ends the transfer. Of a login with a
    leg whose outcome stays unknown nothing more is tried: each try would wait for that leg in vain.

    `keep_claim` is called before each leg, for callers whose claim on the work runs out unless renewed; what
    it raises ends the call.
    """
    busy: set[int] = set()
    for position in (2, 1, 2):
        legs = (
            Leg.objects.filter(transfer__in=transfer_ids, position=position, server=server)
            .exclude(state=Leg.State.APPLIED)
            .filter(transfer__state=Transfer.State.PLANNED if position == 1 else Transfer.State.IN_TRANSIT)
            .select_related("transfer")
            .order_by("id")
        )
        for leg in legs:
            if leg.login in busy:
                continue
            if keep_claim is not None:
                keep_claim()
            if not _advance(server, gateway, leg):
                busy.add(leg.login)


def settle_unknown(server: TradingServer, gateway: Gateway, logins: Collection[int]) -> None:
    """Look up every leg of these logins whose outcome is not known."""
    for leg in Leg.objects.filter(server=server, login__in=logins, state__in=IN_FLIGHT_STATES).select_related(
        "transfer"
    ):
        _settle(server, gateway, leg)


def mark_counted(legs: Iterable[Leg]) -> None:
    """Their deals are part of a price point now."""
    Leg.objects.filter(pk__in=[leg.pk for leg in legs]).update(counted=True)


def _advance(server: TradingServer, gateway: Gateway, leg: Leg) -> bool:
    """Whether the login is free afterwards: False where this leg, or another one, is in flight."""
    if leg.state in IN_FLIGHT_STATES and not _settle(server, gateway, leg):
        return False
    if leg.state in (Leg.State.PLANNED, Leg.State.REFUSED):
        return _send(server, gateway, leg)
    return True


def _send(server: TradingServer, gateway: Gateway, leg: Leg) -> bool:
    """As `_advance`, of a leg that is not in flight."""
    try:
        if not _mark_sending(leg):
            return True
    except _LoginBusy:
        return False
    outcome = gateway.adjust_balance(leg.login, leg.amount, leg.key)
    if isinstance(outcome, Applied):
        _record_applied(server, leg, outcome.ticket)
    elif isinstance(outcome, Refused):
        _record_refused(leg, outcome)
    else:
        _record_unknown(leg, outcome.reason)
        return False
    return True


def _mark_sending(leg: Leg) -> bool:
    """Commit the intent. False where another worker has the leg. Raises `_LoginBusy`."""
    deadline = time.monotonic() + LOGIN_BUSY_SECONDS
    while True:
        now = timezone.now()
        try:
            with transaction.atomic():
                changed = Leg.objects.filter(
                    pk=leg.pk, state__in=(Leg.State.PLANNED, Leg.State.REFUSED)
                ).update(
                    state=Leg.State.SENDING,
                    attempts=F("attempts") + 1,
                    first_sent_at=Coalesce("first_sent_at", now),
                    retry_at=_resend_at(),
                )
        except IntegrityError:
            if time.monotonic() > deadline:
                raise _LoginBusy from None
            time.sleep(0.05)
            continue
        leg.first_sent_at = leg.first_sent_at or now
        return bool(changed)


def _settle(server: TradingServer, gateway: Gateway, leg: Leg) -> bool:
    """Whether the outcome of a leg in flight is now known (applied, or free to be sent again)."""
    if leg.first_sent_at is None:
        raise RuntimeError(f"leg {leg.key} is {leg.state} but was never sent")
    search = gateway.find_adjustment(leg.login, leg.key, leg.amount, leg.first_sent_at)
    if isinstance(search, Found):
        _record_applied(server, leg, search.ticket)
        return True
    if isinstance(search, NotFound):
        # The sender may still be waiting for the server, or the server may not have shown the deal yet.
        if leg.retry_at is not None and timezone.now() < leg.retry_at:
            _record_unknown(leg, "not found yet", keep_retry=True)
            return False
        released = Leg.objects.filter(pk=leg.pk, state__in=IN_FLIGHT_STATES).update(state=Leg.State.PLANNED)
        leg.state = Leg.State.PLANNED
        return bool(released)
    reason = search.reason
    _record_unknown(leg, f"conflict: {reason}" if isinstance(search, Conflict) else reason)
    return False


def _record_applied(server: TradingServer, leg: Leg, ticket: int) -> None:
    now = timezone.now()
    with transaction.atomic():
        changed = (
            Leg.objects.filter(pk=leg.pk)
            .exclude(state=Leg.State.APPLIED)
            .update(
                state=Leg.State.APPLIED, ticket=ticket, applied_at=now, refusal_code=None, refusal_text=""
            )
        )
        if not changed:
            return
        done = leg.position == 2
        Transfer.objects.filter(pk=leg.transfer_id).update(
            state=_arrived_state(leg) if done else Transfer.State.IN_TRANSIT,
            completed_at=now if done else None,
        )
        record_entries([leg_entry(server, leg)])
    leg.state = Leg.State.APPLIED
    leg.ticket = ticket


def _arrived_state(leg: Leg) -> Transfer.State:
    went_back = leg.transfer.purpose == Transfer.Purpose.DEPOSIT and leg.side == Side.PERSONAL
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
        Leg.objects.filter(pk=leg.pk, state__in=IN_FLIGHT_STATES).update(
            state=Leg.State.REFUSED, refusal_code=refusal.code, refusal_text=refusal.text[:200]
        )
        if ends:
            Transfer.objects.filter(pk=leg.transfer_id).update(
                state=Transfer.State.REFUSED, completed_at=timezone.now()
            )
    leg.state = Leg.State.REFUSED


def _record_unknown(leg: Leg, reason: str, *, keep_retry: bool = False) -> None:
    changes: dict[str, object] = {"state": Leg.State.UNKNOWN, "refusal_text": reason[:200]}
    if not keep_retry:
        changes["retry_at"] = _resend_at()
    Leg.objects.filter(pk=leg.pk, state__in=IN_FLIGHT_STATES).update(**changes)
    leg.state = Leg.State.UNKNOWN


def _resend_at() -> object:
    return timezone.now() + timedelta(seconds=settings.TRANSFER_RESEND_AFTER_SECONDS)
