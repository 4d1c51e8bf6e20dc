# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""Number filters: a table look-up per character, a URI parser, RE2; all on the text in place."""
from functools import lru_cache

cimport cython
from cpython.unicode cimport (
    PyUnicode_1BYTE_DATA,
    PyUnicode_1BYTE_KIND,
    PyUnicode_4BYTE_KIND,
    PyUnicode_FromKindAndData,
    PyUnicode_GET_LENGTH,
)
from libc.stdint cimport uint32_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view

from number_text cimport (
    PyUnicode_IS_ASCII,
    check_number,
    number_limit,
    refuse_number,
    utf8,
)


cdef extern from "separators.hpp" namespace "quickcall::numbers" nogil:
    const uint32_t removed
    uint32_t fold_separator(uint32_t code)
    uint32_t fold_full_width(uint32_t code)

    cdef cppclass AsciiKept:
        cbool operator[](size_t code)

    cdef struct AsciiCopy:
        size_t length
        cbool colon

    const AsciiKept ascii_not_separator
    const AsciiKept ascii_alphanumeric
    AsciiCopy copy_ascii(const AsciiKept& kept, const char* text, size_t size, char* copy)


cdef extern from "number_uri.hpp" namespace "quickcall::numbers" nogil:
    cdef struct Characters:
        const uint32_t* data
        size_t size

    cdef enum class Scheme:
        none
        tel
        sip

    cdef struct UriStart:
        Scheme scheme
        size_t body

    cdef struct UriNumber:
        size_t length
        const char* fault
        size_t position

    UriStart uri_start(Characters text)
    UriNumber number_of_uri(Characters text, UriStart start, uint32_t* number)


cdef extern from "pattern.hpp" namespace "re2" nogil:
    cdef cppclass StringPiece:
        const char* data()
        size_t size()


cdef extern from "pattern.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass Refusal:
        string kind
        string offender

    cdef cppclass Pattern:
        Pattern(string_view text) except +
        int groups()
        Refusal refusal() except +
        cbool search_first_group(string_view text, StringPiece& group) except +

    Refusal probe(string_view pattern) except +


# Compiled patterns kept, each at most pattern_memory_bytes of pattern.hpp.
REGEX_CACHE_SIZE = 128

cdef enum Way:
    way_default
    way_alphanumeric
    way_none
    way_regex

cdef tuple applied_names = ("default", "alphanumeric", "none", "regex")


def probe_pattern(pattern: str) -> tuple[str, str] | None:
    """Return the kind of RE2's refusal and the text it blames, or None for a good pattern."""
    return _refusal(probe(utf8(pattern)))


cdef tuple _refusal(Refusal refusal):
    if refusal.kind.empty():
        return None
    return refusal.kind.decode("ascii"), refusal.offender.decode("utf-8", "replace")


@cython.final
@cython.freelist(64)
cdef class FilterResult:
    """A filtered number; immutable.

    Fields: `number`, to be used everywhere from here on; `applied`, one of "default",
    "alphanumeric", "none" and "regex"; `note`, why a regex left the number unchanged, else None:
    "no capture group", "no match" or "capture group took no part in the match".
    """

    cdef readonly str number
    cdef readonly str applied
    cdef readonly str note

    __match_args__ = ("number", "applied", "note")

    def __init__(self, number: str, applied: str, note: str | None) -> None:
        self.number = number
        self.applied = applied
        self.note = note

    def __eq__(self, other: object) -> bool:
        if type(other) is not FilterResult:
            return NotImplemented
        cdef FilterResult result = <FilterResult>other
        return (self.number, self.applied, self.note) == (
            result.number, result.applied, result.note
        )

    def __hash__(self) -> int:
        return hash((self.number, self.applied, self.note))

    def __repr__(self) -> str:
        return (
            f"FilterResult(number={self.number!r}, applied={self.applied!r}, note={self.note!r})"
        )


@cython.final
cdef class NumberFilter:
    """One compiled `number_filter` value; immutable, for any thread; made with `compile`.

    Field: `spec`, the value it was compiled from: None, True, False or the regex. NumberFilter() is
    the filter of an absent option.
    """

    cdef readonly object spec
    cdef Way way
    cdef unique_ptr[Pattern] pattern

    @staticmethod
    def compile(spec: bool | str | None) -> NumberFilter:
        """Compile the value of the option; a compiled regex is kept for the next time.

        None (absent) removes visual separators; True or "true" removes every character that is
        not a letter or a digit; both take the number out of a tel: or sip: URI first. False or
        "false" changes nothing; any other text is an RE2 regex, searched anywhere in the number as
        typed, whose first capture group is the number. "true" and "false" are exact: Kazoo knows
        no other spelling.

        Raises NumberFilterError for a regex longer than 1024 characters or one RE2 refuses.
        """
        if spec is None:
            return _default
        if spec is True:
            return _alphanumeric
        if spec is False:
            return _none
        return _compiled(spec)

    def apply(self, number: str) -> FilterResult:
        """Filter a number of at most 128 characters.

        The result may be empty when nothing of the number is left. Raises NumberError for a
        longer number, for text that is not Unicode, and for a malformed tel: or sip: URI.
        """
        cdef FilterResult result = FilterResult.__new__(FilterResult)
        result.applied = applied_names[<int>self.way]
        result.number = self._number(number, result)
        return result

    def apply_many(self, numbers: list[str]) -> list[str]:
        """Filter many numbers; return what `apply` calls `number`, in the same order.

        Raises NumberError for the first number that `apply` refuses.
        """
        cdef object number
        cdef list found = []
        for number in numbers:
            if type(number) is not str:
                raise TypeError(f"numbers are str, not {type(number).__name__}")
            found.append(self._number(<str>number, None))
        return found

    cdef str _number(self, str number, FilterResult result):
        """Return what of a number is dialled; tell the result, if there is one, why nothing is."""
        if self.way == way_regex:
            return _first_group(self.pattern.get(), number, result)
        if self.way == way_none:
            check_number(number)
            return number
        return _without_separators(number, self.way)

    def __eq__(self, other: object) -> bool:
        if type(other) is not NumberFilter:
            return NotImplemented
        return self.spec == (<NumberFilter>other).spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __repr__(self) -> str:
        return f"NumberFilter.compile({self.spec!r})"


