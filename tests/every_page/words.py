"""The words of a page: what is read in it or told by a screen reader, and which of them are English."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from django.db import models

from accounts.models import Manager, PammAccount, User
from brokers.models import Broker, HostName
from investing.models import Request
from ledger.models import Entry
from offers.models import Offer
from outbox.models import Event
from rollover.models import CountedDeal, Rollover
from trading.models import TradingGroup, TradingServer

#: Attributes that are shown or told.
TOLD = {
    "title", "aria-label", "placeholder", "alt", "aria-description",
    "data-label", "data-labels", "data-text", "data-copied",
}  # fmt: skip
#: What is for machines: code, addresses to copy, keys of the keyboard.
NOT_READ = {"script", "style", "code", "kbd", "pre", "textarea", "template"}
#: Icons that are drawn by the name of their glyph, and letters that stand for a picture.
DRAWN = {"material-symbols-outlined", "monogram", "avatar-initial"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
#: Written with Latin letters in Chinese, too.
LATIN = {
    "API", "Aa", "BHD", "CA", "CSS", "CSV", "Chrome", "Cookie", "EUR", "FIDO", "Firefox", "HTML", "ID", "IP",
    "JPEG", "JPY", "JSON", "JavaScript", "KB", "Linux", "MB", "MetaTrader", "PAMM", "PDF", "PEM", "PIN",
    "PNG", "QR", "SHA", "TOTP", "URL", "USD", "UTC", "WebAuthn", "WebP", "English", "TradingView",
    "Lightweight", "Charts",
}  # fmt: skip
WORD = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’]+")
#: Addresses, identifiers, colours, names of time zones, and what a script fills in.
CODES = re.compile(
    r"https?://\S+|\S+@\S+\.\w+|[\w-]+\.(?:localhost|example)\b\S*|[A-Z][a-z]+/[A-Z][A-Za-z/_-]+"
    r"|[0-9a-f]{8}-[0-9a-f-]{27}|…?[0-9a-f]{12}|PM[0-9A-Z]{20,}|\b[A-Z2-7]{32}\b|#[0-9a-f]{6}|\{\w+\}",
    re.ASCII,
)


class _Reader(HTMLParser):
    """Collects what is shown or told, in the order of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            is_drawn = DRAWN & set(given.get("class", "").split())
            is_unread = tag in NOT_READ or given.get("translate") == "no" or is_drawn
            self._open.append("unread" if is_unread else tag)
        if "unread" in self._open:
            return
        self.found += [value for name, value in given.items() if name in TOLD]
        if tag == "input" and given.get("type") in {"submit", "button"}:
            self.found.append(given.get("value", ""))
        if tag == "optgroup":
            self.found.append(given["label"])
        if tag == "meta" and given.get("name") == "description":
            self.found.append(given["content"])

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if "unread" not in self._open:
            self.found.append(data)


def english_in(page: str, names: re.Pattern[str]) -> list[str]:
    """Each text of the page with an English word in it; `names` are of people and things."""
    reader = _Reader()
    reader.feed(page)
    found: dict[str, None] = {}
    for text in reader.found:
        plain = names.sub(" ", CODES.sub(" ", text))
        if any(word not in LATIN for word in WORD.findall(plain)):
            found[" ".join(text.split())[:140]] = None
    return list(found)


def names_of_data() -> re.Pattern[str]:
    """What people of the broker in scope have called themselves and their things, and what they wrote."""
    names = sorted({name for name in _names() if len(name) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)), re.IGNORECASE)


def _names() -> Iterator[str]:
    called: list[tuple[type[models.Model], tuple[str, ...]]] = [
        (Broker, ("name", "slug")),
        (HostName, ("host",)),
        (User, ("email", "first_name", "last_name")),
        (Manager, ("display_name", "biography")),
        (PammAccount, ("name", "description")),
        (Offer, ("name", "description")),
        (Request, ("reason_note",)),
        (TradingServer, ("name", "host")),
        (TradingGroup, ("name",)),
        (CountedDeal, ("symbol",)),
        # Codes that the staff search for.
        (Entry, ("kind", "source")),
        (Event, ("kind",)),
        (Rollover, ("reason_code",)),
    ]
    for model, fields in called:
        for row in model._default_manager.values_list(*fields).distinct():
            for value in row:
                yield from (line.strip() for line in str(value).splitlines())
