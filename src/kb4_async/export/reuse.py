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
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kb4_async.errors import ConfigurationError, DecodeError, KB4Error, SinkError
from kb4_async.export.destination import differing, is_claimed
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
        if is_claimed(self.folder):
            raise self.unusable("an export writes into it now")
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise self.unusable("it holds no export")
        self.tests: dict[Key, dict[str, Any]] = {}
        self.rows: Counter[Key] = Counter()
        try:
            self.account: dict[str, Any] = manifest["account"]
            self.origin = {"id": manifest.get("id"), "finished": manifest.get("finished")}
            tests, self.recipients = (manifest["resources"].get(name) for name in REQUIRED)
            self.check_whole(tests, self.recipients)
            for lines in self.checked(tests):
                for test in map(codec.decode, lines):
                    key = id_of(test, "pst_id")
                    if key is not None and is_closed(test):
                        self.tests[key] = test
            for lines in self.checked(self.recipients):
                self.rows.update(parents_of(lines))
        except (SinkError, DecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, ConfigurationError):
                raise
            why = str(error) if isinstance(error, KB4Error) else f"it cannot be read, {error!r}"
            raise self.unusable(why) from error

    def unusable(self, why: str) -> ConfigurationError:
        """The error of an export that cannot be reused."""
        msg = f"{self.folder} cannot be reused ({why}): name another export, or leave it out."
        return ConfigurationError(msg)

    def check_whole(self, *entries: Mapping[str, Any] | None) -> None:
        """Refuse what is not whole, or not there as JSON lines.

        Raises:
            ConfigurationError: One of them is not.
        """
        for name, entry in zip(REQUIRED, entries, strict=True):
            if not entry or not entry.get("complete"):
                raise self.unusable(f"its {name} are not complete")
            if not {"file", "sha256"} <= entry.keys():
                raise self.unusable(f"its {name} were not written as JSON lines")

    def checked(self, entry: Mapping[str, Any]) -> Iterator[list[bytes]]:
        """The lines of a file, which are those that were written.

        Raises:
            SinkError: The file is gone, or is another one now; at its end.
        """
        digest = hashlib.sha256()
        path = self.folder / Path(str(entry["file"])).name
        try:
            for lines in read_lines(path):
                digest.update(b"".join(lines))
                yield lines
        except SinkError as error:
            msg = f"{path} cannot be read, {getattr(error.__cause__, 'strerror', '')}"
            raise SinkError(msg) from error
        if digest.hexdigest() != entry["sha256"]:
            msg = f"{path} is not what its manifest says"
            raise SinkError(msg)

    def holds(self, test: Mapping[str, Any]) -> bool:
        """Whether it has the recipients of a test, as served now, and they cannot have changed."""
        key = id_of(test, "pst_id")
        return key is not None and self.tests.get(key) == test

    def check_destination(self, destination: Path) -> None:
        """Refuse to write over what is to be carried over.

        Raises:
            ConfigurationError: The destination is the earlier export itself.
        """
        if self.folder.resolve() == destination.resolve():
            msg = f"{destination} is the destination itself: name an earlier export to reuse."
            raise ConfigurationError(msg)

    def check_account(self, account: Mapping[str, Any]) -> None:
        """Refuse what belongs to somebody else.

        Args:
            account: Name and domains of the account, and the API's origin.

        Raises:
            ConfigurationError: It is another account's.
        """
        name = differing(self.account, account)
        if name is not None:
            theirs, ours = self.account.get(name), account.get(name)
            raise self.unusable(
                f"it is of another account, its {name} is {theirs!r}, this key's is {ours!r}"
            )


def parents_of(lines: Sequence[bytes]) -> list[Key]:
    """The tests that recipients belong to."""
    return codec.key_reader("pst_id")(page_of(RECIPIENTS, lines).content.array)


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

    async def copy(self, wanted: Container[Key], step: Step) -> None:
        """Copy the recipients of the wanted tests."""
        chunks = self.earlier.checked(self.earlier.recipients)
        while lines := await step.writer.worker.run(lambda: next(chunks, None)):
            by_test: defaultdict[Key, list[bytes]] = defaultdict(list)
            for key, line in zip(parents_of(lines), lines, strict=True):
                if key in wanted:
                    by_test[key].append(line)
            for key, rows in by_test.items():
                page = page_of(RECIPIENTS, rows, scope={"pst_id": key})
                await step.write(page, step.child(key), None)

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
        try:
            await self.copy(wanted, step)
            if any(step.child(key).rows != earlier.rows[key] for key in wanted):
                msg = "its recipients are not those that it counts"
                raise SinkError(msg)
        except SinkError as error:
            # What was copied stays unproven, and the next run begins anew.
            msg = (
                f"{earlier.folder} cannot be reused any more ({error}): run the same command again "
                "without --reuse (reuse=None)."
            )
            raise SinkError(msg) from error
        for key in wanted:
            await step.end(step.child(key), REUSED)
        await step.writer.end(marker, REUSED, counted=None, again=False)
