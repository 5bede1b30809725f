"""Who a session belongs to."""

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from accounts.models import Membership, User
from accounts.queries import remember_roles


class SignedInBackend(AuthenticationBackend):  # type: ignore[misc]
    """allauth's, which reads the roles together with the person: every page asks for them."""

    def get_user(self, user_id: int | str) -> User | None:
        roles = ArraySubquery(Membership.objects.filter(user=OuterRef("pk")).values("role"))
        user = User.objects.filter(pk=user_id).annotate(held_roles=roles).first()
        if user is None or not self.user_can_authenticate(user):
            return None
        remember_roles(user, user.held_roles)
        return user
