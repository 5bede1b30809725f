"""Step 0 of a rollover: from here on nobody can cancel, and the money of deposits is taken into transit."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import OuterRef, Q

from accounts.models import PammAccount
from investing.models import Request
from investing.queries import own_capital_present
from investing.services.closing import request_closes
from investing.services.money_at_server import free_money
from investing.services.requests import fail_request, source_of
from money.exact import exact_difference
from trading.gateway import Gateway
from trading.models import TradingServer
from transfers.models import Transfer
from transfers.queries import pools_being_corrected
from transfers.services import TransferDraft, advance_transfers, plan_transfers


def collect_requests(
    server: TradingServer,
    gateway: Gateway,
    accounts: Collection[PammAccount],
    cutoffs: Mapping[int, datetime],
    *,
    keep_claim: Callable[[], None],
) -> None:
    """Fix which requests these accounts' rollovers execute, and take the money of their deposits.

    `cutoffs`: by account, the latest confirmation that still counts. A deposit whose owner's account cannot
    pay fails here and changes nothing else. Statements do not grow with the accounts, balance operations do
    with deposits.
    """
    request_closes(accounts)
    _fix(accounts, cutoffs)
    uncollected = _plan(accounts)
    transfers = list(
        Request.objects.filter(
            account__in=accounts, state=Request.State.COLLECTING, collection__state=Transfer.State.PLANNED
        ).values_list("collection_id", flat=True)
    )
    if uncollected or transfers:
        advance_transfers(server, gateway, transfers, keep_claim=keep_claim)
    # Also what a worker learnt that then died, or was sent between two rollovers.
    fail_refused_deposits()


def _fix(accounts: Collection[PammAccount], cutoffs: Mapping[int, datetime]) -> None:
    by_cutoff: dict[datetime, list[int]] = {}
    for account in accounts:
        by_cutoff.setdefault(cutoffs[account.pk], []).append(account.pk)
    with transaction.atomic():
        for cutoff, keys in by_cutoff.items():
            due = Request.objects.filter(account__in=keys, state=Request.State.CONFIRMED).filter(
                Q(confirmed_at__lte=cutoff) | Q(origin=Request.Origin.ACCOUNT_CLOSING)
            )
            # Own capital first: investors' money is taken only where the manager's is there.
            due.filter(investment__is_own_capital=True).update(state=Request.State.COLLECTING, reason_code="")
            waiting = due.filter(Q(kind=Request.Kind.DEPOSIT) & ~own_capital_present(OuterRef("account")))
            waiting.exclude(reason_code="own_capital_missing").update(reason_code="own_capital_missing")
            due.filter(~Q(kind=Request.Kind.DEPOSIT) | own_capital_present(OuterRef("account"))).update(
                state=Request.State.COLLECTING, reason_code=""
            )


def _plan(accounts: Collection[PammAccount]) -> list[Request]:
    """Write down the collecting transfers of deposits that have none yet.

    What was found in a pool and is a deposit has to be out of it first: until then nothing is deposited.
    """
    requests = list(
        Request.objects.filter(
            account__in=accounts,
            state=Request.State.COLLECTING,
            kind=Request.Kind.DEPOSIT,
            collection__isnull=True,
        )
        .select_related("account", "paid_by", "investment__personal_account__server")
        .order_by("confirmed_at", "id")
    )
    corrected = pools_being_corrected({request.account.public_id for request in requests if request.paid_by})
    requests = [request for request in requests if request.account.public_id not in corrected]
    if not requests:
        return []
    free = free_money(request.investment.personal_account for request in requests if request.paid_by is None)
    with transaction.atomic():
        # While the server was asked, another worker may have taken over and planned them: money taken twice.
        unplanned = set(
            Request.objects.select_for_update()
            .filter(
                pk__in=[request.pk for request in requests],
                state=Request.State.COLLECTING,
                collection__isnull=True,
            )
            .values_list("pk", flat=True)
        )
        planned = []
        for request in requests:
            if request.pk not in unplanned:
                continue
            personal = request.investment.personal_account
            if request.paid_by is not None:
                # The broker's own account: the trading server alone says whether it can pay.
                planned.append(request)
                continue
            if personal.pk not in free:
                # What the server says of it cannot be used now: that is no reason to fail.
                continue
            if request.amount is None or request.amount > free[personal.pk]:
                fail_request(request, reason_code="personal_balance_too_low")
                continue
            free[personal.pk] = exact_difference(free[personal.pk], request.amount)
            planned.append(request)
        transfers = plan_transfers([_draft(request) for request in planned])
        for request, transfer in zip(planned, transfers, strict=True):
            request.collection = transfer
        Request.objects.bulk_update(planned, ["collection"])
    return planned


def _draft(request: Request) -> TransferDraft:
    if request.amount is None:
        raise ValueError("a deposit has an amount")
    return TransferDraft(
        server_id=request.account.server_id,
        purpose=Transfer.Purpose.DEPOSIT,
        subject=request.public_id,
        pool=request.account.public_id,
        amount=request.amount,
        currency=request.currency,
        currency_digits=request.currency_digits,
        source=source_of(request),
        destination=None,
    )


def fail_refused_deposits() -> None:
    """Say of deposits whose money the trading server would not give that they have failed."""
    refused = Request.objects.filter(state=Request.State.COLLECTING, collection__state=Transfer.State.REFUSED)
    if not refused.exists():
        return
    with transaction.atomic():
        locked = refused.select_for_update(of=("self",)).select_related("investment").order_by("id")
        for request in locked.prefetch_related("collection__legs"):
            text = next(iter(leg.refusal_text for leg in request.collection.legs.all()), "")
            fail_request(request, reason_code="refused_by_trading_server", note=text)
