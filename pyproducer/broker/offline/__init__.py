"""Looking at a data directory from outside: no broker, nothing written, no lock taken for long.

It reads what our broker writes and what Apache Kafka does, which is the same. Everything is read in
one pass and in order, so memory is that of the largest batch, of one segment's indexes and of the
producers' windows, however many bytes there are. Files are opened here and not through the broker's
file system, which has no way of opening that could not also write.
"""
