"""The command ``kb4``: whatever it does, a user of the library can do too."""

from __future__ import annotations

import logging
import os
import sys


def main() -> None:
    """Run the command; the entry point of the distribution."""
    # A stream closed by the shell (2>&-) is None: whatever is said there is said to nobody.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    try:
        import rich  # noqa: F401, PLC0415  # only looked for
        import typer  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"kb4 needs {error.name}, which is part of an extra: pip install 'kb4-async[cli]'\n"
        )
        raise SystemExit(2) from None
    # Warnings are told by the progress view; without a handler logging would tell them again.
    handler = logging.StreamHandler()
    handler.setLevel(logging.ERROR)
    logging.getLogger("kb4_async").addHandler(handler)
    from kb4_async.cli.app import app  # noqa: PLC0415  # needs the extra

    app()
