"""Loading the demo: the books agree on both sides, rollovers go on, and nothing is ever left half."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Sum

from accounts.models import Agent, HouseAccount, PammAccount, PersonalAccount
from allocation.calc.units import residual, values
from allocation.models import Interval, Investment, PricePoint
from allocation.services import last_price
from brokers.models import Broker, HostName
from brokers.scope import broker_scope
from demo.errors import DemoNotLoadable
from demo.scenario import BROKERS, TRADING_PASSWORD
from demo.services import Addresses, load_demo
from fees.models import Charge, ChargePart
from investing.models import Request
from ledger.models import LedgerAccount
from ledger.queries import balances
from money.exact import exact_sum
from offers.models import Offer
from rollover.models import CountedDeal, Rollover, Schedule
from rollover.queries import allocation_audit
from rollover.services import dispatch_due_rollovers, roll_over
from rollover.verification import verify_account, verify_ledger, verify_with_server
from tests.databases import REPOSITORY
from tests.demo.conftest import Loader, broker_ids
from tests.simulator import SimulatorProcess
from tests.worlds import as_owner, broker_called
from track_record.models import AccountStatistics
from trading.gateways import gateway_for
from trading.simulator.catalogue import GROUPS
from trading.simulator.store import FILE_NAME
from transfers.models import Leg, Transfer
from transfers.queries import held_fees

Kind = LedgerAccount.Kind
END = datetime(2026, 11, 2, 10, tzinfo=UTC)


def test_loaded_past_agrees_with_the_ledger_the_server_and_its_audits(loader: Loader) -> None:
    assert loader.load(days=40, until=END)
    server = _balances_at_server(loader.folder)
    for broker_id in broker_ids().values():
        with broker_scope(broker_id):
            for account in PammAccount.objects.all():
                _require_pool_agrees(account, server)
            _require_personal_accounts_agree(server)
            _require_only_fees_without_an_account_wait()
            _require_fees_were_charged()
            _require_audits_hold()
            _require_books_verify()
            _require_variety()
    with broker_scope(broker_ids()["alpha.localhost"]):
        assert Offer.objects.filter(visibility=Offer.Visibility.LINK).exists()
        waiting = {(fee.payee, fee.currency) for fee in held_fees()}
        assert waiting == {(Agent.objects.get(parent=None).public_id, "JPY")}


def test_loaded_history_is_hourly_and_flat_while_markets_are_closed(loader: Loader) -> None:
    loader.load(days=10, until=END)
    with broker_scope(broker_ids()["alpha.localhost"]):
        points = PricePoint.objects.filter(account=PammAccount.objects.earliest("id")).order_by("sequence")
        moments = [point.priced_at for point in points]
        assert len(moments) == 10 * 24 + 1
        assert {(after - before).total_seconds() for before, after in itertools.pairwise(moments)} == {3600}
        weekend = points.filter(
            priced_at__gt=datetime(2026, 10, 31, tzinfo=UTC),
            priced_at__lt=datetime(2026, 11, 1, 20, tzinfo=UTC),
        )
        assert {point.trading_result for point in weekend} == {Decimal(0)}
        assert not CountedDeal.objects.filter(
            part=CountedDeal.Part.RESULT, price_point__in=[point.pk for point in weekend]
        ).exists()
        assert points.filter(moves_money=False).count() == 10  # the server's day changes
        assert AccountStatistics.objects.count() == PammAccount.objects.count()


def test_loaded_accounts_roll_over_without_a_hold(loader: Loader) -> None:
    # The schedule goes on a minute after the past ends: it must be over.
    loader.load(until=datetime.now(UTC) - timedelta(hours=1))
    simulator = SimulatorProcess(loader.folder, "--manager-logins", "1000,1001,1002").start()
    try:
        # What the launcher does when a port was taken: the second load changes the addresses only.
        assert not loader.load(DEMO_TRADING_PORT=simulator.port)
        for broker_id in broker_ids().values():
            with broker_scope(broker_id):
                _require_lots_are_the_servers()
                _roll_everything_over()
                _require_books_verify(with_server=True)
    finally:
        simulator.stop()


def test_second_load_keeps_the_figures_and_renews_the_addresses(loader: Loader) -> None:
    loader.load(days=3, DEMO_ALPHA_PORT=8001, DEMO_BETA_PORT=8002, DEMO_TRADING_PORT=8443)
    before = _everything_counted()
    assert not loader.load(days=3, DEMO_ALPHA_PORT=8011, DEMO_BETA_PORT=8002, DEMO_TRADING_PORT=8444)
    hosts = set(HostName.objects.values_list("host", flat=True))
    assert hosts == {"alpha.localhost", "127.0.0.1:8011", "beta.localhost", "127.0.0.1:8002"}
    assert _everything_counted() == before
    for broker_id in broker_ids().values():
        with broker_scope(broker_id):
            assert {account.server.port for account in PammAccount.objects.select_related("server")} == {8444}


def test_database_with_another_broker_takes_no_demo(loader: Loader) -> None:
    broker_called("gamma")
    with pytest.raises(DemoNotLoadable, match="gamma"):
        loader.load(days=3)
    assert not loader.folder.exists()


def test_books_of_another_server_are_left_alone(loader: Loader) -> None:
    loader.folder.mkdir()
    (loader.folder / FILE_NAME).write_text("somebody's")
    with pytest.raises(DemoNotLoadable, match="another trading server"):
        loader.load(days=3)
    assert (loader.folder / FILE_NAME).read_text() == "somebody's"
    assert not HostName.objects.exists()


def test_database_without_its_servers_books_is_told_apart(loader: Loader, tmp_path: Path) -> None:
    loader.load(days=3)
    with pytest.raises(DemoNotLoadable, match="demo-reset"):
        load_demo(Addresses(tmp_path / "elsewhere", {}), days=3, say=loader.said.append)


@pytest.mark.parametrize("said", ["Momentum Global", "deals into", "Beta Capital Brokers: track"])
def test_load_that_was_killed_leaves_nothing_and_the_next_one_loads(loader: Loader, said: str) -> None:
    command = [sys.executable, "manage.py", "load_demo", "--days", "5"]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "pamm_platform.settings.demo",
        "SIMULATOR_FOLDER": str(loader.folder),
    }
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if said in line:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    assert not HostName.objects.exists()
    assert loader.load(days=3)
    assert set(_balances_at_server(loader.folder))


def test_books_in_place_beside_an_empty_database_are_made_anew(loader: Loader, tmp_path: Path) -> None:
    # Killed between putting the books in place and the commit: the database has nothing of it.
    loader.load(days=3)
    loader.folder.rename(tmp_path / "kept")
    _forget_everything()
    (tmp_path / "kept").rename(loader.folder)
    assert loader.load(days=4)
    with broker_scope(broker_ids()["alpha.localhost"]):
        account = PammAccount.objects.earliest("id")
        assert account.sequence == 4 * 24 + 1
        assert _balances_at_server(loader.folder)[account.login or 0] == account.last_balance


def test_loaded_people_sign_in_with_the_password_that_is_printed(loader: Loader) -> None:
    loader.load(days=3)
    simulator = SimulatorProcess(loader.folder, "--manager-logins", "1000,1001,1002").start()
    try:
        loader.load(DEMO_TRADING_PORT=simulator.port)
        with broker_scope(broker_ids()["beta.localhost"]):
            personal = PersonalAccount.objects.select_related("server").earliest("id")
            assert gateway_for(personal.server).check_password(personal.login, TRADING_PASSWORD)
    finally:
        simulator.stop()


def _require_pool_agrees(account: PammAccount, server: dict[int, Decimal]) -> None:
    uncounted = exact_sum(
        Leg.objects.filter(login=account.login or 0, counted=False, state=Leg.State.APPLIED).values_list(
            "amount", flat=True
        )
    )
    cash = balances(Kind.PAMM_CASH, [account.public_id])[account.public_id, account.currency]
    assert server[account.login or 0] == account.last_balance + uncounted == cash == account.last_equity
    held = list(Investment.objects.filter(account=account).values_list("units", flat=True))
    assert exact_sum(held) == account.units
    worth = values(held, last_price(account), account.currency_digits)
    most = Decimal(len(held)) / 2 / 10**account.currency_digits
    assert abs(residual(account.last_equity, worth)) <= most
    assert balances(Kind.POOL_CLAIM, [account.public_id])[account.public_id, account.currency] == -cash


def _require_personal_accounts_agree(server: dict[int, Decimal]) -> None:
    """What stands there now is what stood there first, and what we moved since."""
    accounts = list(PersonalAccount.objects.all())
    moved = balances(Kind.PERSONAL_CASH, [account.public_id for account in accounts])
    claims = balances(Kind.CLIENT_CLAIM, [account.public_id for account in accounts])
    assert moved
    for account in accounts:
        ours = moved.get((account.public_id, account.currency), Decimal(0))
        legs = Leg.objects.filter(login=account.login, state=Leg.State.APPLIED).values_list(
            "amount", flat=True
        )
        assert ours == exact_sum(legs) == -claims.get((account.public_id, account.currency), Decimal(0))
        assert server[account.login] > 0
    assert all(server[house.login] > 0 for house in HouseAccount.objects.all())


def _require_only_fees_without_an_account_wait() -> None:
    waiting: dict[tuple[uuid.UUID | None, str], list[Decimal]] = {}
    for fee in held_fees():
        waiting.setdefault((fee.payee, fee.currency), []).append(-fee.amount)
    payable = _balances_other_than_zero(Kind.PAYABLE)
    assert payable == {key: exact_sum(amounts) for key, amounts in waiting.items()}
    in_transit = _balances_other_than_zero(Kind.IN_TRANSIT)
    assert exact_sum((*in_transit.values(), *payable.values())) == 0


def _balances_other_than_zero(kind: Kind) -> dict[tuple[uuid.UUID, str], Decimal]:
    subjects = set(LedgerAccount.objects.filter(kind=kind).values_list("subject", flat=True))
    found = balances(kind, subjects)
    assert found
    return {key: amount for key, amount in found.items() if amount}


def _require_fees_were_charged() -> None:
    """At the month's end that lies in the past, and none is overdue."""
    charged = Charge.objects.filter(occasion=Charge.Occasion.INTERVAL_END, amount__gt=0)
    assert {"management", "subscription", "volume", "performance"} == {
        *charged.values_list("kind", flat=True)
    }
    assert {*ChargePart.objects.values_list("party", "level")} == {
        ("broker", 0),
        ("agent", 1),
        ("agent", 2),
        ("manager", 0),
    }
    assert not Interval.objects.filter(ends_at__lte=END).exists()


