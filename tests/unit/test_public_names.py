"""The public surface is a promise: a change to it changes tests/api.txt and the changelog."""

import ast
import inspect
import subprocess
import sys
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


def test_type_checkers_are_told_the_names_that_python_finds() -> None:
    stub = ast.parse(Path(kb4_async.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    homes = {
        alias.asname or alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (listed,) = [node.value for node in stub.body if isinstance(node, ast.Assign)]

    assert sorted(homes) == sorted(ast.literal_eval(listed)) == sorted(kb4_async.__all__)
    assert {name: f"kb4_async.{home}" for name, home in vars(kb4_async)["_HOME_OF"].items()} == {
        name: home for name, home in homes.items() if name != "__version__"
    }


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import kb4_async", {"aiohttp", "kb4_async.reporting", "kb4_async.scim"}),
        ("from kb4_async import ReportingClient", {"kb4_async.scim", "kb4_async.export"}),
        ("from kb4_async import export_account", {"kb4_async.scim"}),
        ("from kb4_async import ScimClient", {"kb4_async.reporting", "kb4_async.export"}),
        ("import kb4_async.cli.app", {"aiohttp", "kb4_async.reporting", "kb4_async.scim"}),
    ],
)
def test_nobody_imports_what_he_does_not_use(code: str, absent: set[str]) -> None:
    told = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert absent & set(told.stdout.split()) == set()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Reporting'"):
        _ = kb4_async.Reporting  # type: ignore[attr-defined]  # that is the point
    assert set(kb4_async.__all__) < set(dir(kb4_async))


if __name__ == "__main__":
    RECORD.write_text("\n".join(surface()) + "\n", encoding="utf-8")
