"""The command ``kb4``: whatever it does, a user of the library can do too."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; the entry point of the distribution."""
    try:
        import rich  # noqa: F401, PLC0415  # only looked for
        import typer  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"kb4 needs {error.name}, which is part of an extra: pip install 'kb4-async[cli]'\n"
        )
        raise SystemExit(2) from None
    from kb4_async.cli.app import app  # noqa: PLC0415  # needs the extra

    app()
