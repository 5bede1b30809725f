"""What can go wrong with a transfer."""


class TransferOutsideTransaction(RuntimeError):
    """A transfer must be written down together with what it serves."""


class TransferNotReleasable(RuntimeError):
    """Only money that stands in transit, with no second leg yet, can be released."""
