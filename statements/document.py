"""A statement as a document: written figures in tables, in the active language, for the page layout of a PDF.

Nothing is computed here. Everything is text; the layout decides how it looks (`statement.typ`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from brokers.brand import logo_of, shades_of
from brokers.models import BrandImage, Broker
from fees.calc.kinds import FeeKind
from fees.explanations import fees_by_kind
from pamm_platform.templatetags.figures import amount, money, signed_amount, signed_money
from statements.models import StatementKind
from statements.queries import (
    AgentLine,
    InvestorLine,
    InvestorStatement,
    Line,
    ManagerLine,
    ManagerStatement,
    Statement,
)
from statements.queries.agent import EarnedRow
from statements.queries.investor import CurrencyTotal, InvestmentRow
from statements.queries.manager import SplitRow
from statements.queries.receipts import CurrencyReceipts
from statements.words import moment_in_words, period_in_words

MOST_LINES = 5000
"""More would be hundreds of sheets: then the file has the sums alone, and says where the lines are."""
Cells = Sequence[str]
"""One row. A cell's second line, after a line feed, is a remark."""


@dataclass(frozen=True, slots=True)
class Column:
    """`share` of the width that is left, 0 for as much as its text takes."""

    label: str
    is_figure: bool = False
    share: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Its header is repeated on every page."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Cells]
    totals: Sequence[Cells] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a sum; `sign` stands before it."""

    sign: str
    label: str
    figure: str


@dataclass(frozen=True, slots=True)
class Sum:
    """What a currency comes to: a figure in large, the terms that lead to it, and what one of them is of."""

    heading: str
    figure: str
    currency: str
    terms: Sequence[Term]
    parts: Sequence[Cells] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """`logo` is a PNG or nothing, `colour` the brand's own."""

    title: str
    broker: str
    colour: str
    logo: bytes
    person: str
    facts: Sequence[Cells]
    sums: Sequence[Sum]
    tables: Sequence[Table]
    nothing: str
    notes: Sequence[str]
    language: str
    page: str
    made: str


def document_of(statement: Statement, portions: Iterable[Sequence[Line]], broker: Broker) -> Document:
    """The whole statement with its lines, in the active language and time zone."""
    period = statement.period
    is_cut = statement.line_count > MOST_LINES
    lines = () if is_cut else chain.from_iterable(portions)
    user = statement.subject.user
    facts = [
        (_("Period"), period_in_words(period)),
        (_("Days begin at midnight in"), str(period.zone)),
        (_("For"), f"{user}\n{user.email}" if user.full_name else user.email),
    ]
    if isinstance(statement, InvestorStatement) and statement.as_of is not None:
        facts.append((_("Values at the rollover of"), moment_in_words(statement.as_of)))
    return Document(
        title=_TITLES[statement.subject.kind](),
        broker=broker.name,
        colour=shades_of(broker).fill,
        logo=_logo(broker),
        person=str(user),
        facts=facts,
        sums=_sums(statement),
        tables=[table for table in [*_tables(statement), _lines_table(statement, lines)] if table.rows],
        nothing=_("Nothing happened in this period.") if statement.is_empty else "",
        notes=[*_left_out(statement, is_cut=is_cut), *_notes(statement), *_about(broker)],
        language=get_language() or "en",
        # The layout fills in both numbers on each page.
        page=_("Page %(page)s of %(pages)s") % {"page": "{page}", "pages": "{pages}"},
        made=_("Made on %(moment)s") % {"moment": moment_in_words(timezone.now())},
    )


_TITLES = {
    StatementKind.INVESTOR: lambda: _("Statement"),
    StatementKind.MANAGER: lambda: _("Statement of income"),
    StatementKind.AGENT: lambda: _("Statement of income as an agent"),
}


def _logo(broker: Broker) -> bytes:
    """The broker's own, empty where there is none: then the platform's mark stands in the brand's colour."""
    if logo_of(broker) is None:
        return b""
    image = BrandImage.objects.filter(kind=BrandImage.Kind.LOGO).first()
    return b"" if image is None else bytes(image.content)


def _about(broker: Broker) -> list[str]:
    """The company, as below its e-mails."""
    return [" · ".join(line.strip() for line in broker.email_footer.splitlines() if line.strip())]


def _left_out(statement: Statement, *, is_cut: bool) -> list[str]:
    if not is_cut:
        return []
    told = _("The %(count)s lines of this period are too many for a PDF: they are in the CSV file.")
    return [told % {"count": number_format(statement.line_count, force_grouping=True)}]


def _notes(statement: Statement) -> list[str]:
    if isinstance(statement, InvestorStatement):
        return [
            _(
                "Values are units times price at the last rollover before either end of the period. Fees "
                "that have accrued since the last charge are not taken off them."
            ),
            _("Your capital is at risk. Past performance does not predict future returns."),
        ]
    return [_("Earned is what was credited when fees were charged; paid is what arrived.")]


def _sums(statement: Statement) -> list[Sum]:
    if isinstance(statement, InvestorStatement):
        return [_sum_of_total(total) for total in statement.totals]
    return [_sum_of_receipts(row) for row in statement.receipts]


def _sum_of_total(total: CurrencyTotal) -> Sum:
    turnover = total.turnover
    return Sum(
        heading=_("Profit in %(currency)s, after fees") % {"currency": total.currency},
        figure=signed_amount(turnover.profit, total),
        currency=total.currency,
        terms=[
            Term("", _("Value at the start"), amount(turnover.opening, total)),
            Term("+", _("Deposits"), amount(turnover.deposits, total)),
            Term("−", _("Withdrawals"), amount(turnover.withdrawals, total)),
            Term("+", _("Result of trading"), signed_amount(turnover.result, total)),
            Term("−", _("Fees"), amount(turnover.fee, total)),
            Term("=", _("Value at the end"), amount(turnover.closing, total)),
        ],
        parts=[
            (fee.title, money(fee.amount, total))
            for fee in fees_by_kind({FeeKind(kind): fee for kind, fee in turnover.fees.items()})
        ],
    )


