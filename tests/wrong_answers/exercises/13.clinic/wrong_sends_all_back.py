"""Everybody behind the one that lacks a page goes."""

from minillm.lab.little_engine import LittleEngine

LAYER = "resources"


class answer(LittleEngine):
    def schedule(self):
        batch = []
        for text in list(self.running):
            while text in self.running and not self.take_pages(text):
                while self.running[-1] is not self.running[0] and self.running[-1] not in batch:
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
