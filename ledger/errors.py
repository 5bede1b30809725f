"""Refusals of the ledger: bugs in the caller, never a user's mistake."""


class EntryDoesNotBalance(RuntimeError):
    """The postings of an entry do not sum to zero in each currency."""


class EntryOutsideTransaction(RuntimeError):
    """An entry must commit together with what it records."""
