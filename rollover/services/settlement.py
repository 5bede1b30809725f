"""Transfers that no rollover is carrying at the moment: money called back, fees the server refused for
margin.
"""

import logging
from collections import defaultdict

from rollover.models import Rollover
from trading.gateway import GatewayError
from trading.gateways import gateway_for
from trading.models import TradingServer
from transfers.models import Leg, Transfer
from transfers.queries import OPEN_LEG_STATES
from transfers.services import advance_transfers

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 500


def settle_open_transfers() -> None:
    """Take the open transfers of the broker in scope a step further, except those of accounts being rolled
    over.
    """
    busy = Rollover.objects.filter(state__in=(Rollover.State.RUNNING, Rollover.State.SETTLING)).values(
        "account__login"
    )
    carried = Leg.objects.filter(login__in=busy).values("transfer_id")
    waiting = (
        Leg.objects.filter(state__in=OPEN_LEG_STATES)
        .filter(transfer__state__in=(Transfer.State.PLANNED, Transfer.State.IN_TRANSIT))
        .exclude(transfer_id__in=carried)
        .order_by("id")
        .values_list("server_id", "transfer_id")[:MOST_AT_ONCE]
    )
    by_server: dict[int, set[int]] = defaultdict(set)
    for server_id, transfer_id in waiting:
        by_server[server_id].add(transfer_id)
    for server in TradingServer.objects.filter(pk__in=by_server, is_active=True):
        try:
            advance_transfers(server, gateway_for(server), by_server[server.pk])
        except GatewayError as error:
            logger.warning("trading server %s: %s", server.pk, error)
