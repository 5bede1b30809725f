"""Every page of the back office: who sees it, what it may show, how often it asks the database."""

import csv
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Role, User
from allocation.models import UnitEntry
from brokers.models import Broker
from brokers.scope import broker_id_or_none, broker_scope
from fees.models import Charge
from investing.models import Request
from offers.models import Terms
from outbox.models import Event
from pamm_platform.admin_pages import change_url
from pamm_platform.admin_site import back_office
from rollover.models import Decision, Rollover, Schedule
from tests.back_office.conftest import signed_in
from tests.back_office.pools import Pool, pool_with_history
from tests.worlds import broker_called
from trading.models import TradingServer

LISTS = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in back_office._registry)
ADMIN_ONLY = {"trading_tradingserver"}


@pytest.fixture
def history(alpha: Broker) -> tuple[Pool, list[Rollover]]:
    pool, rollovers = pool_with_history()
    add_request(pool, 0)
    return pool, rollovers


def add_request(pool: Pool, number: int) -> Request:
    bob = pool.investments["bob"]
    request: Request = Request.objects.create(
        investment=bob,
        account=pool.account,
        kind=Request.Kind.DEPOSIT,
        amount=Decimal("500.00"),
        currency="USD",
        currency_digits=2,
        idempotency_key=f"key {number}",
        created_by=bob.owner,
    )
    return request


def text(response: Any) -> str:
    page: str = response.content.decode()
    return page


def test_lists_are_shown_to_staff_and_to_nobody_else(history: object, admin: Client, auditor: Client) -> None:
    customer, visitor = signed_in(Role.INVESTOR, Role.MANAGER), Client(HTTP_HOST="alpha.localhost")
    for name in LISTS:
        url = reverse(f"admin:{name}_changelist")
        assert admin.get(url).status_code == 200, name
        assert auditor.get(url).status_code == (403 if name in ADMIN_ONLY else 200), name
        assert customer.get(url, follow=True).status_code == 403, name
        assert visitor.get(url).status_code == 302, name


def test_lists_show_nothing_of_another_broker(history: object) -> None:
    with broker_scope(broker_called("beta").pk):
        stranger = signed_in(Role.ADMIN, host="beta.localhost")
    for name in LISTS:
        answer = stranger.get(reverse(f"admin:{name}_changelist"))
        assert answer.status_code == 200, name
        for trace in ("Steady", "bob@example.com", "9000", "5001"):
            assert trace not in text(answer), name


def rows_with_pages(pool: Pool, rollovers: list[Rollover]) -> list[tuple[str, str]]:
    return [
        ("accounts_pammaccount", str(pool.account.public_id)),
        ("accounts_user", str(pool.investments["bob"].owner.public_id)),
        ("accounts_personalaccount", str(pool.investments["bob"].personal_account.public_id)),
        ("accounts_manager", str(pool.account.manager.public_id)),
        ("allocation_investment", str(pool.investments["bob"].public_id)),
        ("fees_charge", str(Charge.objects.get().public_id)),
        ("investing_request", str(Request.objects.get().public_id)),
        ("offers_offer", str(pool.terms.offer.public_id)),
        ("offers_terms", str(pool.terms.public_id)),
        ("rollover_rollover", str(rollovers[1].public_id)),
    ]


def test_detail_pages_are_shown_to_staff_and_404_for_a_stranger(
    history: tuple[Pool, list[Rollover]], admin: Client, auditor: Client
) -> None:
    beta = broker_called("beta")
    with broker_scope(beta.pk):
        stranger = signed_in(Role.ADMIN, host="beta.localhost")
    for name, identifier in rows_with_pages(*history):
        url = reverse(f"admin:{name}_change", args=[identifier])
        page = admin.get(url)
        assert page.status_code == 200, name
        assert not re.findall(r"[^\"]*/\d+/change/", text(page)), f"{name} links by primary key"
        assert auditor.get(url).status_code == 200, name
        assert stranger.get(url).status_code == 404, name
        assert stranger.get(f"{url.removesuffix('change/')}history/").status_code == 404, name


