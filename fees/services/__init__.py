"""Writes of `fees`: the only code that charges."""

from fees.services.charges import (
    ChargeBook,
    available,
    crystallise_intervals_of_many,
    minimum_remaining,
    plan_withdrawal,
    withdrawal_kind,
    write_charges,
)

__all__ = [
    "ChargeBook",
    "available",
    "crystallise_intervals_of_many",
    "minimum_remaining",
    "plan_withdrawal",
    "withdrawal_kind",
    "write_charges",
]
