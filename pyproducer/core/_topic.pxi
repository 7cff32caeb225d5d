"""A topic's append end, and the calls that check and serialize a record; part of ``_appender.pyx``."""

@cython.final
cdef class Prepared:
    """A record that is serialized and checked, and still needs room or a partition."""

    cdef public TopicAppender source
    cdef public object key
    cdef public object value
    cdef public bytes headers
    cdef public object on_delivery
    cdef public Delivery delivery
    cdef public long partition
    cdef public int64_t timestamp_ms
    cdef public bint urgent

    @property
    def size_bound(self):
        """At most this many bytes in a batch."""
        return self.bound()

    cdef Py_ssize_t bound(self) except -1:
        cdef _Slice part
        cdef Py_ssize_t size = len(self.headers) + _RECORD_OVERHEAD
        _look(self.key, &part)
        size += part.size
        _look(self.value, &part)
        return size + part.size


cdef class PartitionState:
    """The append end of one partition."""

    def __init__(self, TopicState topic not None, int number):
        self.topic = topic
        self.number = number


cdef class TopicState:
    """What the appender knows of one topic."""

    def __init__(self, Appender appender not None, str name not None):
        self.appender = appender
        self.name = name
        self.available = []
        self.sticky = -1
        self.function = appender.partitioner.for_topic()


