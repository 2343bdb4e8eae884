"""Looks at the queue after every pass, and listens only when there is nothing to send."""

from collections import deque


class answer:
    def __init__(self, hall, budget, delay):
        self.hall, self.budget, self.delay = hall, budget, delay
        self.queue, self.waiting = deque(), 0

    def submit(self, request):
        if request.tokens > self.budget:
            raise ValueError("too long")
        self.queue.append(request)
        self.waiting += request.tokens
        self.hall.bell = True

    def batch(self):
        room, batch = self.budget, []
        while self.queue and self.queue[0].tokens <= room:
            batch.append(self.queue.popleft())
            room -= batch[-1].tokens
        self.waiting -= self.budget - room
        return batch

    def work(self):
        while True:
            # All that waits beyond the budget: then the front of it cannot grow.
            while self.queue and (self.waiting >= self.budget or self.queue[0].arrived + self.delay <= self.hall.now):
                yield self.hall.compute(self.batch())
            self.hall.bell = False
            yield self.hall.listen(self.queue[0].arrived + self.delay - self.hall.now if self.queue else None)
