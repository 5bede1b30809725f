"""One line of a statement, explained: how a fee was computed, at which price units were issued."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.queries import is_staff_member
from allocation.models import Investment, UnitEntry
from brokers.errors import NotFound
from fees.explanations import Sentence, explained
from fees.readers import FeeReader
from pamm_platform.templatetags.figures import money, signed_money, units


@login_required
@require_safe
def charge_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """A fee: to who paid it, to who manages the account, to the broker's staff."""
    person = _person(request)
    charge = FeeReader.of(person).charges().filter(public_id=public_id).first()
    if charge is None:
        raise NotFound
    told = explained(charge)
    context = {
        "title": told.title,
        "meaning": told.meaning,
        "at": charge.charged_at,
        "amount": -charge.amount,
        "of": charge,
        "account": charge.account,
        "investment": _own(person, charge.investment),
        "is_income": charge.account.manager.user_id == person.pk,
        "sentences": told.sentences,
    }
    return render(request, "statements/explanation.html", context)


@login_required
@require_safe
def movement_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Units issued or redeemed: to whose investment it is, and to the broker's staff."""
    person = _person(request)
    entries = UnitEntry.objects.select_related("account", "investment", "price_point")
    if not is_staff_member(person):
        entries = entries.filter(investment__owner=person)
    entry = entries.filter(public_id=public_id).first()
    if entry is None:
        raise NotFound
    account, point = entry.account, entry.price_point
    context = {
        "title": entry.get_kind_display(),
        "meaning": _("Units are issued and redeemed at the price of one rollover, the same for everybody."),
        "at": point.priced_at,
        "amount": entry.amount,
        "of": account,
        "account": account,
        "investment": _own(person, entry.investment),
        "sentences": [
            Sentence(_("Pool's equity at this rollover"), money(point.price_equity, account)),
            Sentence(_("Units in the pool"), units(point.price_units)),
            Sentence(_("Price per unit = equity ÷ units"), units(point.price, 6)),
            Sentence(_("Amount"), signed_money(entry.amount, account)),
            Sentence(_("Units = amount ÷ price"), units(entry.units, 6), is_result=True),
        ],
    }
    return render(request, "statements/explanation.html", context)


def _own(person: User, investment: Investment) -> Investment | None:
    """The investment where it is the person's, who has a page of it."""
    return investment if investment.owner_id == person.pk else None


def _person(request: HttpRequest) -> User:
    """The signed-in person of a page that asks for one."""
    assert isinstance(request.user, User)
    return request.user
