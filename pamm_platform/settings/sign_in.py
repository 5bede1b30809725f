"""Signing in: e-mail and password or trading login, a second factor, and what repeated failures cost."""

AUTHENTICATION_BACKENDS = ["accounts.backends.CabinetBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.web.sign_up.SignUpFields"
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# In the browser that signed up, and in no other: whoever else has the message does not get in by it.
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_EMAIL_NOTIFICATIONS = True
# Five failures close an account's door for a quarter of an hour, that of the second factor as well.
LOCK_OUT_FAILURES = 5
LOCK_OUT_MINUTES = 15
ACCOUNT_RATE_LIMITS = {
    "login": "60/m/ip",
    "login_failed": f"60/{LOCK_OUT_MINUTES}m/ip,{LOCK_OUT_FAILURES}/{LOCK_OUT_MINUTES}m/key",
    "signup": "20/h/ip",
}

MFA_ADAPTER = "accounts.adapters.SecondFactorAdapter"
MFA_FORMS = {"add_webauthn": "accounts.web.passkeys.PasskeyForm"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
