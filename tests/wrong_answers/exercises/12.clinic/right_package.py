"""The package's batcher behind a bell."""

from minillm.serving import DynamicBatcher, DynamicBatcherConfig
from minillm.serving.batching.ticket import Batch


class answer:
    def __init__(self, hall, budget, delay):
        self.hall = hall
        config = DynamicBatcherConfig(max_batch_size=budget, max_queue_delay_microseconds=delay)
        self.core = DynamicBatcher(config)

    def submit(self, request):
        self.core.submit(request, self.hall.now, size=request.tokens)
        self.hall.bell = True

    def work(self):
        while True:
            self.hall.bell = False
            decision = self.core.poll(self.hall.now)
            if isinstance(decision, Batch):
                yield self.hall.compute(decision.payloads)
                self.core.complete(decision, self.hall.now, decision.payloads)
            else:
                yield self.hall.listen(None if decision is None else decision - self.hall.now)
