"""The table of planted bugs has not rotted: each can be planted, and what has to find it is there."""

import pytest

from tests.databases import REPOSITORY
from tools.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_can_be_planted_and_looked_for(mutant: Mutant) -> None:
    assert mutant.faults(REPOSITORY) == []


def test_mutants_have_names_of_their_own_and_change_something() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20
    assert all(mutant.old != mutant.new for mutant in MUTANTS)
