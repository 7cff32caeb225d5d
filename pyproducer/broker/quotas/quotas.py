"""What clients have used of their quotas, and for how long one that used too much is throttled.

Of all quotas that are set, one counts for a client, that of the first of these that has one: its
user with its client id, its user with the default client id, its user, the default user with its
client id, the default user with the default client id, the default user, its client id, the default
client id. The clients that one of them counts for share what they use of it if it names no client
id, or no user, for them; the default is one quota for each name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pyproducer.broker.admission import UNLIMITED, counted, quota_window
from pyproducer.broker.errors import Refused
from pyproducer.broker.quotas.book import QuotaBook
from pyproducer.broker.quotas.entity import CLIENT_ID, IP, USER, Entity
from pyproducer.broker.quotas.meters import Rate, TokenBucket, Window
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.broker_clock import BrokerClock
    from pyproducer.broker.configs import BrokerConfig
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.metadata_file import MetadataFile

__all__ = ["Mutations", "Quotas"]

_PRODUCE: Final = "producer_byte_rate"
_FETCH: Final = "consumer_byte_rate"
_REQUEST: Final = "request_percentage"
_MUTATION: Final = "controller_mutation_rate"
_CONNECTION: Final = "connection_creation_rate"

#: Meters after which those that have nothing to tell any more are looked for.
_MANY: Final = 1000

#: Parts of an entity as `_Level` has them: all others, and nobody in particular.
_DEFAULT: Final = "*"
_ABSENT: Final = ""
_Level = tuple[str, str]


class Quotas:
    """All quotas of a broker. Time is the broker's.

    Args:
        metadata: Where those that are set are kept.
        clock: The broker's clock.
        config: The broker's settings.

    Attributes:
        book: What is set.
        on: Whether there is a quota for any user or client id.
        of_addresses: Whether there is one for any address.
    """

    def __init__(self, metadata: MetadataFile, clock: BrokerClock, config: BrokerConfig) -> None:
        self._clock = clock
        self._window = quota_window(config)
        self._mutation_window = Window(
            config.int("controller.quota.window.num"),
            config.int("controller.quota.window.size.seconds") * 1000,
        )
        self._limits: dict[str, dict[_Level, float]] = {}
        self._rates: dict[tuple[str, str, str], Rate] = {}
        self._buckets: dict[tuple[str, str], tuple[TokenBucket, float]] = {}
        self._look_at = _MANY
        self.on = False
        self.of_addresses = False
        self.book = QuotaBook(metadata, self._take_over)

    def produced(self, context: RequestContext, size: int) -> int:
        """A client has sent so many bytes; for how many milliseconds it is throttled."""
        return self._charge(_PRODUCE, context, size)

    def fetched(self, context: RequestContext, size: int) -> int:
        """A client is to get so many bytes; for how many milliseconds it is throttled instead.

        If that is 0 it gets them, else not.
        """
        wait = max(self._charge(_FETCH, context, size), self.worked(context))
        if wait and (found := self._rate(_FETCH, context)) is not None:
            found[0].record(-size, self._now_ms())
        return wait

    def most_at_once(self, context: RequestContext) -> float | None:
        """Bytes of which any more would have a client throttled for them alone, or None."""
        found = self._rate(_FETCH, context)
        if found is None:
            return None
        return found[1] * (self._window.samples - 1) * self._window.sample_ms / 1000

    def worked(self, context: RequestContext) -> int:
        """Notes the time that was spent on a request; for how many milliseconds it is throttled."""
        if context.stopwatch is None or _REQUEST not in self._limits:
            return 0
        percent = context.stopwatch.take() * 100
        # Kafka's own bound: time is spent again as soon as a sample is over.
        return min(self._charge(_REQUEST, context, percent), self._window.sample_ms)

    def connected(self, host: str) -> int:
        """A client has connected from an address.

        Returns:
            For how many milliseconds it waits until it is turned away; 0 if it is welcome.
        """
        address = counted(host)
        limits = self._limits.get(_CONNECTION, {})
        limit = limits.get((address, _ABSENT), limits.get((_DEFAULT, _ABSENT), UNLIMITED))
        if limit >= UNLIMITED:
            return 0
        rate, now_ms = self._metered((_CONNECTION, address, _ABSENT)), self._now_ms()
        rate.record(1, now_ms)
        wait = rate.throttle_ms(limit, now_ms)
        if wait:
            # It does not come in, and so does not count.
            rate.record(-1, now_ms)
        return min(wait, self._window.sample_ms)

    def mutations(
        self, context: RequestContext, strict_since: int = 0, *, told: bool = True
    ) -> Mutations | None:
        """What a client may change of topics now; None without a quota for it.

        Args:
            context: Its request.
            strict_since: First version of the request in which a change may be refused.
            told: Whether the client is made to wait for a change that is refused, which it is not
                where it did not ask for one in so many words.
        """
        found = self._limit(_MUTATION, context)
        if found is None:
            return None
        user, client, limit = found
        place = (user, client)
        bucket = self._buckets[place][0] if place in self._buckets else None
        if bucket is None:
            bucket = TokenBucket(self._mutation_window)
            self._tidy()
        self._buckets[place] = (bucket, limit)
        strict = context.api_version >= strict_since
        return Mutations(bucket, limit, self._now_ms(), context, strict=strict, told=told)

    def _charge(self, key: str, context: RequestContext, amount: float) -> int:
        found = self._rate(key, context)
        if found is None:
            return 0
        rate, limit = found
        now_ms = self._now_ms()
        rate.record(amount, now_ms)
        return rate.throttle_ms(limit, now_ms)

    def _rate(self, key: str, context: RequestContext) -> tuple[Rate, float] | None:
        found = self._limit(key, context)
        if found is None:
            return None
        user, client, limit = found
        return self._metered((key, user, client)), limit

    def _metered(self, place: tuple[str, str, str]) -> Rate:
        rate = self._rates.get(place)
        if rate is None:
            self._tidy()
            rate = self._rates[place] = Rate(self._window)
        return rate

    def _limit(self, key: str, context: RequestContext) -> tuple[str, str, float] | None:
        """The quota that counts for a client, and whose use it is."""
        levels = self._limits.get(key)
        if levels is None:
            return None
        user, client = context.connection.principal.name, context.client_id
        for one in (f"={user}", _DEFAULT):
            if client:
                for other in (f"={client}", _DEFAULT):
                    if (one, other) in levels:
                        return user, client, levels[one, other]
            if (one, _ABSENT) in levels:
                return user, _ABSENT, levels[one, _ABSENT]
        if client:
            for other in (f"={client}", _DEFAULT):
                if (_ABSENT, other) in levels:
                    return _ABSENT, client, levels[_ABSENT, other]
        return None

    def _tidy(self) -> None:
        """Meters of clients that are gone for good are forgotten."""
        if len(self._rates) + len(self._buckets) < self._look_at:
            return
        now_ms = self._now_ms()
        self._rates = {k: rate for k, rate in self._rates.items() if not rate.idle(now_ms)}
        self._buckets = {
            k: (bucket, limit)
            for k, (bucket, limit) in self._buckets.items()
            if not bucket.idle(limit, now_ms)
        }
        self._look_at = max(_MANY, 2 * (len(self._rates) + len(self._buckets)))

    def _take_over(self, quotas: Mapping[Entity, Mapping[str, float]]) -> None:
        limits: dict[str, dict[_Level, float]] = {}
        for entity, values in quotas.items():
            parts = dict(entity)
            if IP in parts:
                address = parts[IP]
                level = (_DEFAULT if address is None else counted(address), _ABSENT)
            else:
                level = (_part(parts, USER), _part(parts, CLIENT_ID))
            for key, value in values.items():
                limits.setdefault(key, {})[level] = value
        self._limits = limits
        self.of_addresses = _CONNECTION in limits
        self.on = bool(limits.keys() - {_CONNECTION})

    def _now_ms(self) -> int:
        return int(self._clock.monotonic() * 1000)


class Mutations:
    """What one request may change of topics, each partition that comes or goes being a token."""

    def __init__(
        self,
        bucket: TokenBucket,
        rate: float,
        now_ms: int,
        context: RequestContext,
        *,
        strict: bool,
        told: bool,
    ) -> None:
        self._bucket = bucket
        self._rate = rate
        self._now_ms = now_ms
        self._context = context
        self._strict = strict
        self._told = told

    def take(self, count: int) -> None:
        """So many partitions are made or deleted.

        Raises:
            Refused: THROTTLING_QUOTA_EXCEEDED: the client has to wait before.
        """
        if self._strict:
            wait = self._bucket.throttle_ms(self._rate, self._now_ms)
            if wait:
                if self._told:
                    self._context.throttle_ms = max(self._context.throttle_ms, wait)
                raise Refused(
                    ErrorCode.THROTTLING_QUOTA_EXCEEDED,
                    f"{_MUTATION}={self._rate:g} is used up; again in {wait} ms",
                )
        self._bucket.spend(count, self._rate, self._now_ms)
        if not self._strict:
            wait = self._bucket.throttle_ms(self._rate, self._now_ms)
            self._context.throttle_ms = max(self._context.throttle_ms, wait)


def _part(parts: Mapping[str, str | None], kind: str) -> str:
    if kind not in parts:
        return _ABSENT
    name = parts[kind]
    return _DEFAULT if name is None else f"={name}"
