"""Addresses of people and their accounts."""

from allauth.decorators import rate_limit
from django.urls import path

from accounts.web import sign_in

app_name = "accounts"

urlpatterns = [
    path(
        "accounts/trading-login/",
        rate_limit(action="login")(sign_in.trading_login),
        name="trading-login",
    ),
]
