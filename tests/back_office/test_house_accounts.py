"""The broker's own accounts, appointed in the back office."""

from django.test import Client
from django.urls import reverse

from accounts.models import HouseAccount, Role
from tests.back_office.conftest import signed_in
from tests.circle.world import Desk
from trading.models import TradingGroup


def appoint(client: Client, desk: Desk, login: int, purpose: str = "income", currency: str = "USD") -> int:
    group = TradingGroup.objects.get(purpose=TradingGroup.Purpose.HOUSE, currency=currency)
    answer = client.post(
        reverse("admin:accounts_houseaccount_appoint_house"),
        {"group": group.pk, "purpose": purpose, "login": login},
    )
    return answer.status_code


def test_account_of_the_house_group_is_appointed_once_and_by_an_administrator_only(desk: Desk) -> None:
    login = desk.simulator.add_account("house\\USD", "0")
    clients = desk.simulator.add_account("personal\\USD", "0")
    admin, dealer = (signed_in(role, host="a.localhost") for role in (Role.ADMIN, Role.DEALER))
    appointed = HouseAccount.objects.filter(purpose=HouseAccount.Purpose.INCOME)

    assert appoint(dealer, desk, login) == 403
    assert appoint(admin, desk, clients) == 200
    assert appoint(admin, desk, 999_999_999) == 200
    assert not appointed.exists()

    assert appoint(admin, desk, login) == 302
    assert appoint(admin, desk, login) == 200
    house = appointed.get()
    assert (house.login, house.currency, house.currency_digits) == (login, "USD", 2)
