"""There is no forget."""

LAYER = "contract"


class answer:
    def __init__(self, block_size):
        self.known = {}

    def insert(self, token_ids, block_ids, salt=None):
        self.known[salt] = token_ids, block_ids

    def match(self, token_ids, salt=None):
        return []
