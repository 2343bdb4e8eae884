"""What a dynamic batcher should do, computed anew from plain lists at every step: too slow to serve, too simple to be wrong.

It shares no code with the package, its settings included: they are read off the same words by `Settings`.
"""

from dataclasses import dataclass, field


@dataclass
class Policy:
    action: str = "REJECT"
    timeout: int = 0
    override: bool = False
    room: int = 0


@dataclass
class Settings:
    most: int = 4
    preferred: list = field(default_factory=list)
    delay: int = 0
    in_order: bool = False
    levels: int = 0
    default_level: int = 0
    policies: dict = field(default_factory=dict)  # level -> Policy; a level without one has Policy()
    allowed: list = field(default_factory=list)
    threads: int = 1
    batches_waiting: int = 0


@dataclass
class Waiting:
    name: int
    size: int
    level: int
    shape: str
    since: int
    deadline: int | None
    late: int | None = None  # the how-manieth to be late


class SlowBatcher:
    """`ended` maps a request to how it ended; `order` is the order in which they did."""

    def __init__(self, settings):
        self.s, self.waiting, self.running, self.sent = settings, [], {}, []
        self.ended, self.order, self.computed, self.num_late, self.closed = {}, [], {}, 0, False
        self.queued_for = 0

    def policy(self, level):
        return self.s.policies.get(level, Policy())

    def may_enter(self, level, size):
        room = self.policy(level).room
        if room and sum(w.level == level for w in self.waiting) >= room:
            return False
        rows = self.s.batches_waiting * self.s.most
        return not rows or sum(w.size for w in self.waiting) + size <= rows

    def submit(self, name, now, size, level, own, shape):
        """-> whether it was taken in."""
        self.tidy(now)
        if not self.may_enter(level, size):
            return False
        limits = [t for t in (self.policy(level).timeout, own) if t]
        deadline = now + min(limits) if limits else None
        self.waiting.append(Waiting(name, size, level, shape, now, deadline))
        return True

    def cancel(self, name, now):
        self.tidy(now)
        return self.drop(name, "cancelled")

    def close(self, now, drain):
        self.tidy(now)
        self.closed = True
        for w in [] if drain else self.in_line():
            self.drop(w.name, "rejected")

    def drop(self, name, how):
        found = [w for w in self.waiting if w.name == name]
        self.waiting = [w for w in self.waiting if w.name != name]
        for w in found:
            self.end(w.name, how)
        return bool(found)

    def end(self, name, how):
        assert name not in self.ended
        self.ended[name] = how
        self.order.append(name)

    def tidy(self, now):
        late = [w for w in self.waiting if w.late is None and w.deadline is not None and w.deadline <= now]
        for w in sorted(late, key=lambda w: (w.deadline, w.name)):
            if self.policy(w.level).action == "DELAY":
                w.late, self.num_late = self.num_late, self.num_late + 1
            else:
                self.drop(w.name, "rejected")

    def in_line(self):
        return sorted(self.waiting, key=lambda w: (w.level, w.late is not None, w.late or 0, w.name))

    def poll(self, now):
        """-> ("batch", names, padded size) or ("ask", time or None)."""
        self.tidy(now)
        deadlines = [w.deadline for w in self.waiting if w.late is None and w.deadline is not None]
        if not self.waiting or len(self.running) == self.s.threads:
            return "ask", min(deadlines, default=None)
        line = self.in_line()
        fits = [n for n in range(1, len(line) + 1) if self.together(line[:n])]
        delay = 0 if self.closed else self.s.delay
        due = min(w.since for w in line[: max(fits)]) + delay
        count = self.how_many(line, fits, now >= due, delay)
        if not count:
            return "ask", min([due, *deadlines])
        return self.send(line[:count], now)

    def together(self, group):
        return sum(w.size for w in group) <= self.s.most and len({w.shape for w in group}) == 1

    def how_many(self, line, fits, due, delay):
        rows = {n: sum(w.size for w in line[:n]) for n in fits}
        preferred = self.s.preferred or [self.s.most]
        good = [n for n in fits if rows[n] in preferred]
        too_many = [n for n in fits if n > 1 and rows[n] > max(preferred)]
        if not delay or not due:
            if good:
                return max(good)
            if too_many:
                return min(too_many) - 1
        stuck = len(fits) < len(line)
        return max(fits) if due or stuck or rows[max(fits)] >= max(preferred) else 0

    def send(self, group, now):
        names, rows = [w.name for w in group], sum(w.size for w in group)
        self.waiting = [w for w in self.waiting if w.name not in names]
        self.queued_for += sum(now - w.since for w in group)
        padded = min([size for size in self.s.allowed if size >= rows], default=rows)
        self.running[names[0]] = names
        self.sent += names
        return "batch", names, padded

    def finish(self, first, now, how):
        self.tidy(now)
        self.computed |= dict.fromkeys(self.running.pop(first), how)
        for name in list(self.sent):
            if name in self.computed:
                self.end(name, self.computed.pop(name))
                self.sent.remove(name)
            elif self.s.in_order:
                break
