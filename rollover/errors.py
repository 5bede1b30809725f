"""Refusals of the rollover."""

from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal


class AccountNotRolling(Refusal):
    code = "account_not_rolling"
    status = 409
    message = _("{account} takes part in no rollover now: it is held, closed or still being opened.")


class AccountNotHeld(Refusal):
    code = "account_not_held"
    status = 409
    message = _("The account is not held.")


class NoteMissing(Refusal):
    code = "note_missing"
    message = _("Write a note: whoever audits this will ask why.")


class NoSuchDifference(Refusal):
    code = "no_such_difference"
    status = 409
    message = _("The account has changed since you opened it: {ticket} no longer holds it. Look again.")


class FindingNotOpen(Refusal):
    code = "finding_not_open"
    status = 409
    message = _("Somebody has settled it already.")


class LegNotInConflict(Refusal):
    code = "leg_not_in_conflict"
    status = 409
    message = _("Somebody has decided about this operation already.")


class NoSuchDeal(Refusal):
    code = "no_such_deal"
    message = _("The trading server shows no deal {ticket} with the operation's key and amount.")


class InvestmentMissing(Refusal):
    code = "investment_missing"
    message = _("Say whose deposit it is: an investment in this account.")


class DepositNotPositive(Refusal):
    code = "deposit_not_positive"
    message = _("Money that was taken out cannot be a deposit.")


class NoSuspenseAccount(Refusal):
    code = "no_suspense_account"
    status = 409
    message = _("There is no suspense account in {currency} on this trading server to move it to.")


class NoSuchRollover(Refusal):
    code = "no_such_rollover"
    message = _("The account has had no rollover {sequence}.")


class DayCannotBeSealed(Refusal):
    code = "day_cannot_be_sealed"
    status = 409
    message = _("{day} is not over yet, or lies before the last day that was sealed.")
