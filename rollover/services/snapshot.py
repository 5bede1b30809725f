"""Step 1 and 2 of a rollover: what the trading server says of many accounts, and whether it adds up.

A constant number of gateway calls for any number of accounts: deals, states, positions, deals again. Accounts
whose figures moved in between are read again, three times at most; then they do not add up, and say what
differs.
"""

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from accounts.models import PammAccount
from allocation.services import Snapshot
from brokers.models import Broker
from money.exact import exact_sum
from money.rounding import is_whole_minor_units
from rollover.calc.reconciliation import (
    BalanceDeal,
    BalanceNotMatched,
    check_balance,
    check_floating,
)
from rollover.models import CountedDeal, Decision
from trading.gateway import (
    CANCELED_ACTIONS,
    AccountState,
    Deal,
    Gateway,
    GatewayUnreadable,
    Position,
    Tick,
)
from trading.models import TradingServer
from transfers.models import Leg
from transfers.queries import logins_in_flight, uncounted_legs, under_way

logger = logging.getLogger(__name__)

SEEN_FLAT = "seen_flat"
"""In a released account's details: the last price after which somebody has seen that nothing is open."""
DEAL_WINDOW = timedelta(days=1)
"""Added on both sides of what is asked for: the server's clock and its changes decide nothing, tickets do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One account at one instant: a snapshot that adds up, or the reason it does not.

    Of the `deals` it counts, `ours` are transfers of the platform's and `foreign` those that are undone or a
    deposit; whatever else somebody has decided about is a result. `decisions` are those about differences
    without a deal. `undecided`: foreign operations that nobody has said anything about, which hold the
    account.
    """

    account_id: int
    snapshot: Snapshot | None = None
    deals: tuple[Deal, ...] = ()
    positions: tuple[Position, ...] = ()
    legs: tuple[Leg, ...] = ()
    ours: frozenset[int] = frozenset()
    foreign: frozenset[int] = frozenset()
    decisions: tuple[Decision, ...] = ()
    undecided: tuple[Deal, ...] = ()
    hold_reason: str = ""
    wait_reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether its figures add up, so that reading again shows the same."""
        return bool(self.undecided)


def read_accounts(
    server: TradingServer, gateway: Gateway, accounts: Collection[PammAccount], broker: Broker
) -> dict[int, Reading]:
    """Readings by account. Raises `GatewayError` where the server cannot be asked."""
    readings: dict[int, Reading] = {}
    remaining = {account.login: account for account in accounts if account.login is not None}
    pauses = (0.0, *settings.ROLLOVER_READING_PAUSES)
    for attempt, pause in enumerate(pauses, start=1):
        if not remaining:
            break
        time.sleep(pause)
        for login, reading in _read_once(server, gateway, remaining, broker).items():
            if reading.snapshot is not None or reading.is_final or attempt == len(pauses):
                readings[reading.account_id] = reading
                del remaining[login]
    return readings


def _read_once(
    server: TradingServer, gateway: Gateway, accounts: Mapping[int, PammAccount], broker: Broker
) -> dict[int, Reading]:
    """Readings by login. An account that the server says nothing usable of waits, and the others are read."""
    try:
        return _read_together(server, gateway, accounts, broker)
    except GatewayUnreadable as error:
        struck = accounts.keys() & error.logins
        if not struck:
            raise
        logger.warning("%s", error)
        readings = {login: Reading(accounts[login].pk, wait_reason="unreadable_figures") for login in struck}
        others = {login: account for login, account in accounts.items() if login not in struck}
        return readings | (_read_once(server, gateway, others, broker) if others else {})


def _read_together(
    server: TradingServer, gateway: Gateway, accounts: Mapping[int, PammAccount], broker: Broker
) -> dict[int, Reading]:
    logins = list(accounts)
    since = min(account.last_priced_at or account.created_at for account in accounts.values()) - DEAL_WINDOW
    books_before = _Books.read(server, logins)
    counted = _counted_tickets(accounts.values(), since)
    decided = _uncounted_decisions(accounts.values(), since, counted)
    until = timezone.now() + DEAL_WINDOW
    before = gateway.deals(logins, since, until)
    at = timezone.now()
    states = gateway.account_states(logins)
    positions = gateway.positions(logins)
    after = gateway.deals(logins, since, until)
    symbols = sorted({position.symbol for held in positions.values() for position in held})
    ticks = gateway.last_ticks(symbols) if symbols else {}
    stateless = [login for login in logins if login not in states]
    unknown = gateway.unknown_logins(stateless) if stateless else set()
    books_after = _Books.read(server, logins)
    quiet = in_quiet_window(at, server, broker)
    readings = {}
    for login, account in accounts.items():
        known = counted.get(account.pk, set())
        if books_before.of(login) != books_after.of(login) or login in books_after.in_flight:
            readings[login] = Reading(account.pk, wait_reason="transfer_under_way")
        elif login not in states:
            reason = "unknown_login" if login in unknown else "state_unusable"
            readings[login] = Reading(account.pk, hold_reason=reason, details={"login": login})
        else:
            stale = any(is_stale(position.symbol, ticks, at, broker) for position in positions[login])
            wait_reason = "no_live_price" if stale else "quiet_window" if quiet else ""
            readings[login] = _judge(
                account,
                at,
                states[login],
                positions[login],
                [deal for deal in before[login] if deal.ticket not in known],
                [deal for deal in after[login] if deal.ticket not in known],
                books_after,
                decided.get(account.pk, []),
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
    decisions: list[Decision],
    broker: Broker,
    wait_reason: str,
) -> Reading:
    login = state.login
    if not _in_minor_units(account, state, (*before, *after)):
        return Reading(account.pk, hold_reason="state_unusable", details={"login": login})
    legs = books.uncounted.get(login, [])
    # By ticket: a second operation with one of our keys is not ours.
    ours = {leg.ticket for leg in legs if leg.ticket is not None}
    decided = {decision.ticket: decision for decision in decisions if decision.ticket is not None}
    without_deal = tuple(decision for decision in decisions if decision.ticket is None)
    foreign = {
        deal.ticket
        for deal in (*before, *after)
        if deal.is_flow
        and deal.ticket not in ours
        and (deal.ticket not in decided or decided[deal.ticket].kind != Decision.Kind.RESULT)
    }
    outcome = check_balance(
        previous_balance=exact_sum((account.last_balance, *(decision.amount for decision in without_deal))),
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
                "deals": [shown(deal) for deal in after if deal.ticket not in ours],
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
    in_balance = {*outcome.counted, *ours}
    counted = [deal for deal in after if deal.ticket in in_balance]
    if not positions and not floating.floating and _must_be_open(account, counted):
        return Reading(account.pk, hold_reason="positions_missing", details={"login": login})
    undecided = tuple(
        deal
        for deal in counted
        if deal.ticket in foreign and deal.ticket not in decided and deal.balance_change
    )
    if undecided:
        return Reading(
            account.pk,
            undecided=undecided,
            hold_reason="foreign_operation",
            details={"deals": [shown(deal) for deal in undecided]},
        )
    result = exact_sum(
        (
            outcome.result,
            *(row.amount for row in without_deal if row.kind == Decision.Kind.RESULT),
        )
    )
    return Reading(
        account.pk,
        snapshot=_snapshot(
            at, state, positions, books, result, exact_sum(deal.closed_lots for deal in counted)
        ),
        decisions=without_deal,
        deals=tuple(counted),
        positions=positions,
        legs=tuple(legs),
        ours=frozenset(ours),
        foreign=frozenset(foreign),
        wait_reason=wait_reason,
    )


def _in_minor_units(account: PammAccount, state: AccountState, deals: Iterable[Deal]) -> bool:
    """Whether the server's figures are amounts of the account's currency, so that books can hold them."""
    figures = (
        state.balance,
        state.equity,
        state.credit,
        *(deal.balance_change for deal in deals),
    )
    return state.margin >= 0 and all(
        is_whole_minor_units(figure, account.currency_digits) for figure in figures
    )


def _must_be_open(account: PammAccount, deals: Collection[Deal]) -> bool:
    """Whether positions are open by the deals, whatever the server shows: something floated at the last
    price, or lots were opened since, and what was closed does not make up for it.

    A server that shows neither state nor positions looks like an idle account: priced like one, its floating
    result would be lost. Whoever releases the account has seen that nothing is open.
    """
    if account.hold_details.get(SEEN_FLAT) == str(account.last_priced_at):
        return False
    if any(deal.action in CANCELED_ACTIONS for deal in deals):
        return False
    added = exact_sum(part for deal in deals for part in (deal.opened_lots, -deal.closed_lots))
    return added > 0 or (account.last_floating != 0 and added == 0)


def _snapshot(
    at: datetime,
    state: AccountState,
    positions: tuple[Position, ...],
    books: "_Books",
    result: Decimal,
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
        trading_result=result,
        has_open_positions=bool(positions),
        closed_lots=closed_lots,
    )


def _balance_deals(deals: list[Deal], ours: set[int], foreign: set[int]) -> list[BalanceDeal]:
    return [
        BalanceDeal(deal.ticket, deal.balance_change, foreign=deal.ticket in foreign)
        for deal in deals
        if deal.ticket not in ours
    ]


def shown(deal: Deal) -> dict[str, str]:
    """A deal as it is told to a person, and kept with a decision about it."""
    return {
        "ticket": str(deal.ticket),
        "at": deal.at.isoformat(),
        "action": str(deal.action),
        "amount": str(deal.balance_change),
        "dealer": str(deal.dealer),
        "comment": deal.comment,
    }


def _counted_tickets(accounts: Collection[PammAccount], since: datetime) -> dict[int, set[int]]:
    """Tickets already counted, by account: by our own time, whatever time the server tells of a deal."""
    tickets: dict[int, set[int]] = {}
    rows = CountedDeal.objects.filter(
        account__in=[account.pk for account in accounts],
        price_point__priced_at__gte=since - DEAL_WINDOW,
    ).values_list("account_id", "ticket")
    for account_id, ticket in rows:
        tickets.setdefault(account_id, set()).add(ticket)
    return tickets


def _uncounted_decisions(
    accounts: Collection[PammAccount], since: datetime, counted: Mapping[int, Collection[int]]
) -> dict[int, list[Decision]]:
    """By account, whose foreign operations and differences are that no rollover has counted yet: of those
    made since then, `counted` being the tickets of the deals that were.
    """
    rows = Decision.objects.filter(account__in=[account.pk for account in accounts], made_at__gte=since)
    found: dict[int, list[Decision]] = {}
    for decision in rows.exclude(kind=Decision.Kind.NOTED).order_by("id"):
        counted_under = -decision.pk if decision.ticket is None else decision.ticket
        if counted_under not in counted.get(decision.account_id, ()):
            found.setdefault(decision.account_id, []).append(decision)
    return found


def is_stale(symbol: str, ticks: Mapping[str, Tick], at: datetime, broker: Broker) -> bool:
    """Whether the symbol has no live price: none, none above zero, or one older than the broker allows."""
    tick = ticks.get(symbol)
    if tick is None or tick.bid <= 0 or tick.ask <= 0:
        return True
    return (at - tick.at).total_seconds() > broker.stale_tick_seconds


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
