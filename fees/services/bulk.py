"""Crystallising the fees of very many investments at once, without an instance for any of them.

In the rollover's transaction and a chunk at a time: rows out as text, `fees.calc.bulk`, and by COPY into a
temporary table, since COPY into a table under row-level security is refused; from there one statement for
each kind of row. So memory stays flat, and a fee costs microseconds.
"""

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from io import StringIO
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from allocation.models import Interval, Investment
from allocation.services import UnitBook, interval_progress
from allocation.services.series import require_transaction
from brokers.scope import current_broker_id
from fees.calc.bulk import Due, Ended, IntervalEnd, IntervalEndOfMany, Pool, Stake, decimal_text
from fees.calc.explanation import kept_text
from fees.calc.kinds import FeeKind
from fees.calc.terms import FeeTerms
from fees.models import Charge
from fees.queries import Moment, pool_balance, return_between
from fees.recipients import Recipients
from money.exact import decimal_of
from money.rounding import CARRIED_PLACES, MARK_PLACES, UNIT_PLACES, rounded_accumulator

CHUNK = 10_000
"""Investments held in memory at a time."""

_STAKES = """
    SELECT id, interval_id, joined_id, units::text, lowest_units::text, lowest_units_number,
           high_water_mark::text, performance_carried::text, value_days_put_aside::text,
           value_days_checkpoint::text, lots_put_aside::text, lots_checkpoint::text,
           subscription_checkpoint::text, subscription_number, carried::text, debts::text, shared::text,
           agents::text
    FROM allocation_investment
    WHERE broker_id = %s AND interval_id = ANY(%s) AND state = 'active' AND accepted_terms_id IS NULL
      AND id <> ALL(%s)
"""
# Unsorted: for the first row of an order by key the planner would read the investments of all others.

_TABLE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS fees_crystallised (
        account_id bigint, investment_id bigint, kind text, collects_debt boolean, amount numeric,
        uncollected numeric, profit numeric, mark_before numeric, mark_after numeric, carried_before numeric,
        carried_after numeric, explanation jsonb, redeemed numeric, broker_part numeric,
        manager_part numeric, agents uuid[], agent_parts numeric[],
        charged numeric, units numeric, lowest_units numeric, lowest_units_number integer,
        high_water_mark numeric, performance_carried numeric, value_days_put_aside numeric,
        value_days_checkpoint numeric, lots_put_aside numeric, lots_checkpoint numeric,
        subscription_checkpoint numeric, subscription_number integer, carried jsonb, debts jsonb,
        shared jsonb, charge_id bigint DEFAULT nextval('fees_charge_id_seq')
    ) ON COMMIT DELETE ROWS
"""
_COLUMNS = """
    account_id, investment_id, kind, collects_debt, amount, uncollected, profit, mark_before, mark_after,
    carried_before, carried_after, explanation, redeemed, broker_part, manager_part, agents, agent_parts,
    charged, units, lowest_units, lowest_units_number, high_water_mark, performance_carried,
    value_days_put_aside, value_days_checkpoint, lots_put_aside, lots_checkpoint, subscription_checkpoint,
    subscription_number, carried, debts, shared
"""
_ACCOUNTS = """
    unnest(%(accounts)s::bigint[], %(points)s::bigint[], %(moments)s::timestamptz[], %(currencies)s::text[],
           %(digits)s::smallint[], %(managers)s::uuid[])
        AS at (account_id, price_point_id, priced_at, currency, digits, manager)
"""
"""What the charges of each account have in common."""
_CHARGES = f"""
    INSERT INTO fees_charge (id, broker_id, public_id, account_id, investment_id, price_point_id, kind,
        occasion, collects_debt, amount, uncollected, currency, currency_digits, profit, mark_before,
        mark_after, carried_before, carried_after, explanation, charged_at)
    SELECT charge_id, %(broker)s, uuidv7(), account_id, investment_id, price_point_id, kind, %(occasion)s,
        collects_debt, amount, uncollected, currency, digits, profit, mark_before, mark_after,
        carried_before, carried_after, explanation, priced_at
    FROM pg_temp.fees_crystallised JOIN {_ACCOUNTS} USING (account_id)
    WHERE kind IS NOT NULL
