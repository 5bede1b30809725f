"""A balance operation that the trading server shows twice, or otherwise than sent: a person decides."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from investing.errors import TradingServerUnavailable
from outbox.services import record_event
from rollover.errors import LegNotInConflict, NoSuchDeal
from rollover.services.deciding import required_note
from trading.gateway import Deal, GatewayError
from trading.gateways import gateway_for
from transfers import errors as transfer_errors
from transfers.models import Leg
from transfers.services import send_after_conflict, settle_conflict

SEARCHED_BEFORE = timedelta(days=1)


def deals_in_conflict(leg: Leg) -> list[Deal]:
    """The server's balance operations with the key of the leg. Raises `TradingServerUnavailable`."""
    since = (leg.first_sent_at or leg.transfer.created_at) - SEARCHED_BEFORE
    try:
        found = gateway_for(leg.server).deals([leg.login], since, timezone.now() + SEARCHED_BEFORE)
    except GatewayError:
        raise TradingServerUnavailable from None
    return [deal for deal in found[leg.login] if deal.is_flow and deal.comment == leg.key]


def resolve_conflict(*, leg: Leg, ticket: int | None, by: User, note: str) -> Leg:
    """Say which of the server's deals is the leg; None: not one is, and the leg is sent again. Any other with
    its key is somebody else's operation from then on: undone or decided about like every foreign one.

    Raises `NotAllowed`, `NoteMissing`, `NoSuchDeal` where no deal of that ticket has its key and amount,
    `LegNotInConflict`, `TradingServerUnavailable`.
    """
    note = required_note(by, note)
    if ticket is not None:
        candidates = {deal.ticket: deal for deal in deals_in_conflict(leg)}
        chosen = candidates.get(ticket)
        if chosen is None or chosen.amount != leg.amount:
            raise NoSuchDeal(field="ticket", ticket=ticket)
    with transaction.atomic():
        locked: Leg = (
            Leg.objects.select_for_update(of=("self",)).select_related("transfer__server").get(pk=leg.pk)
        )
        try:
            if ticket is None:
                send_after_conflict(locked)
            else:
                settle_conflict(locked, ticket)
        except transfer_errors.LegNotInConflict:
            raise LegNotInConflict from None
        record_event(
            "transfer.resolved",
            subject=locked.pool,
            key=locked.key,
            ticket=ticket,
            by=str(by.public_id),
            note=note,
        )
    return locked
