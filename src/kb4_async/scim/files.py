"""Plans as files."""

from __future__ import annotations

import os
from pathlib import Path

from kb4_async.errors import ConfigurationError, SinkError
from kb4_async.protocol.scim.plan import ScimPlan
from kb4_async.runtime.files import write_whole


def save_plan(plan: ScimPlan, path: str | os.PathLike[str]) -> None:
    """Write a plan into a file that only its owner reads, for it holds personal data.

    Raises:
        SinkError: It cannot be written, or there is something that is no file; what was there is as
            it was.
    """
    try:
        write_whole(Path(path).absolute(), plan.to_json())
    except OSError as error:
        msg = (
            f"The plan cannot be written to {os.fspath(path)!r} ({error.strerror}): choose another "
            "place."
        )
        raise SinkError(msg) from error


def load_plan(path: str | os.PathLike[str]) -> ScimPlan:
    """Read a plan from a file.

    Raises:
        ConfigurationError: It cannot be read, is no plan, or was changed since it was made.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        msg = f"The plan {os.fspath(path)!r} cannot be read ({error.strerror})."
        raise ConfigurationError(msg) from error
    return ScimPlan.from_json(data)