def test_rollover_without_a_price_is_shown_and_has_no_audit(
    history: tuple[Pool, list[Rollover]], auditor: Client
) -> None:
    last = history[1][-1]
    waiting = Rollover.objects.create(
        account=last.account,
        scheduled_for=last.scheduled_for + timedelta(hours=1),
        ordered_at=last.ordered_at,
    )
    assert auditor.get(reverse("admin:rollover_rollover_changelist")).status_code == 200
    page = auditor.get(reverse("admin:rollover_rollover_change", args=[waiting.public_id]))
    assert page.status_code == 200
    assert "Allocation audit" not in text(page)
    assert "Allocation audit" in text(
        auditor.get(reverse("admin:rollover_rollover_change", args=[last.public_id]))
    )
    for name in ("admin:rollover_rollover_audit", "admin:rollover_rollover_audit_csv"):
        assert auditor.get(reverse(name, args=[waiting.public_id])).status_code == 404


def test_detail_page_of_nothing_is_not_found(history: object, admin: Client) -> None:
    for identifier in (uuid4(), "1", "%25"):
        assert admin.get(f"/admin/accounts/pammaccount/{identifier}/change/").status_code == 404


def test_money_is_written_in_the_digits_of_its_currency(history: object, admin: Client) -> None:
    page = text(admin.get(reverse("admin:fees_charge_changelist")))
    assert "20.00\N{NO-BREAK SPACE}USD" in page
    assert "20.00000000" not in page


def test_no_money_row_can_be_changed_or_deleted(history: tuple[Pool, list[Rollover]], admin: Client) -> None:
    for name, identifier in rows_with_pages(*history):
        if name == "accounts_user":
            continue
        url = reverse(f"admin:{name}_change", args=[identifier])
        assert admin.post(url, {"amount": "1", "state": "executed"}).status_code == 403, name
        assert admin.post(url.replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403, name
    for name in LISTS:
        if name not in {"trading_tradingserver", "rollover_schedule", "offers_feeceiling"}:
            assert admin.get(f"/admin/{name.replace('_', '/')}/add/").status_code == 403, name


def test_lists_ask_as_often_for_many_rows_as_for_few(alpha: Broker, admin: Client) -> None:
    pool, _rollovers = pool_with_history(others=2)
    add_request(pool, 0)
    few = {name: questions_of(admin, name) for name in LISTS}
    for number in range(1, 12):
        add_request(pool, number)
        pool.roll_over(Decimal("3.33"), [("bob", UnitEntry.Kind.PERFORMANCE_FEE, Decimal("0.01"))])
        User.objects.create_user(f"more-{number}@example.com").memberships.create(role=Role.INVESTOR)
    assert {name: questions_of(admin, name) for name in LISTS} == few


def questions_of(client: Client, name: str) -> int:
    url = reverse(f"admin:{name}_changelist")
    client.get(url)
    with CaptureQueriesContext(connection) as asked:
        client.get(url)
    return len(asked)


def test_pages_carry_a_content_policy_of_their_own(history: object, admin: Client) -> None:
    policy = admin.get("/admin/")["Content-Security-Policy"]
    assert "'unsafe-eval'" in policy
    assert "default-src 'self'" in policy
    cabinet = Client(HTTP_HOST="alpha.localhost").get(reverse("account_login"))
    assert "unsafe" not in cabinet["Content-Security-Policy"]


def test_pages_have_the_brands_mark_in_the_tab(history: object, admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert re.search(r'<link rel="icon"[^>]*href="/brand/icon/\?v=', page)


def test_title_of_terms_tells_no_key(history: object, admin: Client) -> None:
    terms = Terms.objects.latest("pk")
    title = re.search(r"<title>\s*(\S+)", admin.get(change_url(terms)).content.decode())
    assert title is not None
    assert title[1] == f"v{terms.version}"


def test_dashboard_tells_what_waits_and_carries_the_brokers_brand(
    history: tuple[Pool, list[Rollover]], alpha: Broker, auditor: Client
) -> None:
    history[0].account.is_held = True
    history[0].account.save()
    page = text(auditor.get("/admin/"))
    assert alpha.name in page
    assert "rgb(31, 95, 191)" in page
    assert "0 for the broker, 1 for managers; 0 confirmed" in page


def test_sign_in_of_the_back_office_is_the_cabinets(alpha: Broker) -> None:
    visitor = Client(HTTP_HOST="alpha.localhost")
    for url in ("/admin/", "/admin/login/", "/admin/rollover/rollover/"):
        answer = visitor.get(url, follow=True)
        assert answer.request["PATH_INFO"] == reverse("account_login"), url
    assert visitor.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 302


def test_audit_page_adds_up_and_its_download_stays_in_scope(
    history: tuple[Pool, list[Rollover]], auditor: Client
) -> None:
    rollover = history[1][1]
    url = reverse("admin:rollover_rollover_audit", args=[rollover.public_id])
    page = text(auditor.get(url))
    assert "✗" not in page
    assert page.count("✓") >= 10
    assert 'data-line="residual"' in page

    with broker_scope(None):
        answer: Any = auditor.get(reverse("admin:rollover_rollover_audit_csv", args=[rollover.public_id]))
        assert answer.streaming
        rows = list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))
        assert broker_id_or_none() is None
    lines = [row for row in rows if row["investment"] not in {"residual", "sum", "check", "charge"}]
    (total,) = [row for row in rows if row["investment"] == "sum"]
    assert [row["owner"] for row in lines] == ["Alice", "Bob", "Carol"]
    for column in (
        "value_before",
        "share_of_pnl",
        "value_after_pnl",
        "paid_in",
        "taken_out",
        "fees",
        "value_after",
    ):
        assert sum(Decimal(row[column]) for row in lines) == Decimal(total[column]), column


