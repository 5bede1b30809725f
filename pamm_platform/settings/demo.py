"""The demo: development addresses, pages as in production (no debug pages), files served without a collect step."""

from pamm_platform.settings.dev import *  # noqa: F403

DEBUG = False
WHITENOISE_USE_FINDERS = True
