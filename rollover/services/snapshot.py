"""Step 1 and 2 of a rollover: what the trading server says of many accounts, and whether it adds up.

A constant number of gateway calls for any number of accounts: deals, states, positions, deals again. Accounts
whose figures moved in between are read again, three times at most; then they do not add up, and say what
differs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from accounts.models import PammAccount
from allocation.services import Snapshot
from brokers.models import Broker
from money.exact import exact_sum
from rollover.calc.reconciliation import (
    BalanceDeal,
    BalanceMatched,
    BalanceNotMatched,
    check_balance,
    check_floating,
)
from rollover.models import CountedDeal
from trading.gateway import AccountState, Deal, Gateway, Position
from trading.models import TradingServer
from transfers.models import Leg
from transfers.queries import logins_in_flight, uncounted_legs, under_way

READINGS = 3
DEAL_WINDOW = timedelta(days=1)
"""Added on both sides of what is asked for: the server's clock and its changes decide nothing, tickets do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One account at one instant: a snapshot that adds up, or the reason it does not."""

    account_id: int
    snapshot: Snapshot | None = None
    deals: tuple[Deal, ...] = ()
    legs: tuple[Leg, ...] = ()
    ours: frozenset[int] = frozenset()
    foreign: frozenset[int] = frozenset()
    hold_reason: str = ""
    wait_reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def read_accounts(
    server: TradingServer, gateway: Gateway, accounts: Collection[PammAccount], broker: Broker
) -> dict[int, Reading]:
    """Readings by account. Raises `GatewayError` where the server cannot be asked."""
    readings: dict[int, Reading] = {}
    remaining = {account.login: account for account in accounts if account.login is not None}
    for attempt in range(READINGS):
        if not remaining:
            break
        for login, reading in _read_once(server, gateway, remaining, broker).items():
            if reading.snapshot is not None or attempt == READINGS - 1:
                readings[reading.account_id] = reading
                del remaining[login]
    return readings


def _read_once(
    server: TradingServer, gateway: Gateway, accounts: Mapping[int, PammAccount], broker: Broker
) -> dict[int, Reading]:
    logins = list(accounts)
    since = min(account.last_priced_at or account.created_at for account in accounts.values()) - DEAL_WINDOW
    books_before = _Books.read(server, logins)
    counted = _counted_tickets(accounts.values(), since)
    until = timezone.now() + DEAL_WINDOW
    before = gateway.deals(logins, since, until)
    at = timezone.now()
    states = gateway.account_states(logins)
    positions = gateway.positions(logins)
    after = gateway.deals(logins, since, until)
    symbols = sorted({position.symbol for held in positions.values() for position in held})
    ticks = gateway.last_ticks(symbols) if symbols else {}
    books_after = _Books.read(server, logins)
    quiet = in_quiet_window(at, server, broker)
    readings = {}
    for login, account in accounts.items():
        known = counted.get(account.pk, set())
        if books_before.of(login) != books_after.of(login) or login in books_after.in_flight:
            readings[login] = Reading(account.pk, wait_reason="transfer_under_way")
        elif login not in states:
            readings[login] = Reading(account.pk, hold_reason="unknown_login", details={"login": login})
        else:
            stale = [
                position.symbol
                for position in positions[login]
                if position.symbol not in ticks
                or (at - ticks[position.symbol].at).total_seconds() > broker.stale_tick_seconds
            ]
            wait_reason = "no_live_price" if stale else "quiet_window" if quiet else ""
            readings[login] = _judge(
                account,
                at,
                states[login],
                positions[login],
                [deal for deal in before[login] if deal.ticket not in known],
                [deal for deal in after[login] if deal.ticket not in known],
                books_after,
                broker,
                wait_reason,
            )
    return readings


