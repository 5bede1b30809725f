"""Opening PAMM accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import (
    USUAL_DISCLOSURE_DELAY,
    HouseAccount,
    Manager,
    PammAccount,
    PersonalAccount,
    User,
)
from accounts.queries import runs_account
from accounts.services import new_trading_password, require_disclosure_delay
from allocation.models import Investment
from brokers.errors import NotAllowed, NotFound, Refusal
from investing.amounts import require_amount
from investing.errors import (
    CurrencyDiffers,
    IdempotencyKeyReused,
    NotInThisCurrency,
    OverPersonalBalance,
    OwnCapitalTooSmall,
    TradingServerRefused,
    TradingServerUnavailable,
)
from investing.models import Request
from investing.services.money_at_server import free_money_of
from outbox.services import record_event
from trading.gateway import Account, GatewayError, Refused
from trading.gateways import gateway_for
from trading.models import TradingGroup


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """A PAMM account and the password its manager trades it with.

    The password is told once and kept nowhere; None where an earlier call with the same key has told it.
    """

    account: PammAccount
    trading_password: str | None


def open_pamm_account(
    *,
    manager: Manager,
    income_account: PersonalAccount,
    name: str,
    own_capital: Decimal,
    by: User,
    idempotency_key: str,
    description: str = "",
    minimum_own_capital: Decimal | None = None,
    leverage: int = 100,
    disclosure: str = PammAccount.Disclosure.HIDDEN,
    disclosure_delay: timedelta = USUAL_DISCLOSURE_DELAY,
) -> OpenedAccount:
    """Open an account on the trading server, in the currency of `income_account`, and order its own capital.

    The own capital is the manager's own investment, free of fees, executed at the next rollover. The same key
    answers the account it opened first; an opening that was cut off is taken up again by it. Raises
    `NotAllowed`, `NotFound`, `CurrencyDiffers`, `NotInThisCurrency`, `OwnCapitalTooSmall`,
    `OverPersonalBalance`, `DisclosureDelayOutOfRange`, `TradingServerRefused`, `TradingServerUnavailable` and
    those of `require_amount`.
    """
    if manager.user_id != by.pk:
        raise NotAllowed
    if income_account.user_id != by.pk:
        raise NotFound
    minimum = own_capital if minimum_own_capital is None else minimum_own_capital
    digits, currency = income_account.currency_digits, income_account.currency
    require_amount(own_capital, currency=currency, digits=digits)
    require_amount(minimum, currency=currency, digits=digits)
    if own_capital < minimum:
        raise OwnCapitalTooSmall(field="own_capital", minimum=minimum, currency=currency)
    require_disclosure_delay(disclosure_delay)
    group = _group_for(income_account)
    draft = PammAccount(
        manager=manager,
        income_account=income_account,
        server=income_account.server,
        name=name,
        description=description,
        minimum_own_capital=minimum,
        leverage=leverage,
        disclosure=disclosure,
        disclosure_delay=disclosure_delay,
        currency=currency,
        currency_digits=digits,
        opening_key=idempotency_key,
    )
    with _no_twin(draft):
        return _open(draft, group, own_capital, by)


@contextmanager
def _no_twin(draft: PammAccount) -> Iterator[None]:
    """One opening of this order at a time: a second one would leave an account on the server that nothing
    uses.

    The lock is the session's, since the server is asked in between, and ends with it.
    """
    key = f"open-pamm-account:{draft.manager_id}:{draft.opening_key}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def _open(draft: PammAccount, group: TradingGroup, own_capital: Decimal, by: User) -> OpenedAccount:
    if (opened := _opened_before(draft)) is not None:
        return OpenedAccount(opened, None)
    free = free_money_of(draft.income_account)
    if own_capital > free:
        raise OverPersonalBalance(
            field="own_capital", login=draft.income_account.login, available=free, currency=draft.currency
        )
    account = _draft(draft)
    if account.state != PammAccount.State.DRAFT:
        return OpenedAccount(account, None)
    password = new_trading_password()
    try:
        login = _open_on_server(account, group, password)
    except Refusal:
        PammAccount.objects.filter(pk=account.pk, state=PammAccount.State.DRAFT).delete()
        raise
    active = _activate(account, login, own_capital, by)
    return OpenedAccount(active, password if active.login == login else None)


def set_margin_policy(*, account: PammAccount, policy: PammAccount.MarginPolicy, by: User) -> PammAccount:
    """What happens where open positions bind the money of due withdrawals: wait, or close in proportion.

    `by` is the account's manager, or the broker's administrator or dealer. Raises `NotAllowed`.
    """
    if not runs_account(by, account):
        raise NotAllowed
    with transaction.atomic():
        locked: PammAccount = PammAccount.objects.select_for_update().get(pk=account.pk)
        before, locked.margin_policy = locked.margin_policy, policy
        locked.save(update_fields=["margin_policy"])
        record_event(
            "account.margin_policy",
            subject=locked.public_id,
            by=str(by.public_id),
            before=before,
            after=policy,
        )
    return locked


def _group_for(income_account: PersonalAccount) -> TradingGroup:
    group = TradingGroup.objects.filter(
        server=income_account.server, purpose=TradingGroup.Purpose.PAMM, currency=income_account.currency
    ).first()
    rounding = HouseAccount.objects.filter(
        server=income_account.server,
        purpose=HouseAccount.Purpose.ROUNDING,
        currency=income_account.currency,
    )
    if group is None or not rounding.exists():
        raise NotInThisCurrency(field="income_account", currency=income_account.currency)
    if group.currency_digits != income_account.currency_digits:
        raise CurrencyDiffers(field="income_account", personal=income_account.currency, pamm=group.currency)
    return group


def _opened_before(draft: PammAccount) -> PammAccount | None:
    """The account that this key opened already. Raises `IdempotencyKeyReused` where it was ordered
    otherwise.
    """
    opened = (
        PammAccount.objects.filter(manager=draft.manager, opening_key=draft.opening_key)
        .exclude(state=PammAccount.State.DRAFT)
        .first()
    )
    if opened is not None and (opened.name, opened.income_account_id) != (
        draft.name,
        draft.income_account_id,
    ):
        raise IdempotencyKeyReused
    return opened


def _draft(draft: PammAccount) -> PammAccount:
    """The row of this order, written before the trading server is asked; an attempt that was cut off left
    it.
    """
    try:
        with transaction.atomic():
            draft.save()
    except IntegrityError:
        with transaction.atomic():
            # Locked: a twin of the same click that opens it now must not be written over with a draft again.
            left = PammAccount.objects.select_for_update().get(
                manager=draft.manager, opening_key=draft.opening_key
            )
            if left.state != PammAccount.State.DRAFT:
                return left
            draft.pk, draft.public_id = left.pk, left.public_id
            draft.save(force_update=True)
    return draft


def _open_on_server(account: PammAccount, group: TradingGroup, password: str) -> int:
    """Login of the new account."""
    gateway = gateway_for(account.server)
    try:
        opened = gateway.create_account(
            group=group.name,
            name=account.name[:127],
            leverage=account.leverage,
            password=password,
            investor_password=new_trading_password(),
            comment=str(account.public_id)[:31],
        )
    except GatewayError:
        raise TradingServerUnavailable from None
    if isinstance(opened, Refused):
        raise TradingServerRefused
    if not isinstance(opened, Account):
        # Its answer was lost: an empty account may stand on the server, which nothing here will ever use.
        raise TradingServerUnavailable
    return opened.login


def _activate(account: PammAccount, login: int, own_capital: Decimal, by: User) -> PammAccount:
    with transaction.atomic():
        locked: PammAccount = PammAccount.objects.select_for_update().get(pk=account.pk)
        if locked.state != PammAccount.State.DRAFT:
            return locked
        locked.login = login
        locked.state = PammAccount.State.ACTIVE
        locked.save()
        investment = Investment.objects.create(
            account=locked,
            owner=by,
            personal_account_id=locked.income_account_id,
            is_own_capital=True,
            series=locked.series,
        )
        now = timezone.now()
        request = Request.objects.create(
            investment=investment,
            account=locked,
            kind=Request.Kind.DEPOSIT,
            amount=own_capital,
            currency=locked.currency,
            currency_digits=locked.currency_digits,
            state=Request.State.CONFIRMED,
            idempotency_key=f"own-capital-{locked.public_id}",
            created_by=by,
            created_at=now,
            confirmed_at=now,
        )
        record_event("account.opened", subject=locked.public_id, login=login, own_capital=str(own_capital))
        record_event("request.created", subject=request.public_id, kind=request.kind, amount=str(own_capital))
    return locked