def test_audit_of_another_broker_is_not_found(history: tuple[Pool, list[Rollover]]) -> None:
    beta = broker_called("beta")
    with broker_scope(beta.pk):
        stranger = signed_in(Role.ADMIN, host="beta.localhost")
    for name in ("admin:rollover_rollover_audit", "admin:rollover_rollover_audit_csv"):
        assert stranger.get(reverse(name, args=[history[1][1].public_id])).status_code == 404


def test_audit_page_and_download_say_why_a_fee_is_what_it_is_and_who_received_it(
    history: tuple[Pool, list[Rollover]], auditor: Client
) -> None:
    rollover = history[1][1]
    page = text(auditor.get(reverse("admin:rollover_rollover_audit", args=[rollover.public_id])))
    answer: Any = auditor.get(reverse("admin:rollover_rollover_audit_csv", args=[rollover.public_id]))
    (line,) = [
        row for row in b"".join(answer.streaming_content).decode().splitlines() if row[:7] == "charge,"
    ]
    assert ',performance,20.00,0.00,"broker 5.00, manager 15.00",' in line
    assert "Profit above the mark: +100.00 USD; Rate: 20 %; Profit × rate: 20.00 USD; " in line
    for said in ("Profit above the mark", "Broker: 5.00", "Manager: 15.00"):
        assert said in page


def test_download_makes_no_formula_of_a_name(history: tuple[Pool, list[Rollover]], auditor: Client) -> None:
    bob = history[0].investments["bob"].owner
    bob.first_name = "=HYPERLINK(1)"
    bob.save()
    answer: Any = auditor.get(reverse("admin:rollover_rollover_audit_csv", args=[history[1][1].public_id]))
    assert b"'=HYPERLINK(1)" in b"".join(answer.streaming_content)


def test_dealer_approves_a_request_after_seeing_it(history: object, dealer: Client) -> None:
    row = Request.objects.get()
    url = reverse("admin:investing_request_approve", args=[row.public_id])
    page = text(dealer.get(url))
    assert "500.00" in page
    row.refresh_from_db()
    assert row.state == Request.State.PENDING

    dealer.post(url, {"expected_amount": "500.00"})
    row.refresh_from_db()
    assert row.state == Request.State.CONFIRMED
    assert row.confirmed_by.email == "dealer@staff.example.com"


def test_approval_of_a_request_that_changed_meanwhile_is_refused(history: object, dealer: Client) -> None:
    row = Request.objects.get()
    dealer.post(
        reverse("admin:investing_request_approve", args=[row.public_id]), {"expected_amount": "499.00"}
    )
    row.refresh_from_db()
    assert row.state == Request.State.PENDING


def test_rejection_needs_a_note(history: object, dealer: Client) -> None:
    row = Request.objects.get()
    url = reverse("admin:investing_request_reject", args=[row.public_id])
    assert dealer.post(url, {"note": ""}).status_code == 200
    row.refresh_from_db()
    assert row.state == Request.State.PENDING
    dealer.post(url, {"note": "Not now"})
    row.refresh_from_db()
    assert (row.state, row.reason_note) == (Request.State.REJECTED, "Not now")


