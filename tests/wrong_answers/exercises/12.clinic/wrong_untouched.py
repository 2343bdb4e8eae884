"""The patient as it came."""

LAYER = "values"


class answer:
    def __init__(self, hall, budget, delay):
        self.hall, self.budget, self.delay, self.queue = hall, budget, delay, []

    def submit(self, request):
        self.queue.append(request)
        self.hall.bell = True

    def work(self):
        while True:
            yield self.hall.listen()
            yield self.hall.sleep(self.delay)
            batch, room = [], self.budget
            while self.queue and self.queue[0].tokens <= room:
                room -= self.queue[0].tokens
                batch.append(self.queue.pop(0))
            yield self.hall.compute(batch)
            self.hall.bell = False
