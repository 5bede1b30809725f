"""Transfers that no rollover is carrying at the moment: money called back, fees the server refused for
margin, fees that waited for an account of their receiver.
"""

import logging
from collections import defaultdict

from django.db import transaction
from django.utils import timezone

from fees.recipients import Place, payable_endpoints
from investing.services.collection import fail_refused_deposits
from rollover.models import Rollover
from rollover.services.slices import note_failure
from trading.breaker import may_ask
from trading.gateway import GatewayError
from trading.gateways import gateway_for
from trading.models import TradingServer
from transfers.models import Leg, Transfer
from transfers.queries import OPEN_LEG_STATES, held_fees
from transfers.services import advance_transfers, release_transfers

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 500


def settle_open_transfers() -> None:
    """Take the open transfers of the broker in scope a step further, except those of accounts being rolled
    over. Fees held for want of an account go on as soon as there is one.
    """
    release_outstanding_fees()
    busy = Rollover.objects.filter(state__in=(Rollover.State.RUNNING, Rollover.State.SETTLING)).values(
        "account__login"
    )
    carried = Leg.objects.filter(login__in=busy).values("transfer_id")
    waiting = (
        Leg.objects.filter(state__in=OPEN_LEG_STATES)
        .exclude(state=Leg.State.REFUSED, retry_at__gt=timezone.now())
        .exclude(state=Leg.State.CONFLICT)
        .filter(transfer__state__in=(Transfer.State.PLANNED, Transfer.State.IN_TRANSIT))
        .exclude(transfer_id__in=carried)
        .order_by("id")
        .values_list("server_id", "transfer_id")[:MOST_AT_ONCE]
    )
    by_server: dict[int, set[int]] = defaultdict(set)
    for server_id, transfer_id in waiting:
        by_server[server_id].add(transfer_id)
    for server in TradingServer.objects.filter(pk__in=by_server, is_active=True):
        if not may_ask(server):
            continue
        try:
            advance_transfers(server, gateway_for(server), by_server[server.pk])
        except GatewayError as error:
            logger.warning("trading server %s: %s", server.pk, error)
            note_failure(server, error)
    fail_refused_deposits()


def release_outstanding_fees() -> int:
    """Give fees that stand in transit their second leg where their receiver has an account by now.

    Returns how many were released. A constant number of statements.
    """
    payees = held_fees().values_list("payee", flat=True).distinct()
    endpoints = payable_endpoints({payee for payee in payees if payee is not None})
    releases = []
    with transaction.atomic():
        held = held_fees().filter(payee__in={payee for payee, _ in endpoints})
        # Locked first, then looked at: what another worker has just released has its second leg by now.
        locked = list(held.select_for_update(skip_locked=True).values_list("pk", flat=True))
        for fee in held_fees().filter(pk__in=locked).order_by("id"):
            place = Place(fee.server_id, fee.currency, fee.currency_digits)
            if fee.payee is not None and (endpoint := endpoints.get((fee.payee, place))) is not None:
                releases.append((fee, endpoint))
        release_transfers(releases)
    return len(releases)
