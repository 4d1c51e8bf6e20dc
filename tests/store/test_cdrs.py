"""Reading call records: order, pages that neither lose nor repeat, filters, bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.core.errors import NotFound, RequestInvalid
from engine.store import cdrs
from engine.store.cdr_filters import CdrFilter
from engine.store.cdrs import CdrKey, CdrQuery, parse_key
from engine.store.database import Database
from engine.store.journal import Journal

AT = 1_700_000_000.0


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    opened = await Journal.open(database)
    yield opened
    assert await opened.close() == 0


def add(journal: Journal, index: int, at: float, **fields: object) -> None:
    document = {"call_id": f"c{index}", "n": index, **fields}
    journal.add_cdr("acme", f"c{index}", f"i{index // 2}", at, document)


async def paged(journal: Journal, query: CdrQuery, limit: int) -> list[list[int]]:
    pages: list[list[int]] = []
    start: CdrKey | None = None
    while True:
        page = await journal.records.page(query, limit, start)
        pages.append([record["n"] for record in page.records])
        if page.next_start is None:
            return pages
        start = parse_key(page.next_start.text())


async def test_times_bound_what_is_listed(journal: Journal) -> None:
    for index in range(5):
        add(journal, index, AT + index)
    between = CdrQuery("acme", since=AT + 1, before=AT + 3)
    assert await paged(journal, between, 50) == [[2, 1]]
    assert await paged(journal, CdrQuery("acme", interaction_id="i1"), 50) == [[3, 2]]
    assert await paged(journal, CdrQuery("beta"), 50) == [[]]
    assert await paged(journal, CdrQuery("acme", interaction_id="i\0"), 50) == [[]]
    with pytest.raises(NotFound):
        await journal.records.show("acme", "202311-c\0")


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_pages_together_are_the_whole_list(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, limit: int, oldest_first: bool
) -> None:
    monkeypatch.setattr(cdrs, "BLOCK", 3)
    for index in range(10):
        # Several end at the same moment.
        add(journal, index, AT + index // 3 + 0.1)
    pages = await paged(journal, CdrQuery("acme", oldest_first=oldest_first), limit)
    assert all(len(page) == limit for page in pages[:-1])
    flat = [n for page in pages for n in page]
    assert sorted(flat) == list(range(10))
    times = [n // 3 for n in flat]
    assert times == sorted(times, reverse=not oldest_first)


async def test_a_page_is_not_moved_by_what_is_written_meanwhile(journal: Journal) -> None:
    for index in range(4):
        add(journal, index, AT + index)
    first = await journal.records.page(CdrQuery("acme"), 2)
    add(journal, 9, AT + 9)
    second = await journal.records.page(CdrQuery("acme"), 2, first.next_start)
    assert [record["n"] for record in (*first.records, *second.records)] == [3, 2, 1, 0]
    assert second.next_start is None


async def test_a_page_looks_at_so_many_records_and_says_where_to_go_on(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdrs, "SCAN_LIMIT", 4)
    monkeypatch.setattr(cdrs, "BLOCK", 3)
    for index in range(10):
        add(journal, index, AT + index)
    rare = CdrQuery("acme", filters=(CdrFilter("is", "n", "1"),))
    assert await paged(journal, rare, 5) == [[], [], [1]]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CdrFilter("is", "hangup_cause", "USER_BUSY"), [1]),
        (CdrFilter("is_not", "hangup_cause", "USER_BUSY"), [0, 2]),
        (CdrFilter("is", "billing_seconds", "32"), [0]),
        (CdrFilter("is", "media_one_way", "true"), [2]),
        (CdrFilter("is", "custom_channel_vars.owner_id", "u"), [0]),
        (CdrFilter("is", "custom_application_vars.a.b", "x"), [1]),
        (CdrFilter("has", "custom_channel_vars.owner_id"), [0, 1]),
        (CdrFilter("lacks", "custom_channel_vars.owner_id"), [2]),
        (CdrFilter("is", "custom_channel_vars", "u"), []),
        (CdrFilter("is", "hangup_cause.deeper", "u"), []),
        (CdrFilter("has", "hangup_cause.deeper"), []),
    ],
)
async def test_any_field_filters(journal: Journal, wanted: CdrFilter, found: list[int]) -> None:
    add(journal, 0, AT, billing_seconds=32, custom_channel_vars={"owner_id": "u"})
    other = {"custom_channel_vars": {"owner_id": "v"}, "custom_application_vars": {"a.b": "x"}}
    add(journal, 1, AT + 1, hangup_cause="USER_BUSY", **other)
    add(journal, 2, AT + 2, media_one_way=True)
    query = CdrQuery("acme", filters=(wanted,), oldest_first=True)
    assert await paged(journal, query, 50) == [found]
    streamed = [one["n"] async for some in journal.records.stream(query) for one in some]
    assert streamed == found


@pytest.mark.parametrize(
    "text", ["", "x", "!!", "WzFd", "bnVsbA", "é", "WyJhIiwiYiJd", "WzEsIlx1MDAwMCJd", "A" * 5000]
)
def test_a_key_that_was_made_up_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        parse_key(text)
    assert caught.value.field == "start_key"
