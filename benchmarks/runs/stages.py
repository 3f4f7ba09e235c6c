"""What the stages of a page cost in memory, without a socket; ``python -m benchmarks.runs.stages``.

Prints milliseconds a page as one line of JSON. It explains the pipeline's figures: what no client
that decodes, checks keys or writes checksums can be without.
"""

import hashlib
import json
import time
from collections.abc import Callable

import orjson

from benchmarks.runs.server import Pages
from kb4_async.protocol import codec

PAGES = 40
FIRST = 1


def bodies() -> list[bytes]:
    """Pages as a client has them, different ones."""
    pages = Pages()
    answers = [pages.page(FIRST + number, (FIRST + PAGES) * 500) for number in range(PAGES)]
    return [answer.partition(b"\r\n\r\n")[2] for answer in answers]


def stages() -> dict[str, Callable[[bytes], object]]:
    """The stages by name."""
    held: list[object] = [None]

    def holding(body: bytes) -> None:
        held[0] = orjson.loads(body)  # the old page goes when the new one is there

    def dropping(body: bytes) -> None:
        orjson.loads(body)

    def lines(body: bytes) -> bytes:
        return b"\n".join([orjson.dumps(user) for user in orjson.loads(body)])

    return {
        "orjson": dropping,
        "orjson, the page before still held": holding,
        "orjson, loads and dumps": lines,
        "msgspec": codec.items_of,
        "split": codec.split,
        "keys": codec.key_reader("id"),
        "sha256": lambda body: hashlib.sha256(body).digest(),
    }


def main() -> None:
    """Run each stage over all pages."""
    pages, found = bodies(), {}
    for name, stage in stages().items():
        stage(pages[0])
        begun = time.perf_counter()
        for body in pages:
            stage(body)
        found[name] = (time.perf_counter() - begun) * 1000 / PAGES
    print(json.dumps(found))


if __name__ == "__main__":
    main()
