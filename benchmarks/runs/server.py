"""A server that costs less than its clients: ready pages, of which only the ids are written anew.

It runs in a process of its own. The address says what it serves, so that one server does for every
benchmark: ``http://127.0.0.1:PORT/100000/50/v1`` holds 100,000 users and answers after 50 ms.
``/v1/account`` and ``/v1/users`` are there, and ``/cpu``: the CPU seconds the server has used.

A user has 30 fields and about 880 bytes. There are 64 different pages, which repeat with other ids;
ids are distinct and ascend through the whole listing.
"""

import asyncio
import json
import sys
import time
from functools import partial
from urllib.parse import parse_qs

PER_PAGE = 500
DIFFERENT_PAGES = 64
#: Stands in a ready page where the number of the page comes: an id is 1, page, row of the page.
MARK = b"@@@@@"
MOST_PAGES = 100_000

ACCOUNT = {
    "name": "Benchmark, Inc",
    "type": "paid",
    "domains": ["example.test"],
    "admins": [],
    "subscription_level": "Diamond",
    "subscription_end_date": "2031-01-01",
    "number_of_seats": 5_000_000,
    "current_risk_score": 45.742,
}


def user(page: int, row: int) -> dict[str, object]:
    """Make up a user; the id is written later."""
    number = page * PER_PAGE + row
    name = ("Alexandra", "Benjamin", "Charlotte", "Dimitrios", "Émilie")[number % 5]
    surname = ("Abernathy", "Bergström", "Castellanos", "Delacroix", "Eisenberg")[number // 5 % 5]
    department = ("Customer Support", "Engineering", "Finance", "Human Resources")[number % 4]
    return {
        "id": None,
        "employee_number": f"E{100_000 + number}",
        "first_name": name,
        "last_name": surname,
        "job_title": "Regional Coordinator",
        "email": f"{name}.{surname}.{number}@example.test".lower(),
        "phish_prone_percentage": number % 1000 / 10,
        "phone_number": f"+1 555 {number % 9000 + 1000}",
        "extension": str(number % 900 + 100),
        "mobile_phone_number": f"+1 555 {number % 8000 + 2000}",
        "location": "Clearwater",
        "division": "North America",
        "manager_name": "Jordan Example",
        "manager_email": f"manager{number % 40}@example.test",
        "provisioning_managed": number % 3 == 0,
        "provisioning_guid": None,
        "groups": [3264 + number % 50, 4000 + number % 7, 5011],
        "current_risk_score": number % 997 / 10,
        "aliases": [f"alias{number}@example.test"],
        "joined_on": "2019-04-02T15:02:38.000Z",
        "last_sign_in": "2026-01-14T09:41:07.000Z",
        "status": "active",
        "organization": "Example, Inc",
        "department": department,
        "language": "English - United States",
        "comment": None,
        "employee_start_date": "2019-04-02T00:00:00.000Z",
        "archived_at": None,
        "custom_field_1": "Building C, 4th Floor",
        "custom_date_1": "2024-12-10",
    }


def written(page: int, row: int) -> bytes:
    """A user's JSON, with the mark in its id."""
    text = json.dumps(user(page, row), ensure_ascii=False, separators=(",", ":")).encode()
    return text.replace(b'"id":null', b'"id":1%s%03d' % (MARK, row), 1)


def head(length: int, status: str = "200 OK") -> bytes:
    """The head of an answer."""
    kind = "application/json; charset=utf-8"
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def answer(value: object, status: str = "200 OK") -> bytes:
    """A small answer."""
    body = json.dumps(value).encode()
    return head(len(body), status) + body


class Pages:
    """The ready pages, in pieces between which the number of the page is put."""

    def __init__(self) -> None:
        self.records = [
            [written(page, row) for row in range(PER_PAGE)] for page in range(DIFFERENT_PAGES)
        ]
        self.full = [self.pieces(page, PER_PAGE) for page in range(DIFFERENT_PAGES)]

    def pieces(self, page: int, rows: int) -> list[bytes]:
        """The pieces of a page of so many rows."""
        body = b"[" + b",".join(self.records[page % DIFFERENT_PAGES][:rows]) + b"]"
        return (head(len(body)) + body).split(MARK)

    def page(self, number: int, records: int) -> bytes:
        """The answer to a page of a table of so many records, pages counted from 1."""
        rows = max(0, min(PER_PAGE, records - (number - 1) * PER_PAGE))
        if rows == PER_PAGE:
            pieces = self.full[(number - 1) % DIFFERENT_PAGES]
        else:
            pieces = self.pieces(number - 1, rows)
        return (b"%05d" % (number - 1)).join(pieces)


class Connection(asyncio.Protocol):
    """One client's connection; requests have no body."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request, at once or after its latency."""
        *requests, self.unread = (self.unread + data).split(b"\r\n\r\n")
        for request in requests:
            target = request.split(b" ", 2)[1].decode()
            latency, answered = self.answer(target)
            if latency:
                loop = asyncio.get_running_loop()
                loop.call_later(latency, partial(self.send, answered))
            else:
                self.send(answered)

    def send(self, answered: bytes) -> None:
        """Send an answer, if its client still waits."""
        if not self.transport.is_closing():
            self.transport.write(answered)

    def answer(self, target: str) -> tuple[float, bytes]:
        """Seconds of latency, and the answer, of a target like ``/1000/50/v1/users?page=2``."""
        path, _, query = target.partition("?")
        match path.split("/")[1:]:
            case ["cpu"]:
                return 0.0, answer({"cpu": time.process_time()})
            case [records, milliseconds, "v1", "account"]:
                del records
                return int(milliseconds) / 1000, answer(ACCOUNT)
            case [records, milliseconds, "v1", "users"]:
                asked = parse_qs(query)
                number, size = int(asked["page"][0]), int(asked["per_page"][0])
                if size != PER_PAGE or not 1 <= number <= MOST_PAGES:
                    return 0.0, answer({"message": "Bad Request"}, "400 Bad Request")
                return int(milliseconds) / 1000, self.pages.page(number, int(records))
            case _:
                return 0.0, answer({"message": "Not Found"}, "404 Not Found")


async def main() -> None:
    """Serve until stdin closes; the port is printed when the server listens."""
    pages, loop = Pages(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(pages), "127.0.0.1", 0, backlog=1024)
    async with server:
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main())
