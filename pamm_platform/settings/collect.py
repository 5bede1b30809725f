"""`collectstatic` while an image is built: no secret, no address, only how static files are stored."""

from pamm_platform.settings.base import *  # noqa: F403

SECRET_KEY = "unused: nothing is signed while static files are collected"  # noqa: S105 - not a secret
STATIC_ROOT = BASE_DIR / "staticfiles"  # noqa: F405
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
