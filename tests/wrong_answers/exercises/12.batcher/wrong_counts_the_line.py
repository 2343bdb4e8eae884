"""Right, and every arrival counts all who wait: the line is walked once for each who joins it."""

import math

LAYER = "resources"


class answer:
    def __init__(self, max_batch_size, delay, max_waiting, reject):
        self.most, self.delay, self.room, self.reject = max_batch_size, delay, max_waiting, reject
        self.line, self.busy = {1: [], 2: []}, False

    def submit(self, request, now, level=2, timeout=None):
        if sum(over > now for line in self.line.values() for _, _, over in line) >= self.room:
            raise ValueError("the line is full")
        self.line[level].append((request, now, math.inf if timeout is None else now + timeout))

    def poll(self, now):
        for line in self.line.values():
            for late in [one for one in line if one[2] <= now]:
                line.remove(late)
                self.reject(late[0])
        everybody = self.line[1] + self.line[2]
        times = [one[2] for one in everybody]
        if everybody and not self.busy:
            front = everybody[: self.most]
            due = min(came for _, came, _ in front) + self.delay
            if len(front) == self.most or now >= due:
                self.busy = True
                self.line = {level: [one for one in line if one not in front] for level, line in self.line.items()}
                return [request for request, _, _ in front]
            times.append(due)
        soonest = min(times, default=math.inf)
        return None if soonest == math.inf else soonest

    def complete(self, batch, now, results):
        self.busy = False
