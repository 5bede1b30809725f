"""Endpoints of the track record: prices only, never positions or trades."""

import uuid

from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import PammAccount, User
from track_record.api.serializers import PriceSeriesQuerySerializer, PriceSeriesSerializer
from track_record.queries import ChartRange, get_account_for, price_series, start_price


class PriceSeriesView(APIView):
    """Prices of one PAMM account over a range, thinned for a chart. The ETag changes at rollovers only."""

    permission_classes = [AllowAny]

    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        account = _account(request, public_id)
        query = PriceSeriesQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        chosen = ChartRange(query.validated_data["range"])
        etag = _etag(account, chosen)
        unchanged = get_conditional_response(request._request, etag=etag)
        if unchanged is not None:
            response = Response(status=unchanged.status_code)
        else:
            response = Response(_series(account, chosen))
        response["ETag"] = etag
        patch_cache_control(response, private=True, no_cache=True)
        patch_vary_headers(response, ["Cookie"])
        return response


def _account(request: Request, public_id: uuid.UUID) -> PammAccount:
    user = request.user if isinstance(request.user, User) else None
    return get_account_for(user, public_id, request.query_params.get("link"))


def _series(account: PammAccount, chosen: ChartRange) -> dict[str, object]:
    latest = account.last_priced_at
    points = [] if latest is None else price_series(account, chosen.since(latest))
    serializer = PriceSeriesSerializer(
        {
            "account": account.public_id,
            "currency": account.currency,
            "range": chosen.value,
            "as_of": latest,
            "start_price": start_price(account, chosen.since(latest)) if latest else None,
            "points": points,
        }
    )
    document: dict[str, object] = serializer.data
    return document


def _etag(account: PammAccount, chosen: ChartRange) -> str:
    moment = account.last_priced_at.timestamp() if account.last_priced_at else 0
    return f'"{account.public_id.hex}-{account.series}-{moment}-{chosen.value}"'
