"""The text that sent itself back takes part in the pass."""

from minillm.lab.little_engine import LittleEngine

LAYER = "values"


class answer(LittleEngine):
    def schedule(self):
        batch = []
        for text in list(self.running):
            while not self.take_pages(text):
                self.send_back()
            if True:
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
