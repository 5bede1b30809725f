"""Return codes of the MT5 Web API that decide something here. Only the number counts, never the text after
it."""

from __future__ import annotations

DONE = 0
OK_NO_DATA = 1
BAD_PARAMETERS = 3
NO_PERMISSION = 8
NOT_FOUND = 13
PARTIAL = 14

INVALID_PASSWORD = 3006
MONEY_LIMIT = 4005

REQUEST_ACCEPTED = 10002
REQUOTE = 10004
PLACED = 10008
FILLED = 10009
FILLED_PARTIALLY = 10010
PROCESSING_ERROR = 10011
TIMED_OUT = 10012
NOT_ENOUGH_MONEY = 10019
PARTIAL_REST_CANCELED = 11001

SIGN_IN_REFUSALS = range(1000, 1035)

DEFINITE_BALANCE_REFUSALS = frozenset(
    {BAD_PARAMETERS, NO_PERMISSION, NOT_FOUND, MONEY_LIMIT, NOT_ENOUGH_MONEY}
)
"""Answers after which the operation certainly did not happen. Any other error leaves it unknown."""

ORDER_IN_PROGRESS = frozenset({DONE, OK_NO_DATA, 10001, REQUEST_ACCEPTED, 10003, PLACED})
ORDER_FILLED = frozenset({FILLED, FILLED_PARTIALLY, PARTIAL_REST_CANCELED})


def refuses_account(code: int) -> bool:
    """Whether `user/add` certainly created nothing."""
    return code in (BAD_PARAMETERS, 4, NO_PERMISSION, NOT_FOUND) or 3000 <= code < 4000


def refuses_order(code: int) -> bool:
    """Whether an order with this code certainly was not executed; processing errors and time-outs are not
    such."""
    if code in (PROCESSING_ERROR, TIMED_OUT):
        return False
    in_trade_range = 10004 <= code <= 10046 and code not in ORDER_FILLED and code != PLACED
    return in_trade_range or code in (BAD_PARAMETERS, 4, NO_PERMISSION, NOT_FOUND, 11000, 11002)
