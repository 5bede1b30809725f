"""Who is told of fees, trading intervals and terms."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from django.db.models import Q, Sum

from allocation.models import Investment, PricePoint
from events.audience.notes import Note, note, tells
from events.audience.reading import facts_of, investments_where, user_ids, was_in
from fees.models import Charge
from outbox.models import Event


@tells("fee.charged")
def _fee_charged(events: Sequence[Event]) -> Iterator[Note]:
    investments = investments_where(Q(public_id__in=[event.subject for event in events]))
    found = {investment.public_id: investment for investment in investments}
    for event in events:
        if investment := found.get(event.subject):
            facts = facts_of(investment) | {
                "amount": event.payload["amount"],
                "variant": event.payload["kind"],
            }
            yield note(event, investment.owner_id, "fee_charged", facts)


@tells("fees.crystallised")
def _intervals_charged(events: Sequence[Event]) -> Iterator[Note]:
    sums = _charged_at_interval_ends(events)
    investments = investments_where(Q(pk__in={key for of_event in sums.values() for key in of_event}))
    found = {investment.pk: investment for investment in investments}
    for event in events:
        for key, amount in sums[event.pk].items():
            facts = facts_of(found[key]) | {"amount": str(amount), "variant": "charged"}
            yield note(event, found[key].owner_id, "interval_ended", facts, about=found[key].public_id)


@tells("intervals.ended")
def _intervals_without_a_fee(events: Sequence[Event]) -> Iterator[Note]:
    charged = _charged_at_interval_ends(events)
    ended = {number for event in events for number in event.payload["intervals"]}
    in_intervals: dict[int | None, list[Investment]] = defaultdict(list)
    for investment in investments_where(Q(interval__in=ended)):
        in_intervals[investment.interval_id].append(investment)
    for event in events:
        for number in event.payload["intervals"]:
            for investment in in_intervals[number]:
                if investment.pk not in charged[event.pk] and was_in(investment, event.occurred_at):
                    facts = facts_of(investment) | {"variant": "free"}
                    yield note(
                        event, investment.owner_id, "interval_ended", facts, about=investment.public_id
                    )


@tells("terms.changed")
def _terms_offered(events: Sequence[Event]) -> Iterator[Note]:
    offers = [event.subject for event in events]
    in_offer: dict[uuid.UUID, list[Investment]] = defaultdict(list)
    for investment in investments_where(
        Q(terms__offer__public_id__in=offers, state=Investment.State.ACTIVE, is_own_capital=False)
    ):
        if investment.terms is not None:
            in_offer[investment.terms.offer.public_id].append(investment)
    for event in events:
        for investment in in_offer[event.subject]:
            if investment.terms is not None and investment.terms.version < event.payload["version"]:
                facts = facts_of(investment) | {
                    "offer": investment.terms.offer.name,
                    "version": event.payload["version"],
                }
                yield note(event, investment.owner_id, "terms_offered", facts, about=investment.public_id)


@tells("terms.took_effect", "investment.stop_reached")
def _of_one_investment(events: Sequence[Event]) -> Iterator[Note]:
    investments = investments_where(Q(public_id__in=[event.subject for event in events]))
    found = {investment.public_id: investment for investment in investments}
    kinds = {"terms.took_effect": "terms_began", "investment.stop_reached": "stop_reached"}
    for event in events:
        if investment := found.get(event.subject):
            facts = facts_of(investment) | {
                "version": event.payload.get("version"),
                "variant": event.payload.get("stop", ""),
            }
            yield note(event, investment.owner_id, kinds[event.kind], facts)


@tells("statement.ready", "statement.failed")
def _statement_ready(events: Sequence[Event]) -> Iterator[Note]:
    users = user_ids(events)
    for event in events:
        if event.subject in users:
            facts = {"file": event.payload["file"], "variant": event.kind.partition(".")[2]}
            yield note(event, users[event.subject], "statement_ready", facts)


def _charged_at_interval_ends(events: Sequence[Event]) -> Mapping[int, dict[int, Decimal]]:
    """By event and investment: all fees that the end of its interval charged, where there were any."""
    accounts = {event.subject for event in events}
    sequences = {event.payload["sequence"] for event in events}
    points = PricePoint.objects.filter(account__public_id__in=accounts, sequence__in=sequences)
    keys = {
        (account, sequence): pk
        for pk, account, sequence in points.values_list("pk", "account__public_id", "sequence")
    }
    sums: dict[int, dict[int, Decimal]] = defaultdict(dict)
    rows = (
        Charge.objects.filter(price_point__in=keys.values(), occasion=Charge.Occasion.INTERVAL_END)
        .order_by()
        .values("price_point", "investment")
        .annotate(total=Sum("amount"))
    )
    for row in rows:
        if row["total"]:
            sums[row["price_point"]][row["investment"]] = row["total"]
    return {
        event.pk: sums[keys[event.subject, event.payload["sequence"]]]
        if (event.subject, event.payload["sequence"]) in keys
        else {}
        for event in events
    }