def _require_audits_hold() -> None:
    busy = Rollover.objects.filter(price_point__unit_entries__isnull=False).distinct()
    assert busy.count() > 30
    for rollover in busy.select_related("account", "price_point"):
        audit = allocation_audit(rollover)
        assert audit.holds, (rollover.account.name, rollover.scheduled_for, audit.checks)


def _require_books_verify(*, with_server: bool = False) -> None:
    differences = verify_ledger()
    for key in PammAccount.objects.values_list("pk", flat=True):
        differences += verify_account(key).differences
        differences += verify_with_server(key) if with_server else []
    assert not differences, "\n".join(map(str, differences))


def _require_variety() -> None:
    assert 4 <= PammAccount.objects.count() <= 6
    assert set(PammAccount.objects.values_list("currency", flat=True)) == {"USD", "EUR", "JPY"}
    assert Investment.objects.filter(state=Investment.State.ACTIVE).count() > 40
    assert Request.objects.filter(state=Request.State.PENDING).exists()
    executed = Request.objects.filter(state=Request.State.EXECUTED)
    assert set(executed.values_list("kind", flat=True)) == set(Request.Kind.values)
    assert Schedule.objects.get().every_minutes == 1


def _roll_everything_over() -> None:
    Broker.objects.update(quiet_minutes=0)
    waiting = list(Request.objects.filter(state=Request.State.CONFIRMED).values_list("pk", flat=True))
    assert waiting
    for keys in dispatch_due_rollovers():
        roll_over(keys)
    newest = {rollover.account_id: rollover for rollover in Rollover.objects.order_by("scheduled_for")}
    accounts = list(PammAccount.objects.all())
    for account in accounts:
        assert not account.is_held, account.hold_details
        assert account.sequence == 10 * 24 + 2
        assert newest[account.pk].state == Rollover.State.COMPLETED
        assert allocation_audit(newest[account.pk]).holds
    assert set(Request.objects.filter(pk__in=waiting).values_list("state", flat=True)) == {
        Request.State.EXECUTED
    }
    assert set(Transfer.objects.exclude(state=Transfer.State.COMPLETED)) == set(held_fees())
    states = gateway_for(accounts[0].server).account_states([account.login or 0 for account in accounts])
    cash = balances(Kind.PAMM_CASH, [account.public_id for account in accounts])
    for account in accounts:
        assert states[account.login or 0].balance == cash[account.public_id, account.currency]


