"""A statement as rows for programs: amounts with a point and no grouping, moments in UTC, stable codes.

Whatever the kind, one column adds up: the record that opens plus those that follow give the one that closes,
investment by investment or currency by currency.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from itertools import chain

from brokers.spreadsheets import harmless
from statements.queries import (
    AgentLine,
    AgentStatement,
    InvestorLine,
    InvestorStatement,
    Line,
    ManagerLine,
    ManagerStatement,
    Statement,
)
from statements.queries.investor import InvestmentRow
from statements.queries.receipts import CurrencyReceipts

INVESTOR_COLUMNS = (
    "record", "time", "account", "account_name", "investment", "kind", "amount", "currency", "charge",
)  # fmt: skip
MANAGER_COLUMNS = (
    "record", "time", "account", "account_name", "investor", "investment", "kind", "amount", "currency",
    "charged", "broker_part", "agents_part", "charge",
)  # fmt: skip
AGENT_COLUMNS = (
    "record", "time", "account", "account_name", "level", "through", "kind", "amount", "currency",
)  # fmt: skip
Row = Sequence[str]


def csv_of(statement: Statement, portions: Iterable[Sequence[Line]]) -> bytes:
    """The whole file; texts people chose are made harmless for spreadsheets."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(columns_of(statement))
    rows = (_opening(statement), map(_line, chain.from_iterable(portions)), _closing(statement))
    writer.writerows([harmless(cell) for cell in row] for row in chain.from_iterable(rows))
    return text.getvalue().encode()


def columns_of(statement: Statement) -> Sequence[str]:
    if isinstance(statement, InvestorStatement):
        return INVESTOR_COLUMNS
    return MANAGER_COLUMNS if isinstance(statement, ManagerStatement) else AGENT_COLUMNS


def _opening(statement: Statement) -> Iterator[Row]:
    at = statement.period.starts_at
    if isinstance(statement, InvestorStatement):
        yield from (_of_row(row, "opening", at, row.turnover.opening) for row in statement.rows)
    else:
        yield from (
            _of_receipts(statement, "owed_before", at, row, row.receipts.owed_before)
            for row in statement.receipts
        )


def _closing(statement: Statement) -> Iterator[Row]:
    at = statement.period.ends_at
    if isinstance(statement, InvestorStatement):
        for row in statement.rows:
            yield _of_row(row, "result", at, row.turnover.result)
            yield _of_row(row, "closing", at, row.turnover.closing)
    else:
        for receipts in statement.receipts:
            yield _of_receipts(statement, "paid", at, receipts, -receipts.receipts.paid)
            yield _of_receipts(statement, "owed_after", at, receipts, receipts.receipts.owed_after)


def _of_row(row: InvestmentRow, record: str, at: datetime, amount: Decimal) -> Row:
    account = row.investment.account
    return (
        record,
        _moment(at),
        str(account.login or ""),
        account.name,
        str(row.investment.public_id),
        "",
        _plain(amount, row.currency_digits),
        row.currency,
        "",
    )


def _of_receipts(
    statement: ManagerStatement | AgentStatement,
    record: str,
    at: datetime,
    row: CurrencyReceipts,
    amount: Decimal,
) -> Row:
    columns = columns_of(statement)
    cells = {
        "record": record,
        "time": _moment(at),
        "amount": _plain(amount, row.currency_digits),
        "currency": row.currency,
    }
    return [cells.get(column, "") for column in columns]


def _line(line: Line) -> Row:
    if isinstance(line, InvestorLine):
        return _of_investor(line)
    return _of_manager(line) if isinstance(line, ManagerLine) else _of_agent(line)


def _of_investor(line: InvestorLine) -> Row:
    return (
        "line",
        _moment(line.at),
        str(line.account.login or ""),
        line.account.name,
        str(line.investment.public_id),
        line.code,
        _plain(line.amount, line.currency_digits),
        line.currency,
        str(line.public_id) if line.is_fee else "",
    )


def _of_manager(line: ManagerLine) -> Row:
    return (
        "line",
        _moment(line.at),
        str(line.login or ""),
        line.account_name,
        str(line.investor),
        str(line.investment_id),
        line.code,
        _plain(line.split.manager, line.currency_digits),
        line.currency,
        _plain(line.split.charged, line.currency_digits),
        _plain(line.split.broker, line.currency_digits),
        _plain(line.split.agents, line.currency_digits),
        str(line.public_id),
    )


def _of_agent(line: AgentLine) -> Row:
    return (
        "line",
        _moment(line.at),
        str(line.login or ""),
        line.account_name,
        str(line.level),
        line.through,
        line.code,
        _plain(line.amount, line.currency_digits),
        line.currency,
    )


def _plain(amount: Decimal, digits: int) -> str:
    return format(amount, f".{digits}f")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