"""  # noqa: S608 - our own columns
_PARTS = f"""
    INSERT INTO fees_chargepart (broker_id, charge_id, account_id, price_point_id, party, level, payee,
        amount, currency, currency_digits)
    SELECT %(broker)s, charge_id, account_id, price_point_id, part.party, part.level, part.payee,
        part.amount, currency, digits
    FROM pg_temp.fees_crystallised JOIN {_ACCOUNTS} USING (account_id)
    CROSS JOIN LATERAL (
        SELECT 'broker' AS party, 0 AS level, %(broker_payee)s AS payee, broker_part AS amount
        UNION ALL
        SELECT 'agent', agent.level, agent.payee, agent.amount
        FROM unnest(agents, agent_parts) WITH ORDINALITY AS agent (payee, amount, level)
        UNION ALL
        SELECT 'manager', 0, manager, manager_part
    ) part
    WHERE part.amount > 0
"""  # noqa: S608 - our own columns
_ENTRIES = f"""
    INSERT INTO allocation_unitentry (broker_id, public_id, account_id, investment_id, price_point_id, kind,
        units, amount, currency_digits, source, recorded_at)
    SELECT %(broker)s, uuidv7(), account_id, investment_id, price_point_id, kind || '_fee', -redeemed,
        -amount, digits, NULL, %(now)s
    FROM pg_temp.fees_crystallised JOIN {_ACCOUNTS} USING (account_id)
    WHERE amount > 0
"""  # noqa: S608 - our own columns
_STATES = """
    UPDATE allocation_investment investment SET
        fees_paid = investment.fees_paid + ended.charged, units = ended.units,
        lowest_units = ended.lowest_units, lowest_units_number = ended.lowest_units_number,
        high_water_mark = ended.high_water_mark, performance_carried = ended.performance_carried,
        value_days_put_aside = ended.value_days_put_aside,
        value_days_checkpoint = ended.value_days_checkpoint, lots_put_aside = ended.lots_put_aside,
        lots_checkpoint = ended.lots_checkpoint, subscription_checkpoint = ended.subscription_checkpoint,
        subscription_number = ended.subscription_number, carried = ended.carried, debts = ended.debts,
        shared = ended.shared
    FROM pg_temp.fees_crystallised ended
    WHERE ended.units IS NOT NULL AND investment.broker_id = %(broker)s
      AND investment.id = ended.investment_id
"""
_NO_STATE = "\t".join([r"\N"] * 15)
_NO_CHARGE = "\t".join([r"\N"] * 15)
_NO_PARTS = "\t".join(["0", "0", r"\N", r"\N"])


@dataclass
class BulkSums:
    """What the fees of one account come to: its own figures move on by them. Scaled like `fees.calc.bulk`."""

    charges: int = 0
    units: int = 0
    to_broker: int = 0
    to_manager: int = 0
    to_agents: dict[str, int] = field(default_factory=dict)

    def add(self, units: int, parts: tuple[int, ...], agents: tuple[str, ...]) -> None:
        """One charge; `parts` as of `fees.calc.bulk.Charged`."""
        self.charges += 1
        self.units += units
        if parts:
            self.to_broker += parts[0]
            self.to_manager += parts[-1]
            for agent, part in zip(agents, parts[1:-1], strict=False):
                self.to_agents[agent] = self.to_agents.get(agent, 0) + part

    def by_payee(self, recipients: Recipients, digits: int) -> dict[uuid.UUID, Decimal]:
        """What each party receives, where it is anything."""
        sums = {uuid.UUID(agent): part for agent, part in self.to_agents.items()}
        for payee, part in ((recipients.broker, self.to_broker), (recipients.manager, self.to_manager)):
            sums[payee] = sums.get(payee, 0) + part
        return {payee: decimal_of(part, digits) for payee, part in sums.items() if part}


@dataclass(frozen=True, slots=True)
class Ending:
    """An interval of an account that ends: its investments' rule, and where their fees are summed."""

    account_id: int
    digits: int
    rule: IntervalEndOfMany
    sums: BulkSums


