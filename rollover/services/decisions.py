"""Whose foreign operations and unexplained differences are: said by a person, or by their size.

What is undone is moved to (or from) the broker's suspense account by a transfer like any other; what is a
deposit is undone first and then comes in from suspense at a rollover's price, like any deposit. A result
stays where it is and is shared by all.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from accounts.models import HouseAccount, PammAccount, User
from allocation.models import Investment
from brokers.models import Broker
from investing.errors import InvestmentNotActive
from investing.models import Request
from investing.services.execution import pamm_endpoint
from investing.services.requests import deposit_found_money
from ledger.models import LedgerAccount
from ledger.services import AccountKey, Draft, record_entries
from money.exact import exact_sum
from outbox.services import record_event
from rollover.errors import (
    AccountNotHeld,
    DepositNotPositive,
    InvestmentMissing,
    NoSuchDifference,
    NoSuspenseAccount,
)
from rollover.models import Decision
from rollover.services.deciding import required_note
from rollover.services.snapshot import SEEN_FLAT, Reading, shown
from trading.gateway import FLOW_ACTIONS
from transfers.models import Side, Transfer
from transfers.services import Endpoint, TransferDraft, plan_transfers


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that holds an account and needs an owner: a foreign operation, or a sum without a deal.

    `amount` is what it did to the account's balance, signed, in its currency.
    """

    ticket: int | None
    amount: Decimal
    deal: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person says about one difference. `investment` is whose deposit it is."""

    ticket: int | None
    kind: Decision.Kind
    investment: Investment | None = None


def differences_of(account: PammAccount) -> list[Difference]:
    """What a held account shows that somebody has to say something about."""
    details = account.hold_details
    if account.hold_reason not in ("foreign_operation", "balance_differs"):
        return []
    found = [
        Difference(int(deal["ticket"]), Decimal(deal["amount"]), deal)
        for deal in details.get("deals", ())
        if int(deal["action"]) in FLOW_ACTIONS and Decimal(deal["amount"])
    ]
    decided = Decision.objects.filter(account=account, ticket__in=[row.ticket for row in found])
    known = set(decided.exclude(kind=Decision.Kind.NOTED).values_list("ticket", flat=True))
    open_ones = [row for row in found if row.ticket not in known]
    if difference := Decimal(details.get("difference", 0)):
        open_ones.append(Difference(None, difference, {}))
    return open_ones


def release_account(
    *,
    account: PammAccount,
    by: User,
    note: str,
    choices: Sequence[Choice] = (),
    sweep: bool = False,
) -> PammAccount:
    """Let a held account roll over again, saying whose the differences are; it is held again if its figures
    still do not add up.

    A wiped-out account starts a new series. `sweep` moves what stands in an account without units to the
    rounding account, however much it is. Raises `NotAllowed`, `NoteMissing`, `AccountNotHeld`,
    `NoSuchDifference`, `InvestmentMissing`, `InvestmentNotActive`, `DepositNotPositive`, `NoSuspenseAccount`,
    `OppositeRequestOpen`.
    """
    note = required_note(by, note)
    with transaction.atomic():
        locked: PammAccount = (
            PammAccount.objects.select_for_update(of=("self",)).select_related("server").get(pk=account.pk)
        )
        if not locked.is_held:
            raise AccountNotHeld
        open_ones = {difference.ticket: difference for difference in differences_of(locked)}
        for choice in choices:
            difference = open_ones.pop(choice.ticket, None)
            if difference is None:
                raise NoSuchDifference(ticket=choice.ticket)
            _decide(locked, difference, choice, by, note)
        if locked.hold_reason == "wiped_out":
            _begin_series(locked)
        reason, details = locked.hold_reason, _swept(locked) if sweep else {}
        if reason == "positions_missing":
            details = {SEEN_FLAT: str(locked.last_priced_at)}
        locked.is_held = False
        locked.hold_reason = ""
        locked.hold_details = details
        locked.save()
        record_event(
            "account.released",
            subject=locked.public_id,
            by=str(by.public_id),
            note=note,
            reason=reason,
            decisions=[{"ticket": choice.ticket, "kind": choice.kind} for choice in choices],
        )
    return locked


def undo_small_ones(
    readings: Mapping[int, Reading], accounts: Mapping[int, PammAccount], broker: Broker
) -> list[PammAccount]:
    """Write down the undoing of foreign operations that are small enough, on accounts that otherwise add up.

    Small: the absolute amounts of all that was undone on the account today, in the broker's zone, and of
    these together are within the broker's limit. Returns the accounts that have transfers to send now.
    """
    foreign = {pk: reading.undecided for pk, reading in readings.items() if reading.undecided}
    if not foreign:
        return []
    zone = ZoneInfo(broker.time_zone)
    today = timezone.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    undone = _undone_since(today, list(foreign))
    corrected = []
    for pk, deals in foreign.items():
        account = accounts[pk]
        suspense = _suspense(account)
        total = exact_sum((undone.get(pk, Decimal(0)), *(abs(deal.balance_change) for deal in deals)))
        if suspense is None or total > broker.foreign_limit:
            continue
        with transaction.atomic():
            locked = PammAccount.objects.select_for_update().get(pk=pk)
            if locked.is_held:
                continue
            known = set(
                Decision.objects.filter(account=account, ticket__in=[deal.ticket for deal in deals])
                .exclude(kind=Decision.Kind.NOTED)
                .values_list("ticket", flat=True)
            )
            for deal in deals:
                if deal.ticket not in known:
                    difference = Difference(deal.ticket, deal.balance_change, shown(deal))
                    _undo(account, difference, suspense, kind=Decision.Kind.UNDONE)
        corrected.append(account)
    return corrected


def _decide(account: PammAccount, difference: Difference, choice: Choice, by: User, note: str) -> None:
    if choice.kind == Decision.Kind.RESULT:
        Decision.objects.create(
            account=account,
            ticket=difference.ticket,
            kind=choice.kind,
            amount=difference.amount,
            currency_digits=account.currency_digits,
            deal=difference.deal,
            made_by=by,
            note=note,
        )
        return
    suspense = _suspense(account)
    if suspense is None:
        raise NoSuspenseAccount(currency=account.currency)
    if choice.kind == Decision.Kind.UNDONE:
        _undo(account, difference, suspense, kind=choice.kind, by=by, note=note)
        return
    if choice.investment is None or choice.investment.account_id != account.pk:
        raise InvestmentMissing(field="investment")
    if choice.investment.state not in (Investment.State.ACTIVE, Investment.State.PENDING):
        raise InvestmentNotActive
    if difference.amount <= 0:
        raise DepositNotPositive
    public_id = uuid.uuid4()
    deposit = deposit_found_money(
        investment=choice.investment,
        amount=difference.amount,
        paid_by=suspense,
        by=by,
        idempotency_key=f"decision-{public_id}",
    )
    _undo(account, difference, suspense, kind=choice.kind, by=by, note=note, request=deposit)


def _undo(
    account: PammAccount,
    difference: Difference,
    suspense: HouseAccount,
    *,
    kind: Decision.Kind,
    by: User | None = None,
    note: str = "",
    request: Request | None = None,
) -> None:
    """Book the operation against suspense, and write down the transfer that takes it there."""
    pool, house = pamm_endpoint(account), Endpoint(suspense.login, Side.HOUSE, suspense.public_id)
    source, destination = (pool, house) if difference.amount > 0 else (house, pool)
    (planned,) = plan_transfers(
        [
            TransferDraft(
                server_id=account.server_id,
                purpose=Transfer.Purpose.CORRECTION,
                subject=account.public_id,
                pool=account.public_id,
                amount=abs(difference.amount),
                currency=account.currency,
                currency_digits=account.currency_digits,
                source=source,
                destination=destination,
            )
        ]
    )
    decision = Decision.objects.create(
        account=account,
        ticket=difference.ticket,
        kind=kind,
        amount=difference.amount,
        currency_digits=account.currency_digits,
        deal=difference.deal,
        made_by=by,
        note=note,
        transfer=planned,
        request=request,
    )
    record_entries([foreign_entry(decision, account, suspense.public_id)])
    record_event(
        "account.corrected",
        subject=account.public_id,
        ticket=difference.ticket,
        amount=str(difference.amount),
        kind=kind,
        by=None if by is None else str(by.public_id),
    )


def foreign_entry(decision: Decision, account: PammAccount, suspense: uuid.UUID) -> Draft:
    """Somebody put money into the account, or took it out: the broker owes it, or is owed it."""

    def key(kind: LedgerAccount.Kind, subject: uuid.UUID) -> AccountKey:
        return AccountKey(kind, subject, account.currency, account.currency_digits)

    return Draft(
        kind="foreign_operation",
        source=f"decision:{decision.public_id}",
        occurred_at=decision.made_at,
        lines=[
            (key(LedgerAccount.Kind.PAMM_CASH, account.public_id), decision.amount),
            (key(LedgerAccount.Kind.HOUSE_CLAIM, suspense), -decision.amount),
        ],
    )


def _suspense(account: PammAccount) -> HouseAccount | None:
    return HouseAccount.objects.filter(
        server=account.server_id, purpose=HouseAccount.Purpose.SUSPENSE, currency=account.currency
    ).first()


def _undone_since(moment: datetime, accounts: Sequence[int]) -> dict[int, Decimal]:
    """Absolute amounts, by account, that were undone by their size."""
    sums: dict[int, Decimal] = {}
    rows = Decision.objects.filter(
        account__in=accounts, kind=Decision.Kind.UNDONE, made_by__isnull=True, made_at__gte=moment
    ).values_list("account_id", "amount")
    for pk, amount in rows:
        sums[pk] = exact_sum((sums.get(pk, Decimal(0)), abs(amount)))
    return sums


def _swept(account: PammAccount) -> dict[str, str]:
    """Up to how much its next rollover moves to the rounding account: what held it, and no more."""
    remainder = account.hold_details.get("remainder")
    return {} if remainder is None else {"sweep_up_to": str(abs(Decimal(remainder)))}


def _begin_series(account: PammAccount) -> None:
    account.series += 1
    account.last_price_equity = account.last_price_units = Decimal(1)
