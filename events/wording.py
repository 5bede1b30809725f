"""A notification in words: kind and stored facts become title, text and link in the reader's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from accounts.hold_words import HOLD_WORDS
from events.kinds import KINDS, OTHER, Kind, Words
from pamm_platform.templatetags.figures import money

REASONS: Mapping[str, Promise] = {
    "account_closing": _("The account is being closed."),
    "account_suspended": _("The account is suspended: nobody can join it or add money until that ends."),
    "account_wiped_out": _("The account was wiped out."),
    "called_back": _("The money went back to where it came from."),
    "cancelled": _("The broker cancelled it."),
    "investment_not_active": _("The investment had ended by then."),
    "more_than_available": _("More was asked for than could be taken out at the rollover's price."),
    "own_capital_would_break": _("The manager's own capital would have become too small."),
    "personal_balance_too_low": _("There was not enough free money in your trading account."),
    "stop_reached": _("Your stop loss or take profit was reached: nothing more is invested."),
    "refused_by_trading_server": _("The trading server refused the movement of the money."),
}
"""By the code that the event carries; whatever has no words of ours is told by its note."""

AMOUNTS = ("amount", "fee")
_LABELS: Mapping[str, Promise] = {
    "account": _("Account"),
    "offer": _("Offer"),
    "person": _("Person"),
    "amount": _("Amount"),
    "fee": _("Fee"),
    "login": _("Trading account"),
    "version": _("Version of the terms"),
    "server": _("Trading server"),
    "device": _("Device"),
    "ip": _("Network address"),
}


@dataclass(slots=True)
class Money:
    """What amounts are written in."""

    currency: str
    currency_digits: int


@dataclass(frozen=True, slots=True)
class Message:
    """What a reader sees. `details` are labels with values; `path` leads to the page that explains it."""

    kind: Kind
    title: str
    text: str
    details: list[tuple[str, str]]
    label: str
    path: str


class _Facts(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return ""


def message_of(code: str, facts: Mapping[str, Any], occurred_at: datetime) -> Message:
    """In the active language and time zone. A kind that no longer exists is told as such."""
    kind = KINDS.get(code, OTHER)
    written = _written(facts)
    words = _words_of(kind, facts)
    details = [(str(label), str(written[name])) for name, label in _LABELS.items() if written[name]]
    details.append((_now("When"), date_format(localtime(occurred_at), "DATETIME_FORMAT")))
    return Message(
        kind,
        str(words.title) % written,
        (str(words.text) % written).strip(),
        details,
        str(kind.link.label),
        path_of(kind, facts),
    )


def path_of(kind: Kind, facts: Mapping[str, Any]) -> str:
    """Address of the page that explains it, without the host."""
    return reverse(kind.link.route, args=[facts[kind.link.fact]] if kind.link.fact else [])


def _words_of(kind: Kind, facts: Mapping[str, Any]) -> Words:
    return kind.words.get(str(facts.get("variant", ""))) or next(iter(kind.words.values()))


def _written(facts: Mapping[str, Any]) -> _Facts:
    written = _Facts({name: value for name, value in facts.items() if value is not None})
    if "currency" in facts:
        of = Money(facts["currency"], int(facts["digits"]))
        for name in AMOUNTS:
            value = Decimal(facts[name]) if facts.get(name) else None
            # A fee of 0 is nothing to tell.
            written[name] = money(value, of) if value else ""
    code = facts.get("reason", "")
    written["reason"] = str(REASONS.get(code) or facts.get("note", ""))
    written["hold"] = str(HOLD_WORDS.get(facts.get("hold", ""), ""))
    return written
