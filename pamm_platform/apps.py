from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "pamm_platform"

    def ready(self) -> None:
        from pamm_platform import checks  # noqa: F401 - importing registers them
