"""Who is told that an account is suspended or resumed, closed or wiped out."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from django.db.models import Q

from allocation.models import Investment
from events.audience.notes import Note, note, tells
from events.audience.reading import accounts_by_id, facts_of, facts_of_account, investments_where, was_in
from outbox.models import Event


@tells("account.suspended", "account.resumed", "account.closing", "account.closed", "account.wiped_out")
def _account_changed(events: Sequence[Event]) -> Iterator[Note]:
    """Its investors at that moment, and its manager."""
    accounts = accounts_by_id([event.subject for event in events])
    investments: dict[int, list[Investment]] = defaultdict(list)
    for investment in investments_where(Q(account__in=accounts.values(), is_own_capital=False)):
        investments[investment.account_id].append(investment)
    for event in events:
        account = accounts.get(event.subject)
        if account is None:
            continue
        change = event.kind.partition(".")[2]
        by = event.payload.get("by")
        for investment in investments[account.pk]:
            if _is_concerned(investment, event) and by != str(investment.owner.public_id):
                yield note(
                    event,
                    investment.owner_id,
                    event.kind.replace(".", "_"),
                    facts_of(investment),
                    about=investment.public_id,
                )
        if by != str(account.manager.user.public_id):
            facts = facts_of_account(account) | {"variant": change}
            yield note(event, account.manager.user_id, "managed_account_changed", facts)


def _is_concerned(investment: Investment, event: Event) -> bool:
    """Whether what happened to the account happened to this investment."""
    if event.kind == "account.wiped_out":
        ended = investment.end_reason == Investment.EndReason.WIPED_OUT
        return ended and investment.series == event.payload.get("series", investment.series)
    if event.kind == "account.closed":
        return investment.end_reason == Investment.EndReason.ACCOUNT
    return was_in(investment, event.occurred_at)
