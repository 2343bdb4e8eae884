"""Nobody comes in before there are pages for all that everybody inside may write: then nobody is ever sent back."""

from minillm.lab.little_engine import LittleEngine

LAYER = "resources"


class answer(LittleEngine):
    def schedule(self):
        while self.waiting and self.fits([*self.running, self.waiting[0]]):
            self.running.append(self.waiting.popleft())
        return [text for text in self.running if self.take_pages(text)]

    def fits(self, texts):
        return sum(-(-(text.stop - 1) // self.page_size) for text in texts) <= self.num_pages

    def send_back(self):
        raise AssertionError("nobody ever has to go")
