"""Who is told of held accounts and of what else the broker's staff looks into."""

from collections.abc import Iterator, Sequence

from events.audience.notes import Note, note, tells
from events.audience.reading import accounts_by_id, deciding_staff, facts_of_account
from outbox.models import Event


@tells("account.held")
def _held(events: Sequence[Event]) -> Iterator[Note]:
    accounts, staff = accounts_by_id([event.subject for event in events]), deciding_staff()
    for event in events:
        account = accounts.get(event.subject)
        if account is not None:
            facts = facts_of_account(account) | {"hold": event.payload["reason"]}
            yield note(event, account.manager.user_id, "managed_account_held", facts)
            yield from (note(event, user_id, "account_held", facts) for user_id in staff)


@tells("account.released")
def _released(events: Sequence[Event]) -> Iterator[Note]:
    accounts = accounts_by_id([event.subject for event in events])
    for event in events:
        if account := accounts.get(event.subject):
            facts = facts_of_account(account)
            yield note(event, account.manager.user_id, "managed_account_released", facts)


@tells("transfer.conflict")
def _conflict(events: Sequence[Event]) -> Iterator[Note]:
    accounts, staff = accounts_by_id([event.subject for event in events]), deciding_staff()
    for event in events:
        if account := accounts.get(event.subject):
            facts = facts_of_account(account)
            yield from (note(event, user_id, "transfer_in_conflict", facts) for user_id in staff)


@tells("server.failing", "server.returned")
def _server(events: Sequence[Event]) -> Iterator[Note]:
    staff = deciding_staff()
    for event in events:
        facts = {
            "server": event.payload["name"],
            "server_id": str(event.subject),
            "error": event.payload.get("error", ""),
            "variant": event.kind.partition(".")[2],
        }
        yield from (note(event, user_id, "server_failing", facts) for user_id in staff)


@tells("finding.opened")
def _finding(events: Sequence[Event]) -> Iterator[Note]:
    staff = deciding_staff()
    for event in events:
        facts = {"finding": str(event.subject), "login": str(event.payload["login"])}
        yield from (note(event, user_id, "finding_opened", facts) for user_id in staff)
