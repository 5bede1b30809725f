"""The audit of one account with ten thousand investments, at a past rollover: its first page, and its file.

The bars are in seconds, for a person waits for them: a ratio would not say whether they are met here.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from django.test import Client
from django.urls import reverse

from accounts.models import Role
from brokers.scope import broker_scope
from rollover.models import Rollover
from tests.back_office.conftest import signed_in
from tests.back_office.pools import crowded_pool
from tests.worlds import broker_called
from tools.bench.harness import Harness, Result
from tools.bench.machine import wait_until_idle

INVESTMENTS = 10_000
PAGE_MUST, FILE_MUST = 0.3, 3.0
TIMES = 7


def bench_audit(harness: Harness) -> list[Result]:
    """Through the pages an auditor uses, signed in, as the application role."""
    investments = min(INVESTMENTS, harness.size)
    # A small run has a short past as well.
    rollovers = 200 if investments == INVESTMENTS else 10
    with harness.database() as database, database.application():
        broker = broker_called("alpha")
        with broker_scope(broker.pk):
            print(f"    loading {investments:,} investments and {rollovers} rollovers", flush=True)
            rollover = crowded_pool(investments=investments, rollovers=rollovers)
            auditor = signed_in(Role.AUDITOR)
            database.vacuum()
            times = min(TIMES, harness.pairs)
            page = _seconds(lambda: _page(auditor, rollover), times)
            file = _seconds(lambda: _file(auditor, rollover), times)
    sizes = f"{investments:,} investments, audited at a past one of {rollovers} rollovers"
    return [
        _result("first page of an account's audit", sizes, page, PAGE_MUST),
        _result("the whole file of it", sizes, file, FILE_MUST),
    ]


def _result(what: str, sizes: str, seconds: list[float], must: float) -> Result:
    median = statistics.median(seconds)
    return Result(
        bench="audit",
        what=what,
        sizes=sizes,
        figure=f"{median:.3f} s [{min(seconds):.3f}–{max(seconds):.3f}]",
        must=f"≤ {must:g} s",
        holds=median <= must,
        seconds=f"{len(seconds)} times",
    )


def _seconds(action: Callable[[], None], times: int) -> list[float]:
    action()
    took = []
    for _ in range(times):
        wait_until_idle()
        started = time.perf_counter()
        action()
        took.append(time.perf_counter() - started)
    return took


def _page(auditor: Client, rollover: Rollover) -> None:
    answer = auditor.get(reverse("admin:rollover_rollover_audit", args=[rollover.public_id]))
    _require_answered(answer, rollover)


def _file(auditor: Client, rollover: Rollover) -> None:
    answer: Any = auditor.get(reverse("admin:rollover_rollover_audit_csv", args=[rollover.public_id]))
    _require_answered(answer, rollover)
    for _part in answer.streaming_content:
        pass


def _require_answered(answer: Any, rollover: Rollover) -> None:
    if answer.status_code != 200:
        raise RuntimeError(f"the audit of rollover {rollover.public_id} answers {answer.status_code}")