def _judge(
    account: PammAccount,
    at: datetime,
    state: AccountState,
    positions: tuple[Position, ...],
    before: list[Deal],
    after: list[Deal],
    books: "_Books",
    broker: Broker,
    wait_reason: str,
) -> Reading:
    login = state.login
    legs = books.uncounted.get(login, [])
    keys = {leg.key: leg for leg in legs}
    ours = {deal.ticket for deal in (*before, *after) if deal.is_flow and deal.comment in keys}
    foreign = {
        deal.ticket
        for deal in (*before, *after)
        if deal.is_flow and deal.ticket not in ours and deal.ticket > account.accepted_ticket
    }
    outcome = check_balance(
        previous_balance=account.last_balance,
        transfers=exact_sum(leg.amount for leg in legs),
        deals_before=_balance_deals(before, ours, foreign),
        deals_after=_balance_deals(after, ours, foreign),
        state_balance=state.balance,
    )
    if isinstance(outcome, BalanceNotMatched):
        return Reading(
            account.pk,
            hold_reason="balance_differs",
            details={
                "expected": str(state.balance - outcome.difference),
                "server": str(state.balance),
                "difference": str(outcome.difference),
                "changed_deals": list(outcome.changed),
                "deals": [_shown(deal) for deal in after if deal.ticket not in ours],
            },
        )
    floating = check_floating(
        equity=state.equity,
        balance=state.balance,
        credit=state.credit,
        positions_result=exact_sum(
            part for position in positions for part in (position.profit, position.storage)
        ),
        tolerance_rate=broker.floating_tolerance,
    )
    if not floating.within_tolerance:
        return Reading(
            account.pk,
            hold_reason="floating_differs",
            details={"floating": str(floating.floating), "difference": str(floating.difference)},
        )
    counted = [deal for deal in after if deal.ticket in set(outcome.counted) | ours]
    moved_by_others = [deal for deal in counted if deal.ticket in foreign and deal.balance_change]
    if moved_by_others:
        return Reading(
            account.pk,
            hold_reason="foreign_operation",
            details={"deals": [_shown(deal) for deal in moved_by_others]},
        )
    return Reading(
        account.pk,
        snapshot=_snapshot(
            at, state, positions, books, outcome, exact_sum(deal.closed_lots for deal in counted)
        ),
        deals=tuple(counted),
        legs=tuple(legs),
        ours=frozenset(ours),
        foreign=frozenset(foreign),
        wait_reason=wait_reason,
    )


def _snapshot(
    at: datetime,
    state: AccountState,
    positions: tuple[Position, ...],
    books: "_Books",
    outcome: BalanceMatched,
    closed_lots: Decimal,
) -> Snapshot:
    owed, incoming = books.under_way.get(state.login, (Decimal(0), Decimal(0)))
    return Snapshot(
        at=at,
        balance=state.balance,
        equity=state.equity,
        credit=state.credit,
        margin=state.margin,
        withdrawable=state.withdrawable,
        owed=owed,
        incoming=incoming,
        trading_result=outcome.result,
        has_open_positions=bool(positions),
        closed_lots=closed_lots,
    )


def _balance_deals(deals: list[Deal], ours: set[int], foreign: set[int]) -> list[BalanceDeal]:
    return [
        BalanceDeal(deal.ticket, deal.balance_change, foreign=deal.ticket in foreign)
        for deal in deals
        if deal.ticket not in ours
    ]


def _shown(deal: Deal) -> dict[str, str]:
    return {
        "ticket": str(deal.ticket),
        "at": deal.at.isoformat(),
        "action": str(deal.action),
        "amount": str(deal.balance_change),
        "dealer": str(deal.dealer),
        "comment": deal.comment,
    }


def _counted_tickets(accounts: Collection[PammAccount], since: datetime) -> dict[int, set[int]]:
    """Tickets already counted, by account. The server may show deals an hour older than asked for."""
    tickets: dict[int, set[int]] = {}
    rows = CountedDeal.objects.filter(
        account__in=[account.pk for account in accounts], executed_at__gte=since - DEAL_WINDOW
    ).values_list("account_id", "ticket")
    for account_id, ticket in rows:
        tickets.setdefault(account_id, set()).add(ticket)
    return tickets


def in_quiet_window(at: datetime, server: TradingServer, broker: Broker) -> bool:
    """Whether the server's day changes within the broker's quiet minutes: spreads are wide then."""
    local = at.astimezone(ZoneInfo(server.time_zone))
    minutes = local.hour * 60 + local.minute + local.second / 60
    return min(minutes, 1440 - minutes) < broker.quiet_minutes


@dataclass(frozen=True, slots=True)
class _Books:
    """What our own books say of some logins at one instant."""

    under_way: Mapping[int, tuple[Decimal, Decimal]]
    uncounted: Mapping[int, list[Leg]]
    in_flight: set[int]

    @classmethod
    def read(cls, server: TradingServer, logins: Collection[int]) -> "_Books":
        return cls(
            dict(under_way(server.pk, logins)),
            dict(uncounted_legs(server.pk, logins)),
            logins_in_flight(server.pk, logins),
        )

    def of(self, login: int) -> tuple[object, list[int]]:
        return self.under_way.get(login), [leg.pk for leg in self.uncounted.get(login, [])]
