"""Refusals about people and accounts."""

from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal


class EmailTaken(Refusal):
    code = "email_taken"
    status = 409
    message = _("Somebody with this e-mail address is already registered.")


class UnacceptablePassword(Refusal):
    code = "unacceptable_password"
    message = _("Choose another password: {reasons}")


class WrongTradingPassword(Refusal):
    """Also for a login the server does not know: the two look the same from outside."""

    code = "wrong_trading_password"
    message = _("The trading login or its password is not correct.")


class TooManyAttempts(Refusal):
    code = "too_many_attempts"
    status = 429
    message = _("Too many failed attempts. Try again in {minutes} minutes.")


class TradingServerSilent(Refusal):
    code = "trading_server_unavailable"
    status = 503
    message = _("The trading server does not answer at the moment. Try again in a minute.")


class AccountNotOpened(Refusal):
    """The trading server refused to open the account, or its answer was lost."""

    code = "account_not_opened"
    status = 502
    message = _("The trading server did not open the account: {reason}")


class TradingAccountTaken(Refusal):
    code = "trading_account_taken"
    status = 409
    message = _("This trading account already belongs to somebody.")


class OwnAccountsNotOpened(Refusal):
    """The broker opens trading accounts, clients do not."""

    code = "own_accounts_not_opened"
    status = 403
    message = _("Your broker opens trading accounts: ask there for yours.")


class HasTradingAccount(Refusal):
    """One of each currency is opened in the cabinet; the broker may open more."""

    code = "has_trading_account"
    status = 409
    message = _("You have a trading account in {currency} already. Ask your broker for another one.")


class TradingAccountBeingOpened(Refusal):
    code = "trading_account_being_opened"
    status = 409
    message = _("A trading account is being opened for you at this moment.")


class UnsuitableGroup(Refusal):
    code = "unsuitable_group"
    message = _("No group of this broker opens such accounts.")


class NotAPersonalAccount(UnsuitableGroup):
    """Only accounts of a group for personal accounts are clients' own."""

    code = "not_a_personal_account"
    message = _("This is not a personal account that can be used here: connect another one.")


class RoleNotHere(Refusal):
    """Operators belong to the platform's own tenant, everybody else to a broker."""

    code = "role_not_here"
    message = _("This role cannot be given here.")


class LastAdministrator(Refusal):
    code = "last_administrator"
    status = 409
    message = _("The last administrator keeps the role.")


class AlreadyAgent(Refusal):
    code = "already_agent"
    status = 409
    message = _("This person is already an agent.")


class AgentCycle(Refusal):
    """An agent would stand above himself."""

    code = "agent_cycle"
    message = _("This agent stands below the one that is moved.")


class AgentChainTooLong(Refusal):
    code = "agent_chain_too_long"
    message = _("A chain of agents has at most {most} levels.")


class AlreadyManager(Refusal):
    code = "already_manager"
    status = 409
    message = _("This person is already a manager.")


class OnlyManagerDiscloses(Refusal):
    """The strategy is the manager's: the broker may hide it, not show more of it."""

    code = "only_manager_discloses"
    status = 403
    message = _("Only the manager of an account can show more of its trades.")


class DisclosureDelayOutOfRange(Refusal):
    code = "disclosure_delay_out_of_range"
    message = _("The delay is at least one hour and at most {most} days.")
