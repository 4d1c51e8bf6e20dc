# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""Number filters over text, and the probe that tells why RE2 refuses a pattern."""
from cpython.unicode cimport PyUnicode_4BYTE_KIND, PyUnicode_FromKindAndData
from libc.stdint cimport uint32_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from number_text cimport check_number, number_limit, utf8


cdef extern from "separators.hpp" namespace "quickcall::numbers" nogil:
    const uint32_t removed
    uint32_t fold_separator(uint32_t code)
    uint32_t fold_full_width(uint32_t code)


cdef extern from "pattern.hpp" namespace "re2" nogil:
    cdef cppclass StringPiece:
        const char* data()
        size_t size()


cdef extern from "pattern.hpp" namespace "quickcall::numbers" nogil:
    cdef cppclass Pattern:
        Pattern(string_view text) except +
        cbool ok()
        int groups()
        cbool search(string_view text, int wanted, vector[StringPiece]& found) except +

    cdef cppclass Refusal:
        string kind
        string offender

    Refusal probe(string_view pattern) except +


def probe_pattern(pattern: str) -> tuple[str, str] | None:
    """Return the kind of RE2's refusal and the text it blames, or None for a good pattern."""
    cdef Refusal refusal = probe(utf8(pattern))
    if refusal.kind.empty():
        return None
    return refusal.kind.decode("ascii"), refusal.offender.decode("utf-8", "replace")


def unchanged(number: str) -> str:
    """Return the number itself, once it is known to be short enough and Unicode text."""
    check_number(number)
    return number


def remove_separators(number: str) -> str:
    """Return the number without visual separators, full-width keys folded to ASCII."""
    check_number(number)
    cdef Py_UCS4[number_limit] kept
    cdef Py_ssize_t length = 0
    cdef bint changed = False
    cdef Py_UCS4 character
    cdef uint32_t folded
    for character in number:
        folded = fold_separator(character)
        changed |= folded != character
        if folded != removed:
            kept[length] = folded
            length += 1
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, kept, length) if changed else number


def keep_alphanumeric(number: str) -> str:
    """Return the letters and digits of the number, full-width digits folded to ASCII."""
    check_number(number)
    cdef Py_UCS4[number_limit] kept
    cdef Py_ssize_t length = 0
    cdef bint changed = False
    cdef Py_UCS4 character
    cdef Py_UCS4 folded
    for character in number:
        folded = fold_full_width(character)
        changed |= folded != character
        if folded.isalnum():
            kept[length] = folded
            length += 1
        else:
            changed = True
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, kept, length) if changed else number


cdef class Regex:
    """One compiled pattern; `groups` is the number of its capture groups."""

    cdef unique_ptr[Pattern] pattern

    def __cinit__(self, pattern: str) -> None:
        self.pattern.reset(new Pattern(utf8(pattern)))
        if not self.pattern.get().ok():
            raise ValueError("RE2 refuses the pattern; probe_pattern tells why")

    @property
    def groups(self) -> int:
        return self.pattern.get().groups()

    def first_group(self, number: str) -> tuple[bool, str | None]:
        """Return whether the pattern matched, and the first group if it took part."""
        check_number(number)
        cdef vector[StringPiece] found
        if not self.pattern.get().search(utf8(number), 1, found):
            return False, None
        if found[1].data() == NULL:
            return True, None
        return True, found[1].data()[:found[1].size()].decode("utf-8")
