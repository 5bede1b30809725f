"""What an account was at a moment of the past, from the records up to then."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Sum

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.units import value as value_of_units
from allocation.models import UnitEntry
from fees.models import Charge, ChargePart
from money.exact import ZERO, exact_difference, exact_sum
from rollover.models import ChainLink, CountedDeal
from rollover.verification.differences import shown
from rollover.verification.records import Until
from rollover.verification.replay import Replay
from rollover.verification.series import Series

Line = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """One account then. `lines` are (what, figure), amounts in the account's currency."""

    account: str
    at: datetime
    lines: tuple[Line, ...]


def statement_of(
    account: PammAccount, until: Until, series: Series, replay: Replay, sums: Mapping[str, Decimal]
) -> Statement:
    """Equity and units are given before and after the flows of the last rollover."""
    return Statement(
        f"{account.name} {account.public_id}",
        until.at,
        tuple((what, shown(figure)) for what, figure in _figures(account, until, series, replay, sums)),
    )


def _figures(
    account: PammAccount, until: Until, series: Series, replay: Replay, sums: Mapping[str, Decimal]
) -> Iterator[tuple[str, object]]:
    last, digits = series.last, account.currency_digits
    yield "currency", account.currency
    yield "last rollover", None if last is None else last.name
    if last is not None:
        price = Price(last.price_equity, last.price_units)
        active = [stake for stake in replay.stakes.values() if stake.is_active]
        values = exact_sum(value_of_units(stake.units, price, digits) for stake in active)
        yield "balance at the trading server", last.server_balance
        yield "equity at the trading server", last.server_equity
        yield "credit", last.server_credit
        yield "equity before its flows", last.equity
        yield "units before its flows", last.units
        yield "price per unit, rounded", last.price
        yield "equity after its flows", series.equity
        yield "units after its flows", series.units
        yield "active investments", len(active)
        yield "sum of their values", values
        yield "rounding residual", exact_difference(series.equity, values)
        link = ChainLink.objects.filter(account=account, sequence=last.sequence).first()
        yield "digest of its link", None if link is None else bytes(link.digest).hex()
    yield from _totals(account, until)
    for kind, balance in sums.items():
        yield f"ledger, {kind}", balance


def _totals(account: PammAccount, until: Until) -> Iterator[tuple[str, object]]:
    """Since the account's first rollover, by kind: how many rows, and their sum."""
    of_account = {"account": account, "price_point__sequence__lte": until.sequence}
    for name, rows, kind in (
        ("unit entries", UnitEntry.objects.filter(**of_account), "kind"),
        ("charges", Charge.objects.filter(**of_account), "kind"),
        ("parts of charges", ChargePart.objects.filter(**of_account), "party"),
        ("counted deals", CountedDeal.objects.filter(**of_account), "part"),
    ):
        sums = rows.values_list(kind).annotate(count=Count("pk"), sum=Sum("amount")).order_by(kind)
        for value, count, total in sums:
            yield f"{name}, {value} ({count})", total or ZERO
