"""Development and the demo: embedded services, addresses from the environment, mail on the terminal."""

from pamm_platform.settings.base import *  # noqa: F403
from pamm_platform.settings.environment import ENVIRONMENT

DEBUG = ENVIRONMENT.flag("DEBUG", default=True)
SECRET_KEY = ENVIRONMENT.text("SECRET_KEY", "development-only-not-a-secret-" + "0" * 30)
FIELD_ENCRYPTION_KEYS = ENVIRONMENT.encryption_keys(
    "FIELD_ENCRYPTION_KEYS", "ZGV2ZWxvcG1lbnQtb25seS1ub3QtYS1zZWNyZXQtMDA="
)
ALLOWED_HOSTS = ENVIRONMENT.words("ALLOWED_HOSTS", "localhost,.localhost,127.0.0.1")
DATABASES = {"default": ENVIRONMENT.database("DATABASE_URL", "postgresql://pamm_app@127.0.0.1:5432/pamm")}
REDIS_URL = ENVIRONMENT.text("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = REDIS_URL
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_FUNCTION": "brokers.caches.scoped_key",
    }
}
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
# Browsers hold `http://*.localhost` to be secure; they refuse passkeys on any other plain-text origin.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
