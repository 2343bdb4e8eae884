"""Right answers to lesson 13, by the id of their check. Each can stand in for the lesson's stub."""

from minillm.lab.little_engine import LittleEngine


def idle(lengths, batch_size):
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return sum(len(batch) * max(batch) - sum(batch) for batch in batches)


def schedule(running, waiting, budget, max_running, free_blocks, block_size):
    running, shares, sent_back, i = list(running), {}, [], 0
    while i < len(running) and budget:
        work = running[i]
        tokens = min(work.known - work.computed, budget)
        more = -(-(work.computed + tokens) // block_size) - work.blocks
        while more > free_blocks and len(running) > i:
            last = running.pop()
            sent_back.append(last.name)
            free_blocks += last.blocks
        if i < len(running):
            shares[work.name] = tokens
            budget, free_blocks, i = budget - tokens, free_blocks - more, i + 1
    for work in () if sent_back else waiting:
        tokens = min(work.known, budget)
        more = -(-tokens // block_size)
        if not tokens or more > free_blocks or len(running) == max_running:
            break
        shares[work.name] = tokens
        running.append(work)
        budget, free_blocks = budget - tokens, free_blocks - more
    return shares, sent_back


class Mended(LittleEngine):
    def schedule(self):
        batch = []
        for text in list(self.running):
            while text in self.running and not self.take_pages(text):
                self.send_back()
            if text in self.running:
                batch.append(text)
        while self.waiting and self.take_pages(self.waiting[0]):
            self.running.append(self.waiting.popleft())
            batch.append(self.running[-1])
        return batch

    def send_back(self):
        text = self.running.pop()
        self.give_back(text)
        text.computed = 0
        self.waiting.appendleft(text)


SOLUTIONS = {"13.idle": idle, "13.schedule": schedule, "13.clinic": Mended}
