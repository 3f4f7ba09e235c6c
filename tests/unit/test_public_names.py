"""The public surface is a promise: a change to it changes tests/api.txt and the changelog."""

import inspect
from pathlib import Path
from typing import Any

import pytest

import kb4_async
import kb4_async.sinks
import kb4_async.testing

RECORD = Path(__file__).parents[1] / "api.txt"


def signature(value: Any) -> str:
    """Names and defaults; types are checked in tests/typing, and their text differs by Python."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    return str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def ours(member: Any) -> bool:
    """Defined here: what is inherited from Python differs from version to version."""
    return str(getattr(member, "__module__", "")).startswith("kb4_async")


def surface() -> list[str]:
    lines = []
    for module in (kb4_async, kb4_async.sinks, kb4_async.testing):
        for name in module.__all__:
            value = getattr(module, name)
            where = f"{module.__name__}.{name}"
            if not inspect.isclass(value):
                lines.append(where + (signature(value) if inspect.isfunction(value) else ""))
                continue
            lines.append(where + ("" if issubclass(value, dict) else signature(value)))
            lines += [
                f"{where}.{member}{signature(function)}"
                for member, function in inspect.getmembers(value, inspect.isfunction)
                if not member.startswith("_") and ours(function)
            ]
    return lines


def test_public_names_and_signatures_are_those_recorded() -> None:
    assert "\n".join(surface()) + "\n" == RECORD.read_text(encoding="utf-8"), (
        "the public surface changed: if that is meant, run "
        "`python tests/unit/test_public_names.py` and tell users in CHANGELOG.md"
    )


@pytest.mark.parametrize("module", [kb4_async, kb4_async.sinks, kb4_async.testing])
def test_every_name_of_all_exists_once(module: Any) -> None:
    names = list(module.__all__)

    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []


if __name__ == "__main__":
    RECORD.write_text("\n".join(surface()) + "\n", encoding="utf-8")