def crystallise_at_once(
    accounts: Sequence[tuple[UnitBook, Recipients]],
    ending: Mapping[int, Ending],
    excluding: Collection[int],
) -> None:
    """All fees due of the investments of the intervals (keys) that are `ending`, except those `excluding`
    (keys) names and those whose owners have accepted newer terms.

    Written at once, in the caller's transaction, and summed up in each `Ending.sums`: the accounts' own
    figures are the caller's.
    """
    require_transaction()
    parameters = _parameters(accounts)
    with connection.chunked_cursor() as rows, connection.cursor() as cursor:
        cursor.execute(_TABLE)
        rows.execute(_STAKES, [current_broker_id(), list(ending), list(excluding)])
        while chunk := rows.fetchmany(CHUNK):
            lines = "".join([line for row in sorted(chunk) for line in _lines(ending[row[1]], row)])
            if lines:
                _write(cursor, lines, parameters)


def yields_since_joining(
    intervals: Sequence[Interval], moments: Mapping[int, Moment]
) -> dict[int, dict[int, Decimal]]:
    """By interval, the return since each rollover at which one of its investments joined, where that was
    after its beginning; `moments` by account. One statement, none without intervals.
    """
    yields: dict[int, dict[int, Decimal]] = {interval.pk: {} for interval in intervals}
    if not intervals:
        return yields
    opened = {interval.pk: interval.opening.sequence for interval in intervals}
    joined = (
        Investment.objects.filter(interval__in=intervals, state=Investment.State.ACTIVE)
        .order_by()
        .values_list("interval_id", "account_id", "joined_id", "joined__sequence")
        .annotate(equity=F("joined__price_equity"), units=F("joined__price_units"))
        .distinct()
    )
    for interval, account, point, sequence, equity, units in joined:
        if sequence is not None and sequence > opened[interval]:
            yields[interval][point] = return_between(equity, units, moments[account].price)
    return yields


def interval_end_of(
    moment: Moment, interval: Interval, terms: FeeTerms, joined_yields: Mapping[int, Decimal]
) -> IntervalEnd:
    """What the investments of an interval have in common where it ends. Without a query."""
    point, opening = moment.point, interval.opening
    return IntervalEnd(
        terms=terms,
        price=moment.price,
        digits=moment.digits,
        rollover=moment.sequence,
        number=interval.number,
        passed=rounded_accumulator(interval_progress(interval, moment.at, moment.flow_sequence)),
        value_days=moment.value_days,
        lots_per_unit=moment.lots_per_unit,
        opened_yield=return_between(opening.price_equity, opening.price_units, moment.price),
        joined_yields=joined_yields,
        pool=None if point is None else Pool(pool_balance(point), point.units, point.equity),
    )


def _lines(ending: Ending, row: tuple[Any, ...]) -> Iterator[str]:
    """What COPY reads of one investment: a line for each of its charges, its new state in the last."""
    (
        pk, _, joined, units, lowest, lowest_number, mark, performance_carried, days, days_from, lots,
        lots_from, paid, paid_number, carried, debts, shared, agents_text,
    ) = row  # fmt: skip
    agents = _agents(agents_text)
    stake = Stake(
        joined, _scaled(units), _scaled(lowest), lowest_number, _scaled(mark), _scaled(performance_carried),
        _scaled(days), _scaled(days_from), _scaled(lots), _scaled(lots_from), _scaled(paid), paid_number,
        carried, debts, shared, len(agents),
    )  # fmt: skip
    ended = ending.rule(stake)
    if ended is None:
        return
    keys, state = f"{ending.account_id}\t{pk}", _state(ended, ending.digits)
    last = len(ended.fees) - 1
    if last < 0:
        yield f"{keys}\t{_NO_CHARGE}\t{state}\n"
    for at, (due, redeemed, parts) in enumerate(ended.fees):
        ending.sums.add(redeemed, parts, agents)
        charge = _charge(due, redeemed, parts, agents, ending.digits)
        yield f"{keys}\t{charge}\t{state if at == last else _NO_STATE}\n"


