"""``run.py BASE_URL FILE``: all users to JSON lines with requests, as one would write it."""

import json
import sys

import requests


def main(base_url: str, path: str) -> None:
    """Page until a short page."""
    rows, page = 0, 1
    with requests.Session() as session, open(path, "w", encoding="utf-8") as file:
        session.headers["Authorization"] = "Bearer benchmark-key"
        while True:
            response = session.get(f"{base_url}/users", params={"page": page, "per_page": 500})
            response.raise_for_status()
            users = response.json()
            for user in users:
                file.write(json.dumps(user) + "\n")
            rows += len(users)
            if len(users) < 500:
                break
            page += 1
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
