from django.apps import AppConfig


class InvestingConfig(AppConfig):
    name = "investing"
