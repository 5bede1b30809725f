"""What looks for due work finds it by an index, as the application role under row-level security.

Row-level security lets only leakproof operators use an index. Every statement of a rollover, of the
dispatcher and of the tending ticks is explained on tables that hold tens of thousands of finished rows: each
scan must begin at what it looks for, by a column besides the broker or in an index of open work only.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from investing.models import Stop
from investing.services import expire_requests, set_stops
from rollover.services import dispatch_due_rollovers, order_rollover, roll_over, settle_open_transfers
from tests.circle.world import Desk, terms
from tests.worlds import as_owner

PAST = 20_000
"""Finished rows put into each table, copies of one that a real rollover wrote."""

COPIES: dict[str, dict[str, str]] = {
    "allocation_pricepoint": {
        "sequence": "100000000 + g",
        "flow_sequence": "100000 + g",
        "priced_at": "t.priced_at - g * interval '1 hour'",
    },
    "allocation_interval": {
        "anchor_at": "t.anchor_at - g * interval '1 hour'",
        "ends_at": "now() + g * interval '1 hour'",
        "ends_after_sequence": "NULL",
    },
    "allocation_investment": {"state": "'closed'", "units": "0", "interval_id": "NULL"},
    "investing_request": {
        "state": "'executed'",
        "idempotency_key": "'past' || g",
        "collection_id": "NULL",
        "unit_entry_id": "NULL",
    },
    "investing_stop": {
        "state": "'removed'",
        "investment_id": "(SELECT max(id) FROM allocation_investment) - g + 1",
        "request_id": "NULL",
        "ended_at": "now()",
        "ended_after_sequence": "1",
    },
    "rollover_counteddeal": {
        "ticket": "1000000000 + g",
        "price_point_id": "(SELECT min(id) FROM allocation_pricepoint WHERE sequence > 100000000) + g - 1",
        "executed_at": "t.executed_at - interval '3 days' - g * interval '1 hour'",
    },
    "rollover_rollover": {
        "state": "'completed'",
        "scheduled_for": "t.scheduled_for - g * interval '1 hour'",
        "price_point_id": "NULL",
    },
    "transfers_transfer": {"state": "'completed'"},
}

OPEN_WORK_ONLY = {
    "investing_request_due",
    "rollover_rollover_one_running",
    "rollover_rollover_open",
    "transfers_leg_one_in_flight",
    "transfers_leg_open",
    "transfers_leg_uncounted",
    "transfers_leg_unlinked",
}


def test_due_work_is_found_by_an_index_under_row_level_security(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    offer = desk.offer(account, terms((None, "0.20")))
    investment = desk.invest(desk.client("bob", "1000"), offer, "500.00")
    # The second rollover counts the first one's deals.
    desk.roll(account)
    desk.roll(account)
    investment.refresh_from_db()
    amounts = {Stop.Kind.TAKE_PROFIT: Decimal("540.00")}
    set_stops(investment=investment, amounts=amounts, by=investment.owner)
    make_a_past()
    desk.withdraw(investment, "50.00")
    desk.bring_price_to(account, Decimal("1.10"))
    ordered = order_rollover(accounts=[PammAccount.objects.get(pk=account.pk)], by=desk.dealer)
    with CaptureQueriesContext(connection) as captured:
        dispatch_due_rollovers()
        roll_over([rollover.pk for rollover in ordered])
        settle_open_transfers()
        expire_requests()
    entered = set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("pamm_app",)
        # Copies of one row make joins that walk whole tables look cheap; asked is whether an index leads in.
        cursor.execute("SET enable_mergejoin = off; SET enable_hashjoin = off")
        for statement in captured:
            sql = statement["sql"]
            if sql.startswith(("SELECT", "UPDATE")) and any(table in sql for table in GROWING):
                cursor.execute("EXPLAIN (FORMAT JSON) " + sql)
                for node in scans(cursor.fetchall()[0][0]):
                    entered.add(node["Relation Name"])
                    assert is_selective(node), f"{node}\n{sql}"
        cursor.execute("RESET enable_mergejoin; RESET enable_hashjoin")
    assert entered == GROWING
    assert Stop.objects.exclude(state=Stop.State.REMOVED).get().state == Stop.State.REACHED


def test_stops_far_from_the_price_are_not_looked_at(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    investment = desk.invest(
        desk.client("bob", "1000"),
        desk.offer(account, terms((None, "0.20"), interval_unit="months")),
        "500.00",
    )
    desk.roll(account)
    investment.refresh_from_db()
    set_stops(
        investment=investment,
        amounts={Stop.Kind.STOP_LOSS: Decimal("100.00"), Stop.Kind.TAKE_PROFIT: Decimal("5000.00")},
        by=investment.owner,
    )
    with as_owner() as cursor:
        # As many investments of the account, each with both.
        for table, changes in (
            ("allocation_investment", {"units": "0"}),
            ("investing_stop", {"investment_id": "(SELECT max(id) FROM allocation_investment) - g + 1"}),
        ):
            cursor.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = %s AND column_name <> 'id' AND is_generated = 'NEVER'",
                [table],
            )
            columns = [name for (name,) in cursor.fetchall()]
            chosen = [
                changes.get(name, "uuidv7()" if name == "public_id" else f"t.{name}") for name in columns
            ]
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(chosen)}"
                f" FROM (SELECT * FROM {table} ORDER BY id DESC LIMIT 2) t, generate_series(1, {PAST}) g"
                + (" WHERE NOT t.is_own_capital" if table == "allocation_investment" else "")
            )
        cursor.execute("ANALYZE")
    desk.bring_price_to(account, Decimal("1.10"))
    with CaptureQueriesContext(connection) as captured:
        desk.roll(account)
    (search,) = [
        row["sql"] for row in captured if "unnest" in row["sql"] and "investing_stop s" in row["sql"]
    ]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + search)
        nodes = list(scans(cursor.fetchall()[0][0]))
    assert len(nodes) == 2
    for node in nodes:
        assert "price_key" in condition_of(node), node
        assert node["Actual Rows"] == 0


GROWING = {*COPIES, "transfers_leg"}


def make_a_past() -> None:
    """As the tables' owner: the application may write history, but not this much of it at once."""
    with as_owner() as cursor:
        for table, changes in COPIES.items():
            cursor.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = %s AND column_name <> 'id' AND is_generated = 'NEVER'",
                [table],
            )
            columns = [name for (name,) in cursor.fetchall()]
            chosen = [
                changes.get(name, "uuidv7()" if name == "public_id" else f"t.{name}") for name in columns
            ]
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(chosen)}"
                f" FROM (SELECT * FROM {table} ORDER BY id LIMIT 1) t, generate_series(1, {PAST}) g"
            )
        cursor.execute(
            "INSERT INTO transfers_leg (broker_id, transfer_id, position, server_id, login, side, owner,"
            " pool, amount, currency, currency_digits, key, state, attempts, lookups, ticket, counted,"
            " link_sequence, refusal_text)"
            " SELECT l.broker_id, t.id, 1, l.server_id, l.login, l.side, l.owner, l.pool, l.amount,"
            " l.currency, l.currency_digits, 'past' || t.id, 'applied', 1, 0, 1000000000 + t.id, true, 1, ''"
            " FROM (SELECT * FROM transfers_leg ORDER BY id LIMIT 1) l, transfers_transfer t"
            f" ORDER BY t.id DESC LIMIT {PAST}"
        )
        cursor.execute("ANALYZE")


def is_selective(node: dict[str, Any]) -> bool:
    beyond_broker = re.sub(r"\(?broker_id = [^)]+\)?", "", condition_of(node))
    return bool(re.search("[=<>]", beyond_broker)) or indexes_of(node) <= OPEN_WORK_ONLY


def condition_of(node: dict[str, Any]) -> str:
    """A bitmap's conditions stand on the index scans below it."""
    return " ".join([node.get("Index Cond", ""), *(condition_of(child) for child in node.get("Plans", []))])


def indexes_of(node: dict[str, Any]) -> set[str]:
    """Names of the indexes read; something that is no index where there is none."""
    below = [name for child in node.get("Plans", []) for name in indexes_of(child)]
    return {node["Index Name"]} if "Index Name" in node else set(below) or {"no index"}


def scans(plan: Any) -> Iterator[dict[str, Any]]:
    """Nodes that enter a growing table."""
    for item in plan if isinstance(plan, list) else [plan]:
        node = item.get("Plan", item)
        if node.get("Relation Name") in GROWING and node["Node Type"] != "ModifyTable":
            yield node
        else:
            for child in node.get("Plans", []):
                yield from scans(child)
