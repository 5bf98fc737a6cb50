"""What of several bills and reports of a provider's day is taken, so that nothing is there twice."""

from __future__ import annotations

from finops.reconciliation.counting import Spoken
from finops.reconciliation.types import Group
from finops.statements.selectors import Row


class Bills:
    """Which statements are the money of a day, and whose calls are held against them."""

    def __init__(self, spoken: Spoken) -> None:
        self._money = {rule.source_id for rule in spoken.money}
        self._compared = {rule.source_id for rule in spoken.metered} - self._money
        self._billed: set[str] = set()
        self._by_calls: set[str] = set()
        # By group, also of all accounts together, the first source that bills it.
        self.of: dict[Group, int] = {}

    def counts(self, source_id: int, group: Group) -> bool:
        if source_id in self._compared:
            self._by_calls.add(group.account)
        if source_id not in self._money:
            return False
        self._billed.add(group.account)
        for one in (group, Group("", group.model)):
            self.of.setdefault(one, source_id)
        return True

    def leaves_out(self, account: str) -> bool:
        """Whether calls of an account are the money themselves, beside a bill of other accounts. Known once all
        statements of the day were told.
        """
        return bool(account) and account in self._by_calls and account not in self._billed


class FirstTold:
    """Of several reports of the same usage, the one that was connected first: another of the same form is another
    account's, but for accounts and rows that were told before. Rows come in the order of their sources.
    """

    def __init__(self) -> None:
        self._parser: str | None = None
        self._first = 0
        self._accounts: dict[str, int] = {}
        self._says: set[tuple[str, bytes]] = set()

    def is_new(self, row: Row) -> bool:
        if self._parser is None:
            self._parser, self._first = row.parser, row.source.id
        if row.source.id != self._first and not (row.parser and row.parser == self._parser):
            return False
        account = row.event.provider_account
        if account and self._accounts.setdefault(account, row.source.id) != row.source.id:
            return False
        if row.says in self._says:
            return False
        self._says.add(row.says)
        return True
