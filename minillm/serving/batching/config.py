"""What a dynamic batcher is told before it starts: how large, how long, in which order, and what becomes of the late.

Two servers' settings in one frozen record, each under the name its own documentation uses, so that a configuration file of
either can be read across. All rules are checked when it is built.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from minillm.errors import InvalidType, InvalidValue, nearest_name, rule_numbers_remedy, unknown_name
from minillm.measure.numbers import require_switch, require_whole

REJECT, DELAY = "REJECT", "DELAY"
TIMEOUT_ACTIONS = (REJECT, DELAY)
Record = TypeVar("Record")


def refuses_unknown(record: type[Record]) -> type[Record]:
    """A dataclass whose fields are named, that answers an unknown name with InvalidType and the nearest it knows."""
    fields = dataclasses.fields(record)  # type: ignore[arg-type]
    build, known = record.__init__, [entry.name for entry in fields]  # type: ignore[misc]
    needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]

    @functools.wraps(build)
    def __init__(self: Record, *values: object, **options: object) -> None:
        for name in options:
            if name not in known:
                raise InvalidType(f"{record.__name__} has no field {name!r}{nearest_name(name, known)}; known: {', '.join(known)}.")  # fmt: skip
        missing = [name for name in needed if name not in options]
        if values or missing:
            rule, remedy = f"{record.__name__} takes named fields", f"write {(missing or known)[0]}=..."
            numbers = f"{len(values)} without a name" if values else f"no {missing[0]}"
            raise InvalidType(rule_numbers_remedy(rule, numbers, remedy))
        build(self, **options)

    record.__init__ = __init__  # type: ignore[method-assign, misc, assignment]
    return record


@refuses_unknown
@dataclass(frozen=True, kw_only=True)
class QueuePolicy:
    """How one level's queue treats requests. Triton's ModelQueuePolicy; 0 switches a number off.

    timeout_action                 REJECT a request whose time has run out, or DELAY it: it is served after all that are in time
    default_timeout_microseconds   how long a request may wait in the queue
    allow_timeout_override         a request may bring a timeout of its own; it can only shorten the default
    max_queue_size                 requests that may wait at this level

    Raises InvalidType or InvalidValue when built.
    """

    timeout_action: str = REJECT
    default_timeout_microseconds: int = 0
    allow_timeout_override: bool = False
    max_queue_size: int = 0

    def __post_init__(self) -> None:
        if self.timeout_action not in TIMEOUT_ACTIONS:
            raise unknown_name("timeout_action", self.timeout_action, TIMEOUT_ACTIONS)
        require_whole(at_least=0, default_timeout_microseconds=self.default_timeout_microseconds)
        require_whole(at_least=0, max_queue_size=self.max_queue_size)
        require_switch(allow_timeout_override=self.allow_timeout_override)

    def timeout(self, own: int | None) -> int | None:
        """The timeout of a request that brings its `own`, in microseconds; None where there is none.

        Raises InvalidType or InvalidValue for an own timeout that is no whole number above 0, or not allowed here.
        """
        default = self.default_timeout_microseconds or None
        if own is None:
            return default
        require_whole(timeout_microseconds=own)
        if not self.allow_timeout_override:
            rule = "a request may bring its own timeout only where allow_timeout_override is set"
            raise InvalidValue(rule_numbers_remedy(rule, f"{own} µs", "leave it out, or set the policy's field"))
        return own if default is None else min(own, default)


@refuses_unknown
@dataclass(frozen=True, kw_only=True)
class DynamicBatcherConfig:
    """The settings of a `DynamicBatcher`. 0 and () switch a field off. Times are whole microseconds.

    max_batch_size                 rows in a batch, at most
    preferred_batch_size           sizes worth sending at once; none given stands for (max_batch_size,)     [Triton]
    max_queue_delay_microseconds   how long the oldest request waits for company       [Triton; TF: batch_timeout_micros]
    preserve_ordering              answers leave in the order of the requests                               [Triton]
    priority_levels                1 is served first, and strictly; 0 means there is one line               [Triton]
    default_priority_level         of requests that name none; needed where there are levels                [Triton]
    default_queue_policy           of each level without one of its own                                     [Triton]
    priority_queue_policy          level -> its policy                                                      [Triton]
    allowed_batch_sizes            a batch is padded up to one of these; ascending, the last is the maximum     [TF]
    num_batch_threads              batches computed at once                                [TF; Triton: instances]
    max_enqueued_batches           rows that may wait, in whole batches                                         [TF]

    As in Triton, answers in order exclude levels and DELAY. Raises InvalidType or InvalidValue when built.
    """

    max_batch_size: int
    preferred_batch_size: Sequence[int] = ()
    max_queue_delay_microseconds: int = 0
    preserve_ordering: bool = False
    priority_levels: int = 0
    default_priority_level: int = 0
    default_queue_policy: QueuePolicy = field(default_factory=QueuePolicy)
    priority_queue_policy: Mapping[int, QueuePolicy] = field(default_factory=dict)
    allowed_batch_sizes: Sequence[int] = ()
    num_batch_threads: int = 1
    max_enqueued_batches: int = 0

    def __post_init__(self) -> None:
        require_whole(max_batch_size=self.max_batch_size, num_batch_threads=self.num_batch_threads)
        require_whole(at_least=0, max_queue_delay_microseconds=self.max_queue_delay_microseconds)
        require_whole(at_least=0, priority_levels=self.priority_levels, max_enqueued_batches=self.max_enqueued_batches)
        require_switch(preserve_ordering=self.preserve_ordering)
        preferred = sorted(set(self._sizes("preferred_batch_size")))
        object.__setattr__(self, "preferred_batch_size", tuple(preferred) or (self.max_batch_size,))
        object.__setattr__(self, "allowed_batch_sizes", tuple(self._sizes("allowed_batch_sizes")))
        self._check_allowed()
        self._check_levels()
        if self.preserve_ordering:
            self._check_order()

    def level(self, priority: int | None) -> int:
        """The level of a request that asks for `priority`, or for none. Raises InvalidType or InvalidValue for another."""
        if priority is None:
            return self.default_priority_level
        require_whole(at_least=min(1, self.priority_levels), priority=priority)
        if priority > self.priority_levels:
            rule = (
                f"priority lies in 1 … {self.priority_levels}" if self.priority_levels else "this batcher has one line"
            )
            raise InvalidValue(rule_numbers_remedy(rule, str(priority), "leave it out, or raise priority_levels"))
        return priority

    def policy(self, level: int) -> QueuePolicy:
        """The policy of one level."""
        return self.priority_queue_policy.get(level, self.default_queue_policy)

    def padded(self, size: int) -> int:
        """The size a batch of `size` rows is run at: the smallest allowed one that holds it."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)

    def _sizes(self, name: str) -> list[int]:
        sizes = getattr(self, name)
        if not isinstance(sizes, list | tuple):
            raise InvalidType(
                rule_numbers_remedy(f"{name} must be a list", repr(sizes), "pass whole numbers in a list")
            )
        for size in sizes:
            require_whole(**{name: size})
            if size > self.max_batch_size:
                rule = f"{name} must not go beyond max_batch_size = {self.max_batch_size}"
                raise InvalidValue(rule_numbers_remedy(rule, str(size), "leave it out, or raise max_batch_size"))
        return list(sizes)

    def _check_allowed(self) -> None:
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[-1] != self.max_batch_size):
            rule = "allowed_batch_sizes must ascend and end with max_batch_size"
            want = sorted({*sizes, self.max_batch_size})
            raise InvalidValue(rule_numbers_remedy(rule, f"{list(sizes)} and {self.max_batch_size}", f"try {want}"))

    def _check_levels(self) -> None:
        least, levels = min(1, self.priority_levels), self.priority_levels
        require_whole(at_least=least, default_priority_level=self.default_priority_level)
        if not isinstance(self.priority_queue_policy, Mapping):
            rule = "priority_queue_policy must map levels to policies"
            raise InvalidType(rule_numbers_remedy(rule, repr(self.priority_queue_policy), "pass {1: QueuePolicy(…)}"))
        for level in (self.default_priority_level, *self.priority_queue_policy):
            require_whole(at_least=least, priority_level=level)
            if level > levels:
                rule = f"priority levels lie in {least} … {levels}"
                raise InvalidValue(
                    rule_numbers_remedy(rule, str(level), "name a level there is, or raise priority_levels")
                )
        object.__setattr__(self, "priority_queue_policy", dict(self.priority_queue_policy))
        for policy in (self.default_queue_policy, *self.priority_queue_policy.values()):
            if not isinstance(policy, QueuePolicy):
                raise InvalidType(rule_numbers_remedy("a policy must be a QueuePolicy", repr(policy), "build one"))

    def _check_order(self) -> None:
        if self.priority_levels > 1:
            rule = "preserve_ordering leaves room for one priority level"
            raise InvalidValue(rule_numbers_remedy(rule, str(self.priority_levels), "drop one of the two"))
        for policy in (self.default_queue_policy, *self.priority_queue_policy.values()):
            if policy.timeout_action == DELAY and (
                policy.default_timeout_microseconds or policy.allow_timeout_override
            ):
                rule = "preserve_ordering does not go with timeout_action DELAY, which reorders"
                raise InvalidValue(rule_numbers_remedy(rule, "both", "use REJECT, or answer in any order"))