def test_auditor_can_do_nothing(history: tuple[Pool, list[Rollover]], auditor: Client) -> None:
    pool, _rollovers = history
    row = Request.objects.get()
    held = pool.account
    held.is_held, held.hold_reason = True, "balance_differs"
    held.save()
    doors = [
        (reverse("admin:investing_request_approve", args=[row.public_id]), {"expected_amount": "500.00"}),
        (reverse("admin:investing_request_reject", args=[row.public_id]), {"note": "no"}),
        (reverse("admin:rollover_rollover_order"), {"accounts": [str(held.public_id)]}),
        (reverse("admin:accounts_pammaccount_roll_over", args=[held.public_id]), {}),
        (reverse("admin:accounts_pammaccount_release", args=[held.public_id]), {"note": "fine"}),
        (reverse("admin:accounts_user_grant", args=[row.created_by.public_id]), {"role": "admin"}),
        (reverse("admin:accounts_user_add_staff"), {}),
        (reverse("admin:rollover_schedule_change", args=["own"]), {"every_minutes": "1"}),
    ]
    before = Rollover.objects.count()
    for url, answer in doors:
        assert auditor.get(url).status_code in {403, 404}, url
        assert auditor.post(url, answer).status_code in {403, 404}, url
    row.refresh_from_db()
    held.refresh_from_db()
    assert (row.state, held.is_held, Rollover.objects.count()) == (Request.State.PENDING, True, before)


def test_held_account_says_what_differs_and_is_released_with_a_note(
    history: tuple[Pool, list[Rollover]], dealer: Client
) -> None:
    account = history[0].account
    account.is_held, account.hold_reason = True, "foreign_operation"
    account.hold_details = {
        "deals": [{"ticket": "77", "action": "2", "amount": "12.34", "dealer": "1042", "comment": "gift"}]
    }
    account.save()
    page = text(dealer.get(reverse("admin:accounts_pammaccount_change", args=[account.public_id])))
    assert "12.34" in page
    assert "1042" in page

    url = reverse("admin:accounts_pammaccount_release", args=[account.public_id])
    assert dealer.post(url, {"note": ""}).status_code == 200
    account.refresh_from_db()
    assert account.is_held
    decided = {"note": "Agreed with the manager", "kind_77": Decision.Kind.RESULT.value}
    effect = re.search(r'name="seen" value="(\w+)"', text(dealer.post(url, decided)))
    assert effect is not None
    dealer.post(url, decided | {"seen": effect[1]})
    account.refresh_from_db()
    assert not account.is_held
    assert Decision.objects.get(account=account).ticket == 77
    assert Event.objects.filter(kind="account.released", subject=account.public_id).exists()
    log = text(dealer.get(reverse("admin:admin_logentry_changelist")))
    assert "Agreed with the manager" in log


def test_dealer_orders_a_rollover_by_hand(history: tuple[Pool, list[Rollover]], dealer: Client) -> None:
    account = history[0].account
    dealer.post(reverse("admin:rollover_rollover_order"), {"accounts": [str(account.public_id)]})
    ordered = Rollover.objects.get(state=Rollover.State.DUE)
    assert (ordered.account_id, ordered.ordered_by.email) == (account.pk, "dealer@staff.example.com")


def test_administrator_gives_and_takes_roles_but_never_the_platforms(
    history: tuple[Pool, list[Rollover]], admin: Client
) -> None:
    bob = history[0].investments["bob"].owner
    grant = reverse("admin:accounts_user_grant", args=[bob.public_id])
    admin.post(grant, {"role": "dealer"})
    assert bob.memberships.filter(role=Role.DEALER).exists()
    admin.post(grant, {"role": "operator"})
    assert not bob.memberships.filter(role=Role.OPERATOR).exists()
    admin.post(reverse("admin:accounts_user_revoke", args=[bob.public_id]), {"role": "dealer"})
    assert not bob.memberships.filter(role=Role.DEALER).exists()


