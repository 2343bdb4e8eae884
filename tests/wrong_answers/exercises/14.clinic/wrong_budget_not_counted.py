"""Every text may fill the step."""

LAYER = "values"


class answer:
    def __init__(self, budget, page):
        self.budget, self.page, self.texts = budget, page, []

    def add(self, name, prompt, answer):
        self.texts.append([name, prompt, 0, prompt + answer])

    def step(self):
        left, plan = self.budget, []
        for text in sorted(self.texts, key=lambda t: t[1] - t[2] > 1 or not t[2]):
            name, known, computed, _ = text
            count = min(known - computed, left)
            count = min(known - computed, self.budget)
            if count > 0:
                samples = computed + count == known
                plan.append((name, computed, count, samples))
                text[2] += count
                text[1] += samples
                left -= count
        self.texts = [text for text in self.texts if text[1] < text[3]]
        return plan
