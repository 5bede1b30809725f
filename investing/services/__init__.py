"""Writes of `investing`: one business action per function."""

from investing.services.accounts import OpenedAccount, open_pamm_account, set_margin_policy
from investing.services.closing import CLOSABLE_STATES, order_closing
from investing.services.requests import (
    cancel_request,
    confirm_request,
    expire_requests,
    reject_request,
    request_close,
    request_first_deposit,
    request_further_deposit,
    request_withdrawal,
)
from investing.services.stops import remove_stop, set_stops
from investing.services.suspension import resume_account, suspend_account
from investing.services.terms import accept_terms, withdraw_acceptance

__all__ = [
    "CLOSABLE_STATES",
    "OpenedAccount",
    "accept_terms",
    "cancel_request",
    "confirm_request",
    "expire_requests",
    "open_pamm_account",
    "order_closing",
    "reject_request",
    "remove_stop",
    "request_close",
    "request_first_deposit",
    "request_further_deposit",
    "request_withdrawal",
    "resume_account",
    "set_margin_policy",
    "set_stops",
    "suspend_account",
    "withdraw_acceptance",
]
