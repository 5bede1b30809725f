"""Statements of everybody in the demo beside the ledger: every total, to the minor unit."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db.models import Q

from accounts.models import Agent, Manager, PammAccount, PersonalAccount, User
from allocation.models import Investment
from allocation.services import last_price
from brokers.models import Broker
from brokers.scope import broker_scope
from fees.models import Charge
from ledger.models import LedgerAccount, Posting
from ledger.queries import LedgerTurnover, turnovers
from money.exact import exact_sum
from rollover.models import Rollover
from rollover.queries import allocation_audit
from statements.calc.period import Period
from statements.models import StatementKind
from statements.queries import (
    AgentStatement,
    InvestorLine,
    InvestorStatement,
    ManagerStatement,
    Subject,
    statement_of,
    zone_of,
)
from statements.queries.agent import all_agent_lines
from statements.queries.investor import all_investor_lines
from statements.queries.manager import all_manager_lines
from tests.demo.conftest import Loader, broker_ids
from tests.demo.conftest import loader as loader

Kind = LedgerAccount.Kind
UNTIL = datetime(2026, 11, 2, 10, tzinfo=UTC)
DAYS = 45
PERIODS = [
    (date(2026, 9, 1), date(2026, 11, 3)),  # all of it
    (date(2026, 10, 1), date(2026, 11, 1)),  # a month, with its end inside
    (date(2026, 10, 31), date(2026, 11, 2)),  # days around a change of the clocks and the month's end
]


def test_statement_of_everybody_in_the_demo_equals_the_ledger(loader: Loader) -> None:
    loader.load(days=DAYS, until=UNTIL)
    for broker_id in broker_ids().values():
        with broker_scope(broker_id):
            broker = Broker.objects.get()
            for first, end in PERIODS:
                _require_investors_agree(broker, first, end)
                _require_managers_agree(broker, first, end)
                _require_agents_agree(broker, first, end)
            _require_values_are_the_audits(broker)


def _require_investors_agree(broker: Broker, first: date, end: date) -> None:
    """Deposits are what the client's claims were debited with; payments what became payable to him."""
    people = User.objects.filter(personal_accounts__isnull=False).distinct()
    seen: defaultdict[str, int] = defaultdict(int)
    for user in people:
        period = Period(first, end, zone_of(user, broker))
        statement = statement_of(Subject(StatementKind.INVESTOR, user), period)
        assert isinstance(statement, InvestorStatement)
        subjects = [account.public_id for account in PersonalAccount.objects.filter(user=user)]
        deposited, payable = (
            _by_currency(kind, subjects, period, positive)
            for kind, positive in ((Kind.CLIENT_CLAIM, True), (Kind.PAYABLE, False))
        )
        for total in statement.totals:
            turnover = total.turnover
            assert turnover.deposits == deposited.pop(total.currency, Decimal(0)), (user, total)
            assert turnover.withdrawals == -payable.pop(total.currency, Decimal(0)), (user, total)
            seen["flows"] += bool(turnover.deposits or turnover.withdrawals)
            seen["fees"] += bool(turnover.fee)
        assert not any(deposited.values()), (user, deposited)
        assert not any(payable.values()), (user, payable)
        _require_lines_sum_to_totals(statement)
        if first == PERIODS[0][0]:
            _require_the_whole_life(statement)
    assert seen["flows"] > 3
    assert seen["fees"] > 3 or end - first < timedelta(days=30)


