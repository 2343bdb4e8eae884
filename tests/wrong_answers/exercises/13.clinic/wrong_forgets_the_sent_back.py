"""Who is sent back does not wait in front."""

from minillm.lab.little_engine import LittleEngine

LAYER = "values"


class answer(LittleEngine):
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
