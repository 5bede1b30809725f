"""What a browser posts from the offer editor, and where."""

from typing import Any

from django.urls import reverse

from tests.worlds import AliceBobCharlie

Tiers = list[tuple[str, str]]


def typed(tiers: Tiers, **changes: Any) -> dict[str, Any]:
    """What a browser posts from the editor."""
    fields = {
        "name": "Growth", "description": "", "visibility": "public", "approval": "manager", "basis": "flat",
        "mode": "whole", "interval_count": "1", "interval_unit": "months", "interval_anchor": "calendar",
        "profit_basis": "equity", "on_withdrawal": "proportional", "minimum_first": "100",
        "minimum_further": "50", "minimum_remaining": "50", "amount_step": "", "capacity_amount": "",
        "capacity_investors": "", "lock_in_days": "0", "expected_version": "", "management_rate": "",
        "subscription_amount": "", "volume_amount_per_lot": "", "early_exit_rate": "", "entry-0-rate": "",
        "early_exit_until": "lock_in",
    }  # fmt: skip
    for number, (bound, rate) in enumerate(tiers):
        fields |= {f"tier-{number}-bound": bound, f"tier-{number}-rate": rate}
    return fields | changes


def new(world: AliceBobCharlie) -> str:
    return reverse("offers:create", args=[world.pool.account.public_id])


def edit(world: AliceBobCharlie) -> str:
    return reverse("offers:edit", args=[world.pool.offer.public_id])
