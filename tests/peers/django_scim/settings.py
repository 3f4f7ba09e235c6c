"""Settings of the Django project that serves django-scim2."""

import os
from pathlib import Path

SECRET_KEY = "of a test: nothing is signed"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
USE_TZ = True
APPEND_SLASH = False
ROOT_URLCONF = "peers.django_scim.web"
INSTALLED_APPS = ["django_scim", "peers.django_scim.apps.People"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",  # Content-Length, hence kept-alive connections
    "peers.django_scim.web.bearer",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ["PEER_FOLDER"]) / "people.sqlite",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
    }
}
SCIM_SERVICE_PROVIDER = {
    "USER_MODEL_GETTER": "peers.django_scim.models.user_model",
    "GROUP_MODEL": "peers.django_scim.models.Group",
    "BASE_LOCATION_GETTER": "peers.django_scim.web.location",
    "WWW_AUTHENTICATE_HEADER": "Bearer",
    "AUTHENTICATION_SCHEMES": [{"type": "oauthbearertoken", "name": "Bearer token"}],
}
