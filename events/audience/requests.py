"""Who is told of requests and of money that arrives."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence

from accounts.models import Agent, Manager, PersonalAccount
from events.audience.notes import Note, note, tells
from events.audience.reading import (
    accounts_by_id,
    deciding_staff,
    facts_of_request,
    requests_by_id,
)
from investing.models import Request
from offers.models import Offer
from outbox.models import Event
from transfers.models import Transfer


@tells("request.created")
def _waiting_for_approval(events: Sequence[Event]) -> Iterator[Note]:
    pending = [event for event in events if event.payload.get("state") == Request.State.PENDING]
    requests = requests_by_id(pending)
    staff = deciding_staff() if pending else []
    for event in pending:
        request = requests.get(event.subject)
        if request is None or request.investment.terms is None:
            continue
        facts = facts_of_request(request) | {"person": str(request.investment.owner)}
        if request.investment.terms.offer.approval == Offer.Approval.MANAGER:
            yield note(event, request.account.manager.user_id, "request_to_approve", facts)
        else:
            yield from (note(event, user_id, "request_to_decide", facts) for user_id in staff)


@tells("request.confirmed", "request.rejected", "request.expired", "request.cancelled", "request.failed")
def _decided(events: Sequence[Event]) -> Iterator[Note]:
    requests = requests_by_id(events)
    for event in events:
        request = requests.get(event.subject)
        if request is None:
            continue
        owner, by = request.investment.owner, event.payload.get("by")
        # Approved by nobody: it needed no approval, and the page has said so.
        is_automatic = event.kind == "request.confirmed" and by is None
        if is_automatic or by == str(owner.public_id):
            continue
        facts = facts_of_request(request) | {
            "reason": event.payload.get("reason", "cancelled" if event.kind == "request.cancelled" else ""),
            "note": event.payload.get("note", ""),
        }
        yield note(event, owner.pk, event.kind.replace(".", "_"), facts)


@tells("request.executed")
def _executed(events: Sequence[Event]) -> Iterator[Note]:
    requests = requests_by_id(events)
    for event in events:
        request = requests.get(event.subject)
        if request is not None:
            executed = {"amount": event.payload["amount"], "fee": event.payload["fee"]}
            facts = facts_of_request(request) | executed
            yield note(event, request.investment.owner_id, "request_executed", facts)


@tells("transfer.completed")
def _paid(events: Sequence[Event]) -> Iterator[Note]:
    by_purpose: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_purpose[event.payload["purpose"]].append(event)
    yield from _deposits_arrived(by_purpose[Transfer.Purpose.DEPOSIT])
    payouts = by_purpose[Transfer.Purpose.WITHDRAWAL] + by_purpose[Transfer.Purpose.CLOSE]
    yield from _payouts_arrived(payouts)
    yield from _fees_arrived(by_purpose[Transfer.Purpose.FEE])


def _deposits_arrived(events: Sequence[Event]) -> Iterator[Note]:
    requests = requests_by_id(events, key=_served)
    for event in events:
        request = requests.get(_served(event))
        # What the house pays in is told by the request alone.
        if request is not None and request.paid_by_id is None:
            variant = "returned" if event.payload["state"] == Transfer.State.RETURNED else ""
            facts = facts_of_request(request) | {"amount": event.payload["amount"], "variant": variant}
            yield note(event, request.investment.owner_id, "deposit_arrived", facts)


def _payouts_arrived(events: Sequence[Event]) -> Iterator[Note]:
    requests = requests_by_id(events, key=_served)
    for event in events:
        if request := requests.get(_served(event)):
            personal = request.investment.personal_account
            facts = facts_of_request(request) | {
                "amount": event.payload["amount"],
                "login": str(personal.login),
            }
            yield note(event, request.investment.owner_id, "payout_arrived", facts)


def _fees_arrived(events: Sequence[Event]) -> Iterator[Note]:
    payees = [uuid.UUID(event.payload["payee"]) for event in events if event.payload.get("payee")]
    if not payees:
        return
    accounts = accounts_by_id([uuid.UUID(event.payload["pool"]) for event in events])
    managers = dict(Manager.objects.filter(public_id__in=payees).values_list("public_id", "user_id"))
    agents = dict(Agent.objects.filter(public_id__in=payees).values_list("public_id", "user_id"))
    personal = dict(PersonalAccount.objects.filter(public_id__in=payees).values_list("public_id", "user_id"))
    for event in events:
        payee = uuid.UUID(event.payload["payee"]) if event.payload.get("payee") else None
        account = accounts.get(uuid.UUID(event.payload["pool"]))
        if payee is None or account is None:
            continue
        facts = {
            "amount": event.payload["amount"],
            "currency": account.currency,
            "digits": account.currency_digits,
        }
        if user_id := managers.get(payee) or personal.get(payee):
            manager_facts = facts | {"account": account.name, "variant": "manager"}
            yield note(event, user_id, "fee_paid", manager_facts)
        elif user_id := agents.get(payee):
            # An agent sees no account and no fee: only his own part of them.
            yield note(event, user_id, "fee_paid", facts | {"variant": "agent"})


def _served(event: Event) -> uuid.UUID:
    """The request that a transfer belongs to."""
    return uuid.UUID(event.payload["serves"])
