"""The figures of a manager's accounts, side by side: the same number of queries whatever their number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.cache import cache
from django.db.models import Aggregate, Count, F, OuterRef, QuerySet, Subquery, Sum
from django.utils import timezone

from accounts.models import PammAccount
from allocation.calc.price import Price, time_weighted_return
from allocation.calc.units import value as value_of_units
from allocation.models import Investment, PricePoint
from allocation.services import last_price
from fees.calc.kinds import FeeKind
from fees.models import ChargePart
from fees.queries import accrued_of_accounts, with_figures
from investing.models import Request
from money.exact import ZERO, exact_sum
from rollover.models import Rollover

ACCRUED_KEPT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class ManagedAccount:
    """One account at its last rollover. Amounts in its currency; `today` and `drawdown` are fractions.

    `accrued` is by kind, `fees_accrued` in all.

    `today` is the return since the last price of yesterday, in the reader's zone; None where there is none.
    """

    account: PammAccount
    own_capital: Decimal
    investors: int
    investors_value: Decimal
    pending_requests: int
    accrued: Mapping[FeeKind, Decimal]
    fees_accrued: Decimal
    fees_earned: Decimal
    today: Decimal | None
    drawdown: Decimal | None
    sparkline: Sequence[str]
    last_rollover: Rollover | None

    @property
    def price(self) -> Price:
        return last_price(self.account)

    @property
    def currency(self) -> str:
        return self.account.currency

    @property
    def currency_digits(self) -> int:
        return self.account.currency_digits


def managed_accounts(accounts: Iterable[PammAccount], *, with_rollovers: bool = True) -> list[ManagedAccount]:
    """Figures of each account, in order; `last_rollover` only where it is wanted."""
    rows = list(accounts)
    figures = {row["pk"]: _Figures.of(row) for row in _figures(rows)}
    accrued = accrued_fees(rows)
    begun = [row.rollover for row in figures.values() if with_rollovers and row.rollover is not None]
    last_rollovers = {row.account_id: row for row in Rollover.objects.filter(pk__in=begun)} if begun else {}
    return [
        _managed(account, figures[account.pk], accrued[account.pk], last_rollovers.get(account.pk))
        for account in rows
    ]


def accrued_fees(accounts: Sequence[PammAccount]) -> dict[int, dict[FeeKind, Decimal]]:
    """What closing every investment now would charge, by account and kind.

    It moves only when an account is priced or its units change, so it is kept in the cache under those:
    otherwise each view of the page would compute every investment's fees again.
    """
    keys = {account.pk: _accrued_key(account) for account in accounts}
    known: dict[str, dict[str, str]] = cache.get_many(keys.values())
    missing = [account for account in accounts if keys[account.pk] not in known]
    computed = accrued_of_accounts(missing) if missing else {}
    if computed:
        cache.set_many(
            {
                keys[pk]: {kind.value: format(amount, "f") for kind, amount in kinds.items()}
                for pk, kinds in computed.items()
            },
            timeout=ACCRUED_KEPT_SECONDS,
        )
    return computed | {
        pk: {FeeKind(kind): Decimal(amount) for kind, amount in known[key].items()}
        for pk, key in keys.items()
        if key in known
    }


def active_investments(account: PammAccount) -> QuerySet[Investment]:
    """Investors' active investments of an account, with owners and all that their figures need."""
    return with_figures(
        Investment.objects.filter(account=account, state=Investment.State.ACTIVE, is_own_capital=False)
    ).select_related("owner", "terms__offer")


@dataclass(frozen=True, slots=True)
class _Figures:
    """What is read of one account beside its own columns."""

    own_units: Decimal
    investors_units: Decimal
    investors: int
    pending: int
    earned: Decimal
    price_before: Price | None
    drawdown: Decimal | None
    sparkline: Sequence[str]
    rollover: int | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "_Figures":
        before = row["equity_before"]
        return cls(
            own_units=row["own_units"] or ZERO,
            investors_units=row["investors_units"] or ZERO,
            investors=row["investors"] or 0,
            pending=row["pending"] or 0,
            earned=row["earned"] or ZERO,
            price_before=None if before is None else Price(before, row["units_before"]),
            drawdown=row["drawdown"],
            sparkline=row["sparkline"] or [],
            rollover=row["rollover"],
        )


def _figures(accounts: Sequence[PammAccount]) -> Iterable[Mapping[str, Any]]:
    """All of them in one statement; `price_before` is the last before midnight in the reader's zone, of the
    account's present series.
    """
    active = Investment.objects.filter(account=OuterRef("pk"), state=Investment.State.ACTIVE)
    theirs = active.filter(is_own_capital=False)
    pending = Request.objects.filter(account=OuterRef("pk"), state=Request.State.PENDING)
    own_parts = ChargePart.objects.filter(
        account=OuterRef("pk"), payee=OuterRef("manager__public_id"), party=ChargePart.Party.MANAGER
    )
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    before = PricePoint.objects.filter(
        account=OuterRef("pk"), series=OuterRef("series"), priced_at__lt=midnight
    ).order_by("-priced_at")
    begun = (
        Rollover.objects.filter(account=OuterRef("pk"))
        .exclude(state=Rollover.State.DUE)
        .order_by("-scheduled_for")
    )
    return PammAccount.objects.filter(pk__in=[account.pk for account in accounts]).values(
        "pk",
        own_units=_over_account(active.filter(is_own_capital=True), Sum("units")),
        investors_units=_over_account(theirs, Sum("units")),
        investors=_over_account(theirs, Count("owner", distinct=True)),
        pending=_over_account(pending, Count("pk")),
        earned=_over_account(own_parts, Sum("amount")),
        equity_before=Subquery(before.values("price_equity")[:1]),
        units_before=Subquery(before.values("price_units")[:1]),
        drawdown=F("statistics__current_drawdown"),
        sparkline=F("statistics__sparkline"),
        rollover=Subquery(begun.values("pk")[:1]),
    )


def _over_account(rows: QuerySet[Any], figure: Aggregate) -> Subquery:
    """One figure over all these rows of an account."""
    return Subquery(rows.order_by().values("account").annotate(figure=figure).values("figure"))


def _accrued_key(account: PammAccount) -> str:
    return f"accrued-by-kind:{account.pk}:{account.sequence}:{account.units.normalize():f}"


def _managed(
    account: PammAccount,
    figures: _Figures,
    accrued: Mapping[FeeKind, Decimal],
    last_rollover: Rollover | None,
) -> ManagedAccount:
    price, digits, price_before = last_price(account), account.currency_digits, figures.price_before
    return ManagedAccount(
        account=account,
        own_capital=value_of_units(figures.own_units, price, digits),
        investors=figures.investors,
        investors_value=value_of_units(figures.investors_units, price, digits),
        pending_requests=figures.pending,
        accrued=accrued,
        fees_accrued=exact_sum(accrued.values()),
        fees_earned=figures.earned,
        today=None
        if price_before is None or price_before.is_zero
        else time_weighted_return(price_before, price),
        drawdown=figures.drawdown,
        sparkline=figures.sparkline,
        last_rollover=last_rollover,
    )
