"""Stop loss and take profit in the model: from the rules (`docs/money.md`, the decision on stops), not from
the code that follows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.model import Account, Stake

PRICE_STEPS = 10**24
"""Steps of a stop's price, in the currency's unit."""


class Side(Enum):
    LOSS = "stop_loss"
    PROFIT = "take_profit"


@dataclass
class Stop:
    """A price per unit in the currency's unit; `amount` is the value that its owner entered."""

    stake: Stake
    side: Side
    amount: int
    price: Fraction
    set_at: datetime
    state: str = "active"
    reached_at: int | None = None
    """Number of the rollover that reached it."""

    def is_reached(self, price: Fraction) -> bool:
        return price <= self.price if self.side is Side.LOSS else price >= self.price

    def stands_for(self, account: Account) -> int:
        """What the present units are worth at its price, to the nearest minor unit."""
        return round(self.price * account.scale * _units(self.stake))


def price_of(account: Account) -> Fraction:
    """The exact price per unit."""
    return Fraction(account.ratio.money, account.scale) / Fraction(account.ratio.units, _STEPS_OF_A_UNIT)


def stop_price(account: Account, stake: Stake, side: Side, amount: int) -> Fraction:
    """24 decimals, rounded towards being reached."""
    exact = Fraction(amount, account.scale) / _units(stake) * PRICE_STEPS
    return Fraction(ceil(exact) if side is Side.LOSS else floor(exact), PRICE_STEPS)


def why_not(
    account: Account, stake: Stake, amounts: Mapping[Side, int | None], now: datetime, *, closes: bool
) -> set[str]:
    """Every reason to refuse these stops (None removes one), as codes. `closes`: a close is under way."""
    reasons = {"already_closing"} if closes else set()
    if stake.state != "active" or not stake.units:
        return reasons | {"investment_not_active"}
    if stake.is_own:
        reasons.add("stop_on_own_capital")
    if is_locked_in(stake, now):
        reasons.add("lock_in_not_over")
    before = {stop.side: stop for stop in active_stops(account, stake)}
    after = {side: stop.price for side, stop in before.items()}
    value = account.value(stake)
    for side, amount in amounts.items():
        if side in before and amount == before[side].stands_for(account):
            continue
        after.pop(side, None)
        if amount is None:
            continue
        after[side] = stop_price(account, stake, side, amount)
        begun = Stop(stake, side, amount, after[side], now)
        # Exactly what it is worth now is neither below nor above.
        is_beyond = amount >= value if side is Side.LOSS else amount <= value
        if is_beyond or begun.is_reached(price_of(account)):
            reasons.add("stop_loss_not_below" if side is Side.LOSS else "take_profit_not_above")
    if Side.LOSS in after and Side.PROFIT in after and after[Side.LOSS] >= after[Side.PROFIT]:
        reasons.add("stops_crossed")
    return reasons


def set_stops(account: Account, stake: Stake, amounts: Mapping[Side, int | None], now: datetime) -> None:
    """A change ends one and begins the next; to enter what stands there already changes nothing."""
    before = {stop.side: stop for stop in active_stops(account, stake)}
    for side, amount in amounts.items():
        old = before.get(side)
        if old is not None:
            if amount == old.stands_for(account):
                continue
            old.state = "removed" if amount is None else "replaced"
        if amount is not None:
            account.stops.append(Stop(stake, side, amount, stop_price(account, stake, side, amount), now))


def active_stops(account: Account, stake: Stake) -> list[Stop]:
    return [stop for stop in account.stops if stop.stake is stake and stop.state == "active"]


def end_stops(account: Account, stake: Stake) -> None:
    """They go with their investment."""
    for stop in active_stops(account, stake):
        stop.state = "ended"


def reach(account: Account, at: datetime, cutoff: datetime, closing: Iterable[Stake]) -> list[Stop]:
    """Those that the account's price has reached, oldest investment first, at most one of each.

    Not looked at: those set after the cutoff, of investments a close of which is under way (`closing`), and
    of those locked in by terms that cannot be bought off, as they are before this price ends an interval.
    """
    price, busy = price_of(account), {id(stake) for stake in closing}
    found: dict[int, Stop] = {}
    for stop in sorted(account.stops, key=lambda stop: int(stop.stake.name)):
        stake = stop.stake
        if stop.state != "active" or stake.state != "active" or id(stake) in busy or id(stake) in found:
            continue
        if stop.set_at <= cutoff and stop.is_reached(price) and not is_locked_in(stake, at):
            stop.state, stop.reached_at = "reached", account.sequence
            found[id(stake)] = stop
    return list(found.values())


def is_locked_in(stake: Stake, moment: datetime) -> bool:
    """Whether nothing can be taken out then, not even for an early exit fee."""
    rules = stake.rules
    if not rules.lock_in_days or rules.early_exit or stake.joined_at is None:
        return False
    return moment < stake.joined_at + timedelta(days=rules.lock_in_days)


_STEPS_OF_A_UNIT = 10**12


def _units(stake: Stake) -> Fraction:
    return Fraction(stake.units, _STEPS_OF_A_UNIT)
