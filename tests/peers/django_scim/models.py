"""Users and groups as django-scim2 wants them: its mix-ins and what its adapters touch."""

from django.db import models  # type: ignore[import-untyped]
from django_scim.models import (  # type: ignore[import-untyped]
    AbstractSCIMGroupMixin,
    AbstractSCIMUserMixin,
)


class Group(AbstractSCIMGroupMixin):  # type: ignore[misc]
    """Names may repeat, as the RFC has it."""

    name = models.TextField()


class User(AbstractSCIMUserMixin):  # type: ignore[misc]
    """The user name is unique as it is spelt, which is how Django's own user has it."""

    username = models.CharField(max_length=254, unique=True)
    first_name = models.TextField()
    last_name = models.TextField()
    email = models.TextField()
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(auto_now_add=True)
    scim_groups = models.ManyToManyField(Group, related_name="user_set")


def user_model() -> type[User]:
    """Named by the settings."""
    return User
