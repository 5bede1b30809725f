"""Joining an offer with a real trading server: three steps, every cost first, one request for many clicks."""

import uuid
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import PersonalAccount, Role
from allocation.models import Investment
from investing.models import Request
from offers.models import Offer, Terms
from offers.services import create_join_link, revise_terms
from tests.circle.world import Desk, terms
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import hidden_fields, text_of


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "10000")


@pytest.fixture
def offer(desk: Desk) -> Offer:
    account = desk.pamm_account(desk.client("alice", "5000", Role.INVESTOR, Role.MANAGER), "1000")
    return desk.offer(account, terms((None, "0"), ("0.10", "0.20"), ("0.40", "0.50"), basis="yield"))


def _url(offer: Offer) -> str:
    return f"/offers/{offer.public_id}/join/"


def _review(
    client: Client, offer: Offer, personal: PersonalAccount, amount: str = "5,000.00"
) -> dict[str, str]:
    answer = client.post(_url(offer), {"amount": amount, "personal_account": str(personal.public_id)})
    assert answer.status_code == 200, text_of(answer)
    return hidden_fields(answer)


def test_joining_takes_three_steps_and_asks_once(
    desk: Desk, offer: Offer, bob: PersonalAccount, visit: Visit
) -> None:
    client = visit(bob.user)
    first = text_of(client.get(_url(offer)))
    assert "10,000.00 USD free to invest" in first
    answer = client.post(_url(offer), {"amount": "5,000.00", "personal_account": str(bob.public_id)})
    page = text_of(answer)
    for words in (
        "5,000.00 USD",
        "Fee for joining 0.00 USD",
        "6,000.00 (+20 %) 200.00 5,800.00 USD",
        "version 1",
    ):
        assert words in page
    assert Request.objects.filter(created_by=bob.user).count() == 0
    sent = hidden_fields(answer) | {"understood": "on"}
    locations = {client.post(_url(offer), sent)["Location"] for _ in range(3)}
    made = Request.objects.get(created_by=bob.user)
    assert locations == {f"/requests/{made.public_id}/?sent"}
    assert (made.amount, made.state) == (Decimal(5000), Request.State.PENDING)
    assert made.investment.terms_id == offer.terms.latest("version").pk
    done = text_of(client.get(locations.pop()))
    assert "3. Done" in done
    assert "Waits for the manager's approval." in done


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("5", "The minimum is 10 USD."),
        ("0", "above zero"),
        ("-1", "above zero"),
        ("10.001", "has 2 decimals"),
        ("ten", "Enter a number"),
        ("", "required"),
    ],
)
def test_amount_that_cannot_be_is_refused_at_the_field_before_anything_is_shown(
    offer: Offer, bob: PersonalAccount, visit: Visit, amount: str, message: str
) -> None:
    answer = visit(bob.user).post(_url(offer), {"amount": amount, "personal_account": str(bob.public_id)})
    assert answer.status_code == 422
    assert message in text_of(answer)
    assert not Investment.objects.filter(owner=bob.user).exists()


def test_more_than_the_personal_account_holds_is_refused_at_the_amount(
    offer: Offer, bob: PersonalAccount, visit: Visit
) -> None:
    client = visit(bob.user)
    answer = client.post(_url(offer), _review(client, offer, bob, "10000.01") | {"understood": "on"})
    assert answer.status_code == 422
    assert "has 10,000 USD free" in text_of(answer)
    assert not Request.objects.filter(created_by=bob.user).exists()


def test_risk_must_be_understood(offer: Offer, bob: PersonalAccount, visit: Visit) -> None:
    client = visit(bob.user)
    answer = client.post(_url(offer), _review(client, offer, bob))
    assert answer.status_code == 422
    assert "understand the risk" in text_of(answer)
    assert not Request.objects.filter(created_by=bob.user).exists()


def test_terms_changed_while_reading_are_shown_again_instead_of_joined(
    offer: Offer, bob: PersonalAccount, visit: Visit
) -> None:
    client = visit(bob.user)
    sent = _review(client, offer, bob) | {"understood": "on"}
    revise_terms(offer=offer, terms=terms((None, "0.45")), by=offer.account.manager.user)
    answer = client.post(_url(offer), sent)
    assert answer.status_code == 422
    assert "terms have changed" in text_of(answer)
    assert "45 %" in text_of(answer)
    assert not Request.objects.filter(created_by=bob.user).exists()
    again = client.post(_url(offer), hidden_fields(answer) | {"understood": "on"})
    assert again.status_code == 302
    assert Request.objects.get(created_by=bob.user).investment.terms == Terms.objects.get(version=2)


def test_account_of_somebody_else_cannot_pay(
    desk: Desk, offer: Offer, bob: PersonalAccount, visit: Visit
) -> None:
    dora = desk.client("dora", "500")
    answer = visit(dora.user).post(_url(offer), {"amount": "50", "personal_account": str(bob.public_id)})
    assert answer.status_code == 422
    assert not Request.objects.filter(created_by=dora.user).exists()


def test_without_an_account_in_the_currency_the_page_says_what_to_do(
    desk: Desk, offer: Offer, visit: Visit
) -> None:
    yuki = desk.client("yuki", "100000", currency="JPY")
    assert "You need a personal account in USD" in text_of(visit(yuki.user).get(_url(offer)))


def test_private_offer_is_joined_by_its_link_only(
    desk: Desk, offer: Offer, bob: PersonalAccount, visit: Visit
) -> None:
    Offer.objects.filter(pk=offer.pk).update(visibility=Offer.Visibility.LINK)
    client = visit(bob.user)
    assert client.get(_url(offer)).status_code == 404
    link = create_join_link(offer=offer, expires_at=None, single_use=True, by=offer.account.manager.user)
    review = client.post(
        _url(offer), {"amount": "50", "personal_account": str(bob.public_id), "link": link.token}
    )
    sent = hidden_fields(review) | {"understood": "on"}
    answer = client.post(_url(offer), sent)
    assert answer.status_code == 302
    link.refresh_from_db()
    assert link.used_at is not None
    # The second of two clicks finds the link spent, by the first.
    assert client.post(_url(offer), sent)["Location"] == answer["Location"]
    assert Request.objects.filter(created_by=bob.user).count() == 1


def test_form_sent_before_with_another_amount_is_refused(
    offer: Offer, bob: PersonalAccount, visit: Visit
) -> None:
    client = visit(bob.user)
    sent = _review(client, offer, bob, "50") | {"understood": "on", "key": str(uuid.uuid4())}
    assert client.post(_url(offer), sent).status_code == 302
    answer = client.post(_url(offer), sent | {"amount": "60.00"})
    assert answer.status_code == 422
    assert "sent before with other content" in text_of(answer)
    assert Request.objects.filter(created_by=bob.user).count() == 1


def test_server_that_does_not_answer_is_told_and_nothing_changes(
    desk: Desk, offer: Offer, bob: PersonalAccount, visit: Visit
) -> None:
    client = visit(bob.user)
    sent = _review(client, offer, bob) | {"understood": "on"}
    desk.server.port = 1
    desk.server.save()
    assert "free to invest" not in text_of(client.get(_url(offer)))
    answer = client.post(_url(offer), sent)
    assert answer.status_code == 422
    assert "does not answer" in text_of(answer)
    assert not Request.objects.filter(created_by=bob.user).exists()
