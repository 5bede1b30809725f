"""The fee simulator of one offer, for whoever may see the offer: what its terms would cost, before joining.

Everything stands in the address: a simulation can be kept and sent. Nothing is saved.
"""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import User
from brokers.errors import Refusal
from offers.queries import current_terms, get_offer_for, may_change_offers_of
from offers.web.investor import is_joinable, join_url
from offers.web.simulation import Calendar, Simulation, recipients_of, simulated
from offers.web.simulator_forms import ScenarioForm


@require_safe
def simulator_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """An offer's current terms over a scenario; with `?link=` for offers by link, as the offer's own page."""
    user = request.user if isinstance(request.user, User) else None
    token = request.GET.get("link") or None
    offer = get_offer_for(user, public_id, token)
    terms, account = current_terms(offer), offer.account
    terms.offer = offer
    form = ScenarioForm.filled(request.GET, account=account, terms=terms)
    simulation: Simulation | None = None
    if form.is_valid():
        try:
            simulation = simulated(terms, form.scenario(), Calendar.from_today())
        except Refusal as refusal:
            form.refuse(refusal)
    writes_offers = user is not None and may_change_offers_of(account, user)
    context = {
        "offer": offer,
        "account": account,
        "terms": terms,
        "form": form,
        "simulation": simulation,
        "recipients": recipients_of(simulation.course) if simulation and writes_offers else [],
        "is_joinable": is_joinable(offer) and not (user and account.manager.user_id == user.pk),
        "join_url": join_url(offer, token),
        "token": token,
    }
    return render(request, "offers/simulator.html", context, status=200 if simulation else 422)
