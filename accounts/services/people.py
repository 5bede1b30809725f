"""Writing people and accounts.

`by` is who acts: the broker's administrator, or the person alone where that is said. `None` is the platform's
operator at a terminal.
"""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.crypto import get_random_string
from django.views.decorators.debug import sensitive_variables

from accounts.errors import (
    AccountNotOpened,
    AlreadyManager,
    EmailTaken,
    HasTradingAccount,
    LastAdministrator,
    NotAPersonalAccount,
    OwnAccountsNotOpened,
    RoleNotHere,
    TradingAccountBeingOpened,
    TradingAccountTaken,
    TradingServerSilent,
    UnacceptablePassword,
    UnsuitableGroup,
    WrongTradingPassword,
)
from accounts.models import (
    STAFF_ROLES,
    HouseAccount,
    Manager,
    Membership,
    PersonalAccount,
    Role,
    User,
    fold_email,
)
from accounts.queries import forget_roles, has_role
from brokers.errors import NotAllowed
from brokers.queries import broker_in_scope
from outbox.services import record_event
from trading.gateway import Account, GatewayError, Refused
from trading.gateways import gateway_for
from trading.models import TradingGroup, TradingServer

TRADING_PASSWORD_LENGTH = 14
OPENING_CLAIM_SECONDS = 120
# Without letters and digits that are read for one another; each class appears, as trading servers ask.
_LETTERS = "abcdefghijkmnpqrstuvwxyz"
_DIGITS = "23456789"


def register_client(
    *,
    email: str,
    password: str | None,
    first_name: str = "",
    last_name: str = "",
    email_is_verified: bool = False,
    by: User | None,
) -> User:
    """A new client with the role investor. Without a password only the trading login opens the cabinet.

    `email_is_verified`: the broker vouches for the address. Raises `EmailTaken`, `UnacceptablePassword`.
    """
    require_admin(by)
    fields = {"first_name": first_name, "last_name": last_name}
    with transaction.atomic():
        user = _new_user(email, password, verified=email_is_verified, **fields)
        Membership.objects.create(user=user, role=Role.INVESTOR)
        record_event("client.registered", subject=user.public_id)
    return user


def register_staff(
    *, email: str, password: str, role: Role, first_name: str = "", last_name: str = "", by: User | None
) -> User:
    """Somebody who works for the broker. Nothing opens to them before they have enrolled a second factor.

    Raises `EmailTaken`, `UnacceptablePassword`, `RoleNotHere`.
    """
    require_admin(by)
    if role not in STAFF_ROLES:
        raise RoleNotHere
    with transaction.atomic():
        # Whoever appoints staff vouches for the address: the second factor cannot be enrolled before it is
        # verified.
        user = _new_user(email, password, verified=True, first_name=first_name, last_name=last_name)
        grant_role(user=user, role=role, by=by)
    return user


def accept_visitor(user: User, *, invitation: str = "", accepted_terms: str = "") -> User:
    """Make an investor of somebody who has just signed up on the public page.

    `invitation` is the token of the join link that led here; `accepted_terms` where the broker's terms were
    read that this person has agreed to.
    """
    with transaction.atomic():
        user.invitation = invitation
        user.save()
        Membership.objects.create(user=user, role=Role.INVESTOR)
        record_event("client.registered", subject=user.public_id, accepted_terms=accepted_terms)
    return user


def change_profile(*, user: User, first_name: str, last_name: str, language: str, time_zone: str) -> User:
    """What somebody says about himself. Empty `language` and `time_zone`: the browser's, the broker's."""
    told = {"first_name": first_name, "last_name": last_name, "language": language, "time_zone": time_zone}
    changed = [name for name, value in told.items() if getattr(user, name) != value]
    for name in changed:
        setattr(user, name, told[name])
    if changed:
        with transaction.atomic():
            user.save(update_fields=changed)
            record_event("person.profile_changed", subject=user.public_id, changed=changed)
    return user


