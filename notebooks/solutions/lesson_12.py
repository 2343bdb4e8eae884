"""Right answers to lesson 12, by the id of their check. Each can stand in for the lesson's stub."""

import heapq
from collections import OrderedDict
from itertools import chain, count, islice


def keeps_up(rate, fixed_us, row_us, most):
    for size in range(1, most + 1):
        if size * 1_000_000 >= rate * (fixed_us + size * row_us):
            return size
    return 0


def how_many(waited, most, preferred, delay):
    n = min(len(waited), most)
    if n and waited[0] >= delay:
        return n
    return max([size for size in preferred if size <= n], default=0)


class Batcher:
    def __init__(self, max_batch_size, delay, max_waiting, reject):
        self.most, self.delay, self.room, self.reject = max_batch_size, delay, max_waiting, reject
        self.lines = {1: OrderedDict(), 2: OrderedDict()}  # number -> (request, when it came)
        self.timeouts, self.numbers, self.busy = [], count(), False

    def submit(self, request, now, level=2, timeout=None):
        self.turn_away(now)
        if len(self.lines[1]) + len(self.lines[2]) >= self.room:
            raise ValueError(f"{self.room} requests wait already")
        number = next(self.numbers)
        self.lines[level][number] = request, now
        if timeout is not None:
            heapq.heappush(self.timeouts, (now + timeout, number, level))

    def turn_away(self, now):
        while self.timeouts:
            over, number, level = self.timeouts[0]
            if number in self.lines[level] and over > now:
                break
            heapq.heappop(self.timeouts)
            if number in self.lines[level]:
                self.reject(self.lines[level].pop(number)[0])

    def poll(self, now):
        self.turn_away(now)
        times = [self.timeouts[0][0]] if self.timeouts else []
        front = list(islice(chain(*(line.items() for line in self.lines.values())), self.most))
        if front and not self.busy:
            due = min(came for _, (_, came) in front) + self.delay
            if len(front) == self.most or now >= due:
                return self.send(front)
            times.append(due)
        return min(times, default=None)

    def send(self, front):
        self.busy = True
        for number, _ in front:
            self.lines[1].pop(number, None), self.lines[2].pop(number, None)
        return [request for _, (request, _) in front]

    def complete(self, batch, now, results):
        self.busy = False


class Mended:
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


SOLUTIONS = {"12.keeps_up": keeps_up, "12.when": how_many, "12.batcher": Batcher, "12.clinic": Mended}
