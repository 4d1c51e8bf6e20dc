r"""The E.164 form of numbers, and their classes, by Kazoo's converters and classifiers.

Sources: Kazoo's knm_converter_regex and knm_converters; the tables are its defaults.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.numbers._dialplan import CompiledNumbering
from engine.numbers.rule_checks import check_affixes, check_regex
from engine.numbers.rules import DialPlanError
from engine.numbers.text import HALF_PAIR, find_half_pair


@dataclass(frozen=True, slots=True)
class Converter:
    """One way to write a number that is not in its E.164 form yet.

    Fields: `regex`, searched anywhere in the number; its last capture group that took part, or the
    whole match, is the root; `prefix` and `suffix`, put around it, at most 64 characters each.
    """

    regex: str
    prefix: str = "+"
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Classifier:
    """A class of numbers.

    Fields: `name`, as in `call_restriction`; `regex`, searched anywhere in a number in its E.164
    form; `friendly_name`, for people; `emergency`, whether such a number calls for help.
    """

    name: str
    regex: str
    friendly_name: str = ""
    emergency: bool = False


KAZOO_CONVERTERS = (
    Converter(r"^(\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})$", prefix="+1"),
    Converter(r"^011(\d{5,})$|^00(\d{5,})$"),
    Converter(r"^[2-9]\d{7,}$"),
)
"""Kazoo's defaults: the North American plan, then international dialling."""

_CARIBBEAN = (
    "684|264|268|242|246|441|284|345|767|809|829|849|473|671|876|664|670|787|939|869|758|784|721"
    "|868|649|340"
)

# Kazoo's, and those that every mobile phone knows (3GPP TS 22.101, 10.1.1).
_EMERGENCY = r"^\+?(911|922|933|833|811|711|999|112|000|08|110|118|119)$"

KAZOO_CLASSIFIERS = (
    Classifier("tollfree_us", r"^\+1((?:800|88\d|877|866|855|844|833|822)\d{7})$", "US toll-free"),
    Classifier("toll_us", r"^\+1(900\d{7})$", "US premium rate"),
    Classifier("emergency", _EMERGENCY, "Emergency", emergency=True),
    Classifier("caribbean", rf"^\+?1((?:{_CARIBBEAN})\d{{7}})$", "Caribbean"),
    Classifier("did_us", r"^(\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})$", "US"),
    Classifier("international", r"^\+([2-9]\d{7,})$", "International"),
    Classifier("unknown", r"^(.*)$", "Unknown"),
)
"""Kazoo's defaults in its order, with more emergency numbers.

833 alone is an emergency code; +1833 and 7 digits, toll-free.
"""

DEFAULT_DENIED = frozenset({"emergency", "toll_us"})
"""Classes that carriers are never sent unless an account, user or device allows them."""


class Numbering(CompiledNumbering):
    r"""Compiled converters and classifiers; immutable, to be made with `compile`.

    >>> DEFAULT_NUMBERING.e164("(415) 484-6048")
    '(415) 484-6048'
    >>> DEFAULT_NUMBERING.e164("4154846048")
    '+14154846048'
    >>> DEFAULT_NUMBERING.classify("+18005551234")
    'tollfree_us'
    """

    __slots__ = ()

    @classmethod
    def compile(
        cls,
        converters: Iterable[Converter] = KAZOO_CONVERTERS,
        classifiers: Iterable[Classifier] = KAZOO_CLASSIFIERS,
    ) -> "Numbering":
        """Compile converters and classifiers; of each the first that takes a number decides.

        Raises DialPlanError for the first one that is wrong: a regex longer than 1024 characters
        or refused by RE2, a prefix or suffix longer than 64 characters, an empty or repeated name.
        """
        listed = (tuple(converters), tuple(classifiers))
        for index, converter in enumerate(listed[0]):
            where = f"converters[{index}]"
            check_affixes(where, index, converter.prefix, converter.suffix)
            check_regex(f"{where}.regex", index, converter.regex)
        names: set[str] = set()
        for index, classifier in enumerate(listed[1]):
            _check_name(f"classifiers[{index}].name", index, classifier.name, names)
            check_regex(f"classifiers[{index}].regex", index, classifier.regex)
        return cls(*listed)


def _check_name(where: str, index: int, name: str, names: set[str]) -> None:
    half_pair = find_half_pair(name)
    if half_pair is not None:
        raise DialPlanError(where, index, name, half_pair, HALF_PAIR)
    if not name or name in names:
        reason = "another classifier has this name" if name else "a name cannot be empty"
        raise DialPlanError(where, index, name, None, reason)
    names.add(name)


DEFAULT_NUMBERING = Numbering.compile()
"""Kazoo's converters and classifiers."""
