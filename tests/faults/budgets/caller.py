"""A gateway process of the stress test: many callers at one desk. No Django.

Says that it is `ready`, begins with a line of its standard input, and goes on until that is closed. Writes a line for
every call the moment it is settled (`spent`) or refused (`refused`), so that a test can add up what a process did that
was killed.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from uuid import UUID

from finops.budgets.bank import Accounted, Bank
from finops.budgets.desk import Allowed, Desk
from finops.budgets.rules.worst import Worst


def main(address: str, holder: str, account: int, callers: int, log: int) -> None:
    bank = Bank(address, UUID(holder), "stress")
    desk = Desk(bank)
    over = threading.Event()
    waiting: list[int] = []
    lock = threading.Lock()

    def post() -> None:
        """What a worker does once the ledger has the charges."""
        with lock:
            amount = sum(waiting)
            waiting.clear()
            if amount:
                bank.account_for([Accounted(account, amount, 0)])

    def call(number: int) -> None:
        dice = random.Random(f"{holder}{number}")
        made = 0
        while not over.is_set():
            made += 1
            name = f"{number}-{made}"
            worst = Worst(dice.randrange(1, 400), dice.randrange(0, 3), dice.randrange(1, 200), "USD")
            said = desk.authorize(name, [account], worst)
            if not isinstance(said, Allowed):
                os.write(log, b"refused\n")
                continue
            if dice.random() < 0.1:
                desk.void(name)
                continue
            actual = dice.randrange(said.amount + 1)
            os.write(log, f"spent {actual}\n".encode())
            desk.settle(name, actual)
            with lock:
                waiting.append(actual)
            if made % 20 == 0:
                post()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    os.write(log, b"ready\n")
    sys.stdin.readline()
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    post()
    desk.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.stdout.fileno())
