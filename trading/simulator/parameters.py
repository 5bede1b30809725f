"""Parameters of one call: from the address and a JSON body, the body deciding."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, unquote

from trading.simulator.books import BAD_PARAMETERS, Refusal


class Parameters:
    """Names without regard to letter case. Every reader raises `Refusal` 3, which names what it cannot
    read."""

    def __init__(self, query: str, body: bytes) -> None:
        self._values: dict[str, str] = {
            name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)
        }
        for name, value in _members(body).items():
            self._values[name.lower()] = _text(value)

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def has(self, name: str) -> bool:
        """Whether it was given, be it blank."""
        return name in self._values

    def text(self, *names: str, default: str | None = None) -> str:
        for name in names:
            if name in self._values:
                return self._values[name]
        if default is None:
            raise bad_parameter(names[0], "is missing")
        return default

    def whole(self, name: str, default: int | None = None) -> int:
        if name not in self and default is not None:
            return default
        try:
            return int(self.text(name))
        except ValueError as error:
            raise bad_parameter(name, "is not a whole number") from error

    def number(self, name: str, default: Decimal | None = None) -> Decimal:
        if name not in self and default is not None:
            return default
        try:
            number = Decimal(self.text(name))
        except InvalidOperation as error:
            raise bad_parameter(name, "is not a number") from error
        if not number.is_finite():
            raise bad_parameter(name, "is not a number")
        return number

    def scaled(self, name: str, digits: int) -> int:
        """A number in whole units of 10^-digits."""
        scaled = self.number(name).scaleb(digits)
        if scaled != scaled.to_integral_value():
            raise bad_parameter(name, f"has more than {digits} decimals")
        return int(scaled)

    def wholes(self, name: str) -> list[int]:
        try:
            return [int(item) for item in self.text(name).split(",") if item.strip()]
        except ValueError as error:
            raise bad_parameter(name, "is not a list of whole numbers") from error

    def without(self, names: Iterable[str]) -> Parameters:
        left_out = set(names)
        rest = Parameters("", b"")
        rest._values = {name: value for name, value in self._values.items() if name not in left_out}
        return rest

    @property
    def logins(self) -> frozenset[int]:
        """Logins that the call is about, as far as it names them."""
        listed = self.text("login", default="").split(",")
        return frozenset(int(login) for login in listed if login.strip().isdecimal())


def bad_parameter(name: str, what: str) -> Refusal:
    code, text = BAD_PARAMETERS
    return Refusal(code, f"{text}: {name} {what}")


def matching(mask: str, names: Iterable[str]) -> list[str]:
    """Names that a mask selects: `*` is anything, a leading `!` excludes, commas separate."""
    wanted = [part.strip() for part in mask.split(",") if part.strip()]
    included = [_pattern(part) for part in wanted if not part.startswith("!")]
    excluded = [_pattern(part[1:]) for part in wanted if part.startswith("!")]
    return [
        name
        for name in names
        if any(pattern.fullmatch(name) for pattern in included)
        and not any(pattern.fullmatch(name) for pattern in excluded)
    ]


def _pattern(mask: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, mask.split("*"))), re.IGNORECASE)


def _members(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return {}
    if not text.startswith("{"):
        return dict(parse_qsl(unquote(text) if "%7B" in text[:3] else text, keep_blank_values=True))
    try:
        members = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise Refusal(*BAD_PARAMETERS) from error
    return members if isinstance(members, dict) else {}


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return "" if value is None else str(value)
