"""What is seen of an account's trades, in words."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import PammAccount
from outbox.models import Event

Disclosure = PammAccount.Disclosure

DISCLOSURE_CHOICES = (
    (Disclosure.HIDDEN, gettext_lazy("Hidden: returns and prices only")),
    (Disclosure.DELAYED, gettext_lazy("Delayed: closed trades after a while")),
    (Disclosure.OPEN, gettext_lazy("Open: positions and trades")),
)


def disclosure_change_in_words(event: Event) -> str:
    """Before and after of an `account.disclosure`, in few words."""
    return f"{_setting_in_words(event.payload['before'])} → {_setting_in_words(event.payload['after'])}"


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