def _charge(due: Due, redeemed: int, parts: tuple[int, ...], agents: tuple[str, ...], digits: int) -> str:
    kind, collects_debt, amount, uncollected, profit, mark, mark_after, carried, carried_after, inputs = due
    received = _NO_PARTS
    if parts:
        payees = amounts = r"\N"
        of_agents = parts[1:-1]
        if of_agents:
            payees = f"{{{','.join(agents[: len(of_agents)])}}}"
            amounts = f"{{{','.join([_text(part, digits) for part in of_agents])}}}"
        received = f"{_text(parts[0], digits)}\t{_text(parts[-1], digits)}\t{payees}\t{amounts}"
    return (
        f"{kind.value}\t{collects_debt}\t{_text(amount, digits)}\t{_text(uncollected, digits)}"
        f"\t{_text(profit, MARK_PLACES)}\t{_text(mark, MARK_PLACES)}\t{_text(mark_after, MARK_PLACES)}"
        f"\t{_text(carried, CARRIED_PLACES)}\t{_text(carried_after, CARRIED_PLACES)}"
        f"\t{_kept_head(kind, collects_debt, digits)}{inputs}}}\t{_text(redeemed, UNIT_PLACES)}\t{received}"
    )


def _state(ended: Ended, digits: int) -> str:
    (
        _, charged, units, lowest, lowest_number, mark, performance_carried, days, days_from, lots, lots_from,
        paid, paid_number, carried, debts, shared,
    ) = ended  # fmt: skip
    return (
        f"{_text(charged, digits)}\t{_text(units, UNIT_PLACES)}\t{_text(lowest, UNIT_PLACES)}"
        f"\t{lowest_number}\t{_text(mark, MARK_PLACES)}\t{_text(performance_carried, CARRIED_PLACES)}"
        f"\t{_text(days, CARRIED_PLACES)}\t{_text(days_from, CARRIED_PLACES)}"
        f"\t{_text(lots, CARRIED_PLACES)}\t{_text(lots_from, CARRIED_PLACES)}"
        f"\t{_text(paid, CARRIED_PLACES)}\t{paid_number}\t{carried}\t{debts}\t{shared}"
    )


def _parameters(accounts: Sequence[tuple[UnitBook, Recipients]]) -> dict[str, Any]:
    books = [book for book, _ in accounts]
    return {
        "broker": current_broker_id(),
        "broker_payee": accounts[0][1].broker,
        "occasion": Charge.Occasion.INTERVAL_END,
        "now": timezone.now(),
        "accounts": [book.account.pk for book in books],
        "points": [book.point.pk for book in books],
        "moments": [book.point.priced_at for book in books],
        "currencies": [book.account.currency for book in books],
        "digits": [book.digits for book in books],
        "managers": [recipients.manager for _, recipients in accounts],
    }


def _write(cursor: Any, lines: str, parameters: Mapping[str, Any]) -> None:
    cursor.copy_expert(f"COPY pg_temp.fees_crystallised ({_COLUMNS}) FROM STDIN", StringIO(lines))
    for statement in (_CHARGES, _PARTS, _ENTRIES, _STATES):
        cursor.execute(statement, parameters)
    cursor.execute("TRUNCATE pg_temp.fees_crystallised")


@lru_cache(maxsize=4096)
def _agents(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _text(scaled: int, places: int) -> str:
    """A decimal as COPY reads it; the column knows its places."""
    return decimal_text(scaled, places) if scaled else "0"


def _scaled(text: str) -> int:
    """A stored decimal in units of its last place."""
    return int(text.replace(".", "", 1))


@lru_cache(maxsize=64)
def _kept_head(kind: FeeKind, collects_debt: bool, digits: int) -> str:
    return kept_text(kind, collects_debt=collects_debt, digits=digits)
