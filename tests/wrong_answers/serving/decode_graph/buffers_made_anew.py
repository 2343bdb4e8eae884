"""Each step has buffers of its own, which no recorded step knows of."""

FILE = "minillm/serving/compute/decode_graph.py"
OLD = "        self._wide_there.copy_(torch.from_numpy(self._wide))"
NEW = "        self._wide_there = torch.from_numpy(self._wide.copy())\n        self.token_ids, self.token_positions, self.slot_mapping = self._wide_there.unbind()"
CAUGHT_BY = ("buffers_stay_where_they_are",)
