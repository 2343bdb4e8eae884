"""A world around a scheduler without any tensor: a memory of cells by slot, and a model that reads them.

What a model keeps of a token depends on all tokens before it. So the cell of a token is a hash over its predecessor's cell
and the token, the model reads every earlier cell through the block table, and its next token is a hash of the last cell. A
text written here is right only if no block was ever given away, overwritten, found too early or left out. Whoever plays it,
at random or by hand, says what arrives and what goes wrong; after every call, `schedule_rules` says what must hold. The
classes under test are passed in.
"""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from schedule_rules import AFTER_SCHEDULE, AFTER_UPDATE

from minillm.cache import BlockPool, BlockTable, PrefixCache
from minillm.serving.request import Request
from minillm.serving.scheduler import Scheduler, SchedulerConfig

OURS = SimpleNamespace(
    BlockPool=BlockPool,
    BlockTable=BlockTable,
    PrefixCache=PrefixCache,
    Request=Request,
    Scheduler=Scheduler,
    SchedulerConfig=SchedulerConfig,
)
VOCABULARY = 3


def cell(previous, token):
    """What is kept of a token behind another's cell, the first behind 0."""
    return ((previous + token + 1) * 6364136223846793005 + 1442695040888963407) % (1 << 61)


def chosen(last):
    """The token that follows a text whose last cell is this."""
    return (last >> 24) % VOCABULARY


def cells_of(tokens):
    """All cells of a text, computed alone."""
    cells, last = [], 0
    for token in tokens:
        last = cell(last, token)
        cells.append(last)
    return cells


def alone(request):
    """What a request must write -> (its tokens, why it ends): the direct computation."""
    last, written = cells_of(request.prompt_token_ids)[-1], []
    while True:
        written.append(chosen(last))
        if written[-1] in request.stop_token_ids and len(written) >= request.min_tokens:
            return written, "stop"
        if len(written) == request.max_tokens:
            return written, "length"
        last = cell(last, written[-1])


