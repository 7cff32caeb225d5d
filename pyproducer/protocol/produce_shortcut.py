"""The usual Produce request and its usual answer, by a straight path.

Whoever waits for each record sends one batch of one partition at a time, and whoever has thousands
of partitions sends hundreds of small ones; all that comes back is where they are. The general codec
would take three quarters of the first request's time of ours, and a third of each batch's in the
second: it cannot know that nothing is there twice, and nothing is null. What is not quite usual is
left to it: the functions here give what it would give, or None.

In Cython where it is built, else in Python: the twins give the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer._pure import PURE

__all__ = ["encode_batches", "read_answers", "request_of"]

if TYPE_CHECKING or PURE:
    from pyproducer.protocol import _shortcut_py as _twin
else:
    try:
        from pyproducer.protocol import _shortcut as _twin
    except ImportError:
        from pyproducer.protocol import _shortcut_py as _twin

encode_batches = _twin.encode_batches
read_answers = _twin.read_answers
request_of = _twin.request_of
