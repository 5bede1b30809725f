"""Production's settings, with static files in a folder of the run."""

from pathlib import Path

from pamm_platform.settings.environment import ENVIRONMENT
from pamm_platform.settings.production import *  # noqa: F403

STATIC_ROOT = Path(ENVIRONMENT.text("BENCH_STATIC_FOLDER"))
