"""Who may read which fees."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.queries import manager_of, pamm_accounts_of
from allocation.models import Investment
from fees.models import Charge


@dataclass(frozen=True, slots=True)
class FeeReader:
    """Somebody who asks for fees: he may read those of his own investments and of everybody's in the accounts
    he manages (`managed`, by primary key), whom the back office shows charges all (`sees_all`).

    Nothing follows from being an agent: his parts are shown to him elsewhere, without the fees they are of.
    """

    user: User
    managed: Collection[int]
    sees_all: bool

    @classmethod
    def of(cls, user: User) -> "FeeReader":
        """Three statements at most."""
        manager = manager_of(user)
        managed = () if manager is None else tuple(pamm_accounts_of(manager).values_list("pk", flat=True))
        return cls(user, managed, user.has_perm("fees.view_charge"))

    def charges(self) -> QuerySet[Charge]:
        """With the rows their answers name and their parts."""
        charges = Charge.objects.select_related("account", "investment", "price_point")
        if not self.sees_all:
            # As numbers, so that the index of either column serves its half.
            own = tuple(Investment.objects.filter(owner=self.user).values_list("pk", flat=True))
            charges = charges.filter(Q(investment_id__in=own) | Q(account_id__in=self.managed))
        return charges.prefetch_related("parts")

    def investments(self) -> QuerySet[Investment]:
        """Those whose fees this person may read."""
        investments: QuerySet[Investment] = Investment.objects.all()
        if not self.sees_all:
            investments = investments.filter(Q(owner=self.user) | Q(account_id__in=self.managed))
        return investments

    def sees_parts_of(self, charge: Charge) -> bool:
        """Whether he is told who receives how much of it: who pays it is not, on pages either."""
        return self.sees_all or charge.account_id in self.managed
