"""A batch leaves though the model is busy."""

import heapq
from collections import OrderedDict
from itertools import chain, count, islice

LAYER = "values"


class answer:
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
        if front:
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
