"""Accrued fees as the API tells them: of one investment, at any rollover of its account."""

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle, UserRateThrottle
from rest_framework.views import APIView

from accounts.models import User
from allocation.models import Investment
from brokers.errors import NotFound
from fees.calc.kinds import FeeKind
from fees.queries import with_figures
from fees.readers import FeeReader
from money.exact import ZERO
from rollover.accrued import AccruedAt, accrued_at_rollover

LATEST_SEQUENCE = 2**31 - 1


class PastThrottle(UserRateThrottle):
    """A rollover of the past is lived through again: a fraction of a second, or seconds where many invest."""

    scope = "accrued-fees"
    rate = "60/min"


class AccruedQuerySerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Number of the rollover in its account; the last one where it is left out."""

    rollover = serializers.IntegerField(min_value=1, max_value=LATEST_SEQUENCE, required=False)


class AccruedFeesView(APIView):
    """Value, accrued fees by kind, and net: what closing the investment after that rollover would pay."""

    permission_classes = [IsAuthenticated]
    renderer_classes = [JSONRenderer]

    def get_throttles(self) -> list[BaseThrottle]:
        """The last rollover costs a statement."""
        return [PastThrottle()] if "rollover" in self.request.query_params else []

    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        investment = _investment(request, public_id)
        query = AccruedQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        accrued = accrued_at_rollover(investment, query.validated_data.get("rollover"))
        return Response(_answer(investment, accrued))


def _investment(request: Request, public_id: uuid.UUID) -> Investment:
    """The gate. Raises `NotFound`."""
    assert isinstance(request.user, User)
    visible = FeeReader.of(request.user).investments()
    investment = with_figures(visible).filter(public_id=public_id).first()
    if investment is None:
        raise NotFound
    return investment


def _answer(investment: Investment, accrued: AccruedAt) -> dict[str, Any]:
    digits, fees = f".{investment.account.currency_digits}f", accrued.fees
    return {
        "investment": investment.public_id,
        "account": investment.account.public_id,
        "currency": investment.account.currency,
        "rollover": accrued.sequence,
        "priced_at": accrued.priced_at,
        "value": format(fees.value, digits),
        "accrued": {kind.value: format(fees.by_kind.get(kind, ZERO), digits) for kind in FeeKind},
        "net_value": format(fees.net, digits),
    }