def end_sessions(*, user: User) -> User:
    """Sign somebody out wherever he is signed in. A page that goes on keeps its own session anew."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(session_generation=F("session_generation") + 1)
        user.refresh_from_db(fields=["session_generation"])
        record_event("person.signed_out_elsewhere", subject=user.public_id)
    return user


def forget_invitation(*, user: User) -> None:
    """The join link somebody signed up by has led to an investment, or leads nowhere any more."""
    user.invitation = ""
    User.objects.filter(pk=user.pk).exclude(invitation="").update(invitation="")


def grant_role(*, user: User, role: Role, by: User | None) -> None:
    """Give a role; nothing happens where it is held already. Raises `RoleNotHere`, `NotAllowed`."""
    require_admin(by)
    if (role is Role.OPERATOR) != broker_in_scope().is_platform:
        raise RoleNotHere
    with transaction.atomic():
        _, is_new = Membership.objects.get_or_create(user=user, role=role)
        if is_new:
            record_event("role.granted", subject=user.public_id, role=role.value, by=acting(by))
    forget_roles(user)


def revoke_role(*, user: User, role: Role, by: User | None) -> None:
    """Take a role away. Raises `LastAdministrator` where nobody could give it back, `NotAllowed`."""
    require_admin(by)
    with transaction.atomic():
        # Two administrators taking each other's role at once must not both succeed.
        holders = list(
            Membership.objects.select_for_update().filter(role=role).values_list("user_id", flat=True)
        )
        if user.pk not in holders:
            return
        if role in {Role.ADMIN, Role.OPERATOR} and len(holders) == 1:
            raise LastAdministrator
        Membership.objects.filter(user=user, role=role).delete()
        record_event("role.revoked", subject=user.public_id, role=role.value, by=acting(by))
    forget_roles(user)


@sensitive_variables("password")
def link_personal_account(
    *, user: User, server: TradingServer, login: int, password: str, by: User | None
) -> PersonalAccount:
    """Add a trading account the person has already, after its server verified the password.

    Not in a transaction. For the person or an administrator. Raises `WrongTradingPassword`,
    `NotAPersonalAccount`, `TradingAccountTaken`, `TradingServerSilent`.
    """
    _require_self_or_admin(user, by)
    gateway = gateway_for(server)
    try:
        account = gateway.account(login) if gateway.check_password(login, password) else None
    except GatewayError as error:
        raise TradingServerSilent from error
    if account is None:
        raise WrongTradingPassword(field="password")
    group = TradingGroup.objects.filter(
        server=server, name=account.group, purpose=TradingGroup.Purpose.PERSONAL
    ).first()
    if group is None:
        raise NotAPersonalAccount(field="login")
    return _add_account(user, group, login, by)


@sensitive_variables("password")
def open_personal_account(
    *, user: User, group: TradingGroup, leverage: int = 100, by: User | None
) -> tuple[PersonalAccount, str]:
    """Open a trading account for the person; returns it and its password, kept nowhere.

    Not in a transaction. Raises `UnsuitableGroup`, `AccountNotOpened`: where the answer was lost, an
    account without money or owner may stand on the server; the next attempt opens another.
    """
    _require_self_or_admin(user, by)
    if group.purpose != TradingGroup.Purpose.PERSONAL:
        raise UnsuitableGroup
    password = new_trading_password()
    try:
        opened = gateway_for(group.server).create_account(
            group=group.name,
            name=user.full_name or user.email,
            leverage=leverage,
            password=password,
            investor_password=new_trading_password(),
        )
    except GatewayError as error:
        raise TradingServerSilent from error
    if not isinstance(opened, Account):
        raise AccountNotOpened(reason=opened.text if isinstance(opened, Refused) else opened.reason)
    return _add_account(user, group, opened.login, by), password


@sensitive_variables("password")
def open_own_account(*, user: User, group: TradingGroup) -> tuple[PersonalAccount, str]:
    """A client opens a trading account in the cabinet, at most one of each currency on a server.

    Not in a transaction. Raises `OwnAccountsNotOpened`, `HasTradingAccount`, `TradingAccountBeingOpened`, and
    what `open_personal_account` raises.
    """
    if not broker_in_scope().opens_trading_accounts:
        raise OwnAccountsNotOpened
    # The server is called outside any transaction: no row can be locked meanwhile.
    claim = f"opening-account:{user.pk}"
    if not cache.add(claim, True, timeout=OPENING_CLAIM_SECONDS):
        raise TradingAccountBeingOpened
    try:
        own = PersonalAccount.objects.filter(user=user, server=group.server, currency=group.currency)
        if own.exists():
            raise HasTradingAccount(currency=group.currency, field="group")
        return open_personal_account(user=user, group=group, by=user)
    finally:
        cache.delete(claim)


def make_manager(*, user: User, display_name: str, biography: str = "", by: User | None) -> Manager:
    """Let a client manage other people's money. Raises `AlreadyManager`, `NotAllowed`."""
    require_admin(by)
    try:
        with transaction.atomic():
            manager: Manager = Manager.objects.create(
                user=user, display_name=display_name, biography=biography
            )
            grant_role(user=user, role=Role.MANAGER, by=by)
            record_event("manager.appointed", subject=manager.public_id, by=acting(by))
    except IntegrityError as error:
        raise AlreadyManager from error
    return manager


