"""Writes of `accounts`: one business action per function."""

from accounts.services.agents import introduce_client, make_agent, place_agent
from accounts.services.disclosure import (
    SeenPositions,
    is_more_open,
    keep_open_positions,
    require_disclosure_delay,
    set_disclosure,
)
from accounts.services.people import (
    accept_visitor,
    appoint_house_account,
    change_profile,
    end_sessions,
    forget_invitation,
    grant_role,
    link_personal_account,
    make_manager,
    new_trading_password,
    open_own_account,
    open_personal_account,
    register_client,
    register_staff,
    revoke_role,
)
from accounts.services.security import SECURITY_CHANGES, record_security_change, record_sign_in

__all__ = [
    "SECURITY_CHANGES",
    "SeenPositions",
    "accept_visitor",
    "appoint_house_account",
    "change_profile",
    "end_sessions",
    "forget_invitation",
    "grant_role",
    "introduce_client",
    "is_more_open",
    "keep_open_positions",
    "link_personal_account",
    "make_agent",
    "make_manager",
    "new_trading_password",
    "open_own_account",
    "open_personal_account",
    "place_agent",
    "record_security_change",
    "record_sign_in",
    "register_client",
    "register_staff",
    "require_disclosure_delay",
    "revoke_role",
    "set_disclosure",
]
