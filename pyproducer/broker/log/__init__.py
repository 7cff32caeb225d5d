"""Partition logs on disk, in Kafka's own file formats.

One directory per partition holds segments (``.log``, ``.index``, ``.timeindex``), producer state
(``.snapshot``) and the history of leader epochs. Everything here is synchronous, has one writer,
and reaches the disk through :mod:`pyproducer.broker.log.filesystem` and time through a clock that
is an argument, so that a test can take either away.
"""
