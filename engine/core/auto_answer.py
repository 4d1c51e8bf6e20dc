"""Headers that ask a phone to answer by itself.

No header is honoured by every phone; the default set together covers most of them. None says
`;require`: a phone that may not answer by itself shall ring, not refuse (RFC 5373 4). The dialled
leg never gets any of these.
"""

from __future__ import annotations


def auto_answer_headers(host: str) -> tuple[tuple[str, str], ...]:
    """Return the default set; `host` is the public host of this engine."""
    return (
        ("Call-Info", f"<sip:{host}>;answer-after=0"),
        ("Alert-Info", "<http://www.notused.com>;info=alert-autoanswer;delay=0"),
        ("Answer-Mode", "Auto"),
        ("Supported", "answermode"),
        ("X-AUTOANSWER", "TRUE"),
        ("P-Auto-Answer", "normal"),
    )