def _by_currency(kind: Kind, subjects: list, period: Period, positive: bool) -> dict[str, Decimal]:  # type: ignore[type-arg]
    """What the rollovers themselves booked: their entries, without those of transfers that arrived."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    sign = Q(amount__gt=0) if positive else Q(amount__lt=0)
    postings = Posting.objects.filter(
        sign,
        account__kind=kind,
        account__subject__in=subjects,
        entry__kind="rollover",
        entry__occurred_at__gte=period.starts_at,
        entry__occurred_at__lt=period.ends_at,
    )
    for currency, amount in postings.values_list("account__currency", "amount"):
        sums[currency] += amount
    return dict(sums)


def _require_lines_sum_to_totals(statement: InvestorStatement) -> None:
    lines = [line for portion in all_investor_lines(statement) for line in portion]
    assert len(lines) == statement.line_count
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    for row in statement.rows:
        own = [
            line
            for line in lines
            if isinstance(line, InvestorLine) and line.investment.pk == row.investment.pk
        ]
        turnover = row.turnover
        changes = exact_sum(line.amount for line in own)
        assert exact_sum((turnover.opening, changes, turnover.result)) == turnover.closing
        assert exact_sum(-line.amount for line in own if line.is_fee) == turnover.fee


def _require_the_whole_life(statement: InvestorStatement) -> None:
    """From nothing to now: the sums that the investment itself keeps, and its value at the last price."""
    for row in statement.rows:
        investment = Investment.objects.select_related("account").get(pk=row.investment.pk)
        turnover = row.turnover
        assert turnover.opening == 0
        assert turnover.deposits == investment.paid_in
        assert turnover.withdrawals == investment.paid_out
        assert turnover.fee == investment.fees_paid
        price = last_price(investment.account)
        assert abs(turnover.closing - investment.units * price.equity / price.units) <= Decimal("0.5")


def _require_values_are_the_audits(broker: Broker) -> None:
    """Closing values of a pool's investors are the lines of the rollover's allocation audit, and with what
    rounding leaves over they are the pool's claim in the ledger.
    """
    period = Period(date(2026, 9, 1), date(2026, 11, 1), zone_of(User(time_zone=""), broker))
    values: defaultdict[int, dict[int, Decimal]] = defaultdict(dict)
    for user in User.objects.filter(investments__isnull=False).distinct():
        statement = statement_of(Subject(StatementKind.INVESTOR, user), period)
        assert isinstance(statement, InvestorStatement)
        for row in statement.rows:
            values[row.investment.account_id][row.investment.pk] = row.turnover.closing
    for account in PammAccount.objects.all():
        rollover = (
            Rollover.objects.filter(account=account, price_point__priced_at__lt=period.ends_at)
            .select_related("account", "price_point")
            .latest("price_point__priced_at")
        )
        audit = allocation_audit(rollover)
        worth = exact_sum(values[account.pk].values())
        ledger = turnovers(Kind.POOL_CLAIM, [account.public_id], period.starts_at, period.ends_at)
        pool = -ledger[account.public_id, account.currency].closing
        most = Decimal(len(values[account.pk])) / 2 / 10**account.currency_digits
        assert abs(pool - worth) <= most, account
        assert audit.holds


def _require_managers_agree(broker: Broker, first: date, end: date) -> None:
    for manager in Manager.objects.select_related("user"):
        subject = Subject(StatementKind.MANAGER, manager.user, manager=manager)
        period = Period(first, end, zone_of(manager.user, broker))
        statement = statement_of(subject, period)
        assert isinstance(statement, ManagerStatement)
        earned = {row.currency: row.split.manager for row in statement.totals if row.split.manager}
        _require_receipts_agree(statement, earned, subject, period)
        for rows in (statement.by_kind, statement.by_account):
            for total in statement.totals:
                of_currency = [row.split for row in rows if row.currency == total.currency]
                assert exact_sum(split.manager for split in of_currency) == total.split.manager
                assert exact_sum(split.charged for split in of_currency) == total.split.charged
        charged = Charge.objects.filter(
            account__manager=manager, charged_at__gte=period.starts_at, charged_at__lt=period.ends_at
        )
        lines = [line for portion in all_manager_lines(statement) for line in portion]
        for total in statement.totals:
            amounts = charged.filter(currency=total.currency).values_list("amount", flat=True)
            assert total.split.charged == exact_sum(amounts)
            own = [line.split for line in lines if line.currency == total.currency]
            assert exact_sum(split.manager for split in own) == total.split.manager
            assert exact_sum(split.broker for split in own) == total.split.broker
            assert exact_sum(split.agents for split in own) == total.split.agents


def _require_agents_agree(broker: Broker, first: date, end: date) -> None:
    for agent in Agent.objects.select_related("user"):
        subject = Subject(StatementKind.AGENT, agent.user, agent=agent)
        period = Period(first, end, zone_of(agent.user, broker))
        statement = statement_of(subject, period)
        assert isinstance(statement, AgentStatement)
        earned = {row.currency: row.amount for row in statement.totals}
        _require_receipts_agree(statement, earned, subject, period)
        for total in statement.totals:
            for rows in (statement.by_kind, [*statement.by_client, *statement.by_agent]):
                assert total.amount == exact_sum(row.amount for row in rows if row.currency == total.currency)
            lines = [line for portion in all_agent_lines(statement) for line in portion]
            assert total.amount == exact_sum(line.amount for line in lines if line.currency == total.currency)


def _require_receipts_agree(
    statement: ManagerStatement | AgentStatement, earned: dict[str, Decimal], subject: Subject, period: Period
) -> None:
    """What the parts of charges sum to is what the ledger credited; what it says is owed stands there."""
    ledger = turnovers(Kind.PAYABLE, [subject.payee], period.starts_at, period.ends_at)
    of_statement = {row.currency: row.receipts for row in statement.receipts}
    assert {currency: row.earned for currency, row in of_statement.items() if row.earned} == earned
    for (_, currency), row in ledger.items():
        if currency in of_statement:
            assert of_statement[currency].owed_after == -row.closing
            assert of_statement[currency].owed_before == -row.opening
        else:
            assert row == LedgerTurnover(row.currency_digits, Decimal(0), Decimal(0), Decimal(0))
