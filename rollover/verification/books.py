"""The books of one account, and the ledger of a broker, computed again and compared: as they are now, or as
they were at a moment of the past.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, Sum

from accounts.models import HouseAccount, PammAccount
from allocation.models import Interval, Investment
from brokers.scope import current_broker_id
from fees.calc.crystallisation import Debt
from fees.calc.kinds import FeeKind
from fees.calc.shares import Shared
from ledger.models import LedgerAccount, Posting
from money.exact import ZERO, exact_sum
from rollover.models import Rollover
from rollover.verification.differences import Difference, Findings
from rollover.verification.links import compare_chain
from rollover.verification.payments import Payments
from rollover.verification.postings import RolloverPostings
from rollover.verification.records import (
    charges_of,
    deal_sums_of,
    house_account_of,
    ledger_lines_of,
    ledger_sums_of,
    one_moment,
    parts_of,
    points_of,
    unit_entries_of,
    until_moment,
)
from rollover.verification.replay import Replay
from rollover.verification.series import Series
from rollover.verification.stakes import Stake
from rollover.verification.statement import Statement, statement_of
from rollover.verification.stops import Stops
from transfers.models import Leg, Transfer

Kind = LedgerAccount.Kind


@dataclass(frozen=True, slots=True)
class Verified:
    """How much was looked at, and what differs; `statement`: the account's figures, where a moment of the
    past was asked for.
    """

    rollovers: int
    investments: int
    differences: tuple[Difference, ...]
    statement: Statement | None = None


def verify_account(account_id: int, *, at: datetime | int | None = None) -> Verified:
    """Recompute all books of one PAMM account from its first rollover on. Reads one moment; writes nothing.

    With `at`, a time or the number of a rollover, up to then: everything that had been recorded is computed
    again and compared, what changes in place is not. After that number means just before the next one.
    Changes of the broker's time zone are in no history: dates of intervals are counted in the present one.
    """
    with one_moment():
        account: PammAccount = PammAccount.objects.select_related("server", "income_account", "manager").get(
            pk=account_id
        )
        findings = Findings(f"{account.name} {account.public_id}")
        until = None if at is None else until_moment(account, at)
        replay = Replay.of(account, findings)
        house = house_account_of(account, HouseAccount.Purpose.ROUNDING)
        series, postings = (
            Series(account.currency_digits, findings),
            RolloverPostings(account, house, findings),
        )
        payments = Payments(account, house, findings, until)
        last = None if until is None else until.sequence
        entries, charges = unit_entries_of(account, until=last), charges_of(account, until=last)
        parts, deals = parts_of(account, until=last), deal_sums_of(account, until=last)
        ledger = ledger_lines_of(account, until=last)
        stops = None if until is not None else Stops(account, findings)
        rollovers = 0
        for point in points_of(account, until=last):
            rollovers, number = rollovers + 1, point.sequence
            series.price(point, next(iter(deals.take(number)), None))
            if stops is not None:
                stops.at(point, replay.stakes)
            flows = replay.at(point, entries.take(number), charges.take(number), parts.take(number))
            swept = postings.compare(point, series.floating_change, flows, ledger.take(number))
            payments.decide(point, flows, swept)
            series.move(point, flows, swept)
        payments.compare(replay.executed)
        compare_chain(account, series.last, findings)
        if stops is not None:
            stops.compare()
        statement = None
        if until is None:
            _compare_account(account, series, replay, findings)
            _compare_rollovers(account, findings)
            _compare_intervals(account, replay, findings)
            for stake in replay.stakes.values():
                _compare_investment(stake, findings)
            _compare_balances(account, series, payments.uncounted, findings)
        else:
            sums = ledger_sums_of(account, until)
            _compare_sums_then(account, series, payments, sums, findings)
            statement = statement_of(account, until, series, replay, sums)
    return Verified(rollovers, len(replay.stakes), tuple(findings.differences), statement)


def verify_ledger() -> list[Difference]:
    """What no single account shows: entries that do not balance or have no reason, money under way."""
    with one_moment():
        findings = Findings("the broker's ledger")
        _compare_entries(findings)
        _compare_under_way(findings)
        _compare_cash(findings)
    return findings.differences


def _compare_account(account: PammAccount, series: Series, replay: Replay, findings: Findings) -> None:
    last = series.last
    began = series.wiped_out and last is not None and account.series == last.series + 1
    held = exact_sum(stake.units for stake in replay.stakes.values())
    figures: list[tuple[str, object, object]] = [
        ("sequence", 0 if last is None else last.sequence, account.sequence),
        ("flow_sequence", 0 if last is None else last.flow_sequence, account.flow_sequence),
        ("units", held, account.units),
        ("units after the last rollover", series.units, account.units),
        ("last_equity", series.equity, account.last_equity),
        ("last_balance", series.balance, account.last_balance),
        ("last_floating", series.floating, account.last_floating),
        ("last_priced_at", None if last is None else last.priced_at, account.last_priced_at),
        ("last_value_days", series.value_days, account.last_value_days),
        ("last_lots_per_unit", series.lots_per_unit, account.last_lots_per_unit),
        ("rounding_carried", replay.rounding_carried, account.rounding_carried),
    ]
    if last is not None:
        figures += [
            ("series", last.series + began, account.series),
            ("last_price_equity", Decimal(1) if began else last.price_equity, account.last_price_equity),
            ("last_price_units", Decimal(1) if began else last.price_units, account.last_price_units),
        ]
    findings.compare("PammAccount", account.public_id, figures, last)


def _compare_rollovers(account: PammAccount, findings: Findings) -> None:
    """A rollover that has fixed a price is carried to its end, and none ends without a price."""
    states = Rollover.State
    for rollover in Rollover.objects.filter(account=account).exclude(
        Q(price_point__isnull=False, state=states.COMPLETED, completed_at__isnull=False)
        | Q(price_point__isnull=False, state=states.SETTLING, completed_at__isnull=True)
        | (Q(price_point__isnull=True) & ~Q(state__in=(states.COMPLETED, states.SETTLING)))
    ):
        priced = rollover.price_point_id is not None
        expected = "completed or settling" if priced else "one without a price"
        findings.add("Rollover", rollover.public_id, "state", expected, rollover.state)
    strangers = Rollover.objects.filter(account=account, price_point__isnull=False).exclude(
        price_point__account=account
    )
    for rollover in strangers:
        findings.add(
            "Rollover", rollover.public_id, "price_point", "one of its account", rollover.price_point_id
        )


def _compare_intervals(account: PammAccount, replay: Replay, findings: Findings) -> None:
    expected = {(interval.terms.pk, interval.anchor_at): interval for interval in replay.intervals}
    for row in Interval.objects.filter(account=account):
        interval = expected.pop((row.terms_id, row.anchor_at), None)
        if interval is None:
            findings.add("Interval", row.pk, "anchor_at", None, row.anchor_at)
            continue
        findings.compare(
            "Interval",
            row.pk,
            (
                ("number", interval.number, row.number),
                ("starts_at", interval.starts_at, row.starts_at),
                ("opening", interval.opening.pk, row.opening_id),
                ("ends_at", interval.ends_at, row.ends_at),
                ("ends_after_sequence", interval.ends_after_sequence, row.ends_after_sequence),
            ),
        )
    for (terms, anchor_at), interval in expected.items():
        findings.add("Interval", f"of terms {terms}", "anchor_at", anchor_at, None, interval.opening)


def _compare_investment(stake: Stake, findings: Findings) -> None:
    row, joined, closed = stake.row, stake.joined, stake.closed
    states = Investment.State
    state = states.CLOSED if closed else states.ACTIVE if joined else row.state
    figures: list[tuple[str, object, object]] = [
        ("units", stake.units, row.units),
        ("high_water_mark", stake.state.standing.high_water_mark, row.high_water_mark),
        ("performance_carried", stake.state.standing.carried, row.performance_carried),
        ("carried", _by_kind(stake.state.carried), _numbers(row.carried)),
        ("debts", _debts(stake.state.debts), _numbers(row.debts)),
        ("shared", _shared(stake.shared), _numbers(row.shared)),
        ("value_days_put_aside", stake.value_days.put_aside, row.value_days_put_aside),
        ("value_days_checkpoint", stake.value_days.checkpoint, row.value_days_checkpoint),
        ("lots_put_aside", stake.lots.put_aside, row.lots_put_aside),
        ("lots_checkpoint", stake.lots.checkpoint, row.lots_checkpoint),
        ("subscription_checkpoint", stake.subscription_checkpoint, row.subscription_checkpoint),
        ("subscription_number", stake.subscription_number, row.subscription_number),
        ("paid_in", stake.paid_in, row.paid_in),
        ("paid_out", stake.paid_out, row.paid_out),
        ("fees_paid", stake.fees_paid, row.fees_paid),
        ("state", state, row.state),
        ("terms", None if stake.terms is None else stake.terms.pk, row.terms_id),
        ("rollovers of newer terms at which no interval ended", [], sorted(stake.changes)),
        ("joined", None if joined is None else joined.pk, row.joined_id),
        ("joined_at", None if joined is None else joined.priced_at, row.joined_at),
    ]
    if joined is None:
        figures.append(("never active", True, row.state in (states.PENDING, states.CANCELLED)))
    if closed is not None:
        figures += [
            ("closed_at", closed.priced_at, row.closed_at),
            ("end_reason", stake.end_reason, row.end_reason),
        ]
    if stake.is_active and stake.interval is not None:
        interval = row.interval
        figures += [
            (
                "interval",
                (stake.interval.terms.pk, stake.interval.anchor_at),
                None if interval is None else (interval.terms_id, interval.anchor_at),
            ),
            ("lowest_units", stake.lowest, _lowest_of(row)),
        ]
    findings.compare("Investment", row.public_id, figures)


def _lowest_of(row: Investment) -> Decimal:
    """The stored figure counts only for the interval it was noted in."""
    if row.interval is None or row.lowest_units_number != row.interval.number:
        return row.units
    return min(row.lowest_units, row.units)


def _by_kind(carried: Mapping[FeeKind, Decimal]) -> dict[str, Decimal]:
    return {kind.value: kept for kind, kept in carried.items()}


def _debts(debts: Iterable[Debt]) -> list[dict[str, object]]:
    return [{"kind": debt.kind.value, "amount": debt.amount, "since": debt.since} for debt in debts]


def _shared(shared: Mapping[FeeKind, Shared]) -> dict[str, dict[str, object]]:
    return {kind.value: {"charged": sums.charged, "had": list(sums.had)} for kind, sums in shared.items()}


def _numbers(stored: Any) -> Any:
    """A JSON column with the decimals that it holds as text."""
    if isinstance(stored, dict):
        return {name: _numbers(value) for name, value in stored.items()}
    if isinstance(stored, list):
        return [_numbers(value) for value in stored]
    try:
        return Decimal(stored) if isinstance(stored, str) else stored
    except InvalidOperation:
        return stored


def _compare_balances(account: PammAccount, series: Series, uncounted: Decimal, findings: Findings) -> None:
    rows = Posting.objects.filter(account__subject=account.public_id, account__currency=account.currency)
    found = dict(rows.values_list("account__kind").annotate(balance=Sum("amount")))
    expected = {
        Kind.PAMM_CASH: exact_sum((series.balance, uncounted)),
        Kind.PAMM_FLOATING: series.floating,
        Kind.POOL_CLAIM: -series.equity,
    }
    findings.compare(
        "LedgerAccount",
        account.public_id,
        [(f"balance of {kind}", amount, found.get(kind, ZERO)) for kind, amount in expected.items()],
        series.last,
    )


def _compare_sums_then(
    account: PammAccount,
    series: Series,
    payments: Payments,
    found: Mapping[str, Decimal],
    findings: Findings,
) -> None:
    """What all entries of the account, of rollovers, legs and decisions, had come to by then."""
    expected = {
        Kind.PAMM_CASH: exact_sum((series.balance, payments.uncounted)),
        Kind.PAMM_FLOATING: series.floating,
        Kind.POOL_CLAIM: -series.equity,
        Kind.IN_TRANSIT: payments.in_transit,
        Kind.PAYABLE: payments.payable,
    }
    figures = [
        (f"balance of {kind} then", amount, found.get(kind, ZERO)) for kind, amount in expected.items()
    ]
    findings.compare("LedgerAccount", account.public_id, figures, series.last)


def _compare_entries(findings: Findings) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.public_id, a.currency, coalesce(sum(l.amount), 0), count(l.id) FROM ledger_entry e"
            " LEFT JOIN ledger_posting l ON l.broker_id = e.broker_id AND l.entry_id = e.id"
            " LEFT JOIN ledger_ledgeraccount a ON a.broker_id = l.broker_id AND a.id = l.account_id"
            " WHERE e.broker_id = %s GROUP BY e.id, e.public_id, a.currency"
            " HAVING coalesce(sum(l.amount), 0) <> 0 OR count(l.id) = 0 ORDER BY e.id",
            [current_broker_id()],
        )
        for entry, currency, total, count in cursor.fetchall():
            if count:
                findings.add("Entry", entry, f"sum of its postings in {currency}", ZERO, total)
            else:
                findings.add("Entry", entry, "postings", "some", None)
        cursor.execute(
            "SELECT e.public_id, e.source FROM ledger_entry e"
            " LEFT JOIN allocation_pricepoint p"
            " ON p.broker_id = e.broker_id AND e.source = 'price-point:' || p.id"
            " LEFT JOIN transfers_leg g ON g.broker_id = e.broker_id AND g.key = e.source"
            " LEFT JOIN rollover_decision d"
            " ON d.broker_id = e.broker_id AND e.source = 'decision:' || d.public_id"
            " WHERE e.broker_id = %s AND p.id IS NULL AND g.id IS NULL AND d.id IS NULL ORDER BY e.id",
            [current_broker_id()],
        )
        for entry, source in cursor.fetchall():
            findings.add("Entry", entry, "source", "a price point, a leg or a decision", source)


def _compare_under_way(findings: Findings) -> None:
    """Between two legs money stands in transit, also where the second waits for an account of the receiver;
    what is decided and has not arrived is payable.
    """
    in_transit = {
        (subject, currency): amount
        for subject, currency, amount in Transfer.objects.filter(state=Transfer.State.IN_TRANSIT)
        .values_list("server__public_id", "currency")
        .annotate(Sum("amount"))
    }
    _compare_sums(findings, Kind.IN_TRANSIT, in_transit)
    arrived = Leg.objects.filter(transfer=OuterRef("pk"), position=2, state=Leg.State.APPLIED)
    owed = Transfer.objects.filter(~Exists(arrived), payee__isnull=False)
    payable = {
        (payee, currency): -amount
        for payee, currency, amount in owed.values_list("payee", "currency").annotate(Sum("amount"))
    }
    _compare_sums(findings, Kind.PAYABLE, payable)


def _compare_cash(findings: Findings) -> None:
    """The platform's part in clients' and the broker's own accounts is what its legs moved there."""
    for kind in (Kind.PERSONAL_CASH, Kind.HOUSE_CASH):
        legs = Leg.objects.filter(side=kind, state=Leg.State.APPLIED)
        moved = {
            (subject, currency): amount
            for subject, currency, amount in legs.values_list("owner", "currency").annotate(Sum("amount"))
        }
        _compare_sums(findings, kind, moved)


def _compare_sums(findings: Findings, kind: Kind, expected: dict[tuple[uuid.UUID, str], Decimal]) -> None:
    rows = Posting.objects.filter(account__kind=kind).values_list("account__subject", "account__currency")
    found = {(subject, currency): amount for subject, currency, amount in rows.annotate(Sum("amount"))}
    for subject, currency in sorted(found.keys() | expected.keys()):
        key = (subject, currency)
        findings.compare(
            "LedgerAccount",
            subject,
            [(f"balance of {kind} in {currency}", expected.get(key, ZERO), found.get(key, ZERO))],
        )
