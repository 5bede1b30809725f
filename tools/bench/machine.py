"""The machine a benchmark ran on, and whether somebody else is at work on it."""

import os
import platform
import time
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

IDLE_PERCENT = 15.0
"""Processor time of all cores together that others may take while the machine counts as idle."""

PATIENCE = float(os.environ.get("BENCH_IDLE_SECONDS", "20"))


def wait_until_idle() -> bool:
    """Whether the machine came to rest in time; measured is in either case. Without patience nobody looks."""
    if not PATIENCE:
        return True
    deadline = time.monotonic() + PATIENCE
    while psutil.cpu_percent(interval=0.2) > IDLE_PERCENT:
        if time.monotonic() > deadline:
            return False
    return True


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def description() -> dict[str, str]:
    """What a reader has to know of the machine, by name."""
    packages = [f"{name} {metadata.version(name)}" for name in ("django", "psycopg2-binary", "celery")]
    memory = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{cores()} cores ({_processor()}), {memory:.0f} GB memory",
        "system": f"{platform.system()} {platform.release()}",
        "Python": ", ".join([platform.python_version(), *packages]),
    }


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