def _sum_of_receipts(row: CurrencyReceipts) -> Sum:
    receipts = row.receipts
    return Sum(
        heading=_("Earned in %(currency)s") % {"currency": row.currency},
        figure=amount(receipts.earned, row),
        currency=row.currency,
        terms=[
            Term("", _("Owed at the start"), amount(receipts.owed_before, row)),
            Term("+", _("Earned"), amount(receipts.earned, row)),
            Term("−", _("Paid"), amount(receipts.paid, row)),
            Term("=", _("Owed at the end"), amount(receipts.owed_after, row)),
        ],
    )


def _tables(statement: Statement) -> list[Table]:
    if isinstance(statement, InvestorStatement):
        return [_investments(statement)]
    if isinstance(statement, ManagerStatement):
        return [
            _splits(_("Fees by kind"), _("Fee"), statement.by_kind, statement.totals),
            _splits(_("Fees by account"), _("Account"), statement.by_account, ()),
        ]
    return [
        _earned(_("By client"), _("Client"), statement.by_client),
        _earned(_("Through agents below"), _("Agent"), statement.by_agent),
        _earned(_("By kind of fee"), _("Fee"), statement.by_kind),
    ]


def _investments(statement: InvestorStatement) -> Table:
    return Table(
        title=_("Investments"),
        columns=[
            Column(_("Account"), share=1),
            *(
                Column(label, is_figure=True)
                for label in (
                    _("Start"), _("Deposits"), _("Withdrawals"), _("Result"), _("Fees"), _("End"),
                )
            ),
            Column("", is_figure=False),
        ],
        rows=[_investment(row) for row in statement.rows],
    )  # fmt: skip


def _investment(row: InvestmentRow) -> Cells:
    investment, turnover = row.investment, row.turnover
    offer = investment.terms.offer.name if investment.terms is not None else _("Own capital")
    return (
        f"{investment.account.name}\n{offer}",
        amount(turnover.opening, row),
        amount(turnover.deposits, row),
        amount(turnover.withdrawals, row),
        signed_amount(turnover.result, row),
        amount(turnover.fee, row),
        amount(turnover.closing, row),
        row.currency,
    )


def _splits(title: str, first: str, rows: Sequence[SplitRow], totals: Sequence[SplitRow]) -> Table:
    together = _("Together")
    return Table(
        title=title,
        columns=[
            Column(first, share=1),
            *(
                Column(label, is_figure=True)
                for label in (_("Charged"), _("Broker"), _("Agents"), _("Manager"))
            ),
            Column(""),
        ],
        rows=[_split(row.name, row) for row in rows],
        totals=[_split(together, row) for row in totals],
    )


def _split(name: str, row: SplitRow) -> Cells:
    split = row.split
    return (
        name,
        amount(split.charged, row),
        amount(split.broker, row),
        amount(split.agents, row),
        amount(split.manager, row),
        row.currency,
    )


def _earned(title: str, first: str, rows: Sequence[EarnedRow]) -> Table:
    return Table(
        title=title,
        columns=[
            Column(first, share=1),
            Column(_("Fees"), is_figure=True),
            Column(_("Earned"), is_figure=True),
        ],
        rows=[(_named(row), str(row.parts), money(row.amount, row)) for row in rows],
    )


def _named(row: EarnedRow) -> str:
    return f"{row.name}\n{_level(row.level)}" if row.level > 1 else row.name


def _level(level: int) -> str:
    return _("agent, level %(level)s") % {"level": level}


def _lines_table(statement: Statement, lines: Iterable[Line]) -> Table:
    date, account = Column(_("Date")), Column(_("Account"), share=3)
    if isinstance(statement, InvestorStatement):
        title = _("Deposits, withdrawals and fees")
        columns = [date, account, Column(_("What"), share=4), Column(_("Amount"), is_figure=True)]
    elif isinstance(statement, ManagerStatement):
        title = _("Charges")
        columns = [
            date,
            account,
            Column(_("Fee"), share=4),
            Column(_("Investor"), share=3),
            *(
                Column(label, is_figure=True)
                for label in (_("Charged"), _("Broker"), _("Agents"), _("Manager"))
            ),
        ]
    else:
        title = _("Parts of fees")
        columns = [
            date,
            account,
            Column(_("Fee"), share=4),
            Column(_("Through"), share=3),
            Column(_("Your part"), is_figure=True),
        ]
    return Table(title, columns, [_line(line) for line in lines])


def _line(line: Line) -> Cells:
    what = f"{line.title}\n{line.note}" if line.note else line.title
    if isinstance(line, InvestorLine):
        return moment_in_words(line.at), line.account.name, what, signed_money(line.amount, line)
    if isinstance(line, ManagerLine):
        return (
            moment_in_words(line.at),
            line.account_name,
            what,
            str(line.investor),
            amount(line.split.charged, line),
            amount(line.split.broker, line),
            amount(line.split.agents, line),
            money(line.split.manager, line),
        )
    return moment_in_words(line.at), line.account_name, what, _through(line), money(line.amount, line)


def _through(line: AgentLine) -> str:
    return f"{line.through}\n{_level(line.level)}" if line.level > 1 else line.through
