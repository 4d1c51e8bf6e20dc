"""Log lines that name the call they are about."""

from __future__ import annotations

import json
import logging

from engine.runtime.logs import JsonLines, TextLines


def record(**ids: str) -> logging.LogRecord:
    made = logging.LogRecord("engine.x", logging.WARNING, "f.py", 1, "lost %d", (3,), None)
    made.created = 1700000000.25
    made.__dict__.update(ids)
    return made


def test_a_json_line_has_the_ids_as_fields() -> None:
    line = json.loads(JsonLines().format(record(call_id="c1", request_id="r1", other="x")))
    assert line == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "WARNING",
        "logger": "engine.x",
        "message": "lost 3",
        "request_id": "r1",
        "call_id": "c1",
    }


def test_a_json_line_is_one_line_whatever_it_says() -> None:
    broken = record(call_id='c"\n1')
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        broken.exc_info = (type(error), error, error.__traceback__)
    text = JsonLines().format(broken)
    assert "\n" not in text
    line = json.loads(text)
    assert line["call_id"] == 'c"\n1'
    assert line["error"].endswith("ValueError: two\nlines")


def test_a_text_line_has_them_behind_the_message() -> None:
    text = TextLines().format(record(account_id="a1", call_id="c1"))
    assert text.endswith("WARNING engine.x: lost 3 call_id=c1 account_id=a1")
