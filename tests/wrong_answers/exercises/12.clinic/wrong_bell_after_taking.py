"""The delay and the long request are mended; the bell is put down after the pass, and then it is listened for."""

LAYER = "values"


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
            yield self.hall.listen()
            batch, full = self.front()
            while batch and not full and (left := batch[0].arrived + self.delay - self.hall.now) > 0:
                self.hall.bell = False
                yield self.hall.listen(left)
                batch, full = self.front()
            self.queue = self.queue[len(batch) :]
            yield self.hall.compute(batch)
            self.hall.bell = False
