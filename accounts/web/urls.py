"""Addresses of people and their accounts."""

from allauth.decorators import rate_limit
from django.urls import path

from accounts.web import account_settings, disclosure, language, manager, personal, profile, sign_in

app_name = "accounts"

urlpatterns = [
    path(
        "accounts/trading-login/",
        rate_limit(action="login")(sign_in.trading_login),
        name="trading-login",
    ),
    path(
        "accounts/trading-accounts/",
        rate_limit(action="login")(personal.trading_accounts),
        name="trading-accounts",
    ),
    path("language/", language.choose_language, name="choose-language"),
    path("profile/", profile.profile_page, name="profile"),
    path("profile/sign-out-elsewhere/", profile.sign_out_elsewhere, name="sign-out-elsewhere"),
    path("accounts/invitation/decline/", personal.decline_invitation, name="decline-invitation"),
    path("manage/", manager.managed, name="managed"),
    path("manage/accounts/open/", manager.open_account, name="open-account"),
    path("manage/accounts/<uuid:account_id>/", manager.managed_account, name="managed-account"),
    path("manage/accounts/<uuid:account_id>/investors/", manager.investors, name="investors"),
    path("manage/accounts/<uuid:account_id>/rollovers/", manager.rollovers, name="rollovers"),
    path("manage/accounts/<uuid:account_id>/settings/", account_settings.account_settings, name="settings"),
    path("manage/accounts/<uuid:account_id>/disclosure/", disclosure.account_disclosure, name="disclosure"),
    path("manage/accounts/<uuid:account_id>/close/", account_settings.close_account, name="close-account"),
]
