"""Who is signed in: read once per request, with all that pages ask about a person."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.mfa.models import Authenticator
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from accounts.models import Membership, User
from accounts.queries import keep_roles


class CabinetBackend(AuthenticationBackend):  # type: ignore[misc]
    """The person of a session with roles, profiles and second factors, in one statement instead of five.

    Nothing outlives the request: what was read hangs on its own user object.
    """

    def get_user(self, user_id: Any) -> User | None:
        roles = Membership.objects.filter(user=OuterRef("pk")).order_by().values("role")
        factors = Authenticator.objects.filter(user=OuterRef("pk")).order_by().values("pk")
        user: User | None = (
            User.objects.select_related("manager_profile", "agent_profile")
            .annotate(roles_now=ArraySubquery(roles), factors_now=ArraySubquery(factors))
            .filter(pk=user_id)
            .first()
        )
        if user is None or not self.user_can_authenticate(user):
            return None
        keep_roles(user, user.roles_now)  # type: ignore[attr-defined]
        user.held_factors = user.factors_now  # type: ignore[attr-defined]
        return user
