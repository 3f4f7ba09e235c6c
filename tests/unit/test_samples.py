"""Recorded and published answers of the real API, where somebody keeps them beside the checkout.

They are not part of the repository: without the folder these tests are skipped.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb4_async.protocol import codec

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"


def bodies() -> Iterator[Any]:
    for name, entries in (
        ("jupiterone_har_eu_2021.json", "exchanges"),
        ("knowbe4_docs_examples_2025_09_25.json", "examples"),
    ):
        path = SAMPLES / name
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            for entry in found.get(entries) or found.get("recordings") or ():
                where = entry.get("endpoint") or entry["url"]
                yield pytest.param(entry["body"], id=where)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not here")
@pytest.mark.parametrize("body", list(bodies()))
@pytest.mark.parametrize("indent", [None, 2])
def test_a_real_answer_is_read_and_written_without_loss(body: Any, indent: int | None) -> None:
    served = json.dumps(body, indent=indent).encode()
    records = body if isinstance(body, list) else [body]

    array = codec.read_array(served)
    lines = codec.json_lines(codec.split(array), spaced=indent is not None, parent=None)

    assert codec.items_of(array) == records
    assert [json.loads(line) for line in lines.splitlines()] == records
