"""Development and the demo: embedded services, addresses from the environment, mail on the terminal."""

from pamm_platform.settings.base import *  # noqa: F403
from pamm_platform.settings.environment import ENVIRONMENT
from pamm_platform.settings.queue_and_cache import shared_cache

SHOWS_DESIGN_PAGE = True
DEBUG = ENVIRONMENT.flag("DEBUG", default=True)
SECRET_KEY = ENVIRONMENT.text("SECRET_KEY", "development-only-not-a-secret-" + "0" * 30)
FIELD_ENCRYPTION_KEYS = ENVIRONMENT.encryption_keys(
    "FIELD_ENCRYPTION_KEYS", "ZGV2ZWxvcG1lbnQtb25seS1ub3QtYS1zZWNyZXQtMDA="
)
SEAL_SIGNING_KEY = ENVIRONMENT.text("SEAL_SIGNING_KEY", "")
SEAL_KEY_FILE = BASE_DIR / ".run" / "seal-signing.key"  # noqa: F405
ALLOWED_HOSTS = ENVIRONMENT.words("ALLOWED_HOSTS", "localhost,.localhost,127.0.0.1")
DATABASES = {"default": ENVIRONMENT.database("DATABASE_URL", "postgresql://pamm_app@127.0.0.1:5432/pamm")}
REDIS_URL = ENVIRONMENT.text("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = REDIS_URL
CACHES = shared_cache(REDIS_URL)
PUBLIC_ADDRESS = ENVIRONMENT.text(
    "PUBLIC_ADDRESS", f"http://{{host}}:{ENVIRONMENT.text('DEMO_PORT', '8000')}"
)
# The demo's past ends with the last full hour: none of it is news.
NOTIFICATIONS_OLD_AFTER_HOURS = 1.0
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
# Browsers hold `http://*.localhost` to be secure; they refuse passkeys on any other plain-text origin.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
