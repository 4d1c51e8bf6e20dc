"""Kazoo's converters and classifiers, vector by vector, and what is refused."""

import re

import pytest

from engine.numbers.dialplan import DialPlanError
from engine.numbers.numbering import (
    DEFAULT_DENIED,
    DEFAULT_NUMBERING,
    KAZOO_CLASSIFIERS,
    Classifier,
    Converter,
    Numbering,
)
from engine.numbers.text import NumberError

CARIBBEAN = (
    *(684, 264, 268, 242, 246, 441, 284, 345, 767, 809, 829, 849, 473, 671, 876, 664, 670),
    *(787, 939, 869, 758, 784, 721, 868, 649, 340),
)


@pytest.mark.parametrize(
    ("number", "e164"),
    [
        ("4154846048", "+14154846048"),
        ("14154846048", "+14154846048"),
        ("+14154846048", "+14154846048"),
        ("+4154846048", "+4154846048"),
        ("2002000000", "+12002000000"),
        ("9999999999", "+19999999999"),
        # No area code or exchange begins with 0 or 1; then it is a foreign number.
        ("4151846048", "+4151846048"),
        ("1151846048", "1151846048"),
        ("14150846048", "14150846048"),
        ("011493012345", "+493012345"),
        ("00493012345", "+493012345"),
        ("01149301", "+49301"),
        ("0114930", "0114930"),
        ("0049301", "+49301"),
        ("004930", "004930"),
        ("0115", "0115"),
        ("22345678", "+22345678"),
        ("2234567", "2234567"),
        ("493012345678", "+493012345678"),
        ("1234567890123", "1234567890123"),
        ("030123456", "030123456"),
        ("1001", "1001"),
        ("911", "911"),
        ("+", "+"),
        ("", ""),
        ("+911", "+911"),
        ("4154846048\n", "4154846048\n"),
        ("x4154846048", "x4154846048"),
        ("４１５４８４６０４８", "４１５４８４６０４８"),
        ("1800FLOWERS", "+18003569377"),
        ("800GOFEDEX", "+18004633339"),
        ("+1800flowers", "+18003569377"),
    ],
)
def test_e164(number: str, e164: str) -> None:
    assert DEFAULT_NUMBERING.e164(number) == e164
    assert DEFAULT_NUMBERING.e164(e164) == e164


def test_every_letter_stands_on_its_key() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    keys = "+22233344455566677778889999"
    assert DEFAULT_NUMBERING.e164("+" + letters) == keys
    assert DEFAULT_NUMBERING.e164("+" + letters.upper()) == keys


@pytest.mark.parametrize(
    ("number", "name"),
    [
        *((f"+1{code}5551234", "tollfree_us") for code in (800, 877, 866, 855, 844, 833, 822)),
        *((f"+188{digit}5551234", "tollfree_us") for digit in range(10)),
        ("+18015551234", "did_us"),
        ("+19005551234", "toll_us"),
        ("+19015551234", "did_us"),
        *((code, "emergency") for code in ["911", "922", "933", "833", "811", "711", "999"]),
        *((code, "emergency") for code in ["112", "000", "08", "110", "118", "119", "+112"]),
        ("9111", "unknown"),
        ("1112", "unknown"),
        *((f"+1{code}5551234", "caribbean") for code in CARIBBEAN),
        *((f"1{code}5551234", "caribbean") for code in CARIBBEAN),
        ("+1340555123", "unknown"),
        ("+14155551234", "did_us"),
        ("14155551234", "did_us"),
        ("4155551234", "did_us"),
        ("9005551234", "did_us"),
        ("+493012345", "international"),
        ("+2234567", "unknown"),
        ("+22345678", "international"),
        ("+1493012345", "unknown"),
        ("1001", "unknown"),
        ("", "unknown"),
        ("*98", "unknown"),
        ("bob", "unknown"),
    ],
)
def test_class(number: str, name: str) -> None:
    assert DEFAULT_NUMBERING.classify(number) == name


def test_833_is_an_emergency_code_alone_and_toll_free_as_a_prefix() -> None:
    classes = [
        DEFAULT_NUMBERING.classify(DEFAULT_NUMBERING.e164(number))
        for number in ("833", "8335551234", "18335551234", "+18335551234")
    ]
    assert classes == ["emergency", "tollfree_us", "tollfree_us", "tollfree_us"]


def test_what_is_denied_are_classes_and_only_one_is_for_emergencies() -> None:
    names = [classifier.name for classifier in KAZOO_CLASSIFIERS]
    assert set(names) >= DEFAULT_DENIED
    assert [each.name for each in KAZOO_CLASSIFIERS if each.emergency] == ["emergency"]


def test_no_converter_and_no_classifier() -> None:
    nothing = Numbering.compile((), ())
    assert (nothing.e164("4154846048"), nothing.classify("911")) == ("4154846048", "")


def test_converters_and_classifiers_of_ones_own() -> None:
    german = Numbering.compile(
        [Converter(r"^00(\d+)$"), Converter(r"^0([1-9]\d+)$", prefix="+49", suffix="")],
        [Classifier("mobile", r"^\+491[567]"), Classifier("german", r"^\+49")],
    )
    assert [german.e164(number) for number in ("0301234", "0044201", "112")] == [
        "+49301234",
        "+44201",
        "112",
    ]
    assert [german.classify(number) for number in ("+491711", "+4930", "+1")] == [
        "mobile",
        "german",
        "",
    ]


@pytest.mark.parametrize(
    ("converters", "classifiers", "where", "words"),
    [
        ([Converter("1"), Converter("(")], [], "converters[1].regex", "not closed"),
        ([Converter("1", prefix="+" * 65)], [], "converters[0].prefix", "at most 64"),
        ([Converter("1", suffix="\ud800")], [], "converters[0].suffix", "surrogate"),
        ([], [Classifier("a", "(?=1)")], "classifiers[0].regex", "look-ahead"),
        ([], [Classifier("", "1")], "classifiers[0].name", "cannot be empty"),
        ([], [Classifier("a", "1"), Classifier("a", "2")], "classifiers[1].name", "another"),
        ([], [Classifier("\udc00", "1")], "classifiers[0].name", "surrogate"),
    ],
)
def test_refused(
    converters: list[Converter], classifiers: list[Classifier], where: str, words: str
) -> None:
    with pytest.raises(DialPlanError, match=re.escape(where)) as caught:
        Numbering.compile(converters, classifiers)
    assert caught.value.where == where
    assert words in caught.value.reason


def test_numbers_that_are_no_numbers() -> None:
    for ask in (DEFAULT_NUMBERING.e164, DEFAULT_NUMBERING.classify):
        with pytest.raises(NumberError, match="at most 128"):
            ask("1" * 129)
        with pytest.raises(NumberError, match="surrogate"):
            ask("\ud800")