def test_administrator_cannot_deactivate_himself(history: object, admin: Client) -> None:
    own = User.objects.get(email="admin@staff.example.com")
    admin.post(
        reverse("admin:accounts_user_change", args=[own.public_id]),
        {"first_name": "Ada", "last_name": "Min", "language": "", "time_zone": ""},
    )
    own.refresh_from_db()
    assert (own.first_name, own.is_active) == ("Ada", True)


def test_password_of_a_trading_server_goes_in_and_never_comes_out(history: object, admin: Client) -> None:
    server = TradingServer.objects.get()
    url = reverse("admin:trading_tradingserver_change", args=[server.public_id])
    page = text(admin.get(url))
    assert server.manager_password not in page
    fields = {
        "name": "Renamed",
        "kind": "mt5",
        "host": "mt5.example.com",
        "port": "443",
        "manager_login": "1",
        "time_zone": "Europe/Athens",
        "is_active": "on",
        "groups-TOTAL_FORMS": "0",
        "groups-INITIAL_FORMS": "0",
        "condition-TOTAL_FORMS": "0",
        "condition-INITIAL_FORMS": "0",
    }
    admin.post(url, fields | {"new_password": ""})
    assert (TradingServer.objects.get().name, TradingServer.objects.get().manager_password) == (
        "Renamed",
        "secret",
    )
    admin.post(url, fields | {"new_password": "another one"})
    assert TradingServer.objects.get().manager_password == "another one"


def test_broker_gets_one_schedule_and_no_second(history: object, admin: Client, dealer: Client) -> None:
    url = reverse("admin:rollover_schedule_add")
    fields = {"every_minutes": "60", "next_at_0": "2026-12-01", "next_at_1": "12:00", "is_active": "on"}
    assert dealer.post(url, fields).status_code == 403
    admin.post(url, fields | {"every_minutes": "0"})
    assert not Schedule.objects.exists()
    admin.post(url, fields)
    assert Schedule.objects.get().every_minutes == 60
    assert admin.post(url, fields).status_code == 403


def test_limits_of_the_broker_are_refused_when_no_fraction(
    history: object, alpha: Broker, admin: Client
) -> None:
    url = reverse("admin:brokers_broker_change", args=[alpha.public_id])
    fields = {
        "name": "Alpha",
        "primary_colour": "#112233",
        "email_sender": "",
        "language": "en",
        "time_zone": "UTC",
        "freeze_minutes": "0",
        "quiet_minutes": "5",
        "stale_tick_seconds": "300",
        "floating_tolerance": "0.001",
        "foreign_limit": "10.00",
        "performance_fee_ceiling": "20",
        "management_fee_ceiling": "0.05",
        "entry_fee_ceiling": "0.1",
        "early_exit_fee_ceiling": "0.2",
        "fee_share_rate": "0",
    }
    assert admin.post(url, fields).status_code == 200
    assert Broker.objects.get().performance_fee_ceiling == Decimal("0.5")
    admin.post(url, fields | {"primary_colour": "red;}", "performance_fee_ceiling": "0.4"})
    assert Broker.objects.get().primary_colour == alpha.primary_colour
    admin.post(url, fields | {"performance_fee_ceiling": "0.4"})
    changed = Broker.objects.get()
    assert (changed.performance_fee_ceiling, changed.primary_colour) == (Decimal("0.4"), "#112233")


def test_what_clients_may_and_must_do_is_settled_by_the_administrator(
    history: object, alpha: Broker, admin: Client
) -> None:
    url = reverse("admin:brokers_broker_change", args=[alpha.public_id])
    shown = admin.get(url).context["adminform"].form
    settings = {name: shown[name].value() for name in shown.fields}
    fields = {name: value for name, value in settings.items() if value and value is not True} | {
        "freeze_minutes": "0"
    }
    wanted = {"opens_trading_accounts": "on", "requires_second_factor": "on"}
    refused = admin.post(url, fields | wanted | {"client_terms_url": "javascript:alert(1)", "language": "xx"})
    assert set(refused.context["adminform"].form.errors) == {"client_terms_url", "language"}
    assert not Broker.objects.get().requires_second_factor
    saved = admin.post(url, fields | wanted | {"client_terms_url": "https://alpha.example/terms"})
    assert saved.status_code == 302
    now = Broker.objects.get()
    assert (now.open_sign_up, now.opens_trading_accounts, now.requires_second_factor) == (False, True, True)
    assert now.client_terms_url == "https://alpha.example/terms"
