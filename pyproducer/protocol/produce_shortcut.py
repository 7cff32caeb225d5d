"""The usual Produce request and its usual answer, by a straight path.

Whoever waits for each record sends one batch of one partition at a time, and all that comes back
is where it is. The general codec would take three quarters of that request's time of ours: it
cannot know that nothing is there twice, and nothing is null. What is not quite usual is left to
it: the functions here give what it would give, or None.

In Cython where it is built, else in Python: the twins give the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer._pure import PURE

__all__ = ["encode_one_batch", "read_one_answer", "request_of_one"]

if TYPE_CHECKING or PURE:
    from pyproducer.protocol import _shortcut_py as _twin
else:
    try:
        from pyproducer.protocol import _shortcut as _twin
    except ImportError:
        from pyproducer.protocol import _shortcut_py as _twin

encode_one_batch = _twin.encode_one_batch
read_one_answer = _twin.read_one_answer
request_of_one = _twin.request_of_one
