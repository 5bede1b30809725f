"""A worker killed at every instant between two things it says: nothing is lost, nothing done twice."""

from collections.abc import Callable

import pytest

from tests.circle.world import Desk
from tests.crashes import scenario
from tests.crashes.conftest import StageWith
from tests.crashes.matrix import Flow, Matrix, beat, chosen
from tests.crashes.points import by_kind

FLOWS: dict[str, tuple[Callable[[Desk], object], Flow]] = {
    "an hour": (scenario.an_hour_full_of_money, Flow(beat)),
    "positions closed in proportion": (scenario.an_hour_that_closes_positions, Flow(beat)),
    "the last hour of an account": (scenario.the_last_hour, Flow(beat)),
    "a stop is reached": (scenario.an_hour_in_which_a_stop_is_reached, Flow(beat)),
    "an ordered rollover": (
        scenario.the_same_but_nobody_planned_it,
        Flow(scenario.order_by_hand, scenario.order_by_hand),
    ),
    "requests": (
        scenario.the_same_but_nobody_planned_it,
        Flow(scenario.ask_for_more, scenario.ask_for_more),
    ),
    "a release": (
        scenario.held_for_a_large_operation,
        Flow(scenario.release_and_roll_over, scenario.release_and_roll_over),
    ),
    "money in transit": (
        scenario.money_in_transit,
        Flow(scenario.think_again_and_tend, scenario.think_again_and_tend),
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_worker_killed_at_any_point_changes_nothing_in_the_end(
    name: str, stage_with: StageWith, report: Callable[[str], None]
) -> None:
    prepare, flow = FLOWS[name]
    matrix = Matrix(stage_with(prepare), flow)
    said, expected = matrix.undisturbed()
    points = chosen(said)
    for point in points:
        differences = matrix.killed_at(point).differences(expected)
        if differences:
            about_to = said[point].text if point < len(said) else "leave"
            pytest.fail("\n".join([f"killed at point {point}, about to {about_to}", *differences]))
    report(
        f"{name}: {len(points)} of {len(said) + 1} crash points, none lost, none doubled ({by_kind(said)})"
    )
