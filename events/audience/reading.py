"""What the facts of notifications are read from; a statement each, whatever the number of events."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import DECIDING_ROLES, Membership, PammAccount, User
from allocation.models import Investment
from events.audience.notes import Facts
from investing.models import Request
from outbox.models import Event


def requests_by_id(
    events: Sequence[Event], *, key: Callable[[Event], uuid.UUID] = lambda event: event.subject
) -> Mapping[uuid.UUID, Request]:
    wanted = {key(event) for event in events}
    rows = Request.objects.filter(public_id__in=wanted).select_related(
        "account__manager",
        "investment__owner",
        "investment__terms__offer",
        "investment__personal_account",
    )
    return {request.public_id: request for request in rows}


def investments_where(condition: Q) -> QuerySet[Investment]:
    """Ended ones too: what is told may have happened a while ago. Only what facts need is read."""
    return (
        Investment.objects.filter(condition)
        .exclude(state=Investment.State.CANCELLED)
        .select_related("account", "owner", "terms__offer")
        .order_by("pk")
        .only(
            "public_id", "owner", "account", "terms", "interval_id", "state", "series", "joined_at",
            "closed_at", "end_reason", "broker_id", "owner__public_id", "owner__broker_id",
            "account__name", "account__public_id", "account__currency", "account__currency_digits",
            "account__broker_id", "terms__version", "terms__broker_id", "terms__offer__public_id",
            "terms__offer__name",
        )
    )  # fmt: skip


def accounts_by_id(public_ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, PammAccount]:
    rows = PammAccount.objects.filter(public_id__in=set(public_ids)).select_related("manager__user")
    return {account.public_id: account for account in rows}


def deciding_staff() -> list[int]:
    holders = Membership.objects.filter(role__in=DECIDING_ROLES, user__is_active=True)
    return sorted(set(holders.values_list("user_id", flat=True)))


def user_ids(events: Sequence[Event]) -> Mapping[uuid.UUID, int]:
    subjects = {event.subject for event in events}
    return dict(User.objects.filter(public_id__in=subjects).values_list("public_id", "pk"))


def was_in(investment: Investment, moment: datetime) -> bool:
    """Whether it had joined before that moment and had not ended."""
    joined, closed = investment.joined_at, investment.closed_at
    return joined is not None and joined < moment and (closed is None or closed > moment)


def facts_of_account(account: PammAccount) -> Facts:
    return {
        "account": account.name,
        "account_id": str(account.public_id),
        "currency": account.currency,
        "digits": account.currency_digits,
    }


def facts_of(investment: Investment) -> Facts:
    return facts_of_account(investment.account) | {"investment": str(investment.public_id)}


def facts_of_request(request: Request) -> Facts:
    return facts_of_account(request.account) | {
        "request": str(request.public_id),
        "investment": str(request.investment.public_id),
        "amount": str(request.amount) if request.amount is not None else None,
        "variant": request.kind,
    }