def appoint_house_account(
    *, group: TradingGroup, purpose: HouseAccount.Purpose, login: int, by: User | None
) -> HouseAccount:
    """Tell which of the broker's own accounts on the server serves a purpose, in its group's currency.

    Not in a transaction. Raises `NotAllowed`, `UnsuitableGroup` where the login is not of that group,
    `TradingServerSilent`, `TradingAccountTaken` for a purpose or login that has one already.
    """
    require_admin(by)
    try:
        account = gateway_for(group.server).account(login)
    except GatewayError as error:
        raise TradingServerSilent from error
    if group.purpose != TradingGroup.Purpose.HOUSE or account is None or account.group != group.name:
        raise UnsuitableGroup(field="login")
    try:
        with transaction.atomic():
            house: HouseAccount = HouseAccount.objects.create(
                server=group.server,
                purpose=purpose,
                login=login,
                currency=group.currency,
                currency_digits=group.currency_digits,
            )
            record_event(
                "house_account.appointed", subject=house.public_id, purpose=purpose.value, by=acting(by)
            )
    except IntegrityError as error:
        raise TradingAccountTaken(field="login") from error
    return house


def new_trading_password() -> str:
    """A password that trading servers accept: lower and upper case, a digit, a sign."""
    letters = get_random_string(TRADING_PASSWORD_LENGTH - 4, _LETTERS + _LETTERS.upper() + _DIGITS)
    required = (_LETTERS, _LETTERS.upper(), _DIGITS, "!#$%")
    return "".join(get_random_string(1, kind) for kind in required) + letters


def _new_user(email: str, password: str | None, *, verified: bool, **fields: Any) -> User:
    from allauth.account.models import EmailAddress

    user = User(email=fold_email(email), **fields)
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise UnacceptablePassword(field="password", reasons=" ".join(error.messages)) from error
    user.set_password(password)
    user.clean_fields(exclude=["password"])
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise EmailTaken(field="email") from error
    EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
    return user


def _add_account(user: User, group: TradingGroup, login: int, by: User | None) -> PersonalAccount:
    try:
        with transaction.atomic():
            account: PersonalAccount = PersonalAccount.objects.create(
                user=user,
                server=group.server,
                login=login,
                currency=group.currency,
                currency_digits=group.currency_digits,
            )
            record_event("personal_account.added", subject=account.public_id, login=login, by=acting(by))
    except IntegrityError as error:
        raise TradingAccountTaken(field="login") from error
    return account


def require_admin(by: User | None) -> None:
    """Raises `NotAllowed` for everybody but the broker's administrator and the platform."""
    if by is not None and not has_role(by, Role.ADMIN, Role.OPERATOR):
        raise NotAllowed


def _require_self_or_admin(user: User, by: User | None) -> None:
    if by is None or by.pk != user.pk:
        require_admin(by)


def acting(by: User | None) -> str | None:
    """Who acts, as an event tells it."""
    return None if by is None else str(by.public_id)