cdef NumberFilter _make(object spec, Way way):
    cdef NumberFilter made = NumberFilter.__new__(NumberFilter)
    made.spec = spec
    made.way = way
    return made


cdef NumberFilter _default = NumberFilter()
cdef NumberFilter _alphanumeric = _make(True, way_alphanumeric)
cdef NumberFilter _none = _make(False, way_none)


def _compile(spec: str) -> NumberFilter:
    if spec == "true":
        return _alphanumeric
    if spec == "false":
        return _none
    from engine.numbers.number_filter import NumberFilterError
    from engine.numbers.pattern import diagnose, find_text_fault
    fault = find_text_fault(spec)
    cdef NumberFilter made = _make(spec, way_regex)
    if fault is None:
        made.pattern.reset(new Pattern(utf8(spec)))
        fault = diagnose(spec, _refusal(made.pattern.get().refusal()))
    if fault is not None:
        raise NumberFilterError(spec, fault.position, fault.reason)
    return made


_compiled = lru_cache(REGEX_CACHE_SIZE)(_compile)


cdef str _first_group(Pattern* pattern, str number, FilterResult result):
    check_number(number)
    if pattern.groups() == 0:
        return _left_alone(number, result, "no capture group")
    cdef string_view text = utf8(number)
    cdef StringPiece group
    if not pattern.search_first_group(text, group):
        return _left_alone(number, result, "no match")
    if group.data() == NULL:
        return _left_alone(number, result, "capture group took no part in the match")
    if group.size() == text.size():
        return number
    if PyUnicode_IS_ASCII(number):
        return PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, group.data(), group.size())
    return group.data()[:group.size()].decode("utf-8")


cdef str _left_alone(str number, FilterResult result, str note):
    if result is not None:
        result.note = note
    return number


cdef str _without_separators(str number, Way way):
    check_number(number)
    cdef char[number_limit] kept
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(number)
    cdef AsciiCopy copy
    if PyUnicode_IS_ASCII(number):
        copy = copy_ascii(
            ascii_not_separator if way == way_default else ascii_alphanumeric,
            <const char*>PyUnicode_1BYTE_DATA(number), length, kept,
        )
        if not copy.colon:
            if <Py_ssize_t>copy.length == length:
                return number
            return PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, kept, copy.length)
    return _without_separators_or_uri(number, way)


cdef str _without_separators_or_uri(str number, Way way):
    """Filter what is not ASCII, or has a colon and may be a URI."""
    cdef uint32_t[number_limit] typed, inside
    cdef Py_UCS4[number_limit] kept
    cdef Py_ssize_t length = 0
    cdef Py_UCS4 character
    for character in number:
        typed[length] = character
        length += 1
    cdef Characters text = Characters(&typed[0], length)
    cdef UriStart start = uri_start(text)
    if start.scheme != Scheme.none:
        text = _inside_uri(number, text, start, &inside[0])
    cdef uint32_t folded
    cdef size_t index
    cdef bint changed = start.scheme != Scheme.none
    length = 0
    for index in range(text.size):
        if way == way_default:
            folded = fold_separator(text.data[index])
        else:
            folded = fold_full_width(text.data[index])
            folded = folded if _is_alphanumeric(folded) else removed
        changed |= folded != text.data[index]
        if folded != removed:
            kept[length] = folded
            length += 1
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, kept, length) if changed else number


cdef inline bint _is_alphanumeric(uint32_t code):
    return ascii_alphanumeric[code] if code < 0x80 else (<Py_UCS4>code).isalnum()


cdef Characters _inside_uri(
    str number, Characters text, UriStart start, uint32_t* inside
) except *:
    cdef UriNumber found = number_of_uri(text, start, inside)
    if found.fault != NULL:
        scheme = "tel" if start.scheme == Scheme.tel else "sip"
        fault = found.fault.decode("ascii")
        refuse_number(number, f"is a {scheme}: URI that {fault}, at position {found.position}")
    return Characters(inside, found.length)
