"""Step 0 of a rollover: from here on nobody can cancel, and the money of deposits is taken into transit."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import OuterRef, Q

from accounts.models import PammAccount
from investing.models import Request
from investing.queries import own_capital_present
from investing.services.money_at_server import free_money
from investing.services.requests import fail_request
from money.exact import exact_difference
from trading.gateway import Gateway
from trading.models import TradingServer
from transfers.models import Side, Transfer
from transfers.services import Endpoint, TransferDraft, advance_transfers, plan_transfers


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
    _fix(accounts, cutoffs)
    uncollected = _plan(accounts)
    transfers = list(
        Request.objects.filter(
            account__in=accounts, state=Request.State.COLLECTING, collection__state=Transfer.State.PLANNED
        ).values_list("collection_id", flat=True)
    )
    if uncollected or transfers:
        advance_transfers(server, gateway, transfers, keep_claim=keep_claim)
        _fail_refused(accounts)


def _fix(accounts: Collection[PammAccount], cutoffs: Mapping[int, datetime]) -> None:
    by_cutoff: dict[datetime, list[int]] = {}
    for account in accounts:
        by_cutoff.setdefault(cutoffs[account.pk], []).append(account.pk)
    with transaction.atomic():
        for cutoff, keys in by_cutoff.items():
            due = Request.objects.filter(
                account__in=keys, state=Request.State.CONFIRMED, confirmed_at__lte=cutoff
            )
            # Own capital first: investors' money is taken only where the manager's is there.
            due.filter(investment__is_own_capital=True).update(state=Request.State.COLLECTING, reason_code="")
            waiting = due.filter(Q(kind=Request.Kind.DEPOSIT) & ~own_capital_present(OuterRef("account")))
            waiting.exclude(reason_code="own_capital_missing").update(reason_code="own_capital_missing")
            due.filter(~Q(kind=Request.Kind.DEPOSIT) | own_capital_present(OuterRef("account"))).update(
                state=Request.State.COLLECTING, reason_code=""
            )


def _plan(accounts: Collection[PammAccount]) -> list[Request]:
    """Write down the collecting transfers of deposits that have none yet."""
    requests = list(
        Request.objects.filter(
            account__in=accounts,
            state=Request.State.COLLECTING,
            kind=Request.Kind.DEPOSIT,
            collection__isnull=True,
        )
        .select_related("investment__personal_account__server")
        .order_by("confirmed_at", "id")
    )
    if not requests:
        return []
    free = free_money(request.investment.personal_account for request in requests)
    with transaction.atomic():
        planned = []
        for request in requests:
            personal = request.investment.personal_account
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
    personal = request.investment.personal_account
    if request.amount is None:
        raise ValueError("a deposit has an amount")
    return TransferDraft(
        server_id=personal.server_id,
        purpose=Transfer.Purpose.DEPOSIT,
        subject=request.public_id,
        amount=request.amount,
        currency=request.currency,
        currency_digits=request.currency_digits,
        source=Endpoint(personal.login, Side.PERSONAL, personal.public_id),
        destination=None,
    )


def _fail_refused(accounts: Collection[PammAccount]) -> None:
    refused = Request.objects.filter(
        account__in=accounts, state=Request.State.COLLECTING, collection__state=Transfer.State.REFUSED
    ).select_related("investment")
    with transaction.atomic():
        for request in refused.prefetch_related("collection__legs"):
            text = next(iter(leg.refusal_text for leg in request.collection.legs.all()), "")
            fail_request(request, reason_code="refused_by_trading_server", note=text)
