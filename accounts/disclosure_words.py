"""What is seen of an account's trades, in words, and who has changed that."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import PammAccount, User
from outbox.models import Event

Disclosure = PammAccount.Disclosure

DISCLOSURE_CHOICES = (
    (Disclosure.HIDDEN, gettext_lazy("Hidden: returns and prices only")),
    (Disclosure.DELAYED, gettext_lazy("Delayed: closed trades after a while")),
    (Disclosure.OPEN, gettext_lazy("Open: positions and trades")),
)


CHANGES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class DisclosureChange:
    """Who let more or less be seen, and when; before and after in few words."""

    at: datetime
    by: str
    before: str
    after: str


def disclosure_changes_of(account: PammAccount) -> list[DisclosureChange]:
    """The last changes, the latest first; two statements."""
    events = Event.objects.filter(subject=account.public_id, kind="account.disclosure")
    found = list(events.order_by("-pk")[:CHANGES_SHOWN])
    people = {
        str(user.public_id): str(user)
        for user in User.objects.filter(public_id__in={event.payload["by"] for event in found})
    }
    return [
        DisclosureChange(
            event.occurred_at,
            people.get(event.payload["by"], "?"),
            _setting_in_words(event.payload["before"]),
            _setting_in_words(event.payload["after"]),
        )
        for event in found
    ]


def _setting_in_words(told: Mapping[str, Any]) -> str:
    label = str(Disclosure(told["disclosure"]).label)
    if told["disclosure"] != Disclosure.DELAYED:
        return label
    return f"{label}, {delay_in_words(timedelta(seconds=told['delay_seconds']))}"


def disclosure_in_words(disclosure: str, delay: timedelta) -> str:
    """One sentence for whoever looks at the account."""
    if disclosure == Disclosure.OPEN:
        return _(
            "Closed trades and open positions are shown, as the last rollover of the account found them."
        )
    if disclosure == Disclosure.DELAYED:
        return _("Trades appear %(delay)s after they are closed. Open positions are not shown.") % {
            "delay": delay_in_words(delay)
        }
    return _("This manager does not publish trades.")


def delay_in_words(delay: timedelta) -> str:
    """In days where it is whole days, otherwise in hours."""
    hours = int(delay.total_seconds()) // 3600
    if hours % 24:
        return ngettext("%(hours)s hour", "%(hours)s hours", hours) % {"hours": hours}
    return ngettext("%(days)s day", "%(days)s days", hours // 24) % {"days": hours // 24}
