"""Trading intervals: joining one, beginning the next, and passing to newer terms in between."""

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from allocation.models import Interval, Investment, PricePoint
from allocation.services.book import UnitBook
from allocation.services.investments import restart_subscription
from fees.calc.intervals import TradingInterval, advance, begins_at, ends_at
from offers.models import Terms
from offers.queries import shares_of


def join_interval(book: UnitBook, investment: Investment, known: Iterable[Interval], zone: tzinfo) -> None:
    """Put an investment that has just joined into the interval of its terms; one row serves all with the same
    start. Of an interval under way it pays the subscription only for the rest.

    `known` are the account's intervals under these terms; the book keeps those that begin here. No statement.
    """
    terms, point = investment.terms, book.point
    if terms is None:
        return
    same_terms = (row for row in (*known, *book.new_intervals) if row.terms_id == terms.pk)
    interval = next(
        (row for row in same_terms if _is_on_calendar(terms) or row.anchor_at == point.priced_at), None
    )
    if interval is None:
        interval = _first_interval(terms, point, zone)
        book.new_intervals.append(interval)
    _enter_interval(investment, interval)
    restart_subscription(investment, point)


def begin_accepted_terms(
    book: UnitBook, investments: Iterable[Investment], begun: Sequence[Interval], zone: tzinfo
) -> list[Investment]:
    """Put those whose owners have accepted newer terms under them, from this rollover on; returns them.

    For investments whose interval has just ended and was charged under the old terms; `begun` are the
    account's intervals that begin at this rollover. Mark, carried fractions and debts stay; what accrues
    begins again, and so do the running sums of the shares where the newer terms share differently. One
    statement, however many investments and versions; none where nobody has accepted anything.
    """
    accepting = [investment for investment in investments if investment.accepted_terms_id is not None]
    if not accepting:
        return []
    keys = {investment.accepted_terms_id for investment in accepting}
    versions = Terms.objects.select_related("offer__account").in_bulk(keys)
    # An interval under way since an earlier rollover would count its yield from there: only one that begins
    # here can be shared.
    intervals = {row.terms_id: row for row in begun if row.terms_id in keys and _is_on_calendar(row.terms)}
    for key, terms in versions.items():
        if key not in intervals:
            # Kept by the book: who joins under these terms at this rollover shares it.
            intervals[key] = _first_interval(terms, book.point, zone)
            book.new_intervals.append(intervals[key])
    for investment in accepting:
        terms = versions[investment.accepted_terms_id]
        if investment.terms is None or shares_of(investment.terms) != shares_of(terms):
            investment.shared = {}
        investment.terms = terms
        investment.accepted_terms = None
        investment.terms_accepted_at = None
        _enter_interval(investment, intervals[terms.pk])
        book.restart_accruals(investment)
    return accepting


def advance_intervals(book: UnitBook, intervals: Sequence[Interval], zone: tzinfo) -> None:
    """Begin the next interval of each, at this rollover, which the book keeps. Several missed ends count
    once.
    """
    point = book.point
    for interval in intervals:
        rule = trading_interval(interval.terms)
        interval.starts_at = point.priced_at
        interval.opening = point
        interval.number += 1
        if rule.unit == "rollovers":
            interval.ends_after_sequence = point.flow_sequence + rule.count
        else:
            interval.ends_at = advance(rule, interval.anchor_at, point.priced_at, zone)[1]
    book.advanced_intervals += intervals


def _first_interval(terms: Terms, point: PricePoint, zone: tzinfo) -> Interval:
    """The interval under `terms` that begins at `point`, not stored.

    On the calendar it starts with the calendar's own, before anybody was in it: the first to join pays the
    subscription for the rest of it only. The yield counts from `point`.
    """
    rule = trading_interval(terms)
    return Interval(
        account_id=point.account_id,
        terms=terms,
        anchor_at=point.priced_at,
        starts_at=begins_at(rule, point.priced_at, zone),
        ends_at=ends_at(rule, point.priced_at, zone),
        ends_after_sequence=point.flow_sequence + rule.count if rule.unit == "rollovers" else None,
        opening=point,
    )


def _is_on_calendar(terms: Terms) -> bool:
    """Whether all investments under these terms end their intervals together."""
    return terms.interval_anchor == Terms.IntervalAnchor.CALENDAR and terms.interval_unit != "rollovers"


def _enter_interval(investment: Investment, interval: Interval) -> None:
    investment.interval = interval
    investment.lowest_units = investment.units
    investment.lowest_units_number = interval.number


def trading_interval(terms: Terms) -> TradingInterval:
    return TradingInterval(terms.interval_unit, terms.interval_count, terms.interval_anchor)  # type: ignore[arg-type]
