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
    """Names without regard to letter case. Every reader raises `Refusal` 3 for what it cannot read."""

    def __init__(self, query: str, body: bytes) -> None:
        self._values: dict[str, str] = {
            name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)
        }
        for name, value in _members(body).items():
            self._values[name.lower()] = _text(value)

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def text(self, *names: str, default: str | None = None) -> str:
        for name in names:
            if name in self._values:
                return self._values[name]
        if default is None:
            raise Refusal(*BAD_PARAMETERS)
        return default

    def whole(self, name: str, default: int | None = None) -> int:
        if name not in self and default is not None:
            return default
        try:
            return int(self.text(name))
        except ValueError as error:
            raise Refusal(*BAD_PARAMETERS) from error

    def number(self, name: str, default: Decimal | None = None) -> Decimal:
        if name not in self and default is not None:
            return default
        try:
            number = Decimal(self.text(name))
        except InvalidOperation as error:
            raise Refusal(*BAD_PARAMETERS) from error
        if not number.is_finite():
            raise Refusal(*BAD_PARAMETERS)
        return number

    def wholes(self, name: str) -> list[int]:
        try:
            return [int(item) for item in self.text(name).split(",") if item.strip()]
        except ValueError as error:
            raise Refusal(*BAD_PARAMETERS) from error


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
