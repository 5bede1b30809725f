"""What can go wrong with a transfer."""


class TransferOutsideTransaction(RuntimeError):
    """A transfer must be written down together with what it serves."""


class LegNotInConflict(RuntimeError):
    """Only an operation that a person has to decide about can be decided."""


class TransferNotReleasable(RuntimeError):
    """Only money that stands in transit, with no second leg yet, can be released."""
