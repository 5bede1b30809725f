"""Our records against the trading server's own books: every counted deal, every leg, and the balance."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import PammAccount
from money.exact import ZERO, exact_sum
from rollover.calc.reconciliation import BalanceDeal, BalanceMatched, check_balance
from rollover.models import CountedDeal, Decision
from rollover.services.snapshot import shown
from rollover.verification.differences import Difference, Findings
from trading.gateway import Deal, GatewayError
from trading.gateways import gateway_for
from transfers.models import Leg

READINGS = 3
MARGIN = timedelta(days=1)


def verify_with_server(account_id: int) -> list[Difference]:
    """Compare one account with its trading server; one that does not answer is a difference too.

    Our rows are read first: whatever they hold must be there. What is there besides must be newer than all
    that was counted, and the balance is what was counted and all that is newer. A changed or vanished deal
    that a person has noted as it is now is no difference any more.
    """
    account: PammAccount = PammAccount.objects.select_related("server").get(pk=account_id)
    if account.login is None:
        return []
    findings = Findings(f"{account.name} {account.public_id}")
    rows = list(CountedDeal.objects.filter(account=account))
    # Differences without a deal were counted under negative tickets.
    counted = {deal.ticket: deal for deal in rows if deal.ticket > 0}
    noted = dict(
        Decision.objects.filter(account=account, kind=Decision.Kind.NOTED)
        .order_by("id")
        .values_list("ticket", "deal")
    )
    legs = {
        leg.ticket: leg
        for leg in Leg.objects.filter(server=account.server, login=account.login, state=Leg.State.APPLIED)
        if leg.ticket is not None
    }
    try:
        deals = _compare_balance(account, account.login, rows, findings)
    except GatewayError as error:
        findings.add("PammAccount", account.public_id, "trading server", "an answer", error)
        return findings.differences

    def is_noted(ticket: int) -> bool:
        deal = deals.get(ticket)
        return ticket in noted and noted[ticket].get("found") == ({} if deal is None else shown(deal))

    for ticket, row in counted.items():
        if not is_noted(ticket):
            _compare_counted(row, deals.get(ticket), findings)
    for ticket, leg in legs.items():
        if is_noted(ticket):
            continue
        deal = deals.get(ticket)
        findings.compare(
            "Leg",
            leg.key,
            (
                (f"deal {ticket}", leg.amount, None if deal is None else deal.balance_change),
                ("comment of its deal", leg.key, None if deal is None else deal.comment),
            ),
        )
    newest = max(counted, default=0)
    for ticket in sorted(ticket for ticket in deals if ticket < newest and ticket not in counted):
        findings.add("CountedDeal", ticket, "amount", deals[ticket].balance_change, None)
    return findings.differences


def _compare_balance(
    account: PammAccount, login: int, counted: list[CountedDeal], findings: Findings
) -> dict[int, Deal]:
    """All deals of the login. Those that were not counted, and what was, come to its balance."""
    gateway, since = gateway_for(account.server), account.created_at - MARGIN
    known = {deal.ticket for deal in counted}
    balance = exact_sum(deal.amount for deal in counted)
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
            previous_balance=balance,
            transfers=ZERO,
            deals_before=_changes(before, but=known),
            deals_after=_changes(after, but=known),
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


def _changes(deals: tuple[Deal, ...], *, but: set[int]) -> list[BalanceDeal]:
    return [BalanceDeal(deal.ticket, deal.balance_change) for deal in deals if deal.ticket not in but]


def _compare_counted(row: CountedDeal, deal: Deal | None, findings: Findings) -> None:
    if deal is None:
        findings.add("CountedDeal", row.ticket, "deal on the trading server", row.amount, None)
        return
    figures: list[tuple[str, object, object]] = [
        ("amount", deal.balance_change, row.amount),
        ("action", deal.action, row.action),
        ("symbol", deal.symbol, row.symbol),
        ("closed_lots", deal.closed_lots, row.closed_lots),
    ]
    if row.part != CountedDeal.Part.OURS:
        # One of ours may have been counted before the server showed it.
        figures.append(("executed_at", deal.at, row.executed_at))
    findings.compare("CountedDeal", row.ticket, figures)
