"""Our records against the trading server's own books: every counted deal, every leg, and the balance."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import PricePoint
from money.exact import ZERO, exact_sum
from rollover.calc.reconciliation import BalanceDeal, BalanceMatched, check_balance
from rollover.models import CountedDeal
from rollover.verification.differences import Difference, Findings
from trading.gateway import Deal, GatewayError
from trading.gateways import gateway_for
from transfers.models import Leg

READINGS = 3
MARGIN = timedelta(days=1)


def verify_with_server(account_id: int) -> list[Difference]:
    """Compare one account with its trading server; one that does not answer is a difference too.

    Our rows are read first: whatever they hold must be there. What is there besides must be newer than all
    that was counted, and the balance is the sum of all deals.
    """
    account: PammAccount = PammAccount.objects.select_related("server").get(pk=account_id)
    if account.login is None:
        return []
    findings = Findings(f"{account.name} {account.public_id}")
    counted = {deal.ticket: deal for deal in CountedDeal.objects.filter(account=account)}
    legs = {
        leg.ticket: leg
        for leg in Leg.objects.filter(server=account.server, login=account.login, state=Leg.State.APPLIED)
        if leg.ticket is not None
    }
    try:
        deals = _compare_balance(account, account.login, findings)
    except GatewayError as error:
        findings.add("PammAccount", account.public_id, "trading server", "an answer", error)
        return findings.differences
    for ticket, row in counted.items():
        _compare_counted(row, deals.get(ticket), findings)
    for ticket, leg in legs.items():
        deal = deals.get(ticket)
        findings.compare(
            "Leg",
            leg.key,
            (
                (f"deal {ticket}", leg.amount, None if deal is None else deal.balance_change),
                ("comment of its deal", leg.key, None if deal is None else deal.comment),
            ),
        )
    _compare_lots(account, counted.values(), deals, findings)
    newest = max(counted, default=0)
    for ticket in sorted(ticket for ticket in deals if ticket < newest and ticket not in counted):
        findings.add("CountedDeal", ticket, "amount", deals[ticket].balance_change, None)
    return findings.differences


def _compare_balance(account: PammAccount, login: int, findings: Findings) -> dict[int, Deal]:
    """All deals of the login; they must sum to its balance."""
    gateway, since = gateway_for(account.server), account.created_at - MARGIN
    deals: dict[int, Deal] = {}
    for attempt in range(READINGS):
        until = timezone.now() + MARGIN
        before = gateway.deals([login], since, until)[login]
        state = gateway.account_states([login]).get(login)
        after = gateway.deals([login], since, until)[login]
        deals = {deal.ticket: deal for deal in after}
        if state is None:
            findings.add("PammAccount", account.public_id, "login on the trading server", login, None)
            break
        outcome = check_balance(
            previous_balance=ZERO,
            transfers=ZERO,
            deals_before=_changes(before),
            deals_after=_changes(after),
            state_balance=state.balance,
        )
        if isinstance(outcome, BalanceMatched):
            break
        if attempt == READINGS - 1:
            explained = state.balance - outcome.difference
            findings.add(
                "PammAccount", account.public_id, "balance on the trading server", explained, state.balance
            )
    return deals


def _changes(deals: tuple[Deal, ...]) -> list[BalanceDeal]:
    return [BalanceDeal(deal.ticket, deal.balance_change) for deal in deals]


def _compare_lots(
    account: PammAccount, counted: Iterable[CountedDeal], deals: dict[int, Deal], findings: Findings
) -> None:
    """Lots closed at each rollover: only the server knows what a deal closed and what it opened."""
    closed: defaultdict[int, Decimal] = defaultdict(Decimal)
    for row in counted:
        if row.ticket in deals:
            closed[row.price_point_id] = exact_sum(
                (closed[row.price_point_id], deals[row.ticket].closed_lots)
            )
    points = PricePoint.objects.filter(account=account).values_list("pk", "sequence", "closed_lots")
    for point, sequence, lots in points:
        findings.compare("PricePoint", f"#{sequence}", [("closed_lots of its deals", closed[point], lots)])


def _compare_counted(row: CountedDeal, deal: Deal | None, findings: Findings) -> None:
    if deal is None:
        findings.add("CountedDeal", row.ticket, "deal on the trading server", row.amount, None)
        return
    amount: Decimal = deal.balance_change
    findings.compare(
        "CountedDeal",
        row.ticket,
        (
            ("amount", amount, row.amount),
            ("action", deal.action, row.action),
            ("executed_at", deal.at, row.executed_at),
            ("symbol", deal.symbol, row.symbol),
        ),
    )