@cython.final
cdef class TopicAppender:
    """One topic with its serializers: what a topic handle calls for every record."""

    cdef TopicState _topic
    cdef Appender _appender
    cdef object _key_serializer
    cdef object _value_serializer
    cdef object _context
    cdef object _key_context
    cdef object _value_context
    cdef object _bind
    #: There is a serializer to call, or the topic's format to bind.
    cdef bint _serializes
    cdef int _key_arity
    cdef int _value_arity

    def __init__(
        self,
        TopicState topic not None,
        key_serializer,
        int key_arity,
        value_serializer,
        int value_arity,
        context,
        bind,
    ):
        self._topic = topic
        self._appender = topic.appender
        self._key_serializer = key_serializer
        self._key_arity = key_arity
        self._value_serializer = value_serializer
        self._value_arity = value_arity
        self._context = context
        self._key_context = context(topic.name, "key", None)
        self._value_context = context(topic.name, "value", None)
        self._bind = bind
        self._serializes = True

    @property
    def topic(self):
        """The topic's state, shared by all its handles."""
        return self._topic

    def enqueue_nowait(
        self,
        value,
        *,
        key=None,
        headers=None,
        partition=None,
        timestamp_ms=None,
        on_delivery=None,
    ):
        """Queue a record at once, or raise :class:`~pyproducer.errors.BufferFull`."""
        return _now(
            self, value, key, headers, partition, timestamp_ms, on_delivery
        )

    def enqueue(
        self,
        value,
        *,
        key=None,
        headers=None,
        partition=None,
        timestamp_ms=None,
        on_delivery=None,
    ):
        """Queue a record, waiting only for room; a coroutine of the :class:`Delivery`."""
        return _enqueue_call(
            self._appender, self, None, value, key, headers, partition, timestamp_ms, on_delivery
        )

    def enqueue_blocking(
        self,
        value,
        *,
        key=None,
        headers=None,
        partition=None,
        timestamp_ms=None,
        on_delivery=None,
    ):
        """Queue a record; where there is no room for it, this thread waits."""
        return _blocking(self, value, key, headers, partition, timestamp_ms, on_delivery)

    def accept(
        self, value, key, headers, partition, timestamp_ms, on_delivery, bint urgent
    ):
        """Queue a record, or return it prepared where it has to wait for room."""
        return self.take(value, key, headers, partition, timestamp_ms, on_delivery, urgent)

    cdef object take(
        self, object value, object key, object headers, object partition, object timestamp_ms,
        object on_delivery, bint urgent
    ):
        cdef Appender appender = self._appender
        cdef TopicState topic = self._topic
        cdef long number = -1
        cdef int64_t timestamp
        cdef _Slice key_part
        cdef _Slice value_part
        cdef bytes packed = _NO_HEADERS
        cdef Py_ssize_t bound
        cdef Delivery delivery
        cdef Prepared made
        if appender.refusal is not None:
            raise appender.refusal()
        if appender.owner and appender.owner != PyThread_get_thread_ident():
            raise rules.wrong_thread()
        if self._bind is not None:
            self._bind()
            self._bind = None
        self._serializes = self._key_serializer is not None or self._value_serializer is not None
        if on_delivery is not None:
            appender.check_callback(topic, on_delivery)
        if timestamp_ms is None:
            timestamp = appender.now_ms()
            appender.last_ms = timestamp
            if not appender.turn_ms:
                appender.turn_ms = timestamp
        elif type(timestamp_ms) is not int or not 0 <= timestamp_ms < 1 << 63:
            raise rules.timestamp_error(topic.name, timestamp_ms)
        else:
            timestamp = timestamp_ms
        if partition is not None:
            if type(partition) is not int or not 0 <= partition < 1 << 31:
                raise rules.partition_error(topic.name, partition)
            number = partition
        if key is not None:
            key = self.serialize(
                "key", key, headers, self._key_serializer, self._key_arity, self._key_context
            )
        if value is not None:
            value = self.serialize(
                "value", value, headers, self._value_serializer, self._value_arity,
                self._value_context,
            )
        if headers is not None:
            packed = _pack_headers(topic.name, headers)
        _look(key, &key_part)
        _look(value, &value_part)
        bound = key_part.size + value_part.size + len(packed) + _RECORD_OVERHEAD
        if bound + _OVERHEAD > appender.largest_record:
            raise rules.record_too_large(
                topic.name, bound + _OVERHEAD, appender.largest_record,
                appender.largest_record_name,
            )
        if topic.partitions is not None and (number >= 0 or not appender.custom):
            if appender._lock is None:
                if not appender.waiting:
                    delivery = appender.append(
                        topic, number, number < 0, &key_part, &value_part, packed, timestamp,
                        on_delivery, urgent, None, True,
                    )
                    if delivery is not None:
                        return delivery
            else:
                appender.acquire()
                try:
                    if appender.refusal is not None:
                        # Closed by another thread while this one was serializing.
                        raise appender.refusal()
                    if not appender.waiting:
                        delivery = appender.append(
                            topic, number, number < 0, &key_part, &value_part, packed,
                            timestamp, on_delivery, urgent, None, True,
                        )
                        if delivery is not None:
                            return delivery
                finally:
                    appender.unlock()
        made = Prepared.__new__(Prepared)
        made.source = self
        made.key = key
        made.value = value
        made.headers = packed
        made.partition = number
        made.timestamp_ms = timestamp
        made.on_delivery = on_delivery
        made.urgent = urgent
        delivery = appender.admit(made, False)
        return made if delivery is None else delivery

    cdef object serialize(
        self, str field, object value, object headers, object serializer, int arity,
        object context
    ):
        cdef object made = value
        cdef Py_ssize_t size
        if serializer is not None:
            try:
                if arity == 1:
                    made = serializer(value)
                elif headers is None:
                    made = serializer(value, context)
                else:
                    made = serializer(value, self._context(self._topic.name, field, headers))
            except Exception as cause:
                raise rules.refused_by_serializer(
                    self._topic.name, field, value, cause
                ) from cause
        if type(made) is bytes:
            return made
        if isinstance(made, str):
            try:
                if not PyUnicode_CheckExact(made):
                    return made.encode()
                PyUnicode_AsUTF8AndSize(made, &size)
            except UnicodeEncodeError as cause:
                raise rules.refused_by_serializer(
                    self._topic.name, field, value, cause
                ) from cause
            return made
        if isinstance(made, (bytes, bytearray, memoryview)):
            return bytes(made)
        raise rules.not_bytes(self._topic.name, field, value, made, serializer is not None)
