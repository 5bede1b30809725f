"""What roles may do in the back office, in the words Django's admin asks with: `app.action_model`."""

from collections.abc import Iterable

from accounts.models import Role

_OPERATOR_APPS = frozenset({"brokers", "accounts"})
_DEALER_CHANGES = frozenset(
    {
        "investing.change_request",
        "rollover.change_rollover",
        "rollover.change_finding",
        "transfers.change_transfer",
        "accounts.change_pammaccount",
    }
)
# Brokers come and go by command, under the owner's role.
_NOBODY = frozenset({"brokers.add_broker", "brokers.delete_broker"})


def is_permitted(roles: Iterable[Role], permission: str) -> bool:
    """Whether any of the roles carries a permission.

    Row-level security keeps all of them to the broker in scope.
    """
    app, _, action = permission.partition(".")
    if permission in _NOBODY:
        return False
    for role in roles:
        if role is Role.ADMIN:
            return True
        if role is Role.OPERATOR and app in _OPERATOR_APPS:
            return True
        if role in {Role.DEALER, Role.AUDITOR} and action.startswith("view_"):
            return True
        if role is Role.DEALER and permission in _DEALER_CHANGES:
            return True
    return False
