"""What the broker allows an offer to charge, and who shares, as its administrator sets it."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts.models import Role
from brokers.models import Broker
from offers.models import FeeCeiling
from pamm_platform.admin_pages import change_url
from tests.back_office.conftest import signed_in
from tests.worlds import trading_server

RULES = {
    "name": "Alpha", "time_zone": "UTC", "language": "en", "primary_colour": "#1f5fbf", "email_sender": "",
    "freeze_minutes": "0", "quiet_minutes": "5", "stale_tick_seconds": "300", "floating_tolerance": "0.001",
    "foreign_limit": "10.00",
    "performance_fee_ceiling": "0.4", "management_fee_ceiling": "0.03", "entry_fee_ceiling": "0.05",
    "early_exit_fee_ceiling": "0.1", "fee_share_rate": "0.2", "agent_share_rates": "0.10 0.05",
}  # fmt: skip


def test_ceilings_and_shares_are_saved_and_stand_in_the_audit_log(alpha: Broker, admin: Client) -> None:
    assert admin.post(change_url(alpha), RULES).status_code == 302
    broker = Broker.objects.get()
    assert (broker.management_fee_ceiling, broker.entry_fee_ceiling) == (Decimal("0.03"), Decimal("0.05"))
    assert (broker.fee_share_rate, broker.agent_share_rates) == (Decimal("0.2"), ["0.10", "0.05"])
    assert "Agents' shares" in LogEntry.objects.latest("pk").get_change_message()
    assert 'value="0.10 0.05"' in admin.get(change_url(alpha)).content.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"entry_fee_ceiling": "1.1"},
        {"management_fee_ceiling": "-0.1"},
        {"fee_share_rate": "1.1"},
        {"agent_share_rates": "0.5 0.4"},
        {"agent_share_rates": "ten"},
        {"agent_share_rates": "0.01 " * 11},
    ],
)
def test_rule_that_could_not_be_kept_is_refused(
    alpha: Broker, admin: Client, changes: dict[str, Any]
) -> None:
    answer = admin.post(change_url(alpha), RULES | changes)
    assert (answer.status_code, Broker.objects.get().fee_share_rate) == (200, Decimal(0))


def test_ceilings_in_money_are_set_once_for_each_currency_in_its_own_decimals(
    alpha: Broker, admin: Client
) -> None:
    trading_server()
    add = reverse("admin:offers_feeceiling_add")
    amounts = {"currency": "USD", "subscription_amount": "20.00", "volume_amount_per_lot": ""}
    dealer = signed_in(Role.DEALER)
    assert dealer.post(add, amounts).status_code == 403
    for bad in ({"subscription_amount": "0.001"}, {"volume_amount_per_lot": "-1"}, {"currency": "XYZ"}):
        assert admin.post(add, amounts | bad).status_code == 200, bad
    assert not FeeCeiling.objects.exists()
    assert admin.post(add, amounts).status_code == 302
    ceiling = FeeCeiling.objects.get()
    assert (ceiling.currency_digits, ceiling.subscription_amount) == (2, Decimal(20))
    assert ceiling.volume_amount_per_lot is None
    assert "already" in admin.post(add, amounts).content.decode()
    assert admin.post(change_url(ceiling), amounts | {"subscription_amount": ""}).status_code == 302
    assert FeeCeiling.objects.get().subscription_amount is None
