"""With an index in place of `in`: pages for who runs first, then for who waits."""

from minillm.lab.little_engine import LittleEngine


class answer(LittleEngine):
    def schedule(self):
        served = 0
        while served < len(self.running):
            if self.take_pages(self.running[served]):
                served += 1
            else:
                self.send_back()
        while self.waiting and self.take_pages(self.waiting[0]):
            self.running.append(self.waiting.popleft())
        return list(self.running)

    def send_back(self):
        text = self.running.pop()
        self.give_back(text)
        text.computed = 0
        self.waiting.appendleft(text)
