"""The fuse box: every Django setting, read from the environment through `env`, in one file with headings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF

from finops.config import env
from finops.core.logs import LINE
from finops.runtime import places

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# --- Safety -----------------------------------------------------------------------------------------------------------
DEBUG = env.boolean("CAPSTAN_DEBUG", default=False)
# Keyed hashes of virtual keys and signed cookies hang on this; `up --demo` makes and keeps one in the data folder.
SECRET_KEY = env.secret("CAPSTAN_SECRET_KEY") or places.kept_secret("secret_key")
# Former secrets, newest first: what was sealed or signed under them can still be read.
SECRET_KEY_FALLBACKS = env.words("CAPSTAN_FORMER_SECRET_KEYS", [])
ALLOWED_HOSTS = env.words("CAPSTAN_HOSTS", ["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.words("CAPSTAN_TRUSTED_ORIGINS", [])
HTTPS = env.boolean("CAPSTAN_HTTPS", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
# Hosts of our own (host or host:port) that an organization may have Capstan call, by http too: a LiteLLM proxy inside.
INTERNAL_HOSTS = frozenset(env.words("CAPSTAN_INTERNAL_HOSTS", []))
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# --- What is installed ------------------------------------------------------------------------------------------------
ROOMS = [
    "finops.alerts",
    "finops.polling",
    "finops.seats",
    "finops.ingest",
    "routing.batches",
    "routing.captures",
    "routing.classify",
    "routing.configuration",
    "routing.evidence",
    "routing.experiments",
    "routing.laptop",
    "routing.prospects",
    "routing.recommend",
    "routing.rollouts",
    "routing.rules",
    "routing.tiers",
    "routing.upstreams",
    "routing.value",
    "finops.budgets",
    "finops.energy",
    "finops.statements",
    "finops.reconciliation",
    "finops.months",
    "finops.ledger",
    "finops.attribution",
    "finops.pricing",
    "finops.sources",
    "finops.jobs",
    "finops.orgs",
    "finops.audit",
    "finops.api",
    "finops.runtime",
    "finops.config",
    "dashboards",
]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "pgtrigger",
    "pghistory",
    "rest_framework",
    "drf_spectacular",
    "django_celery_beat",
    "django_htmx",
    "template_partials",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    *ROOMS,
]
MIDDLEWARE = [
    "finops.api.requests.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "finops.config.urls"
WSGI_APPLICATION = "finops.config.wsgi.application"

# --- Templates and static files ---------------------------------------------------------------------------------------
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("CAPSTAN_STATIC") or BASE_DIR / "staticfiles").resolve()
# Hashed, immutable names where the files were collected (or are being); straight from the source tree otherwise.
_COLLECTING = sys.argv[1:2] == ["collectstatic"]
_COLLECTED = not DEBUG and "pytest" not in sys.modules and (_COLLECTING or (STATIC_ROOT / "staticfiles.json").is_file())
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not _COLLECTED
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

# --- Data -------------------------------------------------------------------------------------------------------------
DATABASES = {
    "default": env.read(
        "DATABASE_URL",
        places.database_settings(""),
        places.database_settings,
        "Set it to postgresql://user:password@host:5432/name, or unset it for the embedded server.",
        shown=False,
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.text("REDIS_URL") or places.valkey_url()

# --- Login ------------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "orgs.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = env.choice("CAPSTAN_EMAIL_VERIFICATION", "none", ["none", "optional", "mandatory"])
# People are invited by an admin; a stranger cannot sign up.
ACCOUNT_ADAPTER = "finops.orgs.adapter.InvitedOnly"
ACCOUNT_PREVENT_ENUMERATION = True
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

# --- REST -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "finops.orgs.authentication.KeyAuthentication",
        "finops.orgs.authentication.OrganizationSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["finops.orgs.authentication.HasPermission"],
    "DEFAULT_SCHEMA_CLASS": "finops.api.schema.Schema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "finops.api.errors.problem_response",
    "DEFAULT_THROTTLE_CLASSES": ["finops.api.throttles.PerCaller"],
    "DEFAULT_THROTTLE_RATES": {"caller": env.text("CAPSTAN_API_RATE", "6000/min")},
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Capstan API",
    "DESCRIPTION": "Usage in, spend out. Errors are RFC 9457 problem+json with stable codes.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # Choices stay where they are used; named apart, every `kind` of every room would need a name of its own.
    "POSTPROCESSING_HOOKS": [],
}
# The largest body a door reads, before and after decompression; see finops/ingest.
DATA_UPLOAD_MAX_MEMORY_SIZE = 128 * 1024 * 1024

# --- Celery (the schedule lives in config/celery.py) ------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "control"
CELERY_TASK_ROUTES = {"ingest.run_job": {"queue": "ingest"}}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TIMEZONE = "UTC"
DJANGO_CELERY_BEAT_TZ_AWARE = True
# How often it is looked whether a key is to be blocked ahead of its limit; the longer, the earlier it is.
ENFORCE_EVERY_S = env.integer("CAPSTAN_ENFORCE_EVERY_S", 20, low=1, high=300)

# --- Language, time, mail, logs ---------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
# Without a mail server letters go nowhere: the console would put links that open accounts into the log.
EMAIL_HOST = env.text("CAPSTAN_SMTP_HOST")
EMAIL_PORT = env.integer("CAPSTAN_SMTP_PORT", 587, low=1, high=65535)
EMAIL_HOST_USER = env.text("CAPSTAN_SMTP_USER")
EMAIL_HOST_PASSWORD = env.secret("CAPSTAN_SMTP_PASSWORD")
_SMTP_TLS = env.choice("CAPSTAN_SMTP_TLS", "starttls", ["starttls", "implicit", "none"])
EMAIL_USE_TLS, EMAIL_USE_SSL = _SMTP_TLS == "starttls", _SMTP_TLS == "implicit"
EMAIL_TIMEOUT = 10
EMAIL_BACKEND = env.text(
    "CAPSTAN_EMAIL_BACKEND", f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'dummy'}.EmailBackend"
)
# Where people find this site, for links in alerts; without it they have none.
PUBLIC_URL = env.text("CAPSTAN_URL").rstrip("/")
# Where clients reach the gateway: for the page that says so, and for workers that measure models through it.
GATEWAY_URL = env.text("CAPSTAN_GATEWAY_URL").rstrip("/")
# Webhooks may go to this very machine, without TLS: for development and tests alone.
ALERTS_LOOPBACK = env.boolean("CAPSTAN_ALERTS_LOOPBACK", default=False)
DEFAULT_FROM_EMAIL = env.text("CAPSTAN_FROM_EMAIL", "capstan@localhost")
_LOG_LEVEL = env.choice("CAPSTAN_LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": LINE, "style": "{"},
        "json": {"()": "finops.core.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json" if env.boolean("CAPSTAN_LOG_JSON", default=False) else "line",
        }
    },
    "root": {"handlers": ["stderr"], "level": _LOG_LEVEL},
    # Below this they write the addresses of calls, which may let whoever reads them post.
    "loggers": {name: {"level": "WARNING"} for name in ("apprise", "urllib3", "httpx2")},
}
