"""Lenient reading of Web API answers: scalars come as strings or numbers, names in either letter case."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

PLACES = 20
"""A number has at most so many digits before its point, and so many behind it."""


class UnreadableAnswer(Exception):
    """An answer lacks a field or holds something that is not what the protocol promises."""


class Record:
    """One object of an answer; looks fields up without regard to letter case."""

    __slots__ = ("_fields", "_folded")

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise UnreadableAnswer(f"expected an object, got {type(fields).__name__}")
        self._fields: dict[str, Any] = fields
        self._folded: dict[str, Any] | None = None

    def get(self, *names: str) -> Any:
        """The first of the named fields that is there, else None."""
        for name in names:
            if name in self._fields:
                return self._fields[name]
        if self._folded is None:
            self._folded = {key.lower(): value for key, value in self._fields.items()}
        for name in names:
            if name.lower() in self._folded:
                return self._folded[name.lower()]
        return None

    @property
    def fields(self) -> dict[str, Any]:
        """As the server gave them, to be sent back with changes."""
        return dict(self._fields)

    def text(self, *names: str) -> str:
        value = self.get(*names)
        return "" if value is None else str(value)

    def decimal(self, *names: str, default: Decimal | None = None) -> Decimal:
        value = self.get(*names)
        if value is None or value == "":
            if default is None:
                raise UnreadableAnswer(f"no field {names[0]}")
            return default
        try:
            number = Decimal(str(value))
        except InvalidOperation as error:
            raise UnreadableAnswer(f"{names[0]} is not a number: {value!r}") from error
        if not number.is_finite():
            raise UnreadableAnswer(f"{names[0]} is not finite: {value!r}")
        # `1e400` is finite: sums and columns hold no such figure, and it would stop whoever adds it up.
        if number and not -PLACES <= int(number.as_tuple().exponent) <= number.adjusted() < PLACES:
            raise UnreadableAnswer(f"{names[0]} is beyond measure: {value!r}")
        return number

    def integer(self, *names: str, default: int | None = None) -> int:
        value = self.get(*names)
        if value is None or value == "":
            if default is None:
                raise UnreadableAnswer(f"no field {names[0]}")
            return default
        # "10009 done" and "1700000000 2023.11.14 22:13:20" begin with the number that counts
        head = str(value).split(maxsplit=1)[0]
        try:
            return int(head)
        except ValueError as error:
            raise UnreadableAnswer(f"{names[0]} is not a whole number: {value!r}") from error


class Answer:
    """A whole answer: its return code and its members."""

    def __init__(self, members: Any) -> None:
        self.top = Record(members)
        self.code = self.top.integer("retcode")
        self.text = self.top.text("retcode")

    @property
    def content(self) -> Any:
        return self.top.get("answer")

    def record(self) -> Record:
        """The answer as one object; a list of one is taken as that one."""
        content = self.content
        if isinstance(content, list) and len(content) == 1:
            content = content[0]
        return Record(content)

    def records(self) -> list[Record]:
        """The answer as a list; a single object is a list of one, nothing is an empty list."""
        content = self.content
        if content is None:
            return []
        return [Record(item) for item in (content if isinstance(content, list) else [content])]
