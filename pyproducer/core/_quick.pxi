"""The common record's way into a batch, with nothing on it but copying; part of ``_appender.pyx``.

Most records are bytes or ASCII text, go to a batch that is open, and find room in it. For these,
and only these, ``_quick`` does all that ``TopicAppender.take`` would do, without touching a
reference count but the one that the record's handle adds. Whatever needs more than that is
taken to ``take``, which alone knows the errors.
"""

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define PYPRODUCER_HAS_GIL 0
    #else
    #define PYPRODUCER_HAS_GIL 1
    #endif

    #define pyproducer_owned(reference) (reference)
    """
    # A new reference as the object that it is.
    object _owned "pyproducer_owned"(PyObject *reference)
    const bint _HAS_GIL "PYPRODUCER_HAS_GIL"

cdef extern from "Python.h":
    PyObject *_item "PyList_GET_ITEM"(PyObject *sequence, Py_ssize_t index) noexcept
    Py_ssize_t _length "PyList_GET_SIZE"(PyObject *sequence) noexcept
    bint _is_int "PyLong_CheckExact"(PyObject *number) noexcept
    long long PyLong_AsLongLongAndOverflow(PyObject *number, int *overflow) noexcept


cdef inline PyObject *_optional(object argument) noexcept:
    """An argument of a call, NULL for None."""
    return NULL if argument is None else <PyObject *>argument


cdef struct _Call:
    # What was given, borrowed, NULL for None.
    PyObject *value
    PyObject *key
    PyObject *partition
    PyObject *timestamp_ms
    #: The headers as they are written; NULL for none.
    PyObject *packed
    #: Milliseconds since the epoch, for records without a timestamp.
    int64_t now
    # Where it went; of many the first.
    PyObject *batch
    int index
    int64_t timestamp
    #: How large the batch's memory has to be for the next of many; 0 where that is not what lacks.
    Py_ssize_t lacks


cdef inline bint _takes(PyObject *entry) noexcept:
    """True where records may be queued without more ado."""
    cdef PyObject *appender = <PyObject *>(<TopicAppender>entry)._appender
    return not (
        (<TopicAppender>entry)._serializes
        or (<TopicAppender>entry)._topic.partitions is None
        or (<Appender>appender).refusal is not None
        or (
            (<Appender>appender).owner
            and (<Appender>appender).owner != PyThread_get_thread_ident()
        )
        or (<Appender>appender).waiting
        # Another thread is in the middle of something; without a GIL it always may be.
        or (<Appender>appender).held
        or (not _HAS_GIL and (<Appender>appender)._lock is not None)
    )


cdef bint _place(
    PyObject *appender, PyObject *topic, _Call *call, Py_ssize_t beside
) noexcept:
    """Put a record into the open batch of its partition; False where there is more to it."""
    # Borrowed throughout: no code of Python runs in here, and so nothing goes away.
    cdef PyObject *partitions = <PyObject *>(<TopicState>topic).partitions
    cdef _Slice key
    cdef _Slice value
    cdef long long number
    cdef int overflow
    key.data = value.data = NULL
    key.size = value.size = 0
    key.null = call.key == NULL
    value.null = call.value == NULL
    if not value.null and not _at_hand(call.value, &value.data, &value.size):
        return False
    if not key.null and not _at_hand(call.key, &key.data, &key.size):
        return False
    if call.partition != NULL:
        if not _is_int(call.partition):
            return False
        number = PyLong_AsLongLongAndOverflow(call.partition, &overflow)
        if overflow:
            return False
    elif (<Appender>appender).custom:
        return False
    elif (
        (<Appender>appender).sticky_null if key.null
        else key.size == 0 and (<Appender>appender).sticky_empty
    ):
        number = (<TopicState>topic).sticky
    elif (<Appender>appender).hash == _HASH_MURMUR2 and not key.null:
        number = (_murmur2(<const uint8_t *>key.data, key.size) & 0x7FFFFFFF) % _length(partitions)
    else:
        return False
    if number < 0 or number >= _length(partitions):
        return False
    call.batch = <PyObject *>(<PartitionState>_item(partitions, number)).open
    if call.batch == <PyObject *>None:
        return False
    if beside != _RECORD_HELD and (<Batch>call.batch).watchers is None:
        # A list is needed for the callback: making it may run the collector, thus any code.
        return False
    if call.timestamp_ms == NULL:
        call.timestamp = call.now
    else:
        if not _is_int(call.timestamp_ms):
            return False
        call.timestamp = PyLong_AsLongLongAndOverflow(call.timestamp_ms, &overflow)
        if overflow or call.timestamp < 0:
            return False
    call.index = _write(
        appender, call.batch, &key, &value,
        <PyObject *>_NO_HEADERS if call.packed == NULL else call.packed, call.timestamp, beside,
    )
    return call.index >= 0


cdef Py_ssize_t _place_values(
    PyObject *appender, PyObject *topic, PyObject *values, Py_ssize_t position, _Call *call
) noexcept:
    """Put values without keys, from ``position`` on, into the open batch of the sticky partition.

    It ends with the first that needs more than copying, and where the event loop is due a turn;
    how many were put is returned.
    """
    cdef PyObject *partitions = <PyObject *>(<TopicState>topic).partitions
    cdef PyObject *batch
    cdef PyObject *field
    cdef Py_ssize_t number = (<TopicState>topic).sticky
    cdef Py_ssize_t count, most, room, turn, largest, start, size, grown, head, fixed, record
    cdef int64_t delta
    cdef _Slice value
    cdef char *data
    cdef char *at
    cdef int index
    call.lacks = 0
    value.data = NULL
    if not (<Appender>appender).sticky_null or number < 0 or number >= _length(partitions):
        return 0
    batch = call.batch = <PyObject *>(<PartitionState>_item(partitions, number)).open
    if batch == <PyObject *>None:
        return 0
    call.timestamp = call.now
    index = call.index = (<Batch>batch).count
    start = size = (<Batch>batch).size
    data = (<Batch>batch).buffer.data
    head = PyBytes_GET_SIZE(<object>call.packed)
    delta = call.now - (<Batch>batch).base_timestamp
    # Attributes, timestamp, no key, headers: the same in all of them.
    fixed = 2 + _varint_size(delta) + head
    # The same limits as in _write, worked out once.
    count = min(
        _length(values) - position,
        (<Appender>appender).batch_max_records - 1 - index,
        ((<Appender>appender).limit - (<Appender>appender).used) // _RECORD_HELD,
    )
    room = (<Batch>batch).charged - (<Batch>batch).beside
    most = (<Appender>appender).batch_size - _OVERHEAD - 1
    largest = (<Appender>appender).largest_record - _RECORD_OVERHEAD - _OVERHEAD - head
    turn = start + _TURN_BYTES - (<Appender>appender).since_turn
    while count > 0 and size < turn:
        field = _item(values, position)
        value.size = 0
        value.null = field == <PyObject *>None
        if not value.null and not _at_hand(field, &value.data, &value.size):
            break
        record = fixed + _varint_size(index) + _field_size(&value)
        grown = size + _varint_size(record) + record
        if value.size > largest or grown > most:
            break
        if grown > room:
            call.lacks = grown
            break
        at = _put_start(data + size, record, delta, index)
        at[0] = 1
        at = _put_field(at + 1, &value)
        if head == 1:
            at[0] = 0
        else:
            memcpy(at, PyBytes_AS_STRING(<object>call.packed), head)
        size = grown
        index += 1
        position += 1
        count -= 1
    index -= call.index
    if index:
        _grown(appender, batch, index, size, call.now, 0, index * <Py_ssize_t>_RECORD_HELD)
    return index


cdef bint _widen(Appender appender, Batch batch, Py_ssize_t size) except -1:
    """Give an open batch memory for ``size``, as append does; False where the buffer has less."""
    cdef Py_ssize_t held = batch.charged - batch.beside
    cdef Py_ssize_t step = _step_from(held, size)
    if appender.used + step + _RECORD_HELD > appender.limit:
        return False
    batch.buffer.reserve(held + step)
    batch.charged += step
    appender.used += step
    return True


cdef PyObject *_quick(
    PyObject *entry, PyObject *value, PyObject *key, PyObject *headers, PyObject *partition,
    PyObject *timestamp_ms, PyObject *on_delivery
) noexcept:
    """Queue a record and return its handle, a new reference; NULL where there is more to it."""
    cdef PyObject *appender = <PyObject *>(<TopicAppender>entry)._appender
    cdef Py_ssize_t beside = _RECORD_HELD
    cdef Delivery made
    cdef bytes packed
    cdef _Call call
    if not _takes(entry):
        return NULL
    call.packed = NULL
    if headers != NULL:
        packed = _pack_at_hand(<object>headers)
        if packed is None:
            return NULL
        call.packed = <PyObject *>packed
    if on_delivery != NULL:
        if not _is_plain_function(on_delivery):
            return NULL
        beside += _CALLBACK_HELD
    call.value = value
    call.key = key
    call.partition = partition
    call.timestamp_ms = timestamp_ms
    if timestamp_ms == NULL:
        if not (<Appender>appender).machine_clock:
            return NULL
        call.now = _now_ms()
    made = Delivery.__new__(Delivery)
    if not _place(appender, <PyObject *>(<TopicAppender>entry)._topic, &call, beside):
        return NULL
    made._b = <Batch>call.batch
    made._i = call.index
    made._timestamp = call.timestamp
    if on_delivery != NULL:
        (<Batch>call.batch).watch(made, <object>on_delivery)
    if timestamp_ms == NULL:
        (<Appender>appender).last_ms = call.now
        if not (<Appender>appender).turn_ms:
            (<Appender>appender).turn_ms = call.now
    Py_INCREF(made)
    return <PyObject *>made


cdef inline void _grown(
    PyObject *appender, PyObject *batch, int more, Py_ssize_t size, int64_t timestamp,
    Py_ssize_t room, Py_ssize_t beside
) noexcept:
    """So many more were written: the batch is of ``size`` now, with ``room`` more memory for them."""
    (<Appender>appender).used += room + beside
    (<Appender>appender).since_turn += size - (<Batch>batch).size
    (<Appender>appender).records += more
    (<Batch>batch).charged += room + beside
    (<Batch>batch).beside += beside
    (<Batch>batch).count += more
    (<Batch>batch).size = size
    (<Batch>batch).buffer.size = size
    if timestamp > (<Batch>batch).max_timestamp:
        (<Batch>batch).max_timestamp = timestamp


cdef inline int _write(
    PyObject *appender, PyObject *batch, _Slice *key, _Slice *value, PyObject *headers,
    int64_t timestamp, Py_ssize_t beside
) noexcept:
    """Put a record at the end of an open batch; its index, or -1.

    -1 where the record is too large for the batch, makes it full or has it grow, and where the
    buffer has no room for what is held beside the record.
    """
    cdef int index = (<Batch>batch).count
    cdef int64_t delta = timestamp - (<Batch>batch).base_timestamp
    cdef Py_ssize_t head = PyBytes_GET_SIZE(<object>headers)
    cdef Py_ssize_t record = 1 + head + _varint_size(delta) + _varint_size(index)
    cdef Py_ssize_t size
    cdef char *at
    record += _field_size(key) + _field_size(value)
    size = (<Batch>batch).size + record + _varint_size(record)
    if (
        size > (<Batch>batch).charged - (<Batch>batch).beside
        or _OVERHEAD + size >= (<Appender>appender).batch_size
        or index + 1 >= (<Appender>appender).batch_max_records
        or (<Appender>appender).used + beside > (<Appender>appender).limit
        or (
            key.size + value.size + head + _RECORD_OVERHEAD + _OVERHEAD
            > (<Appender>appender).largest_record
        )
    ):
        return -1
    at = (<Batch>batch).buffer.data + (<Batch>batch).size
    at = _put_field(_put_field(_put_start(at, record, delta, index), key), value)
    if head == 1:
        at[0] = 0
    else:
        memcpy(at, PyBytes_AS_STRING(<object>headers), head)
    _grown(appender, batch, 1, size, timestamp, 0, beside)
    return index


cdef inline object _accept(
    TopicAppender entry, object value, object key, object headers, object partition,
    object timestamp_ms, object on_delivery
):
    """Queue a record, or return it prepared where it has to wait for room."""
    cdef PyObject *quick = _quick(
        <PyObject *>entry, _optional(value), _optional(key), _optional(headers),
        _optional(partition), _optional(timestamp_ms), _optional(on_delivery),
    )
    if quick != NULL:
        return _owned(quick)
    return entry.take(value, key, headers, partition, timestamp_ms, on_delivery, False)


cdef object _now(
    TopicAppender entry, object value, object key, object headers, object partition,
    object timestamp_ms, object on_delivery
):
    """Queue a record at once, or raise."""
    made = _accept(entry, value, key, headers, partition, timestamp_ms, on_delivery)
    if type(made) is not Delivery:
        raise entry._appender.full(made)
    return made


cdef object _blocking(
    TopicAppender entry, object value, object key, object headers, object partition,
    object timestamp_ms, object on_delivery
):
    """Queue a record, if need be after a wait of this thread."""
    made = _accept(entry, value, key, headers, partition, timestamp_ms, on_delivery)
    return made if type(made) is Delivery else entry._appender.block_for_room(made)
