"""What an Apache Kafka that guards its listeners has in common with others of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.helpers.kafka_node import KafkaNode
from tests.helpers.topics import cluster_answers, create_topics, gives_producer_ids


class GuardedKafka:
    """One Kafka node for the ``with`` block; a kind of it makes the node.

    Attributes:
        bootstrap_servers: a listener for everybody.
    """

    bootstrap_servers: str
    _node: KafkaNode

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with their numbers of partitions, ready to be written when this returns."""
        create_topics(self.bootstrap_servers, topics)

    def _prepare(self) -> None:
        """It runs, and nobody has used it."""

    def __enter__(self) -> Self:
        try:
            self._node.format()
            self._node.start()
            self._node.process.wait_until(
                lambda: (
                    cluster_answers(self.bootstrap_servers)
                    and gives_producer_ids(self.bootstrap_servers)
                ),
                timeout=90,
            )
            self._prepare()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._node.kill()
