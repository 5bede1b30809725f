"""What others may see of an account's trading, and the picture of what is open where that is shown."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from accounts.errors import DisclosureDelayOutOfRange, OnlyManagerDiscloses
from accounts.models import (
    LEAST_DISCLOSURE_DELAY,
    MOST_DISCLOSURE_DELAY,
    OpenPositions,
    PammAccount,
    User,
)
from accounts.queries import runs_account
from brokers.errors import NotAllowed
from outbox.services import record_event
from trading.gateway import Position

Disclosure = PammAccount.Disclosure


@dataclass(frozen=True, slots=True)
class SeenPositions:
    """What was open in an account at one instant; `equity` is the pool's."""

    at: datetime
    equity: Decimal
    positions: Collection[Position]


def require_disclosure_delay(delay: timedelta) -> None:
    """Raises `DisclosureDelayOutOfRange` for a delay that no account may have."""
    if not LEAST_DISCLOSURE_DELAY <= delay <= MOST_DISCLOSURE_DELAY:
        raise DisclosureDelayOutOfRange(field="delay", most=MOST_DISCLOSURE_DELAY.days)


def is_more_open(account: PammAccount, disclosure: Disclosure, delay: timedelta) -> bool:
    """Whether somebody could see more of the account's trading under this setting than under its own."""
    return _openness(disclosure, delay) > _openness(account.disclosure, account.disclosure_delay)


def set_disclosure(
    *, account: PammAccount, disclosure: Disclosure, delay: timedelta, by: User
) -> PammAccount:
    """Show more or less of an account's trading, at once, and of the past too.

    The strategy is the manager's: the broker's administrator and dealer may hide, he alone may show more.
    Raises `NotAllowed`, `OnlyManagerDiscloses`, `DisclosureDelayOutOfRange`.
    """
    if not runs_account(by, account):
        raise NotAllowed
    require_disclosure_delay(delay)
    with transaction.atomic():
        locked: PammAccount = PammAccount.objects.select_for_update().get(pk=account.pk)
        if is_more_open(locked, disclosure, delay) and account.manager.user_id != by.pk:
            raise OnlyManagerDiscloses
        before = _told(locked)
        locked.disclosure, locked.disclosure_delay = disclosure, delay
        if before != _told(locked):
            locked.save(update_fields=["disclosure", "disclosure_delay"])
            if not locked.shows_positions:
                OpenPositions.objects.filter(account=locked).delete()
            record_event(
                "account.disclosure",
                subject=locked.public_id,
                by=str(by.public_id),
                before=before,
                after=_told(locked),
            )
    return locked


def keep_open_positions(seen: Mapping[int, SeenPositions]) -> None:
    """Replace the pictures of those of these accounts, by key, that show their positions; of the others
    nothing is kept. In the caller's transaction. No statement without accounts, at most two for any number.
    """
    if not seen:
        return
    # Locked: hidden meanwhile, an account must not get a picture after its last one was deleted.
    shown = PammAccount.objects.select_for_update().filter(pk__in=seen, disclosure=Disclosure.OPEN)
    rows = [_picture(account, seen[account.pk]) for account in shown.order_by("pk")]
    if rows:
        OpenPositions.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["account"],
            update_fields=["seen_at", "equity", "positions"],
        )


def _picture(account: PammAccount, seen: SeenPositions) -> OpenPositions:
    positions = [
        {
            "symbol": position.symbol,
            "side": position.side.value,
            "lots": format(position.volume, "f"),
            "opened_at": position.opened_at.isoformat(),
            "price_open": format(position.price_open, "f"),
            "price": format(position.price_current, "f"),
            "result": format(position.profit + position.storage, "f"),
        }
        for position in seen.positions
    ]
    return OpenPositions(
        account=account,
        seen_at=seen.at,
        equity=seen.equity,
        currency_digits=account.currency_digits,
        positions=positions,
    )


def _openness(disclosure: str, delay: timedelta) -> tuple[int, timedelta]:
    """The larger, the more is seen."""
    if disclosure == Disclosure.DELAYED:
        return 1, -delay
    return (2 if disclosure == Disclosure.OPEN else 0), timedelta(0)


def _told(account: PammAccount) -> dict[str, str | int]:
    return {
        "disclosure": str(account.disclosure),
        "delay_seconds": int(account.disclosure_delay.total_seconds()),
    }
