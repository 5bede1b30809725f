"""Charges as the API tells them: to read, each with its record and the same words as on pages."""

import uuid
from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from brokers.api.paging import LatestFirst
from brokers.errors import NotFound
from fees.explanations import explained
from fees.models import Charge
from fees.readers import FeeReader


class ChargeQuerySerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Which charges: `from` is inclusive, `to` exclusive; without a zone they are UTC."""

    investment = serializers.UUIDField(required=False)
    account = serializers.UUIDField(required=False)
    kind = serializers.ChoiceField(choices=Charge.Kind.values, required=False)
    to = serializers.DateTimeField(required=False, default_timezone=UTC)

    COLUMNS = {
        "investment": "investment__public_id",
        "account": "account__public_id",
        "kind": "kind",
        "from": "charged_at__gte",
        "to": "charged_at__lt",
    }

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which cannot be written as an attribute."""
        return super().get_fields() | {
            "from": serializers.DateTimeField(required=False, default_timezone=UTC)
        }

    def narrowed(self, charges: QuerySet[Charge]) -> QuerySet[Charge]:
        """Those that are asked for."""
        return charges.filter(**{self.COLUMNS[name]: asked for name, asked in self.validated_data.items()})


class ChargesView(APIView):
    """Charges the person may read, the latest first."""

    permission_classes = [IsAuthenticated]
    renderer_classes = [JSONRenderer]

    def get(self, request: Request) -> Response:
        query = ChargeQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        reader, pages = _reader(request), LatestFirst()
        page = pages.paginate_queryset(query.narrowed(reader.charges()), request, view=self) or []
        return pages.get_paginated_response([charge_answer(charge, reader) for charge in page])


class ChargeView(APIView):
    """One charge."""

    permission_classes = [IsAuthenticated]
    renderer_classes = [JSONRenderer]

    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        reader = _reader(request)
        charge = reader.charges().filter(public_id=public_id).first()
        if charge is None:
            raise NotFound
        return Response(charge_answer(charge, reader))


def charge_answer(charge: Charge, reader: FeeReader) -> dict[str, Any]:
    """Amounts have the currency's decimals. `parts` is null for whoever is not told who receives what.

    No query where the charge came from the reader.
    """
    digits, told = f".{charge.currency_digits}f", explained(charge)
    return {
        "id": charge.public_id,
        "kind": charge.kind,
        "title": told.title,
        "occasion": charge.occasion,
        "collects_debt": charge.collects_debt,
        "amount": format(charge.amount, digits),
        "uncollected": format(charge.uncollected, digits),
        "currency": charge.currency,
        "charged_at": charge.charged_at,
        "rollover": charge.price_point.sequence,
        "investment": charge.investment.public_id,
        "account": charge.account.public_id,
        "parts": _parts(charge, digits) if reader.sees_parts_of(charge) else None,
        "explanation": charge.explanation | {"words": [str(sentence) for sentence in told.sentences]},
    }


def _parts(charge: Charge, digits: str) -> list[dict[str, Any]]:
    return [
        {"party": part.party, "level": part.level, "amount": format(part.amount, digits)}
        for part in sorted(charge.parts.all(), key=lambda part: part.pk)
    ]


def _reader(request: Request) -> FeeReader:
    """Who asks: the endpoints are for signed-in people."""
    assert isinstance(request.user, User)
    return FeeReader.of(request.user)
