"""``run.py BASE_URL FILE``: all users to JSON lines with dlt's rest_api source.

The resource is iterated and written with orjson: the quickest way out of it. A whole pipeline with
a destination takes several times as long.
"""

import json
import sys

import orjson
from dlt.sources.rest_api import rest_api_source


def main(base_url: str, path: str) -> None:
    """Iterate the resource."""
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{base_url}/",
                "auth": {"type": "bearer", "token": "benchmark-key"},
                "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
            },
            "resources": [
                {
                    "name": "users",
                    "endpoint": {"path": "users", "params": {"per_page": 500}},
                }
            ],
        }
    )
    rows = 0
    with open(path, "wb") as file:
        for user in source.resources["users"]:
            file.write(orjson.dumps(user) + b"\n")
            rows += 1
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
