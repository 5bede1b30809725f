"""Closing positions at a rollover: in proportion to what leaves, or all of an account that is being closed.

Done before anything is read for pricing, so that everybody bears the cost. An account whose prices are not
fair now (no live price, the server's day change) keeps its positions: nothing moves at this rollover anyway.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from django.utils import timezone

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.units import pool_equity, value
from brokers.models import Broker
from fees.queries import FIGURE_RELATIONS, closing_of, fee_basis, last_moment
from investing.models import Request
from money.exact import ZERO, exact_difference
from rollover.models import Rollover
from rollover.services.snapshot import in_quiet_window, is_stale
from trading.gateway import AccountState, Gateway, GatewayUnreadable, Position, Symbol
from trading.models import Order, TradingServer
from trading.orders import OrderDraft, plan_orders, send_orders, unsent_orders
from transfers.queries import under_way


def close_positions(
    server: TradingServer, gateway: Gateway, rollovers: Sequence[Rollover], broker: Broker
) -> None:
    """Close what has to be closed of these accounts. No gateway call where no account asks for any."""
    leaving = _leaving_by_account(rollovers)
    concerned = {
        rollover.account.login: rollover
        for rollover in rollovers
        if rollover.account.login is not None
        and (_is_closing(rollover.account) or leaving.get(rollover.account_id))
    }
    if not concerned or in_quiet_window(timezone.now(), server, broker):
        return
    # What a worker that died has decided stays decided: volumes are parts of what was open then.
    decided, unsent = unsent_orders([rollover.public_id for rollover in concerned.values()])
    send_orders(gateway, unsent)
    concerned = {
        login: rollover for login, rollover in concerned.items() if rollover.public_id not in decided
    }
    if not concerned:
        return
    logins = list(concerned)
    closing = [login for login, rollover in concerned.items() if _is_closing(rollover.account)]
    for login, record in gateway.accounts(closing).items():
        # Or its manager would open again what is closed here.
        if record.may_trade:
            gateway.forbid_trading(login)
    positions = _open_positions(gateway, logins)
    if not positions:
        return
    symbols = {symbol.name: symbol for symbol in gateway.symbols()}
    ticks = gateway.last_ticks(sorted({held.symbol for row in positions.values() for held in row}))
    states = gateway.account_states(list(positions))
    owed = under_way(server.pk, list(positions))
    now = timezone.now()
    for purpose in Order.Purpose:
        drafts: list[OrderDraft] = []
        for login, held in positions.items():
            rollover = concerned[login]
            if (purpose == Order.Purpose.CLOSING) != _is_closing(rollover.account):
                continue
            if login not in states or any(is_stale(row.symbol, ticks, now, broker) for row in held):
                continue
            part = Fraction(1)
            if purpose == Order.Purpose.WITHDRAWALS:
                part = part_to_close(
                    rollover.account, states[login], owed[login], leaving[rollover.account_id]
                )
            drafts += [
                OrderDraft(rollover.public_id, position, volume)
                for position in held
                if (volume := volume_to_close(position, symbols[position.symbol], part))
            ]
        if drafts:
            send_orders(gateway, plan_orders(server, purpose, drafts))


def _open_positions(gateway: Gateway, logins: Sequence[int]) -> dict[int, tuple[Position, ...]]:
    """By login, where any is open. One whose positions cannot be read keeps them: it is not priced either."""
    try:
        found = gateway.positions(logins)
    except GatewayUnreadable as error:
        readable = [login for login in logins if login not in error.logins]
        if len(readable) == len(logins):
            raise
        return _open_positions(gateway, readable) if readable else {}
    return {login: held for login, held in found.items() if held}


def part_to_close(
    account: PammAccount,
    state: AccountState,
    under_way: tuple[Decimal, Decimal],
    leaving: Iterable[Request],
) -> Fraction:
    """The part of every position to close so that those who leave take their share of the risk with them.

    0 where the free money already pays all of them; otherwise what they take of the pool's equity, fees
    included, at most 1.
    """
    owed, incoming = under_way
    equity = pool_equity(equity=state.equity, credit=state.credit, owed=owed, incoming=incoming)
    if equity <= 0 or not account.units:
        return Fraction(0)
    price = Price(equity, account.units)
    wanted = sum((_gross(request, price, account) for request in leaving), Fraction(0))
    if wanted <= max(ZERO, exact_difference(state.withdrawable, owed)):
        return Fraction(0)
    return min(wanted / Fraction(equity), Fraction(1))


def _gross(request: Request, price: Price, account: PammAccount) -> Fraction:
    """About what a request takes out of the pool: a close the value, a part its share of fees besides."""
    investment = request.investment
    worth = Fraction(value(investment.units, price, account.currency_digits))
    if request.amount is None:
        return worth
    basis = fee_basis(investment, last_moment(account))
    pays = closing_of(basis).paid
    return min(Fraction(request.amount) * Fraction(basis.value) / Fraction(pays), worth) if pays else worth


def volume_to_close(position: Position, symbol: Symbol, part: Fraction) -> Decimal:
    """Lots: that part of the position, rounded up to the symbol's step; all of it where less than the minimum
    would be left.
    """
    if part <= 0:
        return ZERO
    steps = part * Fraction(position.volume) / Fraction(symbol.volume_step)
    whole = Decimal(-(-steps.numerator // steps.denominator)) * symbol.volume_step
    volume = max(whole, symbol.volume_min)
    left = exact_difference(position.volume, volume)
    return position.volume if left < symbol.volume_min else volume


def _is_closing(account: PammAccount) -> bool:
    return account.state == PammAccount.State.CLOSING


def _leaving_by_account(rollovers: Sequence[Rollover]) -> Mapping[int, list[Request]]:
    """Withdrawals and closes that these rollovers execute, of accounts that close in proportion."""
    accounts = [
        rollover.account_id
        for rollover in rollovers
        if rollover.account.margin_policy == PammAccount.MarginPolicy.CLOSE_IN_PROPORTION
        and not _is_closing(rollover.account)
    ]
    found: dict[int, list[Request]] = {}
    if accounts:
        due = Request.objects.filter(account__in=accounts, state=Request.State.COLLECTING)
        relations = (f"investment__{relation}" for relation in FIGURE_RELATIONS)
        for request in due.exclude(kind=Request.Kind.DEPOSIT).select_related(*relations):
            found.setdefault(request.account_id, []).append(request)
    return found
