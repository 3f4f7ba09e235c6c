"""Printing what a doctor found."""

from __future__ import annotations

import kb4_async
from kb4_async.cli.running import print_bytes, to_json


def show(found: kb4_async.Diagnosis, *, json: bool) -> None:
    """Print a diagnosis, for people or as JSON."""
    if json:
        checks = [
            {"name": c.name, "state": c.state, "detail": c.detail, "advice": c.advice}
            for c in found.checks
        ]
        print_bytes(to_json({"healthy": found.healthy, "checks": checks}))
        return
    for check in found.checks:
        advice = f"{'':<17} -> {check.advice}\n" if check.advice else ""
        line = f"{check.state:<8} {check.name:<8} {check.detail}\n"
        print_bytes((line + advice).encode())
