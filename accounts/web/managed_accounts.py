"""The figures of a manager's accounts, side by side: the same number of queries whatever their number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.core.cache import cache
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from accounts.models import Manager, PammAccount
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
from track_record.models import AccountStatistics
from track_record.queries import LONG_COLUMNS

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


def managed_accounts(accounts: Iterable[PammAccount]) -> list[ManagedAccount]:
    """Figures of each account, in order."""
    rows = list(accounts)
    stakes = _stakes(rows)
    pending = _pending(rows)
    earned = _earned(rows)
    accrued = accrued_fees(rows)
    yesterday = _prices_before_today(rows)
    statistics = {
        row.account_id: row for row in AccountStatistics.objects.filter(account__in=rows).defer(*LONG_COLUMNS)
    }
    last_rollovers = _last_rollovers(rows)
    return [
        _managed(
            account,
            stakes.get(account.pk),
            pending=pending.get(account.pk, 0),
            accrued=accrued[account.pk],
            earned=earned.get(account.pk, ZERO),
            price_before=yesterday.get(account.pk),
            statistics=statistics.get(account.pk),
            last_rollover=last_rollovers.get(account.pk),
        )
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
class _Stakes:
    own_units: Decimal
    investors_units: Decimal
    investors: int


def _stakes(accounts: Sequence[PammAccount]) -> dict[int, _Stakes]:
    own = Q(is_own_capital=True)
    sums = (
        Investment.objects.filter(account__in=accounts, state=Investment.State.ACTIVE)
        .order_by()
        .values("account")
        .annotate(
            own_units=Sum("units", filter=own),
            investors_units=Sum("units", filter=~own),
            investors=Count("owner", filter=~own, distinct=True),
        )
    )
    return {
        row["account"]: _Stakes(row["own_units"] or ZERO, row["investors_units"] or ZERO, row["investors"])
        for row in sums
    }


def _pending(accounts: Sequence[PammAccount]) -> dict[int, int]:
    pending = Request.objects.filter(account__in=accounts, state=Request.State.PENDING)
    counts = pending.order_by().values("account").annotate(count=Count("pk"))
    return {row["account"]: row["count"] for row in counts}


def _earned(accounts: Sequence[PammAccount]) -> dict[int, Decimal]:
    """The manager's own parts of all fees so far, by account."""
    managers = Manager.objects.filter(pk__in={account.manager_id for account in accounts})
    sums = (
        ChargePart.objects.filter(
            payee__in=managers.values("public_id"), party=ChargePart.Party.MANAGER, account__in=accounts
        )
        .order_by()
        .values("account")
        .annotate(earned=Sum("amount"))
    )
    return {row["account"]: row["earned"] for row in sums}


def _accrued_key(account: PammAccount) -> str:
    return f"accrued-by-kind:{account.pk}:{account.sequence}:{account.units.normalize():f}"


def _prices_before_today(accounts: Sequence[PammAccount]) -> dict[int, Price]:
    """Each account's last price before midnight in the reader's zone, of its present series."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    latest = PricePoint.objects.filter(
        account=OuterRef("pk"), series=OuterRef("series"), priced_at__lt=midnight
    ).order_by("-priced_at")
    points = PricePoint.objects.filter(
        pk__in=PammAccount.objects.filter(pk__in=[account.pk for account in accounts]).values(
            latest=Subquery(latest.values("pk")[:1])
        )
    )
    return {point.account_id: Price(point.price_equity, point.price_units) for point in points}


def _last_rollovers(accounts: Sequence[PammAccount]) -> dict[int, Rollover]:
    """The latest rollover of each account that has begun or ended."""
    begun = (
        Rollover.objects.filter(account=OuterRef("pk"))
        .exclude(state=Rollover.State.DUE)
        .order_by("-scheduled_for")
    )
    found = Rollover.objects.filter(
        pk__in=PammAccount.objects.filter(pk__in=[account.pk for account in accounts]).values(
            latest=Subquery(begun.values("pk")[:1])
        )
    )
    return {rollover.account_id: rollover for rollover in found}


def _managed(
    account: PammAccount,
    stakes: _Stakes | None,
    *,
    pending: int,
    accrued: Mapping[FeeKind, Decimal],
    earned: Decimal,
    price_before: Price | None,
    statistics: AccountStatistics | None,
    last_rollover: Rollover | None,
) -> ManagedAccount:
    price, digits = last_price(account), account.currency_digits
    stakes = stakes or _Stakes(ZERO, ZERO, 0)
    return ManagedAccount(
        account=account,
        own_capital=value_of_units(stakes.own_units, price, digits),
        investors=stakes.investors,
        investors_value=value_of_units(stakes.investors_units, price, digits),
        pending_requests=pending,
        accrued=accrued,
        fees_accrued=exact_sum(accrued.values()),
        fees_earned=earned,
        today=None
        if price_before is None or price_before.is_zero
        else time_weighted_return(price_before, price),
        drawdown=statistics.current_drawdown if statistics else None,
        sparkline=statistics.sparkline if statistics else [],
        last_rollover=last_rollover,
    )