def _require_lots_are_the_servers() -> None:
    accounts = {account.login or 0: account for account in PammAccount.objects.select_related("server")}
    server = next(iter(accounts.values())).server
    since = END - timedelta(days=365)
    deals = gateway_for(server).deals(accounts, since, datetime.now(UTC) + timedelta(days=1))
    for login, account in accounts.items():
        lots = account.price_points.aggregate(lots=Sum("closed_lots"))["lots"]
        assert lots == exact_sum(deal.closed_lots for deal in deals[login]) > 0


def _balances_at_server(folder: Path) -> dict[int, Decimal]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as books:
        rows = books.execute('SELECT login, "group", balance FROM account').fetchall()
    return {login: Decimal(balance).scaleb(-GROUPS[group].digits) for login, group, balance in rows}


def _everything_counted() -> dict[str, int]:
    with as_owner() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'brokers_hostname'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        counts = {}
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")
            counts[table] = cursor.fetchone()[0]
    assert counts["allocation_pricepoint"] == sum(len(plan.accounts) for plan in BROKERS) * (3 * 24 + 1)
    return counts


def _forget_everything() -> None:
    """What a transaction that never committed leaves: no row of any broker."""
    connection.close()
    with as_owner() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE '%\\_%'"
        )
        tables = [
            name
            for (name,) in cursor.fetchall()
            if not name.startswith(("django_migrations", "django_content"))
        ]
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"TRUNCATE {', '.join(tables)}")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
