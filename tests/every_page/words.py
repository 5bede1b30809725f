"""The words of a page: what is read in it or told by a screen reader, and which of them are English."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from django.apps import apps
from django.db import models

from accounts.models import Manager, PammAccount, PersonalAccount, User
from brokers.models import Broker, HostName
from investing.models import Request
from offers.models import Offer
from trading.models import TradingGroup, TradingServer

#: Attributes that are shown or told.
TOLD = {
    "title",
    "aria-label",
    "placeholder",
    "alt",
    "aria-description",
    "data-label",
    "data-labels",
    "data-text",
    "data-copied",
}
#: What is for machines, or the same in every language: keys, addresses to copy, the names of time zones.
NOT_READ = {"script", "style", "code", "pre", "textarea", "template"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
#: Written with Latin letters in Chinese, too.
LATIN = {
    "API",
    "CSV",
    "HTML",
    "PAMM",
    "PDF",
    "TOTP",
    "UTC",
    "MetaTrader",
    "MT",
    "URL",
    "CSS",
    "JSON",
    "IP",
    "English",
    "Google",
    "Authenticator",
    "WebAuthn",
    "FIDO",
    "iframe",
    "QR",
    "SHA",
    "Chrome",
    "Firefox",
    "Linux",
}
WORD = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’]+")
#: Addresses, dotted and underscored codes, identifiers, names of time zones.
CODES = re.compile(
    r"https?://\S+|\S+@\S+\.\w+|\b[\w-]+\.(?:localhost|example)\b\S*|/[a-z][\w/.-]*|\b[a-z0-9]+(?:[._][a-z0-9_]+)+\b"
    r"|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b(?=\w*\d)\w{6,}\b|\b[A-Z]\w+/[A-Z][\w/-]+"
)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            unread = tag in NOT_READ or given.get("translate") == "no" or given.get("name") == "time_zone"
            self._open.append("unread" if unread else tag)
        if self.is_unread():
            return
        self.found += [value for name, value in given.items() if name in TOLD and value]
        if tag == "input" and given.get("type") in {"submit", "button"}:
            self.found.append(given.get("value") or "")
        if tag == "optgroup":
            self.found.append(given.get("label") or "")
        if tag == "meta" and given.get("name") == "description":
            self.found.append(given.get("content") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.is_unread():
            self.found.append(data.strip())

    def is_unread(self) -> bool:
        return "unread" in self._open


def english_in(page: str, names: re.Pattern[str]) -> list[str]:
    """Each text of the page in which a word is English; `names` are of people and things."""
    reader = _Reader()
    reader.feed(page)
    found = {}
    for text in reader.found:
        plain = CODES.sub(" ", names.sub(" ", text))
        if any(word not in LATIN for word in WORD.findall(plain)):
            found[" ".join(text.split())[:140]] = None
    return list(found)


def names_of_data() -> re.Pattern[str]:
    """What people of the broker in scope have called themselves and their things, and what they wrote."""
    names = {name for name in _names() if len(name) > 1}
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))


def _names() -> Iterator[str]:
    called: list[tuple[type[models.Model], tuple[str, ...]]] = [
        (Broker, ("name", "slug", "sender_name")),
        (HostName, ("host",)),
        (User, ("email", "first_name", "last_name")),
        (Manager, ("display_name", "description")),
        (PammAccount, ("name", "description", "currency")),
        (PersonalAccount, ("currency",)),
        (Offer, ("name", "description")),
        (Request, ("reject_reason",)),
        (TradingServer, ("name", "host")),
        (TradingGroup, ("name", "currency")),
    ]
    for model, fields in called:
        known = {field.name for field in model._meta.get_fields()}
        for row in model._default_manager.values_list(*(field for field in fields if field in known)):
            for value in row:
                yield from (line.strip() for line in str(value).splitlines())
