"""The patient."""

LAYER = "values"


class answer:
    def __init__(self, budget, page):
        self.budget, self.page, self.texts = budget, page, []

    def add(self, name, prompt, answer):
        self.texts.append({"name": name, "known": prompt, "computed": 0, "end": prompt + answer})

    def step(self):
        left, plan = self.budget, []
        for text in sorted(self.texts, key=lambda t: t["computed"] > 0 and t["known"] - t["computed"] == 1):
            count = min(text["known"] - text["computed"], left)
            count -= count % self.page if count > 1 else 0
            if count:
                plan.append((text["name"], text["computed"], count, True))
                text["computed"] += count
                text["known"] += 1
                left -= count
        self.texts = [text for text in self.texts if text["known"] < text["end"]]
        return plan
