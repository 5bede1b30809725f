from django.apps import AppConfig


class RolloverConfig(AppConfig):
    name = "rollover"
