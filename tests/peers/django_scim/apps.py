"""The Django application that django-scim2 serves."""

from django.apps import AppConfig  # type: ignore[import-untyped]


class People(AppConfig):  # type: ignore[misc]
    """Its label is not the folder's name, which is django-scim2's own label."""

    name = "peers.django_scim"
    label = "people"
    default_auto_field = "django.db.models.BigAutoField"