class World:
    """A scheduler, its memory, and everything that ever happened."""

    def __init__(self, house=OURS, num_blocks=8, block_size=2, prefix=True, **config):
        self.house = house
        self.pool = house.BlockPool(num_blocks, block_size)
        self.config = house.SchedulerConfig(**config)
        self.prefix = house.PrefixCache(self.pool, check=True) if prefix else None
        self.keys_are_digests = not hasattr(self.prefix, "roots")  # a radix tree's are its own
        self.scheduler = house.Scheduler(self.pool, self.config, prefix=self.prefix)
        self.memory = {}  # slot -> cell
        self.dead = set()  # blocks whose contents nobody may use any more
        self.known_keys = {}
        self.requests = {}  # all that were ever added
        self.expected = {}  # by request id, what it would write alone, and why it would end
        self.reasons = {}  # by request id, how it was ended from outside
        self.seen = Counter()
        self.steps = self.work = 0
        self.pool.on_free.append(self._freed)
        self.pool.on_reuse.append(self._reused)

    # What the pool reports.

    def _freed(self, blocks):
        self.dead.update(block for block in blocks if self.pool.key_of(block) is None)

    def _reused(self, block):
        if self.pool.ref_count(block) == 0:
            self.dead.add(block)

    # What happens.

    def add(self, prompt, name=None, **options):
        """A request arrives -> it."""
        request = self.house.Request(name or f"r{len(self.requests)}", prompt, **options)
        self.scheduler.add(request)
        self.requests[request.request_id] = request
        self.expected[request.request_id] = alone(request)
        self.work += request.num_prompt_tokens + request.max_tokens
        return request

    def finish(self, request, reason="abort"):
        """Somebody ends a request."""
        self.reasons[request.request_id] = reason
        assert self.scheduler.finish(request.request_id, reason) is request
        self.seen["ended from outside"] += 1

    def step(self, between=None, late=None, guess=None):
        """One whole step -> its output, or None without work.

        `between` is called with the output when it is scheduled, `late` when it is computed and not updated yet;
        `guess(request, right)` -> drafts for a text of which `right` is how it would go on.
        """
        scheduler = self.scheduler
        if not scheduler.has_unfinished:
            return None
        before = SimpleNamespace(
            running=list(scheduler.running),
            computed={r.request_id: r.num_computed_tokens for r in scheduler.running},
            tokens={name: list(r.token_ids) for name, r in scheduler.requests.items()},
            num_rows=scheduler.num_rows,
        )
        output = scheduler.schedule()
        for rule in AFTER_SCHEDULE.values():
            rule(self, before, output)
        self.steps += 1
        self._count(output)
        if between:
            between(output)
        tables = {s.request.request_id: list(s.request.table.block_ids) for s in output.shares if s.request.table}
        sampled = self._run(output)
        if late:
            late(output)
        finished = scheduler.update(output, sampled)
        for rule in AFTER_UPDATE.values():
            rule(self, output, sampled, finished, tables)
        if guess:
            for request in scheduler.running:
                if not request.is_prefilling:
                    request.draft_token_ids = guess(request, self._continuation(request, 4))
        return output

    def run(self, most=10_000, **options):
        """Steps until nothing is left to do."""
        while self.step(**options):
            assert self.steps <= most, f"not done after {self.steps} steps"
        return self

    def close(self):
        """Everybody has ended: every text is right, and every block free."""
        assert not self.scheduler.has_unfinished and not self.scheduler.running and self.scheduler.num_waiting == 0
        self.pool.check([])
        for request in self.requests.values():
            self.require_right(request)
        return self

    def require_right(self, request):
        """A text is what it would have been alone, as far as it came."""
        written, reason = self.expected[request.request_id]
        got = request.output_token_ids
        assert got == written[: len(got)], f"{request} wrote {got}, and alone it writes {written}"
        outside = self.reasons.get(request.request_id)
        if outside is None and request.is_finished:
            assert (got, request.finish_reason) == (written, reason), (
                f"{request} ended with {got}, alone with {written}"
            )
        elif outside is not None:
            assert request.finish_reason == outside

    # The model.

    def _run(self, output):
        """Make the copies, then compute all shares at once -> the tokens chosen."""
        size = self.pool.block_size
        copied = {
            target * size + i: self.memory.get(source * size + i)
            for source, target in output.copies
            for i in range(size)
        }
        for block in self.dead:
            for slot in range(block * size, (block + 1) * size):
                self.memory.pop(slot, None)
        self.dead.clear()
        self.memory.update(copied)
        shares = [share for share in output.shares if not share.request.is_finished]
        results = [self._compute(share) for share in shares]
        for written, _ in results:
            self.memory.update(written)
        return {s.request.request_id: tokens for s, (_, tokens) in zip(shares, results, strict=True) if s.samples}

    def _compute(self, share):
        """-> the cells of a share's tokens by slot, and its accepted drafts with the token chosen behind them."""
        request, stop = share.request, share.start + share.num_tokens
        slots = request.table.slots(0, stop)
        read = [self.memory.get(slot) for slot in slots[: share.start]]
        assert read == cells_of(request.token_ids[: share.start]), f"{request} reads what is not its own text"
        last, written, rows = (read[-1] if read else 0), {}, []
        for slot, token in zip(slots[share.start :], share.token_ids, strict=True):
            last = written[slot] = cell(last, token)
            rows.append(chosen(last))
        rows = rows[share.num_tokens - share.num_drafts - 1 :]
        drafts, accepted = share.token_ids[share.num_tokens - share.num_drafts :], 0
        while accepted < len(drafts) and drafts[accepted] == rows[accepted]:
            accepted += 1
        self.seen["drafts accepted"] += accepted
        self.seen["drafts rejected"] += len(drafts) - accepted
        return written, rows[: accepted + 1]

    def _continuation(self, request, count):
        """How a text goes on."""
        last, tokens = cells_of(request.token_ids)[-1], []
        for _ in range(count):
            tokens.append(chosen(last))
            last = cell(last, tokens[-1])
        return tokens

    def _count(self, output):
        self.seen["preempted"] += len(output.preempted)
        self.seen["copied"] += len(output.copies)
        self.seen["padding"] += output.num_padding_tokens
        for share in output.shares:
            self.seen["cut"] += not share.samples
            if share.request.request_id in output.admitted:
                self.seen["found"] += share.start > 0
                self.seen["resumed"] += share.request.num_preemptions > 0
