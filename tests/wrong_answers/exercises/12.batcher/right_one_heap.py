"""One heap of who is next, one of whose time runs out; the dead are passed over."""

import heapq


class answer:
    def __init__(self, max_batch_size, delay, max_waiting, reject):
        self.most, self.delay, self.room, self.reject = max_batch_size, delay, max_waiting, reject
        self.line, self.ends, self.alive, self.came, self.busy = [], [], {}, 0, False

    def submit(self, request, now, level=2, timeout=None):
        self.sweep(now)
        if len(self.alive) >= self.room:
            raise ValueError("full")
        self.came += 1
        self.alive[self.came] = request, now
        heapq.heappush(self.line, (level, self.came))
        if timeout is not None:
            heapq.heappush(self.ends, (now + timeout, self.came))

    def sweep(self, now):
        while self.ends and (self.ends[0][0] <= now or self.ends[0][1] not in self.alive):
            _, name = heapq.heappop(self.ends)
            if name in self.alive:
                self.reject(self.alive.pop(name)[0])

    def poll(self, now):
        self.sweep(now)
        wake = self.ends[0][0] if self.ends else None
        if self.busy:
            return wake
        front = []
        while self.line and len(front) < self.most:
            entry = heapq.heappop(self.line)
            if entry[1] in self.alive:
                front.append(entry)
        if not front:
            return wake
        due = min(self.alive[name][1] for _, name in front) + self.delay
        if len(front) == self.most or due <= now:
            self.busy = True
            return [self.alive.pop(name)[0] for _, name in front]
        for entry in front:
            heapq.heappush(self.line, entry)
        return due if wake is None else min(due, wake)

    def complete(self, batch, now, results):
        self.busy = False
