import pytest

from accounts.models import User
from brokers.scope import broker_scope
from tests.worlds import alice_bob_charlie


@pytest.mark.django_db
def test_world() -> None:
    w = alice_bob_charlie()
    with broker_scope(w.alpha.pk):
        assert User.objects.count()==2
