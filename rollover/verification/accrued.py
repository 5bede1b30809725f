"""Accrued fees at any rollover of the past, by living through the account's history up to it.

Nothing that changes with time is kept per investor and rollover, so what had accrued then is not stored
anywhere: it follows from the entries, prices and terms up to then, as every figure that `verify_books`
compares.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import PammAccount
from allocation.models import Investment, PricePoint
from fees.calc.crystallisation import Situation, closing
from fees.calc.kinds import FeeKind
from money.exact import ZERO, exact_difference
from rollover.verification.differences import Findings
from rollover.verification.records import Point, one_moment, points_of, unit_entries_of
from rollover.verification.replay import Replay
from rollover.verification.stakes import Stake


@dataclass(frozen=True, slots=True)
class AccruedFees:
    """One investment at one rollover, in the account's currency: `value`, what closing there would have
    charged `by_kind` (kinds without a fee are absent) and in all (`fee`), and `net`, what it would have paid.
    """

    value: Decimal
    by_kind: dict[FeeKind, Decimal]
    fee: Decimal
    net: Decimal


NOTHING = AccruedFees(ZERO, {}, ZERO, ZERO)


def accrued_at(investment: Investment, point: PricePoint, *, before_flows: bool = False) -> AccruedFees:
    """What closing the investment at that rollover would have charged, at its price.

    As it stood after the rollover's own flows: fees charged there have gone, deposits made there count, and
    so does the interval that began there. With `before_flows` as it stood when the price was fixed, before
    anything was charged or moved: what a close at that very rollover has charged (where its interval ended
    there too, together with what the end has charged). Zero before it joined and after it ended. For a point
    of another account `KeyError` is raised. Effort grows with the account's history up to the point.
    """
    return accrued_of_account_at(point, before_flows=before_flows)[investment.pk]


def accrued_of_account_at(point: PricePoint, *, before_flows: bool = False) -> dict[int, AccruedFees]:
    """The same of all investments of the account, by primary key, for the effort of one."""
    with one_moment():
        account: PammAccount = PammAccount.objects.select_related("manager").get(pk=point.account_id)
        # What differs is for `verify_books` to say.
        replay = Replay.of(account, Findings(account.name))
        entries = unit_entries_of(account, until=point.sequence - before_flows)
        last: Point | None = None
        for last in points_of(account, until=point.sequence):
            if not (before_flows and last.sequence == point.sequence):
                replay.at(last, entries.take(last.sequence))
        return dict(_accrued(replay, last, leaves_later=not before_flows))


def _accrued(replay: Replay, point: Point | None, *, leaves_later: bool) -> Iterator[tuple[int, AccruedFees]]:
    for key, stake in replay.stakes.items():
        if point is None or not stake.is_active:
            yield key, NOTHING
        else:
            yield key, _of(stake, stake.situation(point, leaves_later=leaves_later))


def _of(stake: Stake, situation: Situation) -> AccruedFees:
    closed, value = closing(stake.fees, stake.state, situation), situation.value
    return AccruedFees(value, closed.by_kind, exact_difference(value, closed.paid), closed.paid)
