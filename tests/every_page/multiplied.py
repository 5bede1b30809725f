"""Many rows of whatever a page lists, copied from the few that the demo has."""

import uuid
from datetime import timedelta
from typing import Any

from django.db import models

from accounts.models import PammAccount, PersonalAccount, User
from allocation.models import Investment, PricePoint, UnitEntry
from events.models import Notification
from fees.models import Charge
from investing.models import Request
from offers.models import JoinLink, Offer
from outbox.models import Event
from rollover.models import CountedDeal, Rollover
from tests.every_page.people import People
from track_record.models import AccountStatistics

TIMES = 12
"""More than most lists begin with, fewer than they show on one page."""


def multiply(people: People) -> None:
    """Accounts with offers, investments, requests and fees; people, files, links and notifications."""
    assert people.told
    assert people.files
    for number in range(1, TIMES + 1):
        _account(people, number)
        _client(people, number)
        _of_one_account(people, number)
        _trades(people, number)
        event = copied(Event.objects.latest("pk"))
        for told in Notification.objects.filter(user=people.investment.owner)[:1]:
            copied(told, event=event, read_at=None)
        file = people.files["ready"]
        copied(file, first_day=file.first_day - timedelta(days=100 + number), state=file.state)


def copied(row: Any, **changes: Any) -> Any:
    """A new row like this one, with an identity of its own."""
    fields: list[Any] = [field for field in row._meta.concrete_fields if not field.primary_key]
    values = {field.attname: getattr(row, field.attname) for field in fields}
    values |= {name: uuid.uuid4() for name in ("public_id", "idempotency_key") if name in values}
    values |= {"token": uuid.uuid4().hex} if "token" in values else {}
    model: type[models.Model] = type(row)
    (made,) = model._default_manager.bulk_create([model(**values | _by_column(row, changes))])
    return made


def _by_column(row: Any, changes: dict[str, Any]) -> dict[str, Any]:
    return {
        row._meta.get_field(name).attname: value.pk if isinstance(value, models.Model) else value
        for name, value in changes.items()
    }


def _account(people: People, number: int) -> None:
    """Another account of the manager, in which the investor has money."""
    source = people.account
    account = copied(
        source,
        login=(source.login or 0) + 1_000_000 + number,
        opening_key=f"copy-{number}",
        name=f"{source.name} {number}",
    )
    offer = _offer(people.offer, account)
    statistics = AccountStatistics.objects.get(account=source)
    copied(statistics, account=account)
    point = copied(PricePoint.objects.filter(account=source).latest("sequence"), account=account)
    _investment(people.investment, account, offer, point)
    copied(Rollover.objects.filter(account=source).latest("pk"), account=account, price_point=None)


def _trades(people: People, number: int) -> None:
    """More trades, and more that is open, in the accounts that show it."""
    for offer in (people.delayed_offer, people.open_offer):
        closing = CountedDeal.objects.filter(account=offer.account, closed_lots__gt=0).earliest("pk")
        copied(closing, ticket=closing.ticket + 1_000_000 + number, symbol=f"COPY{number}")
    shown = people.open_offer.account.open_positions
    shown.positions += [{**shown.positions[0], "symbol": f"COPY{number}"}]
    shown.save()


def _offer(source: Offer, account: PammAccount) -> Offer:
    made: Offer = copied(source, account=account)
    copied(source.terms.latest("version"), offer=made)
    copied(JoinLink.objects.earliest("pk"), offer=made)
    return made


def _investment(
    source: Investment, account: PammAccount, offer: Offer | None, point: PricePoint, **changes: Any
) -> None:
    terms = offer.terms.latest("version") if offer else source.terms
    made = copied(source, account=account, terms=terms, joined=point, **changes)
    copied(
        UnitEntry.objects.filter(investment=source).earliest("pk"),
        investment=made,
        account=account,
        price_point=point,
    )
    for state, kind in (("confirmed", "withdrawal"), ("pending", "deposit")):
        request = Request.objects.filter(state=state, kind=kind).earliest("pk")
        copied(request, investment=made, account=account, collection=None, unit_entry=None)
    for charge in Charge.objects.filter(account=source.account).order_by("-pk")[:1]:
        fee = copied(charge, investment=made, account=account, price_point=point)
        for part in charge.parts.all():
            copied(part, charge=fee, account=account, price_point=point)


def _client(people: People, number: int) -> None:
    """Somebody whom the agent introduced, invested beside the investor."""
    source = people.investment
    user: User = copied(source.owner, email=f"copy-{number}@alpha.example")
    personal = PersonalAccount.objects.get(pk=source.personal_account_id)
    login = personal.login + 1_000_000 + number
    own = copied(personal, user=user, login=login, introduced_by=people.agent.agent_profile)
    point = PricePoint.objects.filter(account=people.account).latest("sequence")
    _investment(source, people.account, None, point, owner=user, personal_account=own)
    copied(personal, login=login + 1_000_000)


def _of_one_account(people: People, number: int) -> None:
    """More offers, links, rollovers, requests and fees of what there is."""
    _offer(people.offer, people.account)
    copied(people.link)
    copied(JoinLink.objects.earliest("pk"), offer=people.offer)
    last = Rollover.objects.filter(account=people.account).latest("pk")
    moment = last.scheduled_for - timedelta(seconds=number)
    copied(last, scheduled_for=moment, price_point=None)
    copied(people.request, collection=None, unit_entry=None)
    point = PricePoint.objects.filter(account=people.account).latest("sequence")
    for entry in UnitEntry.objects.filter(investment=people.investment)[:1]:
        copied(entry, price_point=point)
    for charge in Charge.objects.filter(account=people.account).order_by("pk")[:1]:
        fee = copied(charge, investment=people.investment)
        for part in charge.parts.all():
            copied(part, charge=fee)
