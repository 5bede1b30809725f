"""What statements decline."""

from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal


class PeriodUnclear(Refusal):
    code = "period_unclear"
    message = _("This period cannot be read: give two days, the first one not after the last.")


class StatementTooLong(Refusal):
    code = "statement_too_long"
    status = 409
    message = _("This statement has many lines: let it be prepared, and download it when it is ready.")


class FileNotReady(Refusal):
    code = "file_not_ready"
    status = 409
    message = _("This file is not ready.")


class FileNotFailed(Refusal):
    code = "file_not_failed"
    status = 409
    message = _("Only a file that failed can be tried again.")


class TooManyFiles(Refusal):
    code = "too_many_files"
    status = 429
    message = _("{limit} files are being prepared for you already. Wait until one of them is ready.")
