"""Production: everything from the environment; a missing or unsafe value stops the start."""

from django.core.exceptions import ImproperlyConfigured

from pamm_platform.hosts import BrokerHosts
from pamm_platform.settings.base import *  # noqa: F403
from pamm_platform.settings.environment import ENVIRONMENT
from pamm_platform.settings.queue_and_cache import shared_cache

SHORTEST_SECRET = 50

DEBUG = False
if ENVIRONMENT.flag("DEBUG"):
    raise ImproperlyConfigured("DEBUG must not be on in production")

SECRET_KEY = ENVIRONMENT.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = ENVIRONMENT.words("SECRET_KEY_FALLBACKS", "")
if any(len(key) < SHORTEST_SECRET for key in (SECRET_KEY, *SECRET_KEY_FALLBACKS)):
    raise ImproperlyConfigured(f"SECRET_KEY is shorter than {SHORTEST_SECRET} characters")
FIELD_ENCRYPTION_KEYS = ENVIRONMENT.encryption_keys("FIELD_ENCRYPTION_KEYS")
if not FIELD_ENCRYPTION_KEYS:
    raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS is not set")

ALLOWED_HOSTS = BrokerHosts(ENVIRONMENT.words("ALLOWED_HOSTS"))
if any("*" in host for host in list.__iter__(ALLOWED_HOSTS)):
    raise ImproperlyConfigured("ALLOWED_HOSTS must not hold a wildcard")

# The role is judged where a connection exists: `pamm_platform.roles`, at the start of web, worker and beat.
DATABASES = {"default": ENVIRONMENT.database("DATABASE_URL")}
DATABASE_APP_ROLE = ENVIRONMENT.text("DATABASE_APP_ROLE", "pamm_app")
REDIS_URL = ENVIRONMENT.text("REDIS_URL")
CELERY_BROKER_URL = REDIS_URL
CACHES = shared_cache(REDIS_URL)

EMAIL = ENVIRONMENT.mail_server("EMAIL_URL")
EMAIL_HOST, EMAIL_PORT = EMAIL.host, EMAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL.user, EMAIL.password
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL.start_tls, EMAIL.implicit_tls
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = ENVIRONMENT.text("DEFAULT_FROM_EMAIL")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
PUBLIC_ADDRESS = ENVIRONMENT.text("PUBLIC_ADDRESS", "https://{host}")

STATIC_ROOT = BASE_DIR / "staticfiles"  # noqa: F405
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    # A volume that the database's administrators cannot write to; or another storage of Django's altogether.
    "seals": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": ENVIRONMENT.text("SEAL_FOLDER")},
    },
    # Shared by web and workers; or another storage of Django's altogether.
    "statements": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": ENVIRONMENT.text("STATEMENT_FOLDER"), "base_url": None},
    },
}
(SEAL_SIGNING_KEY,) = ENVIRONMENT.encryption_keys("SEAL_SIGNING_KEY")
SEAL_PUBLIC_KEYS = ENVIRONMENT.encryption_keys("SEAL_PUBLIC_KEYS", "")

SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
# Only behind a proxy that sets the header itself: anybody else could claim to have come by https.
if ENVIRONMENT.flag("BEHIND_TLS_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # Failed sign-ins are counted per address as well: without this all customers would share the proxy's.
    ALLAUTH_TRUSTED_PROXY_COUNT = 1

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": ENVIRONMENT.text("LOG_LEVEL", "INFO")},
}
