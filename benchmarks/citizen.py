"""Good citizen: how long an export keeps other tasks of its event loop waiting, and its CPU."""

from functools import partial

from benchmarks.arithmetic import added
from benchmarks.figures import Figure, Table, at_most
from benchmarks.measure import FOLDER, Run, Server, each, interleaved, python, run

USERS = 300_000
ROUNDS = 5
NAMES = {
    "export": "beside an export at full speed",
    "busy": "beside an idle client and one busy thread",
    "idle": "beside an idle client",
}
#: Milliseconds.
ADDED_P99, ADDED_WORST = 5.0, 25.0


def once(what: str, users: int, server: Server) -> Run:
    """One run."""
    command = python("benchmarks.runs.citizen", what, server.url(users), FOLDER)
    taken = run(command, server=server)
    assert what != "export" or taken.told["rows"] == users, taken
    return taken


def measure(*, quick: bool) -> list[Table]:
    """Make the table."""
    users = USERS // 2 if quick else USERS
    with Server() as server:
        variants = {what: partial(once, what, users, server) for what in NAMES}
        taken = interleaved(ROUNDS, variants)

    def delay(what: str, which: str) -> list[float]:
        return each(taken[what], lambda one: float(one.told[which]))

    figures = [
        Figure(
            f"added by the export, against {against}: {name}",
            added(delay("export", which), delay(against, which)),
            "ms",
            goal=at_most(bound) if against == "busy" else None,
        )
        for against in ("busy", "idle")
        for which, name, bound in (
            ("p99", "99th percentile", ADDED_P99),
            ("worst", "worst", ADDED_WORST),
        )
    ]
    figures += [
        Figure(f"{name}: {shown}", delay(what, which), "ms")
        for what, name in NAMES.items()
        for which, shown in (("median", "median"), ("p99", "99th percentile"), ("worst", "worst"))
    ]
    thrift = each(taken["export"], lambda one: one.cpu / users * 1e6)
    figures.append(Figure("export: CPU", thrift, "s per million records"))
    notes = [
        f"A task that sleeps 1 ms again and again notes how much longer it slept: while "
        f"{users:,} users are exported to JSON lines in the same loop, beside a client that does "
        "nothing and a thread that is busy with Python code (*busy*), and beside the client alone "
        "(*idle*)."
    ]
    return [Table("Good citizen: delay of other tasks in the loop", notes, figures)]
