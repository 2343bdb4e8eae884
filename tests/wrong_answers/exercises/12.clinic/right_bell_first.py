"""The bell is put down before the queue is looked at."""


class answer:
    def __init__(self, hall, budget, delay):
        self.hall, self.budget, self.delay, self.queue = hall, budget, delay, []

    def submit(self, request):
        if request.tokens > self.budget:
            raise ValueError(f"a request must fit the budget of {self.budget} tokens; got {request.tokens}; cut it")
        self.queue.append(request)
        self.hall.bell = True

    def front(self):
        batch, room = [], self.budget
        for request in self.queue:
            if request.tokens > room:
                return batch, True
            batch.append(request)
            room -= request.tokens
        return batch, room == 0

    def work(self):
        while True:
            self.hall.bell = False
            batch, full = self.front()
            left = batch[0].arrived + self.delay - self.hall.now if batch else None
            if full or (batch and left <= 0):
                self.queue = self.queue[len(batch) :]
                yield self.hall.compute(batch)
            else:
                yield self.hall.listen(left)
