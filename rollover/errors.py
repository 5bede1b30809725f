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


class NoSuchRollover(Refusal):
    code = "no_such_rollover"
    message = _("The account has had no rollover {sequence}.")
