"""Market orders of the platform's own: written down before they are sent, looked up by key, never sent twice.

An order that was not executed is not sent again: the next rollover decides anew, on the positions of then.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from trading.gateway import Filled, Gateway, NotFound, OrderFound, Position, Refused, Side
from trading.models import Order, TradingServer

UNANSWERED_STATES = (Order.State.SENDING, Order.State.UNKNOWN)
SENT_WITHIN = timedelta(minutes=1)
"""Of its intent; later an order is not sent any more."""
GIVEN_UP_AFTER = timedelta(minutes=3)
"""Longer than that and than a server keeps a dealer request: what a complete history does not hold by then
never came.
"""


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """Close `volume` lots of `position`, on behalf of the rollover `subject`."""

    subject: UUID
    position: Position
    volume: Decimal


def plan_orders(server: TradingServer, purpose: Order.Purpose, drafts: Sequence[OrderDraft]) -> list[Order]:
    """Write the orders down. One per rollover and position: what is there already stays as it is."""
    Order.objects.bulk_create(
        (
            Order(
                server=server,
                login=draft.position.login,
                purpose=purpose,
                subject=draft.subject,
                position=draft.position.ticket,
                symbol=draft.position.symbol,
                side=(Side.SELL if draft.position.side is Side.BUY else Side.BUY).value,
                volume=draft.volume,
            )
            for draft in drafts
        ),
        ignore_conflicts=True,
    )
    return list(
        Order.objects.filter(
            subject__in={draft.subject for draft in drafts}, state=Order.State.PLANNED
        ).order_by("id")
    )


def send_orders(gateway: Gateway, orders: Sequence[Order]) -> None:
    """Send each order once, outside any transaction; every outcome is committed as it is known."""
    for order in orders:
        now, deadline = timezone.now(), time.monotonic() + SENT_WITHIN.total_seconds()
        taken = Order.objects.filter(pk=order.pk, state=Order.State.PLANNED).update(
            state=Order.State.SENDING, attempts=F("attempts") + 1, first_sent_at=now, retry_at=now
        )
        if not taken:
            continue
        outcome = gateway.place_market_order(
            order.login,
            order.symbol,
            Side(order.side),
            order.volume,
            order.key,
            position=order.position,
            deadline=deadline,
        )
        if isinstance(outcome, Filled):
            _end(
                order,
                Order.State.FILLED,
                filled_volume=outcome.volume,
                price=outcome.price,
                deal=outcome.deal,
            )
        elif isinstance(outcome, Refused):
            _end(order, Order.State.REFUSED, refusal_code=outcome.code, refusal_text=outcome.text[:200])
        else:
            Order.objects.filter(pk=order.pk).update(
                state=Order.State.UNKNOWN, refusal_text=outcome.reason[:200]
            )


def unsent_orders(subjects: Collection[UUID]) -> tuple[set[UUID], list[Order]]:
    """Which of these rollovers have decided on orders before, and those of them that nobody has sent yet."""
    decided = Order.objects.filter(subject__in=subjects).order_by("id")
    return {order.subject for order in decided}, [
        order for order in decided if order.state == Order.State.PLANNED
    ]


def settle_orders(
    server: TradingServer, gateway: Gateway, logins: Collection[int], carried: Collection[UUID]
) -> None:
    """Look up every order of these logins whose outcome is not known. One that was never sent is dropped,
    except of the rollovers that are `carried` on now: they send it.
    """
    unended = Order.objects.filter(server=server, login__in=logins)
    unended.filter(state=Order.State.PLANNED).exclude(subject__in=carried).update(
        state=Order.State.REFUSED, refusal_text="not sent", ended_at=timezone.now()
    )
    for order in unended.filter(state__in=UNANSWERED_STATES).order_by("id"):
        sent_at = order.first_sent_at or order.created_at
        looked_at = timezone.now()
        search = gateway.find_order(order.login, order.key, sent_at)
        if isinstance(search, OrderFound):
            _end(
                order,
                Order.State.FILLED,
                filled_volume=sum((deal.volume for deal in search.deals), Decimal(0)),
                price=search.deals[-1].price,
                deal=search.deals[-1].ticket,
            )
        elif isinstance(search, NotFound) and looked_at - sent_at > GIVEN_UP_AFTER:
            if order.subject in carried:
                Order.objects.filter(
                    pk=order.pk, attempts=order.attempts, state__in=UNANSWERED_STATES
                ).update(state=Order.State.PLANNED)
            else:
                _end(order, Order.State.REFUSED, refusal_text="not in the server's books")


def _end(order: Order, state: Order.State, **outcome: object) -> None:
    Order.objects.filter(pk=order.pk).exclude(state__in=(Order.State.FILLED, Order.State.REFUSED)).update(
        state=state, ended_at=timezone.now(), **outcome
    )
