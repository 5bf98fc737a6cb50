"""A gateway process of the runaway test: one session's share of calls, through a guard with its pulse. No Django.

Makes a call for every line of its standard input, and answers each with what became of it.
"""

from __future__ import annotations

import sys
import time

import msgspec

from finops.budgets.guard import Guard, GuardRules
from finops.budgets.pulse import Pulse
from finops.budgets.types import Call


def main(address: str, name: str, rules: str) -> None:
    guard = Guard(name)
    told = msgspec.json.decode(rules, type=GuardRules)
    guard.rules_are(told)
    pulse = Pulse(address, guard)
    pulse.start()
    _say("ready")
    for number, line in enumerate(sys.stdin):
        session, fingerprint = line.split()
        call = Call(session=session, key=3)
        call_id = f"{name}-{number}"
        said = pulse.check(told.organization_id, call_id, call, tokens=10, fingerprint=fingerprint)
        if said is None:
            guard.allowed(call_id, time.monotonic())
            guard.settled(call_id, amount=1, tokens=10, now=time.monotonic())
        _say("made" if said is None else said.code)
    pulse.close()


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
