# cython: language_level=3
"""Looking for any of some words in a text: what a script does with each request's User-Agent."""

from cpython.unicode cimport PyUnicode_1BYTE_DATA, PyUnicode_GET_LENGTH

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    LETTERS = 128


cdef class AnyOf:
    """Finds any of some words of ASCII, in any case of letters if `ignore_case`. `search(text)` looks through all other
    texts, whose letters may have more cases."""

    cdef tuple words
    cdef object elsewhere
    cdef bint empty  # one of them is: then it is in every text
    cdef unsigned char folded[LETTERS]  # how each letter is compared
    cdef bint begins[LETTERS]  # whether a word begins with a letter, folded

    def __init__(self, tuple words not None, bint ignore_case, search):
        cdef int c
        self.words = tuple([word.lower() if ignore_case else word for word in words])
        self.elsewhere = search
        self.empty = "" in words
        for c in range(LETTERS):
            self.folded[c] = c + 32 if ignore_case and 65 <= c <= 90 else c
            self.begins[c] = False
        for word in self.words:
            if word:
                self.begins[<int>ord(word[0])] = True

    def search(self, str text not None):
        """True if one is found, else None."""
        cdef const unsigned char* p
        cdef const char* word
        cdef Py_ssize_t at, i, size, length
        if not PyUnicode_IS_ASCII(text):
            return None if self.elsewhere(text) is None else True
        if self.empty:
            return True
        p = <const unsigned char*>PyUnicode_1BYTE_DATA(text)
        length = PyUnicode_GET_LENGTH(text)
        for at in range(length):
            if not self.begins[self.folded[p[at]]]:
                continue
            for each in self.words:
                word = PyUnicode_AsUTF8AndSize(each, &size)
                if size > length - at:
                    continue
                i = 0
                while i < size and self.folded[p[at + i]] == <unsigned char>word[i]:
                    i += 1
                if i == size:
                    return True
        return None
