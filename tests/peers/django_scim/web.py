"""What the Django project serves, and whom it lets in."""

import os
from collections.abc import Callable
from types import SimpleNamespace

from django.core.management.color import no_style  # type: ignore[import-untyped]
from django.db import connection  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import include, path  # type: ignore[import-untyped]
from peers.django_scim.models import Group, User


def bearer(following: Callable[[HttpRequest], HttpResponse]) -> object:
    """Middleware: the one token is an authenticated user, for django-scim2 to let in."""
    right = f"Bearer {os.environ['PEER_TOKEN']}"

    def answer(request: HttpRequest) -> HttpResponse:
        known = request.headers.get("Authorization") == right
        request.user = SimpleNamespace(is_authenticated=known)
        return following(request)

    return answer


def location(request: HttpRequest, *_: object, **__: object) -> str:
    """Where the request was sent."""
    return f"{request.scheme}://{request.get_host()}"


def reset(_: HttpRequest) -> HttpResponse:
    """Empty it. Ids go on: none comes back as another's."""
    tables = [each._meta.db_table for each in (User.scim_groups.through, User, Group)]
    operations = connection.ops
    operations.execute_sql_flush(operations.sql_flush(no_style(), tables))
    return HttpResponse(status=204)


urlpatterns = [
    path("scim/v2/", include("django_scim.urls", namespace="scim")),
    path("reset", reset),
]
