"""Scale: many accounts at once in one process."""

from functools import partial

from benchmarks.figures import Figure, Table
from benchmarks.measure import Run, Server, each, interleaved, python, run

ROUNDS = 5
ACCOUNTS = (1, 10, 100)
USERS = 5_000
LATENCY = 0.1


def once(accounts: int, server: Server) -> Run:
    """One run."""
    command = python("benchmarks.runs.accounts", accounts, server.url(USERS, LATENCY))
    taken = run(command, server=server)
    assert taken.told["rows"] == accounts * USERS, taken
    return taken


def measure(*, quick: bool) -> list[Table]:
    """Make the table."""
    del quick
    with Server() as server:
        variants = {str(accounts): partial(once, accounts, server) for accounts in ACCOUNTS}
        taken = interleaved(ROUNDS, variants)
    figures: list[Figure] = []
    for accounts in ACCOUNTS:
        runs = taken[str(accounts)]
        name = "1 account" if accounts == 1 else f"{accounts} accounts"
        speed = each(runs, lambda one: one.told["rows"] / one.told["slowest"] / 1000)
        core = each(runs, lambda one: 100 * one.told["cpu"] / one.told["slowest"])
        fairness = each(runs, lambda one: one.told["slowest"] / one.told["fastest"])
        figures += [
            Figure(f"{name}: throughput", speed, "1,000 records/s", digits=0),
            Figure(f"{name}: share of a core", core, "%", digits=0),
            Figure(f"{name}: peak memory", each(runs, lambda one: one.rss), "MiB", digits=0),
        ]
        if accounts > 1:
            figures.append(Figure(f"{name}: slowest account's time / fastest's", fairness))
    notes = [
        f"Each account has {USERS:,} users, a key and a limiter of its own; each answer comes "
        f"after {LATENCY * 1000:.0f} ms; all begin together and stream records."
    ]
    return [Table("Scale: accounts at once in one process", notes, figures)]
