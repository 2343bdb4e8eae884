"""What must hold in every step of a scheduler, rule by rule: after `schedule`, and after `update`.

Each rule takes the world (see `schedule_world`), what it looked like before, and the step; it asks the tables and the pool,
and nothing else that is under test.
"""

from collections import Counter
from hashlib import sha256

AFTER_SCHEDULE, AFTER_UPDATE = {}, {}


def after_schedule(rule):
    """Register a rule (world, before, output)."""
    AFTER_SCHEDULE[rule.__name__] = rule
    return rule


def after_update(rule):
    """Register a rule (world, output, sampled, finished, tables)."""
    AFTER_UPDATE[rule.__name__] = rule
    return rule


def shares_by_id(output):
    return {share.request.request_id: share for share in output.shares}


def key(world, request):
    return (request.priority if world.config.order == "priority" else 0, request.arrival)


def blocks_for(world, tokens):
    return -(-tokens // world.pool.block_size)


def waits_for_parent(world, request):
    """Whether a child is set aside: its parent is here, goes before it, and its prompt is not computed."""
    parent = request.parent
    if parent is None or parent.is_finished or world.config.policy == "static":
        return False
    return parent.num_computed_tokens < parent.num_prompt_tokens and key(world, parent) < key(world, request)


def line(world):
    """Who waits and could be let in, in order."""
    requests = [
        r for r in world.scheduler.requests.values() if r.status == "waiting" and not waits_for_parent(world, r)
    ]
    return sorted(requests, key=lambda r: key(world, r))


def require_conservation(world):
    tables = [r.table.block_ids for r in world.scheduler.requests.values() if r.table is not None]
    world.pool.check(tables)
    assert world.pool.num_free + world.pool.num_used == world.pool.num_blocks
    held = {block for blocks in tables for block in blocks}
    assert world.pool.num_used == len(held), "a block is in use, and in no table"


def require_lists(world):
    """Every live request is in exactly one place, and says so."""
    scheduler = world.scheduler
    for request in scheduler.requests.values():
        running = sum(other is request for other in scheduler.running)
        assert running == (request.status == "running") == (request.table is not None), (
            f"{request} is in the wrong place"
        )
    assert scheduler.num_running == len(scheduler.running)
    assert scheduler.num_running + scheduler.num_waiting == len(scheduler.requests), "the lists don't add up"
    assert scheduler.running == sorted(scheduler.running, key=lambda r: key(world, r)), "the running are out of order"


@after_schedule
def the_budget_holds(world, before, output):
    assert output.num_tokens == sum(share.num_tokens for share in output.shares)
    assert output.num_tokens <= world.config.max_num_batched_tokens, "more tokens than a step may have"
    assert all(share.num_tokens >= 1 for share in output.shares), "an empty share"
    assert len(shares_by_id(output)) == len(output.shares), "two shares of one request"


@after_schedule
def the_seats_are_enough(world, before, output):
    assert len(world.scheduler.running) <= world.config.max_num_seqs, "more texts than may run"


@after_schedule
def every_block_has_its_references(world, before, output):
    require_conservation(world)
    require_lists(world)


@after_schedule
def tables_have_the_right_shape(world, before, output):
    shares = shares_by_id(output)
    for request in world.scheduler.running:
        share = shares.get(request.request_id)
        length = request.num_computed_tokens + (share.num_tokens if share else 0)
        assert request.table.length == length, f"{request} has a table of {request.table.length}, not {length}"
        assert len(request.table.block_ids) == blocks_for(world, length), "too many blocks, or too few"
        assert request.num_computed_tokens < request.num_tokens, "a hit left nothing to compute"


@after_schedule
def shares_say_what_they_do(world, before, output):
    for share in output.shares:
        request, known = share.request, share.num_tokens - share.num_drafts
        assert request.status == "running", f"{request} is served and does not run"
        assert share.start == request.num_computed_tokens and share.num_drafts >= 0 < known
        assert share.samples == (share.start + known == request.num_tokens), (
            "a share samples at the end of what is known"
        )
        assert share.start + known <= request.num_tokens, "more is computed than is known"
        assert share.samples or not share.num_drafts, "drafts before the end"
        assert len(request.draft_token_ids) == share.num_drafts, "drafts are kept that are not verified"
        assert share.token_ids == (request.token_ids + request.draft_token_ids)[share.start :][: share.num_tokens]
        most = request.max_tokens - request.num_output_tokens - 1
        assert share.num_drafts <= most, "more drafts than may still be written"


@after_schedule
def nobody_writes_where_another_reads(world, before, output):
    """A written block has one reference and no key, and no slot is written twice."""
    slots = []
    for share in output.shares:
        written = share.request.table.slots(share.start, share.start + share.num_tokens)
        slots += written
        for block in {slot // world.pool.block_size for slot in written}:
            assert world.pool.ref_count(block) == 1, f"block {block} is written and shared"
            assert world.pool.key_of(block) is None, f"block {block} is written and can be found"
    assert len(set(slots)) == len(slots), "two shares write one slot"


@after_schedule
def shared_blocks_hold_the_same_text(world, before, output):
    size, seen = world.pool.block_size, {}
    for request in world.scheduler.running:
        tokens = (request.token_ids + request.draft_token_ids)[: request.table.length]
        for i, block in enumerate(request.table.block_ids):
            text = tokens[: (i + 1) * size]
            at, other = seen.setdefault(block, (i, text))
            assert at == i and (text == other[: len(text)] or other == text[: len(other)]), (
                f"block {block} holds two texts"
            )


@after_schedule
def copies_go_to_those_who_are_served(world, before, output):
    targets, sources = [target for _, target in output.copies], {source for source, _ in output.copies}
    assert len(set(targets)) == len(targets) and not sources & set(targets), "copies get in each other's way"
    served = Counter(block for share in output.shares for block in share.request.table.block_ids)
    assert all(served[target] == 1 for target in targets), "a copy is made for nobody who is served"


@after_schedule
def what_is_written_is_never_lost(world, before, output):
    for name, tokens in before.tokens.items():
        assert world.requests[name].token_ids == tokens, "scheduling changed a text"
    for name in output.preempted:
        request = world.requests[name]
        assert request.num_computed_tokens == 0 and request.table is None and not request.draft_token_ids
        assert request.status == "waiting" and name in world.scheduler.requests


@after_schedule
def something_is_computed(world, before, output):
    assert output.shares, "there is work, and nothing is computed"


@after_schedule
def the_first_is_never_preempted(world, before, output):
    if before.running:
        first = min(before.running, key=lambda r: key(world, r))
        assert first.request_id not in output.preempted, f"{first} is the first of all, and was preempted"
    assert world.config.memory != "reserve" or not output.preempted, "blocks were reserved, and ran out"


@after_schedule
def the_last_are_preempted(world, before, output):
    """Victims are the newest that run; splitfuse serves decodes first, and takes the newest of those not served."""
    assert len(set(output.preempted)) == len(output.preempted)
    assert not set(output.preempted) & set(shares_by_id(output)), "a victim was served in the same step"
    victims = [key(world, world.requests[name]) for name in output.preempted]
    assert victims == sorted(victims, reverse=True), "an older text lost its blocks before a newer one"
    stayed = [r for r in before.running if r.request_id not in output.preempted]
    if world.config.policy == "splitfuse":
        stayed = [r for r in stayed if r.request_id not in shares_by_id(output)]
    if victims and stayed:
        assert max(key(world, r) for r in stayed) < min(victims), "an older text lost its blocks to a newer one"


@after_schedule
def whoever_came_first_is_let_in_first(world, before, output):
    admitted = [world.requests[name] for name in output.admitted]
    assert not (admitted and output.preempted), "a text was let in while another lost its blocks"
    keys = [key(world, r) for r in admitted]
    assert keys == sorted(keys), "let in out of order"
    # A child that waits for its parent's prompt is passed over, even if its parent was let in in this very step.
    passed = [r for r in line(world) if keys and key(world, r) < keys[-1]]
    assert not passed, f"{passed} were passed over"


@after_schedule
def everybody_who_runs_is_served(world, before, output):
    """No gap: whoever runs and keeps its blocks gets a token, in every step, whoever arrives."""
    served, policy = shares_by_id(output), world.config.policy
    left_out = [r for r in world.scheduler.running if r.request_id not in served]
    if policy in ("budget", "static"):
        assert not left_out, f"{left_out} run and get nothing"
    elif policy == "splitfuse":
        assert all(r.is_prefilling for r in left_out), f"a decode among {left_out} gets nothing"
    else:
        # A text that comes back and finds all it had is let in with one token to compute, in a step of prompts.
        prefills = [s.request.is_prefilling or s.request.request_id in output.admitted for s in output.shares]
        assert all(prefills) or not any(prefills), "prompts and decodes in one step"
        assert not left_out or all(prefills), "a decode was left out for another"


@after_schedule
def prompts_are_cut_only_where_they_may_be(world, before, output):
    config = world.config
    for share in output.shares:
        known = share.num_tokens - share.num_drafts
        if config.policy not in ("budget", "splitfuse") or not config.enable_chunked_prefill:
            back = share.request.num_preemptions and share.request.num_tokens > config.max_num_batched_tokens
            assert share.samples or back, "a prompt was cut that must not be"
        elif config.long_prefill_token_threshold is not None:
            assert known <= config.long_prefill_token_threshold, "more of one prompt than may be in a step"


@after_schedule
def no_token_is_left_while_a_prompt_waits(world, before, output):
    """A step is full when somebody could have used the rest."""
    config, left = world.config, world.config.max_num_batched_tokens - output.num_tokens
    if output.preempted or not left or config.policy == "static":
        return
    cut = [share for share in output.shares if not share.samples]
    threshold = config.long_prefill_token_threshold
    skipped = [r for r in world.scheduler.running if r.request_id not in shares_by_id(output)]
    if not skipped and (threshold is None or not config.enable_chunked_prefill):
        assert not cut, f"{left} tokens are left, and a prompt was cut"
    waiting = line(world)
    seats = min(config.max_num_seqs, config.max_num_batched_tokens) - len(world.scheduler.running)
    if not waiting or seats <= 0 or (skipped and config.policy != "prefill_first"):
        return
    head = waiting[0]
    owed = sum(blocks_for(world, s.request.num_tokens) - len(s.request.table.block_ids) for s in cut)
    whole = config.policy in ("budget", "splitfuse") and config.enable_chunked_prefill
    fits_step = whole or head.num_tokens <= left
    fits_pool = blocks_for(world, head.num_tokens) + 1 + owed <= world.pool.num_free
    promised = sum(blocks_for(world, r.most_tokens) for r in [*world.scheduler.running, head])
    if config.memory == "reserve":
        fits_pool = promised <= world.pool.num_blocks
    assert not (fits_step and fits_pool), f"{left} tokens are left and {head} was not let in"


@after_schedule
def a_cut_prompt_is_promised_its_blocks(world, before, output):
    """Splitfuse lets a prompt in only when all of it fits beside what the others, cut in this step, still need."""
    if world.config.policy == "splitfuse" and output.admitted:
        cut = [s.request for s in output.shares if not s.samples]
        owed = sum(blocks_for(world, r.num_tokens) - len(r.table.block_ids) for r in cut)
        assert owed <= world.pool.num_free, "a prompt was let in whose blocks are not there"


@after_schedule
def what_is_reserved_fits(world, before, output):
    if world.config.memory == "reserve":
        promised = sum(blocks_for(world, r.most_tokens) for r in world.scheduler.running)
        assert promised <= world.pool.num_blocks, "more was promised than there is"


@after_schedule
def a_static_batch_is_closed(world, before, output):
    if world.config.policy != "static":
        assert output.num_padding_tokens == 0
        return
    assert not (output.admitted and before.running), "a text was let into a batch that runs"
    rows = len(world.scheduler.running) if output.admitted else before.num_rows
    longest = max(share.num_tokens for share in output.shares)
    assert output.num_padding_tokens == rows * longest - output.num_tokens >= 0, "rows are not padded to the longest"


@after_update
def a_step_is_all_accounted_for(world, output, sampled, finished, tables):
    require_conservation(world)
    require_lists(world)
    if world.steps % 4 == 0:
        world.scheduler.check()
    for request in world.scheduler.running:
        assert request.table.length == request.num_computed_tokens, "a table holds more than is computed"
        assert request.num_computed_tokens < request.num_tokens and not request.is_finished
    for request in finished:
        assert request.is_finished and request.table is None and request.request_id not in world.scheduler.requests


@after_update
def what_was_computed_counts(world, output, sampled, finished, tables):
    for share in output.shares:
        request = share.request
        if not request.is_finished:
            new = len(sampled[request.request_id]) - 1 if share.samples else 0
            known = share.num_tokens - share.num_drafts
            assert request.num_computed_tokens == share.start + known + new, "computed tokens are miscounted"
            assert not request.draft_token_ids, "drafts outlive their step"


@after_update
def every_text_is_right_so_far(world, output, sampled, finished, tables):
    for share in output.shares:
        world.require_right(share.request)


@after_update
def whoever_has_written_enough_has_ended(world, output, sampled, finished, tables):
    by_token = {s.request.request_id for s in output.shares if s.request.is_finished} - set(world.reasons)
    assert {r.request_id for r in finished} == by_token, "another list of the finished"
    for request in world.scheduler.running:
        written = request.output_token_ids
        assert len(written) < request.max_tokens
        assert not any(t in request.stop_token_ids for t in written[max(0, request.min_tokens - 1) :])


def digests(world, request):
    """What each full block of a text is known by, hashed alone."""
    parent = sha256(b"" if request.salt is None else b"salt" + request.salt.encode()).digest()
    size, tokens, names = world.pool.block_size, request.token_ids, []
    for start in range(0, len(tokens) - size + 1, size):
        packed = b"".join(t.to_bytes(8, "little") for t in tokens[start : start + size])
        parent = sha256(parent + packed).digest()
        names.append(parent)
    return names


@after_update
def only_what_is_certain_can_be_found(world, output, sampled, finished, tables):
    """A new key belongs to a full block of tokens that this step computed and confirmed."""
    if not world.keys_are_digests:
        return
    keys = world.pool.snapshot().keys
    new = {block: name for block, name in keys.items() if world.known_keys.get(block) != name}
    certain = {}
    for share in output.shares:
        request = share.request
        if (blocks := tables.get(request.request_id)) is not None:
            full = (request.num_tokens - 1) // world.pool.block_size if share.samples else None
            full = (share.start + share.num_tokens) // world.pool.block_size if full is None else full
            certain |= dict(zip(blocks[:full], digests(world, request), strict=False))
    assert new.items() <= certain.items(), (
        f"blocks {sorted(new.items() - certain.items())} can be found for what they don't hold"
    )
    world.known_keys = keys


@after_update
def what_was_computed_can_be_found(world, output, sampled, finished, tables):
    if world.prefix is None or not world.config.enable_prefix_caching:
        assert not world.pool.snapshot().keys, "blocks are kept that nobody looks for"
        return
    size = world.pool.block_size
    for share in output.shares if world.keys_are_digests else ():
        request = share.request
        if not request.is_finished:
            first, full = share.start // size, request.num_computed_tokens // size
            for name in digests(world, request)[first:full]:
                assert world.pool.find(name) is not None, f"{request} filled a block, and it can't be found"
