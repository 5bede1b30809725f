"""The nightly comparison of a trading server's balance operations with our own books, both ways.

Rollovers look forward, deal by deal; this looks back at what they have already relied on: whether every
operation of ours still stands there as we made it, whether anything stands there in our name that we did not
make, and whether a deal that a price was computed from has been changed or removed since. The last holds its
account; everything stays open until a person has settled it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import HouseAccount, PammAccount, User
from brokers.queries import broker_in_scope
from outbox.services import record_event
from rollover.errors import FindingNotOpen
from rollover.models import CountedDeal, Decision, Finding, Inspection
from rollover.services.deciding import required_note
from rollover.services.holding import hold
from rollover.services.snapshot import DEAL_WINDOW, shown
from trading.gateway import Deal
from trading.gateways import gateway_for
from trading.models import TradingServer
from transfers.models import KEY_PREFIX, Leg
from transfers.queries import IN_FLIGHT_STATES

LOGINS_AT_ONCE = 500
SETTLING = timedelta(minutes=15)
"""An operation applied more lately than this may not be shown by the server yet."""

Kind = Finding.Kind


@dataclass(frozen=True, slots=True)
class _Difference:
    kind: Finding.Kind
    login: int
    ticket: int
    key: str
    account_id: int | None
    expected: Mapping[str, Any]
    found: Mapping[str, Any]


def inspections_due(now: datetime | None = None) -> list[TradingServer]:
    """Servers of the broker in scope that were not inspected since the last `INSPECTION_HOUR` of its zone."""
    moment = now or timezone.now()
    local = moment.astimezone(ZoneInfo(broker_in_scope().time_zone))
    due = local.replace(hour=settings.INSPECTION_HOUR, minute=0, second=0, microsecond=0)
    if due > local:
        due -= timedelta(days=1)
    done = Inspection.objects.filter(began_at__gte=due).values("server_id")
    return list(TradingServer.objects.filter(is_active=True).exclude(pk__in=done).order_by("id"))


def inspect_server(server: TradingServer, *, since: datetime | None = None) -> Inspection:
    """Compare everything since `since` (by default `INSPECTION_DAYS` ago), and write down what differs.

    Some reads per 500 logins, no statement per deal. Raises `GatewayError`; then nothing is written.
    """
    began_at = timezone.now()
    first = since or began_at - timedelta(days=settings.INSPECTION_DAYS)
    logins = _logins(server, first)
    differences: list[_Difference] = []
    deals = legs = 0
    for chunk in _chunks(sorted(logins), LOGINS_AT_ONCE):
        compared = _Comparison(server, first, began_at, chunk)
        differences += compared.differences()
        deals, legs = deals + compared.deals_read, legs + compared.legs_read
    with transaction.atomic():
        _write_down(server, differences, began_at)
        return Inspection.objects.create(
            server=server,
            began_at=began_at,
            compared_since=first,
            logins=len(logins),
            deals=deals,
            legs=legs,
            found=len(differences),
        )


def settle_finding(*, finding: Finding, by: User, note: str) -> Finding:
    """Close a finding: a person has seen to it and says what was done. It opens again if it changes.

    Raises `NotAllowed`, `NoteMissing`, `FindingNotOpen`.
    """
    note = required_note(by, note)
    with transaction.atomic():
        locked: Finding = Finding.objects.select_for_update().get(pk=finding.pk)
        if locked.state != Finding.State.OPEN:
            raise FindingNotOpen
        locked.state = Finding.State.SETTLED
        locked.settled_at, locked.settled_by, locked.note = timezone.now(), by, note[:300]
        locked.save()
        if locked.account is not None and locked.kind in (Kind.CHANGED_DEAL, Kind.VANISHED_DEAL):
            Decision.objects.create(
                account=locked.account,
                ticket=locked.ticket,
                kind=Decision.Kind.NOTED,
                amount=Decimal(0),
                currency_digits=locked.account.currency_digits,
                deal={"expected": locked.expected, "found": locked.found},
                made_by=by,
                note=locked.note,
            )
        record_event(
            "finding.settled",
            subject=locked.public_id,
            by=str(by.public_id),
            kind=locked.kind,
            note=locked.note,
        )
    return locked


class _Comparison:
    """Both sides of some logins. Ours is read before the server's where it must be there, and after it where
    it must not be missing: rollovers go on meanwhile.
    """

    def __init__(
        self, server: TradingServer, since: datetime, until: datetime, logins: Collection[int]
    ) -> None:
        self._settled_before = until - SETTLING
        self._manager = server.manager_login
        accounts = PammAccount.objects.filter(server=server, login__in=logins)
        self._accounts = {login: pk for login, pk in accounts.values_list("login", "pk") if login is not None}
        houses = HouseAccount.objects.filter(server=server, login__in=logins)
        self._houses = dict(houses.values_list("login", "created_at"))
        counted = CountedDeal.objects.filter(
            account__in=self._accounts.values(), executed_at__gte=since, ticket__gt=0
        ).exclude(part=CountedDeal.Part.OURS)
        self._counted = list(counted.values_list("account_id", "ticket", "amount", "comment"))
        applied = Leg.objects.filter(
            server=server, login__in=logins, state=Leg.State.APPLIED, applied_at__gte=since
        )
        self._applied = [leg for leg in applied if leg.applied_at and leg.applied_at < self._settled_before]
        self._deals: dict[int, tuple[Deal, ...]] = gateway_for(server).deals(
            logins, since - DEAL_WINDOW, until + DEAL_WINDOW
        )
        self._by_ticket = {deal.ticket: deal for deals in self._deals.values() for deal in deals}
        self._since, self._until = since, until
        keys = {deal.comment for deal in self._flows() if deal.comment.startswith(KEY_PREFIX)}
        self._legs_by_key = {leg.key: leg for leg in Leg.objects.filter(server=server, key__in=keys)}
        tickets = {deal.ticket for deal in self._flows()}
        self._our_tickets = set(
            Leg.objects.filter(server=server, ticket__in=tickets).values_list("ticket", flat=True)
        )

    @property
    def deals_read(self) -> int:
        return len(self._by_ticket)

    @property
    def legs_read(self) -> int:
        return len(self._applied)

    def differences(self) -> Iterator[_Difference]:
        yield from self._of_our_operations()
        yield from self._of_counted_deals()
        yield from self._in_our_name()

    def _flows(self) -> Iterator[Deal]:
        for deals in self._deals.values():
            yield from (deal for deal in deals if deal.is_flow)

    def _of_our_operations(self) -> Iterator[_Difference]:
        for leg in self._applied:
            deal = self._by_ticket.get(leg.ticket or 0)
            expected = {"ticket": str(leg.ticket), "amount": str(leg.amount), "comment": leg.key}
            account = self._accounts.get(leg.login)
            if deal is None:
                yield _Difference(
                    Kind.MISSING_DEAL, leg.login, leg.ticket or 0, leg.key, account, expected, {}
                )
            elif (deal.login, deal.amount, deal.comment) != (leg.login, leg.amount, leg.key):
                yield _Difference(
                    Kind.CHANGED_DEAL, leg.login, deal.ticket, leg.key, account, expected, shown(deal)
                )

    def _of_counted_deals(self) -> Iterator[_Difference]:
        login_of = {pk: login for login, pk in self._accounts.items()}
        for account, ticket, amount, comment in self._counted:
            deal, login = self._by_ticket.get(ticket), login_of[account]
            expected = {"ticket": str(ticket), "amount": str(amount), "comment": comment}
            if deal is None:
                yield _Difference(Kind.VANISHED_DEAL, login, ticket, "", account, expected, {})
            elif deal.balance_change != amount:
                yield _Difference(Kind.CHANGED_DEAL, login, ticket, "", account, expected, shown(deal))

    def _in_our_name(self) -> Iterator[_Difference]:
        """Operations that nobody of ours made, or made once and find twice; on the broker's own accounts
        those of others too. On PAMM accounts the rollovers find them, and clients' accounts are their own.
        """
        for deal in self._flows():
            if deal.ticket in self._our_tickets or not self._since <= deal.at <= self._until:
                continue
            leg = self._legs_by_key.get(deal.comment)
            account = self._accounts.get(deal.login)
            if leg is not None:
                if leg.state not in IN_FLIGHT_STATES and leg.state != Leg.State.PLANNED:
                    expected = {"ticket": str(leg.ticket), "amount": str(leg.amount), "comment": leg.key}
                    yield _Difference(
                        Kind.DUPLICATE_KEY, deal.login, deal.ticket, leg.key, account, expected, shown(deal)
                    )
            elif deal.dealer == self._manager:
                if deal.at < self._settled_before:
                    yield _Difference(Kind.UNKNOWN_KEY, deal.login, deal.ticket, "", account, {}, shown(deal))
            elif deal.login in self._houses and deal.at >= self._houses[deal.login]:
                yield _Difference(Kind.FOREIGN, deal.login, deal.ticket, "", None, {}, shown(deal))


def _logins(server: TradingServer, since: datetime) -> set[int]:
    """All PAMM and house accounts, and personal accounts that we moved money of."""
    accounts = PammAccount.objects.filter(server=server, login__isnull=False).filter(
        Q(closed_at__isnull=True) | Q(closed_at__gte=since)
    )
    moved = Leg.objects.filter(server=server).filter(Q(applied_at__gte=since) | Q(applied_at__isnull=True))
    return {
        *(login for login in accounts.values_list("login", flat=True) if login is not None),
        *HouseAccount.objects.filter(server=server).values_list("login", flat=True),
        *moved.values_list("login", flat=True),
    }


def _write_down(server: TradingServer, differences: Collection[_Difference], now: datetime) -> None:
    logins = {difference.login for difference in differences}
    known = {
        (row.kind, row.login, row.ticket, row.key): row
        for row in Finding.objects.select_for_update().filter(server=server, login__in=logins)
    }
    held: dict[int, list[dict[str, Any]]] = {}
    for difference in differences:
        row = known.get((difference.kind, difference.login, difference.ticket, difference.key))
        if row is None:
            row = Finding(
                kind=difference.kind,
                server=server,
                account_id=difference.account_id,
                login=difference.login,
                ticket=difference.ticket,
                key=difference.key,
                found_at=now,
            )
            is_news = True
        else:
            is_news = row.state == Finding.State.SETTLED and row.found != dict(difference.found)
        if is_news:
            row.state = Finding.State.OPEN
            row.settled_at, row.settled_by, row.note = None, None, ""
        row.expected, row.found, row.seen_at = dict(difference.expected), dict(difference.found), now
        row.save()
        if is_news:
            record_event(
                "finding.opened", subject=row.public_id, kind=row.kind, login=row.login, ticket=row.ticket
            )
        if row.state == Finding.State.OPEN and row.account_id is not None:
            held.setdefault(row.account_id, []).append(
                {"kind": row.kind, "expected": row.expected, "found": row.found}
            )
    for account_id, details in held.items():
        account = PammAccount.objects.select_for_update().get(pk=account_id)
        if not account.is_held:
            hold(account, "counted_deal_changed", {"findings": details})


def _chunks(logins: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(logins), size):
        yield logins[start : start + size]
