"""The package's batcher, with other names."""

from minillm.serving import DynamicBatcher, DynamicBatcherConfig, QueuePolicy
from minillm.serving.batching.ticket import Batch


class answer:
    def __init__(self, max_batch_size, delay, max_waiting, reject):
        policy = QueuePolicy(allow_timeout_override=True)
        config = DynamicBatcherConfig(
            max_batch_size=max_batch_size,
            max_queue_delay_microseconds=delay,
            priority_levels=2,
            default_priority_level=2,
            default_queue_policy=policy,
        )
        self.room, self.running = max_waiting, None
        self.core = DynamicBatcher(config, on_resolve=lambda t: reject(t.payload) if t.status == "rejected" else None)

    def submit(self, request, now, level=2, timeout=None):
        self.core.cancel(self.core.submit(None, now), now)  # lets the time of others run out
        if self.core.num_waiting >= self.room:
            raise ValueError("full")
        self.core.submit(request, now, priority=level, timeout_microseconds=timeout)

    def poll(self, now):
        decision = self.core.poll(now)
        if not isinstance(decision, Batch):
            return decision
        self.running = decision
        return decision.payloads

    def complete(self, batch, now, results):
        self.core.complete(self.running, now, results)
