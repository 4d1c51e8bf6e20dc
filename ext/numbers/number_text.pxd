# What both modules ask of a number before they read it.
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libcpp.string_view cimport string_view

cdef extern from "Python.h":
    # A macro; faster than the method isascii().
    bint PyUnicode_IS_ASCII(str text)

cdef enum:
    # Characters. E.164 allows 15 digits; the rest is room for separators, codes and SIP users.
    number_limit = 128


cdef inline int check_number(str number) except -1:
    """Raise NumberError for a number that is too long or is not Unicode text."""
    if len(number) > number_limit:
        refuse_number(number, f"is {len(number)} characters long, at most {number_limit} are allowed")
    if not PyUnicode_IS_ASCII(number):
        try:
            utf8(number)
        except UnicodeEncodeError:
            from engine.numbers.text import HALF_PAIR
            refuse_number(number, HALF_PAIR)
    return 0


cdef inline int refuse_number(str number, str reason) except -1:
    from engine.numbers.text import NumberError
    raise NumberError(number, reason)


cdef inline string_view utf8(str text) except *:
    """Return a view of the UTF-8 form that lives inside the text object."""
    cdef Py_ssize_t size = 0
    cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
    return string_view(data, <size_t>size)
