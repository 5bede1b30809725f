"""Splitting a whole number so that the parts sum to it: largest remainder (Hamilton), exact."""

from collections.abc import Sequence


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Parts of `total` in proportion to `weights`, in their order.

    Every part is its exact share rounded down; what is left goes one by one to the largest remainders, the
    earlier index first where they tie. A negative total is split like its opposite. Weight 0 gets nothing.

    Raises ValueError for a negative weight, or where something is to be split and the weights sum to 0.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight is negative")
    weight_sum = sum(weights)
    if weight_sum == 0:
        if total:
            raise ValueError("nothing to split by: the weights sum to 0")
        return [0] * len(weights)
    if total < 0:
        return [-part for part in largest_remainder(-total, weights)]

    shares = [divmod(total * weight, weight_sum) for weight in weights]
    parts = [whole for whole, _ in shares]
    by_remainder = sorted(range(len(weights)), key=lambda index: -shares[index][1])
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts
