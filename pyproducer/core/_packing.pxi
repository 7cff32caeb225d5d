"""How a record becomes bytes, and the memory that they are put into; part of ``_appender.pyx``."""

cdef inline uint64_t _zigzag(int64_t value) noexcept nogil:
    return (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)


cdef inline Py_ssize_t _varint_size(int64_t value) noexcept nogil:
    cdef uint64_t number = _zigzag(value)
    cdef Py_ssize_t size = 1
    # Most are of one byte or two.
    if number < 0x80:
        return 1
    if number < 0x4000:
        return 2
    while number >= 0x80:
        number >>= 7
        size += 1
    return size


cdef inline char *_put_varint(char *at, int64_t value) noexcept nogil:
    cdef uint64_t number = _zigzag(value)
    while number >= 0x80:
        at[0] = <char>((number & 0x7F) | 0x80)
        at += 1
        number >>= 7
    at[0] = <char>number
    return at + 1


cdef struct _Slice:
    const char *data
    Py_ssize_t size
    bint null


cdef inline Py_ssize_t _field_size(_Slice *field) noexcept nogil:
    """Bytes of a field with its length."""
    return 1 if field.null else _varint_size(field.size) + field.size


cdef inline char *_put_field(char *at, _Slice *field) noexcept nogil:
    """Write a field behind its length; where it ends is returned."""
    if field.null:
        at[0] = 1
        return at + 1
    at = _put_varint(at, field.size)
    memcpy(at, field.data, field.size)
    return at + field.size


cdef inline char *_put_start(
    char *at, Py_ssize_t record, int64_t delta, int index
) noexcept nogil:
    """Write what stands before a record's key: its length, attributes, timestamp and offset."""
    at = _put_varint(at, record)
    at[0] = 0
    at = _put_varint(at + 1, delta)
    return _put_varint(at, index)


cdef inline uint32_t _murmur2(const uint8_t *data, Py_ssize_t length) noexcept nogil:
    # Bytes are put together by hand, so that the hash is the same on big-endian machines.
    cdef uint32_t m = 0x5BD1E995
    cdef uint32_t h = <uint32_t>0x9747B28C ^ <uint32_t>length
    cdef uint32_t k
    cdef Py_ssize_t i = 0
    while length - i >= 4:
        k = (
            <uint32_t>data[i]
            | (<uint32_t>data[i + 1] << 8)
            | (<uint32_t>data[i + 2] << 16)
            | (<uint32_t>data[i + 3] << 24)
        )
        k *= m
        k ^= k >> 24
        k *= m
        h *= m
        h ^= k
        i += 4
    if length - i == 3:
        h ^= <uint32_t>data[i + 2] << 16
    if length - i >= 2:
        h ^= <uint32_t>data[i + 1] << 8
    if length - i >= 1:
        h ^= <uint32_t>data[i]
        h *= m
    h ^= h >> 13
    h *= m
    h ^= h >> 15
    return h


cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define PYPRODUCER_MOST_KEPT 0
    #else
    #define PYPRODUCER_MOST_KEPT 16
    #endif
    """
    const int _MOST_KEPT "PYPRODUCER_MOST_KEPT"

# Memory that full batches gave back, for the next ones that grow large: fresh pages from the
# system cost a quarter of all that an append costs. Guarded by the GIL, and unused without one.
# At most 16 blocks of 2 MiB stay behind.
cdef char *_kept[16]
cdef Py_ssize_t _kept_size[16]
cdef int _kept_count = 0


cdef class RecordBuffer:
    """The memory of one batch's records, readable as a buffer and freed with its last reader."""

    def __dealloc__(self):
        global _kept_count
        if _KEPT_FROM <= self.capacity <= _KEPT_TO and _kept_count < _MOST_KEPT:
            _kept[_kept_count] = self.data
            _kept_size[_kept_count] = self.capacity
            _kept_count += 1
        else:
            PyMem_RawFree(self.data)

    def __len__(self):
        return self.size

    # No __releasebuffer__, on purpose: functions that take read-only bytes accept only objects
    # without one. The memory lives as long as this object, which every reader holds.
    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 1, flags)

    cdef int reserve(self, Py_ssize_t capacity) except -1:
        global _kept_count
        cdef char *grown
        if capacity > self.capacity:
            if (
                self.capacity <= _LARGEST_STEP < capacity
                and _kept_count > 0
                and _kept_size[_kept_count - 1] >= capacity
            ):
                # Not from the beginning: most batches of a busy producer grow this far, and
                # those of a quiet one never hold more than they need.
                _kept_count -= 1
                grown = _kept[_kept_count]
                if self.size:
                    memcpy(grown, self.data, self.size)
                PyMem_RawFree(self.data)
                self.data = grown
                self.capacity = _kept_size[_kept_count]
                return 0
            grown = <char *>PyMem_RawRealloc(self.data, capacity)
            if grown == NULL:
                raise MemoryError
            self.data = grown
            self.capacity = capacity
        return 0


cdef inline Py_ssize_t _step_from(Py_ssize_t held, Py_ssize_t size) noexcept:
    """How much more memory a batch that has ``held`` takes for ``size``."""
    cdef Py_ssize_t step
    if size <= held:
        return 0
    step = _FIRST_SEGMENT if held == 0 else min(held, <Py_ssize_t>_LARGEST_STEP)
    return max(step, size - held)


cdef inline int _look(object field, _Slice *part) except -1:
    """See the bytes of a field that is bytes, str or None."""
    part.null = 0
    if field is None:
        part.data = NULL
        part.size = 0
        part.null = 1
    elif type(field) is bytes:
        part.data = PyBytes_AS_STRING(field)
        part.size = PyBytes_GET_SIZE(field)
    else:
        # A str keeps its UTF-8 form for as long as it lives.
        part.data = PyUnicode_AsUTF8AndSize(field, &part.size)
    return 0


cdef inline Py_ssize_t _held_for(object on_delivery):
    """Bytes that a record's handle takes, and its callback."""
    return _RECORD_HELD if on_delivery is None else _RECORD_HELD + _CALLBACK_HELD


cdef bytes _packed_varint(int64_t value):
    cdef char room[10]
    cdef char *end = _put_varint(room, value)
    return PyBytes_FromStringAndSize(room, end - room)


cdef extern from *:
    """
    /* The bytes of a field that has them at hand; 0 for what has to be looked at more closely. */
    static inline int pyproducer_at_hand(PyObject *field, const char **data, Py_ssize_t *size) {
        if (PyBytes_CheckExact(field)) {
            *data = PyBytes_AS_STRING(field);
            *size = PyBytes_GET_SIZE(field);
            return 1;
        }
        if (PyUnicode_CheckExact(field) && PyUnicode_IS_COMPACT_ASCII(field)) {
            *data = (const char *)PyUnicode_1BYTE_DATA(field);
            *size = PyUnicode_GET_LENGTH(field);
            return 1;
        }
        return 0;
    }
    """
    bint _at_hand "pyproducer_at_hand"(
        PyObject *field, const char **data, Py_ssize_t *size
    ) noexcept


cdef extern from "Python.h":
    PyObject *PyList_GET_ITEM(object sequence, Py_ssize_t index) noexcept
    PyObject *PyTuple_GET_ITEM(object sequence, Py_ssize_t index) noexcept
    bint PyDict_Next(
        object mapping, Py_ssize_t *position, PyObject **name, PyObject **value
    ) noexcept


cdef enum:
    #: Headers that are packed without growing a list of their pieces.
    _FEW = 16


cdef bytes _pack_at_hand(object headers):
    """The headers as they are written, where all their bytes are at hand; else None."""
    cdef _Slice parts[2 * _FEW]
    cdef PyObject *name
    cdef PyObject *value
    cdef Py_ssize_t count = 0, position = 0, length = 1, size
    cdef PyObject *pair
    cdef bytes made
    cdef char *at
    if type(headers) is dict:
        length = len(<dict>headers)
    elif type(headers) is list:
        length = len(<list>headers)
    elif type(headers) is tuple:
        length = len(<tuple>headers)
    else:
        return None
    if length > _FEW:
        return None
    size = _varint_size(length)
    while count < length:
        if type(headers) is dict:
            if not PyDict_Next(headers, &position, &name, &value):
                return None
        else:
            pair = (
                PyList_GET_ITEM(headers, count) if type(headers) is list
                else PyTuple_GET_ITEM(headers, count)
            )
            if type(<object>pair) is not tuple or len(<tuple><object>pair) != 2:
                return None
            name = PyTuple_GET_ITEM(<object>pair, 0)
            value = PyTuple_GET_ITEM(<object>pair, 1)
        if not _slice_at_hand(name, &parts[2 * count]) or type(<object>name) is not str:
            return None
        if not _slice_at_hand(value, &parts[2 * count + 1]):
            return None
        count += 1
    for position in range(2 * length):
        size += _field_size(&parts[position])
    made = PyBytes_FromStringAndSize(NULL, size)
    at = _put_varint(PyBytes_AS_STRING(made), length)
    for position in range(2 * length):
        at = _put_field(at, &parts[position])
    return made


cdef inline bint _slice_at_hand(PyObject *field, _Slice *part) noexcept:
    part.null = field == <PyObject *>None
    return part.null or _at_hand(field, &part.data, &part.size)


cdef bytes _pack_headers(str topic, object headers):
    """Encode a record's headers: their count, then name and value of each."""
    cdef list out = []
    cdef long count = 0
    cdef bytes packed = _pack_at_hand(headers)
    if packed is not None:
        return packed
    if isinstance(headers, Mapping):
        pairs = headers.items()
    elif isinstance(headers, (str, bytes)) or not isinstance(headers, Iterable):
        raise rules.header_error(topic, headers)
    else:
        pairs = headers
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise rules.header_error(topic, pair)
        name, value = pair
        if type(name) is not str:
            raise rules.header_error(topic, pair)
        try:
            encoded = name.encode()
            if isinstance(value, str):
                value = value.encode()
        except UnicodeEncodeError as cause:
            raise rules.header_error(topic, pair) from cause
        out.append(_packed_varint(len(encoded)))
        out.append(encoded)
        if value is None:
            out.append(b"\x01")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            value = bytes(value)
            out.append(_packed_varint(len(value)))
            out.append(value)
        else:
            raise rules.header_error(topic, pair)
        count += 1
    return _packed_varint(count) + b"".join(out)
