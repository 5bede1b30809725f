"""What had accrued on investments at any rollover: now from what they stand at, then by replay.

The past does not change, so a replay is kept in the cache: the whole account's, since it costs no more than
one investment's (a year of hourly rollovers takes about a fifth of a second, and more with more investors).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core.cache import cache

from allocation.models import Investment, PricePoint
from fees.calc.kinds import FeeKind
from fees.queries import InvestmentFigures, figures_of
from money.exact import exact_difference
from rollover.errors import NoSuchRollover
from rollover.verification import AccruedFees, accrued_of_account_at
from rollover.verification.accrued import NOTHING

KEPT_SECONDS = 24 * 3600

Kept = tuple[str, str, dict[str, str]]
"""Value, net and fees by kind, as the cache has them."""


@dataclass(frozen=True, slots=True)
class AccruedAt:
    """What had accrued at one rollover of the account, both None before its first."""

    sequence: int | None
    priced_at: datetime | None
    fees: AccruedFees


def accrued_at_rollover(investment: Investment, sequence: int | None = None) -> AccruedAt:
    """Of one investment, which came `with_figures`, after that rollover of its account; the last by default.

    At the last one an early exit fee is what leaving now would cost. Raises `NoSuchRollover`.
    """
    account = investment.account
    if sequence is None or sequence == account.sequence:
        figures = _of(figures_of([investment])[investment.pk])
        return AccruedAt(account.sequence or None, account.last_priced_at, figures)
    point: PricePoint | None = PricePoint.objects.filter(account=account, sequence=sequence).first()
    if point is None:
        raise NoSuchRollover(field="rollover", sequence=sequence)
    return AccruedAt(point.sequence, point.priced_at, _replayed(point).get(investment.pk, NOTHING))


def accrued_of_investments(
    investments: Collection[Investment], point: PricePoint, *, replays: bool
) -> dict[int, AccruedFees] | None:
    """Of investments of the point's account, which came `with_figures`, by primary key.

    None where a replay would be needed and `replays` says not to. No query but the replay's.
    """
    if point.sequence == point.account.sequence:
        return {pk: _of(figures) for pk, figures in figures_of(investments).items()}
    found = _replayed(point) if replays else _from_cache(point)
    return None if found is None else {row.pk: found.get(row.pk, NOTHING) for row in investments}


def _replayed(point: PricePoint) -> dict[int, AccruedFees]:
    """By primary key; whatever had no value and no fee is left out."""
    found = _from_cache(point)
    if found is None:
        everything = accrued_of_account_at(point)
        found = {pk: fees for pk, fees in everything.items() if fees != NOTHING}
        cache.set(_key(point), {pk: _kept(fees) for pk, fees in found.items()}, timeout=KEPT_SECONDS)
    return found


def _from_cache(point: PricePoint) -> dict[int, AccruedFees] | None:
    kept: dict[int, Kept] | None = cache.get(_key(point))
    return None if kept is None else {pk: _read(row) for pk, row in kept.items()}


def _key(point: PricePoint) -> str:
    return f"accrued-at:{point.pk}"


def _kept(fees: AccruedFees) -> Kept:
    by_kind = {kind.value: format(amount, "f") for kind, amount in fees.by_kind.items()}
    return format(fees.value, "f"), format(fees.net, "f"), by_kind


def _read(row: Kept) -> AccruedFees:
    value, net = Decimal(row[0]), Decimal(row[1])
    by_kind = {FeeKind(kind): Decimal(amount) for kind, amount in row[2].items()}
    return AccruedFees(value, by_kind, exact_difference(value, net), net)


def _of(figures: InvestmentFigures) -> AccruedFees:
    return AccruedFees(figures.value, figures.accrued, figures.accrued_fee, figures.net)
