"""Endpoints of fees."""

from decimal import DecimalException

from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext as _
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from fees.api.parsers import BodyTooLarge, CappedJsonParser
from fees.api.reading import refuse
from fees.api.serializers import STEP_FIELDS, answer, read_simulation
from fees.calc.simulation import StepImpossible
from fees.errors import step_fault


class SimulationThrottle(UserRateThrottle):
    """The most steps keep a processor busy for a second, for ten where each of them charges every fee."""

    scope = "fee-simulations"
    rate = "20/min"


class FeeSimulationView(APIView):
    """What terms would charge over a series of dated steps, for any signed-in person. Nothing is saved.

    One currency and digits are looked up; what the broker allows as a fee is not: any valid terms may be
    simulated.
    """

    permission_classes = [IsAuthenticated]
    parser_classes = [CappedJsonParser]
    renderer_classes = [JSONRenderer]
    throttle_classes = [SimulationThrottle]

    def post(self, request: Request) -> Response:
        simulation = read_simulation(_document(request))
        try:
            outcomes = simulation.outcomes()
        except StepImpossible as impossible:
            name = STEP_FIELDS.get(impossible.field, impossible.field)
            refuse(f"steps[{impossible.index}].{name}", impossible.code, step_fault(impossible))
        except DecimalException:
            # More digits than any account has: the exact context refuses to lose one.
            refuse("steps", "figures_too_large", _("The figures of these steps become too large."))
        return Response(answer(simulation, outcomes))


def _document(request: Request) -> object:
    """The body; of one that is beyond Django's own limit, the same answer as beyond ours."""
    try:
        return request.data
    except RequestDataTooBig:
        raise BodyTooLarge from None
