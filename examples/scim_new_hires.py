"""Write the people of an HR file to KnowBe4 through SCIM: plan, guard, apply, outcomes.

Usage (``kb4 simulate`` prints the two variables it needs for a simulated account)::

    python -m examples.scim_new_hires hr.csv             # says what would be written
    python -m examples.scim_new_hires hr.csv --apply     # writes it

The HR file is CSV or JSON lines with an e-mail column; other headers are understood as most systems
write them. Who is in the account and not in the file is named and left alone.

One line is printed for each thing that a person should see; exit codes are those of ``kb4 scim``:

0   nothing to write, or all is written
3   lines were left out, or a change failed, is unknown or needs a decision
5   the guard refused: nothing was written
6   changes are pending (without ``--apply``)
"""

import asyncio
import sys
from collections import Counter
from contextlib import aclosing

from kb4_async import (
    ChangeGuard,
    KB4Error,
    ScimClient,
    ScimPlan,
    ScimWriter,
    read_users,
)

WRITTEN, TROUBLE, REFUSED, PENDING = 0, 3, 5, 6

# A file of new hires archives nobody, and a good day brings fewer than so many.
GUARD = ChangeGuard(max_creations=100, max_deactivations=0, max_blanked=0)


def show(plan: ScimPlan) -> None:
    """Say what would be written, and what was left out and why."""
    for step in plan.steps:
        print(f"{step.operation} {step}")
    for reason in plan.rejected:
        print(f"left out: {reason}")
    for new, old in plan.lookalikes:
        print(f"{new} looks like {old}, who is there")
    for note in plan.notes:
        print(f"note: {note}")


async def write(writer: ScimWriter, plan: ScimPlan) -> Counter[str]:
    """Write a plan; count what became of each change, and print what needs somebody."""
    results: Counter[str] = Counter()
    try:
        async with aclosing(writer.apply(plan)) as outcomes:
            async for outcome in outcomes:
                results[outcome.result] += 1
                if not outcome.ok:
                    print(f"{outcome.result} {outcome.name}: {outcome.detail}")
                if outcome.unconfirmed:
                    print(f"{outcome.name}: accepted, not shown: {', '.join(outcome.unconfirmed)}")
    except KB4Error as error:
        # A revoked token, or a server that is down. What was written stays; the same plan goes on.
        print(f"stopped after {results.total()} of {len(plan.steps)}: {error}")
        results["stopped"] += 1
    return results


async def main(path: str, *, apply: bool) -> int:
    """Bring the account to what the file says; return the exit code."""
    async with ScimClient() as scim:  # KB4_SCIM_TOKEN and KB4_TENANT_URL
        writer = ScimWriter(scim, guard=GUARD)
        source = read_users(path)
        plan = await writer.plan(source)
        show(plan)
        if source.ignored:
            print("columns not used:", ", ".join(source.ignored))
        reasons = writer.reasons(plan)
        for reason in reasons:
            print(f"refused: {reason}")
        if reasons:
            return REFUSED
        if not apply:
            return TROUBLE if plan.rejected else PENDING if plan.steps else WRITTEN
        results = await write(writer, plan)
    print(*(f"{count} {result}" for result, count in results.items()), sep=", ")
    trouble = plan.rejected or results.keys() & {"failed", "unknown", "conflict", "stopped"}
    return TROUBLE if trouble else WRITTEN


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], apply="--apply" in sys.argv[2:])))
