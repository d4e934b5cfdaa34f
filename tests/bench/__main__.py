"""`make bench`: the benchmarks, one after another; it ends by itself, and with 1 where a promised figure is missed.

`make bench ARGS="submissions queue"` runs some of them, `ARGS=--quick` all of them shorter. Nothing but loopback is used, and the
database lies in a temporary home that goes with the run.
"""

import argparse
import asyncio
import time

from tests.bench import adt, exports, lag, pages, processes, queue, routes, submissions, surface
from tests.bench.ground import Ground, ground, machine, say

LEAST_RATIO, GOAL_RATIO = 0.25, 0.35
MOST_BUFFERS = 1.5
MOST_MEMORY = 1.5
LEAST_MESSAGES = 200
PARTS = ("submissions", "queue", "routing", "processes", "surface", "notices", "exports", "adt", "pages")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    # `choices` would refuse an empty list.
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one or more of {', '.join(PARTS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="shorter stretches, and 10⁵ referrals in place of 10⁶")
    parser.add_argument("--seconds", type=float, help="length of a measured stretch of submissions")
    parser.add_argument("--rounds", type=int, help="rounds of control and service")
    parser.add_argument("--processes", type=int, default=1, help="how many `yuanshe serve` share the submissions")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    asked.seconds = asked.seconds or (5 if asked.quick else 10)
    asked.rounds = asked.rounds or (2 if asked.quick else 3)
    missed: list[str] = []
    say(machine())
    with ground() as on:
        for part in asked.parts or PARTS:
            began = time.monotonic()
            say(f"\n## {part}")
            missed += _run(part, on, asked)
            say(f"({time.monotonic() - began:.0f} s)")
    say("\n" + ("Missed: " + "; ".join(missed) if missed else "Every promised figure is met."))
    return 1 if missed else 0


def _run(part: str, on: Ground, asked: argparse.Namespace) -> list[str]:
    """Run one part; what it misses of what was promised."""
    quick: bool = asked.quick
    match part:
        case "submissions":
            found = submissions.measure(on, asked.seconds, asked.rounds, asked.processes)
            say(f"promised: at least {LEAST_RATIO}; the goal: {GOAL_RATIO}")
            least = min(found["ratio"], found["ratio_writes"])
            return [] if least >= LEAST_RATIO else [f"submissions at {least:.2f} of the control"]
        case "queue":
            found = queue.measure(on, 10_000, 100_000 if quick else 1_000_000, 60 if quick else 200)
            say(
                f"worst ratio of buffers {found['worst_ratio']:.2f}; promised: the same plans, and at most {MOST_BUFFERS}"
            )
            wrong = [] if found["same_plan"] else ["the queue's plans differ"]
            if found["worst_ratio"] > MOST_BUFFERS:
                wrong.append(f"the queue touches {found['worst_ratio']:.2f} times the buffers")
            return wrong
        case "routing":
            routes.measure(on, 20 if quick else 60)
        case "surface":
            found = surface.measure(on, 20_000 if quick else 500_000, 60 if quick else 200)
            say(
                f"promised: nine answers in ten within {surface.USUAL} s, all within {surface.LONGEST} s (behaviour 45)"
            )
            wrong = [] if found["p90"] < surface.USUAL else [f"one answer in ten takes {found['p90']:.1f} s"]
            if found["longest"] >= surface.LONGEST:
                wrong.append(f"an answer takes {found['longest']:.1f} s")
            return wrong
        case "notices":
            asyncio.run(submissions.room(on))
            lag.measure(on, 300 if quick else 2000)
        case "exports":
            found = exports.measure(on, 10_000, 100_000 if quick else 1_000_000)
            say(f"promised: at most {MOST_MEMORY} times the memory")
            return [] if found["growth"] <= MOST_MEMORY else [f"an export's memory grows by {found['growth']:.2f}"]
        case "adt":
            found = adt.measure(on, asked.seconds, asked.rounds)
            say(f"promised: {LEAST_MESSAGES} a second, and nothing lost")
            wrong = [] if found["rate"] >= LEAST_MESSAGES else [f"{found['rate']:.0f} ADT messages a second"]
            return wrong + ([f"{found['lost']} acknowledged messages are lost"] if found["lost"] else [])
        case "pages":
            found = pages.measure(on, 100_000 if quick else 1_000_000, 40 if quick else 200, 60 if quick else 300)
            say(
                f"promised: at most {pages.FIRST_LOAD // 1000} kB at first, {pages.LATER // 1000} kB after that, and nothing moves"
            )
            wrong = (
                [] if found["first_load"] <= pages.FIRST_LOAD else [f"a first load of {found['first_load']:,} bytes"]
            )
            wrong += [] if found["heaviest"] <= pages.LATER else [f"a page of {found['heaviest']:,} bytes"]
            return wrong + ([f"what is shown moves by {found['moved']:.6f}"] if found.get("moved") else [])
        case _:
            processes.measure(on, 100 if quick else 500)
    return []


if __name__ == "__main__":
    raise SystemExit(main())
