"""A tree of blocks: a node a block, found under its parent by its tokens; no hash of ours."""


class Node:
    def __init__(self):
        self.block, self.children = None, {}


class answer:
    def __init__(self, block_size):
        self.P, self.roots, self.node_of = block_size, {}, {}

    def insert(self, token_ids, block_ids, salt=None):
        node = self.roots.setdefault(salt, Node())
        for i in range(len(token_ids) // self.P):
            node = node.children.setdefault(tuple(token_ids[i * self.P : (i + 1) * self.P]), Node())
            if node.block is None:
                node.block, self.node_of[block_ids[i]] = block_ids[i], node

    def match(self, token_ids, salt=None):
        node, found = self.roots.get(salt), []
        for i in range((len(token_ids) - 1) // self.P):
            node = node and node.children.get(tuple(token_ids[i * self.P : (i + 1) * self.P]))
            if node is None or node.block is None:
                break
            found.append(node.block)
        return found

    def forget(self, block_id):
        if node := self.node_of.pop(block_id, None):
            node.block = None
