"""What cannot have changed since an earlier export, and is carried over from it for no request.

That is the recipients of a phishing security test that was closed then and whose own record, with
everything it counts, is still the same. "Closed PSTs do not change (except late `reported_at`)",
which `reported_count` shows. Nothing else of the API can be told to be unchanged without reading
it.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kb4_async.errors import ConfigurationError, SinkError
from kb4_async.export.manifest import read_manifest
from kb4_async.export.parents import CampaignCounts, id_of
from kb4_async.export.recall import page_of, read_lines
from kb4_async.export.step import Step
from kb4_async.export.units import REUSED
from kb4_async.protocol import codec
from kb4_async.protocol.codec import Key
from kb4_async.protocol.endpoints import RECIPIENTS
from kb4_async.protocol.page import Page

#: What has to be whole in an earlier export for its recipients to be carried over.
REQUIRED = ("security_tests", "recipients")
CLOSED = "closed"


class Earlier:
    """An earlier export, read and checked.

    Memory: its closed tests, about 2 kB each.

    Args:
        folder: Where it is.

    Attributes:
        account: Whose it is.
        origin: What a manifest says of it that holds something of it.
        tests: Its closed tests, by id.
        rows: Recipients of each test.

    Raises:
        ConfigurationError: There is none, or it is not whole, or was changed since.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser().absolute()
        manifest = read_manifest(self.folder)
        if manifest is None:
            msg = f"{self.folder} holds no export that could be reused: name one, or leave it out."
            raise ConfigurationError(msg)
        entries = [manifest["resources"].get(name) for name in REQUIRED]
        for name, entry in zip(REQUIRED, entries, strict=True):
            if not entry or not entry.get("complete"):
                msg = (
                    f"{self.folder} cannot be reused: its {name} are not complete. Name another "
                    "export, or leave it out."
                )
                raise ConfigurationError(msg)
        self.account: dict[str, Any] = manifest["account"]
        self.origin = {"id": manifest.get("id"), "finished": manifest.get("finished")}
        self.tests: dict[Key, dict[str, Any]] = {}
        self.rows: Counter[Key] = Counter()
        for lines in self.checked(entries[0]):
            for test in map(codec.decode, lines):
                key = id_of(test, "pst_id")
                if key is not None and is_closed(test):
                    self.tests[key] = test
        parents = codec.key_reader("pst_id")
        for lines in self.checked(entries[1]):
            self.rows.update(parents(page_of(RECIPIENTS, lines).content.array))
        self.recipients = self.folder / str(entries[1]["file"])

    def checked(self, entry: Mapping[str, Any]) -> Iterator[list[bytes]]:
        """The lines of a file, which are those that were written.

        Raises:
            ConfigurationError: The file is gone, or is another one now.
        """
        digest = hashlib.sha256()
        try:
            path = self.folder / Path(str(entry["file"])).name
            for lines in read_lines(path):
                digest.update(b"".join(lines))
                yield lines
        except (SinkError, KeyError) as error:
            msg = f"{self.folder} cannot be reused ({error}): name another export, or leave it out."
            raise ConfigurationError(msg) from error
        if digest.hexdigest() != entry.get("sha256"):
            msg = f"{path} is not what its manifest says: name another export, or leave it out."
            raise ConfigurationError(msg)

    def holds(self, test: Mapping[str, Any]) -> bool:
        """Whether it has the recipients of a test, as served now, and they cannot have changed."""
        key = id_of(test, "pst_id")
        return key is not None and self.tests.get(key) == test

    def check_destination(self, destination: Path) -> None:
        """Refuse to write over what is to be carried over.

        Raises:
            ConfigurationError: The destination is the earlier export itself.
        """
        if self.folder == destination:
            msg = f"{destination} is the destination itself: name an earlier export to reuse."
            raise ConfigurationError(msg)

    def check_account(self, account: Mapping[str, Any]) -> None:
        """Refuse what belongs to somebody else.

        Args:
            account: Name and domains of the account, and the API's origin.

        Raises:
            ConfigurationError: It is another account's.
        """
        for name in ("origin", "name", "domains"):
            theirs, ours = self.account.get(name), account.get(name)
            if theirs != ours:
                msg = (
                    f"{self.folder} cannot be reused: it is of another account, its {name} is "
                    f"{theirs!r}, this key's is {ours!r}."
                )
                raise ConfigurationError(msg)


def is_closed(test: Mapping[str, Any]) -> bool:
    """Whether a security test is over."""
    return str(test.get("status")).lower() == CLOSED


class Carrying:
    """Carries recipients over into an export.

    Args:
        earlier: The earlier export.
        tests: The step that reads the present tests.
    """

    def __init__(self, earlier: Earlier, tests: Step) -> None:
        self.earlier = earlier
        self.same: list[Key] = []
        tests.taps.append(self.add)

    async def add(self, page: Page[Any]) -> None:
        """Look which of these tests are as they were."""
        for line in page.json_lines().split(b"\n")[:-1]:
            test = codec.decode(line)
            if self.earlier.holds(test):
                self.same.append(id_of(test, "pst_id"))

    async def run(self, counts: CampaignCounts, step: Step) -> None:
        """Write the recipients of the tests that are as they were.

        Once anything of the recipients was fetched, an earlier export is of no use any more: it is
        written in one go, before everything else.
        """
        progress = step.progress
        if progress.rows or any(unit.closed for unit in progress.units.values()):
            return
        earlier = self.earlier
        # What a campaign counts of a test must be what is there, too.
        known = {key: counts.users.get(key, earlier.rows[key]) for key in self.same}
        wanted = {key for key, count in known.items() if count == earlier.rows[key]}
        if not wanted:
            return
        marker = progress.unit(REUSED)
        progress.origin = earlier.origin
        await step.writer.end(marker, REUSED, counted=None, again=True)
        chunks = read_lines(earlier.recipients)
        parents = codec.key_reader("pst_id")
        while lines := await step.writer.worker.run(lambda: next(chunks, None)):
            by_test: defaultdict[Key, list[bytes]] = defaultdict(list)
            for key, line in zip(
                parents(page_of(RECIPIENTS, lines).content.array), lines, strict=True
            ):
                if key in wanted:
                    by_test[key].append(line)
            for key, rows in by_test.items():
                page = page_of(RECIPIENTS, rows, scope={"pst_id": key})
                await step.write(page, step.child(key), None)
        for key in wanted:
            await step.end(step.child(key), REUSED)
        await step.writer.end(marker, REUSED, counted=None, again=False)
