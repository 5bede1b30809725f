"""Terms that tests start from, and refusals told by their code."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import Refusal
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from offers.services import TermsDraft

TWENTY_PERCENT = TermsDraft(
    schedule=Schedule.flat(Decimal("0.2")),
    minimum_first=Decimal(100),
    minimum_further=Decimal(50),
    minimum_remaining=Decimal(50),
)


def draft(**changes: Any) -> TermsDraft:
    """20 % flat, monthly, from 100.00, but for `changes`."""
    return replace(TWENTY_PERCENT, **changes)


def tiers(basis: Basis, *rows: tuple[str | None, str], mode: Mode = Mode.WHOLE) -> Schedule:
    """A schedule of (bound, rate) rows."""
    return Schedule(
        basis,
        mode,
        tuple(Tier(None if bound is None else Decimal(bound), Decimal(rate)) for bound, rate in rows),
    )


def plain(text: str) -> str:
    """The text with ordinary spaces for those that keep a figure and its unit together."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


@contextmanager
def refused_as(code: str) -> Iterator[None]:
    """The block is refused with this code."""
    with pytest.raises(Refusal) as refused:
        yield
    assert refused.value.code == code


EXAMPLE_1 = tiers(Basis.YIELD, (None, "0"), ("0.10", "0.20"), ("0.40", "0.50"))
EXAMPLE_2 = tiers(Basis.NET_WORTH, (None, "0.50"), ("1000", "0.40"), ("5000", "0.30"), ("10000", "0.15"))
