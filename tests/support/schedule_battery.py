"""What a scheduler must get right, as named checks that take the classes under test; every number was worked out by hand.

Each check raises AssertionError when they are wrong. What random days show is in `schedule_days`.
"""

from schedule_days import POLICIES, live, run_machine
from schedule_world import World

from minillm.errors import InvalidType, InvalidValue

CHECKS = {}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def same(got, want):
    assert got == want, f"want {want}, got {got}"


def refused(call, kind=InvalidValue, says=""):
    """The call must raise one of our errors, which says this."""
    try:
        call()
    except kind as error:
        assert says in str(error), f"{error} does not say {says!r}"
        return
    raise AssertionError("a wrong call was accepted")


def shares(output):
    return [(s.request.request_id, s.start, s.num_tokens) for s in output.shares]


def roomy(house, **options):
    """Blocks for everybody."""
    return World(house, **dict(num_blocks=200, block_size=4, max_num_batched_tokens=64) | options)


# Who is served.


@check
def a_long_prompt_is_cut_to_the_budget(house):
    world = roomy(house, max_num_batched_tokens=4)
    request = world.add([0] * 10, max_tokens=3)
    steps = [world.step() for _ in range(5)]
    same([(s.start, s.num_tokens, s.samples) for step in steps for s in step.shares],
         [(0, 4, False), (4, 4, False), (8, 2, True), (10, 1, True), (11, 1, True)])  # fmt: skip
    same((request.finish_reason, request.num_output_tokens), ("length", 3))
    world.close()


@check
def who_runs_goes_first_and_leaves_a_token_for_each_behind(house):
    """A long prompt that goes before a text that is written already does not hold it up."""
    world = roomy(house, max_num_batched_tokens=6, order="priority")
    world.add([1] * 3, max_tokens=9, priority=1)
    same(shares(world.step()), [("r0", 0, 3)])
    world.add([0] * 12, max_tokens=2, priority=0)
    same(shares(world.step()), [("r0", 3, 1), ("r1", 0, 5)])
    same(shares(world.step()), [("r1", 5, 5), ("r0", 4, 1)])
    same(shares(world.step()), [("r1", 10, 2), ("r0", 5, 1)])
    world.run().close()


@check
def one_arrival_a_step_does_not_hold_up_who_runs(house):
    for policy in ("budget", "splitfuse"):
        world = roomy(house, num_blocks=2000, max_num_batched_tokens=16, max_num_seqs=8, policy=policy)
        first = world.add([0, 1], max_tokens=150)
        for written in range(1, 151):
            world.step()
            same(first.num_output_tokens, written)
            world.add([len(world.requests) % 3] * 30, max_tokens=4)
        same(first.finish_reason, "length")


@check
def prompts_first_starves_who_runs(house):
    """What the policy is shown for: while prompts arrive and there are seats, nobody gets a second token."""
    world = roomy(house, num_blocks=2000, max_num_batched_tokens=256, max_num_seqs=150, policy="prefill_first")
    first = world.add([0, 1], max_tokens=3)
    for _ in range(150):
        world.step()
        same(first.num_output_tokens, 1)
        world.add([2] * 4, max_tokens=2)
    world.step()
    same(first.num_output_tokens, 2)  # the seats are taken, so at last somebody decodes
    same(world.scheduler.num_running, 150 - 149)


@check
def a_step_is_all_prompts_or_all_decodes(house):
    world = roomy(house, max_num_batched_tokens=10, policy="prefill_first")
    for prompt in ([0] * 6, [1] * 6, [2] * 4):
        world.add(prompt, max_tokens=2)
    same(shares(world.step()), [("r0", 0, 6)])
    same(shares(world.step()), [("r1", 0, 6), ("r2", 0, 4)])
    same(shares(world.step()), [("r0", 6, 1), ("r1", 6, 1), ("r2", 4, 1)])
    world.close()


@check
def splitfuse_serves_decodes_first_and_fills_the_step(house):
    world = roomy(house, max_num_batched_tokens=8, policy="splitfuse")
    world.add([0] * 11, max_tokens=9)
    world.add([1] * 4, max_tokens=4), world.add([2] * 9, max_tokens=2)
    same(shares(world.step()), [("r0", 0, 8)])
    same(shares(world.step()), [("r0", 8, 3), ("r1", 0, 4), ("r2", 0, 1)])
    same(shares(world.step()), [("r0", 11, 1), ("r1", 4, 1), ("r2", 1, 6)])
    same(shares(world.step()), [("r0", 12, 1), ("r1", 5, 1), ("r2", 7, 2)])
    world.run().close()


@check
def splitfuse_takes_a_prompt_only_if_all_of_it_fits(house):
    world = World(house, num_blocks=6, block_size=2, prefix=False, max_num_batched_tokens=4, policy="splitfuse")
    world.add([0] * 5, max_tokens=1), world.add([1] * 7, max_tokens=1)
    same(shares(world.step()), [("r0", 0, 4)])
    same(shares(world.step()), [("r0", 4, 1)])  # three blocks are free; r1 needs four
    same(shares(world.step()), [("r1", 0, 4)])
    world.run().close()


@check
def splitfuse_counts_what_cut_prompts_still_need(house):
    world = World(
        house, 7, 2, prefix=False, max_num_batched_tokens=8, policy="splitfuse", long_prefill_token_threshold=2
    )
    world.add([0] * 8, max_tokens=1), world.add([1] * 8, max_tokens=1)
    same(shares(world.step()), [("r0", 0, 2)])
    world.run().close()
    same(world.seen["preempted"], 0)


@check
def a_prompt_behind_whom_all_are_served_keeps_its_blocks(house):
    """Splitfuse served the newer text first; the older one's prompt lacks a block, and is left out of one step."""
    world = World(
        house, 4, 2, prefix=False, max_num_batched_tokens=8, policy="splitfuse", long_prefill_token_threshold=1
    )
    world.add([0] * 6, max_tokens=1)
    world.step()
    world.add([1], max_tokens=6)
    steps = [world.step() for _ in range(5)]
    same([shares(step) for step in steps[3:]], [[("r1", 3, 1)], [("r0", 4, 1)]])
    same([step.preempted for step in steps[3:]], [(), ("r1",)])
    world.run().close()


@check
def a_static_batch_waits_for_its_last(house):
    world = roomy(house, max_num_seqs=2, policy="static")
    for length, tokens in ((4, 1), (2, 3), (1, 1)):
        world.add([1] * length, max_tokens=tokens)
    steps = []
    while output := world.step():
        steps.append((shares(output), output.num_padding_tokens))
    same(steps, [
        ([("r0", 0, 4), ("r1", 0, 2)], 2), ([("r1", 2, 1)], 1), ([("r1", 3, 1)], 1), ([("r2", 0, 1)], 0),
    ])  # fmt: skip
    world.close()


@check
def a_prompt_may_be_held_to_a_share_of_the_step(house):
    world = roomy(house, max_num_batched_tokens=8, long_prefill_token_threshold=3)
    world.add([0] * 7, max_tokens=1), world.add([1] * 4, max_tokens=1)
    same(shares(world.step()), [("r0", 0, 3), ("r1", 0, 3)])
    same(shares(world.step()), [("r0", 3, 3), ("r1", 3, 1)])
    world.run().close()


@check
def an_uncut_prompt_waits_for_a_step_with_room(house):
    world = roomy(house, max_num_batched_tokens=8, enable_chunked_prefill=False)
    world.add([0] * 5, max_tokens=2), world.add([1] * 4, max_tokens=2), world.add([2], max_tokens=2)
    same(shares(world.step()), [("r0", 0, 5)])  # three tokens are left; r1 waits, and nobody overtakes it
    same(shares(world.step()), [("r0", 5, 1), ("r1", 0, 4), ("r2", 0, 1)])
    world.run().close()


@check
def who_does_not_fit_holds_up_the_line(house):
    world = World(house, num_blocks=4, block_size=2, max_num_batched_tokens=32)
    world.add([0] * 4, max_tokens=3), world.add([1] * 6, max_tokens=1), world.add([2], max_tokens=1)
    same(world.step().admitted, ("r0",))
    same((world.scheduler.num_running, world.scheduler.num_waiting), (1, 2))
    world.run().close()


@check
def no_more_run_than_there_are_seats(house):
    world = roomy(house, max_num_seqs=2)
    for _ in range(5):
        world.add([0], max_tokens=2)
    same([len(world.step().shares) for _ in range(6)], [2, 2, 2, 2, 1, 1])
    world.close()


@check
def lower_priority_numbers_go_first(house):
    world = roomy(house, max_num_seqs=1, order="priority")
    for priority in (5, -1, 5, 0):
        world.add([0], max_tokens=1, priority=priority)
    same([world.step().admitted[0] for _ in range(4)], ["r1", "r3", "r0", "r2"])
    world = roomy(house, max_num_seqs=1, order="fcfs")
    for priority in (5, -1):
        world.add([0], max_tokens=1, priority=priority)
    same([world.step().admitted[0] for _ in range(2)], ["r0", "r1"])


# Blocks.


def crowded(house, **options):
    """Two texts of one block each, which both need a second: the pool has three."""
    world = World(house, **dict(num_blocks=3, block_size=4, prefix=False, max_num_batched_tokens=32) | options)
    world.add([0] * 4, max_tokens=4), world.add([1] * 4, max_tokens=4)
    world.step()
    return world


@check
def the_newest_gives_its_blocks_back(house):
    world = crowded(house)
    output = world.step()
    same((shares(output), output.preempted, output.copies), ([("r0", 4, 1)], ("r1",), ()))
    request = world.requests["r1"]
    same((request.num_preemptions, request.num_output_tokens, request.num_computed_tokens), (1, 1, 0))
    world.run().close()
    same(world.seen["preempted"], 1)


@check
def who_was_preempted_goes_before_who_never_ran(house):
    world = crowded(house)
    world.add([2], max_tokens=1)
    same(world.step().preempted, ("r1",))
    admitted = []
    while output := world.step():
        admitted += output.admitted
    same(admitted, ["r1", "r2"])
    world.close()


@check
def nobody_is_let_in_while_somebody_loses_blocks(house):
    world = World(house, num_blocks=5, block_size=2, prefix=False, max_num_batched_tokens=32)
    world.add([0] * 2, max_tokens=5), world.add([1] * 4, max_tokens=2), world.add([2] * 4, max_tokens=1)
    same(world.step().admitted, ("r0", "r1", "r2"))
    world.add([0], max_tokens=1)
    output = world.step()
    same(bool(output.preempted and output.admitted), False)
    world.run().close()


@check
def a_pool_that_never_suffices_still_serves_all(house):
    """Three texts, each of which fills the pool: they end one after the other."""
    for policy in POLICIES:
        world = World(house, num_blocks=4, block_size=2, max_num_batched_tokens=8, policy=policy)
        for _ in range(3):
            world.add([0, 1], max_tokens=7)
        world.run(200).close()


@check
def a_text_that_outgrew_the_step_is_cut_when_it_comes_back(house):
    world = World(house, 4, 4, prefix=False, max_num_batched_tokens=6, enable_chunked_prefill=False)
    world.add([0] * 5, max_tokens=10), world.add([1] * 4, max_tokens=10)
    world.run(200).close()
    same(world.seen["preempted"] > 0 and world.seen["cut"] > 0, True)


@check
def what_is_reserved_is_never_taken_away(house):
    world = World(house, num_blocks=5, block_size=4, prefix=False, max_num_batched_tokens=32, memory="reserve")
    for _ in range(4):
        world.add([0] * 4, max_tokens=5)  # two blocks each in the end, one at first
    same(world.step().admitted, ("r0", "r1"))
    world.run().close()
    same(world.seen["preempted"], 0)


@check
def reserving_does_not_count_on_sharing(house):
    world = World(house, num_blocks=5, block_size=4, max_num_batched_tokens=64, memory="reserve")
    parent = world.add([0] * 8, max_tokens=2)
    world.add([0] * 8, max_tokens=2, parent=parent), world.add([0] * 8, max_tokens=2)
    same(world.step().admitted, ("r0",))
    world.run().close()


@check
def pinned_blocks_are_not_promised(house):
    world = World(house, num_blocks=4, block_size=2, max_num_batched_tokens=32)
    world.add([0] * 5, max_tokens=1)
    world.run()
    world.prefix.pin([0] * 4)
    refused(lambda: world.add([1] * 5, max_tokens=1), says="2 blocks")
    world.house.Scheduler.check(world.scheduler)


@check
def blocks_that_somebody_else_holds_are_an_error_not_a_standstill(house):
    world = World(house, num_blocks=4, block_size=2, max_num_batched_tokens=32)
    held = world.pool.allocate(3)
    request = world.add([1] * 4, max_tokens=1)
    refused(world.scheduler.schedule, says="1 free block")
    same((request.status, world.pool.num_free), ("waiting", 1))
    world.scheduler.check([held])
    world.pool.free(held)
    world.run()
    world.close()


@check
def a_token_is_put_in_place_only_where_nobody_else_reads(house):
    pool = house.BlockPool(8, 4)
    table = house.BlockTable(pool)
    same((table.append_in_place(1), table.append(2), table.append_in_place(1)), (False, [], True))
    other = table.fork()
    same((table.append_in_place(1), table.append(1)), (False, [(0, 1)]))
    same((table.append_in_place(1), table.append(1)), (False, []))  # the block is full
    same((table.append_in_place(4), table.append_in_place(3), table.length), (False, True, 8))
    pool.keep(other.block_ids[0], b"known")
    same((other.append_in_place(1), other.length, pool.key_of(0)), (False, 3, b"known"))
    pool.forget(0)
    same((other.append_in_place(1), other.length), (True, 4))


# Texts that find each other.


@check
def a_block_is_found_only_after_its_step(house):
    world = roomy(house)
    world.add([0] * 9, max_tokens=3), world.add([0] * 9, max_tokens=3)
    same(shares(world.step()), [("r0", 0, 9), ("r1", 0, 9)])
    late = world.add([0] * 9, max_tokens=3)
    same(shares(world.step())[-1], ("r2", 8, 1))
    same(late.num_cached_tokens, 8)
    world.run().close()


@check
def a_hit_leaves_a_token_to_compute(house):
    world = roomy(house)
    world.add([0] * 8, max_tokens=1)
    world.run()
    request = world.add([0] * 8, max_tokens=2)
    same(shares(world.step()), [("r1", 4, 4)])
    same(request.num_cached_tokens, 4)
    world.run().close()


@check
def a_step_that_failed_leaves_nothing_to_find(house):
    world = roomy(house)
    request = world.add([0] * 9, max_tokens=3)
    world.step(between=lambda _: world.finish(request, "error"))
    same(world.pool.snapshot().keys, {})
    world.add([0] * 9, max_tokens=3)
    same(shares(world.step()), [("r1", 0, 9)])
    world.run().close()


@check
def salts_keep_texts_apart(house):
    world = roomy(house)
    for salt in ("a", "b", None):
        world.add([0] * 9, max_tokens=1, salt=salt)
        same(shares(world.step())[0][1:], (0, 9))
    world.add([0] * 9, max_tokens=1, salt="b")
    same(shares(world.step())[0][1:], (8, 1))


@check
def without_prefix_caching_nothing_is_kept(house):
    world = roomy(house, enable_prefix_caching=False)
    for _ in range(2):
        world.add([0] * 9, max_tokens=2)
        same(world.step().shares[0].start, 0)
        world.run()
    same(world.pool.num_kept, 0)


@check
def who_comes_back_finds_what_it_wrote(house):
    world = World(house, num_blocks=6, block_size=2, max_num_batched_tokens=32)
    world.add([0, 1], max_tokens=9), world.add([1, 0], max_tokens=9)
    world.run()
    world.close()
    request = world.requests["r1"]
    same((request.num_preemptions > 0, request.num_cached_tokens, world.seen["found"] > 0), (True, 0, True))


@check
def samples_share_all_blocks_of_their_prompt(house):
    for prompt, copies in ((9, 0), (10, 2), (12, 2)):
        world = roomy(house, enable_prefix_caching=False)
        parent = world.add([0] * prompt, max_tokens=4)
        for _ in range(2):
            world.add([0] * prompt, max_tokens=4, parent=parent)
        same(shares(world.step()), [("r0", 0, prompt)])
        output = world.step()
        same(shares(output), [("r0", prompt, 1), ("r1", prompt - 1, 1), ("r2", prompt - 1, 1)])
        same(len(output.copies), copies)
        full = (prompt - 1) // 4
        same([r.table.block_ids[:full] for r in world.scheduler.running], [parent.table.block_ids[:full]] * 3)
        same(world.requests["r1"].num_cached_tokens, prompt - 1)
        world.run().close()


@check
def a_child_holds_up_nobody_while_it_waits_for_its_parent(house):
    world = roomy(house, max_num_batched_tokens=8)
    parent = world.add([0] * 12, max_tokens=2)
    world.add([0] * 12, max_tokens=2, parent=parent), world.add([1] * 3, max_tokens=2)
    same([world.step().admitted for _ in range(3)], [("r0",), ("r2",), ("r1",)])
    world.run().close()


@check
def an_orphan_is_served(house):
    """Its parent is aborted before its prompt is computed, half-way, and after; the child is set aside meanwhile."""
    for steps in (0, 1, 2, 3):
        world = roomy(house, long_prefill_token_threshold=5)
        parent = world.add([0] * 12, max_tokens=6)
        child = world.add([0] * 12, max_tokens=2, parent=parent)
        for _ in range(steps):
            world.step()
        if not child.is_finished:
            world.finish(parent)
        world.run(50).close()
        same(child.finish_reason, "length")


@check
def a_child_of_a_preempted_parent_is_served(house):
    world = World(house, num_blocks=6, block_size=2, prefix=False, max_num_batched_tokens=4)
    world.add([1] * 3, max_tokens=7)
    world.step()
    parent = world.add([0] * 8, max_tokens=2)
    child = world.add([0] * 8, max_tokens=2, parent=parent)
    world.run(60).close()
    same((parent.num_preemptions > 0, child.finish_reason), (True, "length"))


@check
def a_child_before_its_parent_does_not_wait(house):
    world = roomy(house, order="priority", max_num_seqs=1)
    parent = world.add([0] * 4, max_tokens=2, priority=1)
    world.add([0] * 4, max_tokens=2, priority=0, parent=parent)
    same(world.step().admitted, ("r1",))
    world.run().close()


@check
def a_child_can_be_aborted_while_it_waits(house):
    world = roomy(house, max_num_batched_tokens=4)
    parent = world.add([0] * 12, max_tokens=2)
    child = world.add([0] * 12, max_tokens=2, parent=parent)
    world.step()
    world.finish(child)
    same(world.scheduler.num_waiting, 0)
    world.run().close()


# Guesses.


def right(count):
    return lambda request, tokens: tokens[:count]


def wrong(count):
    return lambda request, tokens: [(t + 1) % 3 for t in tokens[:count]]


@check
def guesses_that_are_right_count(house):
    world = roomy(house)
    request = world.add([0] * 3, max_tokens=9)
    world.step(guess=right(3))
    same([(s.start, s.num_tokens, s.num_drafts, s.samples) for s in world.step().shares], [(3, 4, 3, True)])
    same((request.num_output_tokens, request.num_computed_tokens, request.draft_token_ids), (5, 7, []))
    world.run(guess=right(4)).close()


@check
def guesses_that_are_wrong_are_cut_off(house):
    world = roomy(house, block_size=2)
    request = world.add([0] * 3, max_tokens=9)
    world.step(guess=wrong(3))
    same(len(world.step(guess=wrong(3)).shares[0].request.table.block_ids), 2)
    same((request.num_output_tokens, request.num_computed_tokens, request.table.length), (2, 4, 4))
    world.run(guess=wrong(4)).close()
    same(world.seen["drafts accepted"], 0)


@check
def a_wrong_guess_is_never_found(house):
    """The second block would be full of guesses; what it is known for afterwards is what was written."""
    world = roomy(house, block_size=2)
    world.add([0] * 3, max_tokens=6)
    world.step(guess=wrong(3))
    world.step()
    same(len(world.pool.snapshot().keys), 2)
    world.run().close()


@check
def guesses_are_cut_to_the_budget(house):
    world = roomy(house, max_num_batched_tokens=6)
    world.add([0], max_tokens=9), world.add([1], max_tokens=9)
    world.step(guess=right(4))
    same([(s.num_tokens, s.num_drafts) for s in world.step().shares], [(5, 4), (1, 0)])
    world.run(guess=right(4)).close()


@check
def guesses_are_cut_to_what_may_still_be_written(house):
    world = roomy(house)
    request = world.add([0], max_tokens=4)
    world.step(guess=right(4))
    same([(s.num_tokens, s.num_drafts) for s in world.step().shares], [(3, 2)])
    same((request.num_output_tokens, request.finish_reason), (4, "length"))
    world.close()


@check
def a_guess_costs_nobody_a_block(house):
    world = World(house, num_blocks=3, block_size=4, prefix=False, max_num_batched_tokens=32)
    world.add([0] * 3, max_tokens=6), world.add([1] * 5, max_tokens=3)
    world.step(guess=right(4))
    output = world.step()
    same((output.preempted, [s.num_drafts for s in output.shares]), ((), [0, 1]))
    world.run(guess=right(4)).close()


@check
def a_stop_among_the_guesses_ends_the_text(house):
    from schedule_world import alone

    for prompt in ([0] * 3, [1] * 3, [2, 1], [0, 2, 1]):
        world = roomy(house)
        request = world.add(prompt, max_tokens=9, stop_token_ids=(0, 1))
        world.run(guess=right(4)).close()
        same((request.output_token_ids, request.finish_reason), alone(request))


# The end.


@check
def a_stop_token_ends_a_text_that_has_written_enough(house):
    world = roomy(house)
    ends = [world.add([0, 1, 2], max_tokens=8, min_tokens=n, stop_token_ids=(0, 1, 2)) for n in (0, 1, 3, 8)]
    world.run().close()
    same([(r.num_output_tokens, r.finish_reason) for r in ends], [(1, "stop"), (1, "stop"), (3, "stop"), (8, "stop")])


@check
def a_finished_request_is_gone(house):
    world = roomy(house)
    request = world.add([0], max_tokens=1)
    world.step()
    same((request.status, request.finish_reason, request.table), ("finished", "length", None))
    same((world.scheduler.has_unfinished, world.scheduler.requests), (False, {}))
    refused(lambda: world.scheduler.finish("r0", "abort"), says="r0")
    same(world.scheduler.schedule().shares, ())


@check
def aborts_at_any_moment(house):
    for moment in ("waiting", "before", "between", "late"):
        world = roomy(house)
        request, other = world.add([0] * 5, max_tokens=3), world.add([1] * 5, max_tokens=3)

        def leave(_, world=world, request=request):
            world.finish(request)

        if moment == "waiting":
            leave(None)
        world.step()
        if moment == "before":
            leave(None)
        world.step(**{moment: leave} if moment in ("between", "late") else {})
        world.run().close()
        same((request.finish_reason, other.finish_reason), ("abort", "length"))


@check
def those_who_left_the_line_are_forgotten(house):
    world = roomy(house, max_num_seqs=1)
    world.add([0], max_tokens=50)
    world.step()
    for _ in range(300):
        world.finish(world.add([1], max_tokens=1))
    same(world.scheduler.num_waiting, 0)
    same(len(world.scheduler.waiting._heap) < 40, True)
    world.add([1], max_tokens=1)
    world.run().close()


# What is refused.


@check
def what_can_never_be_served_is_refused(house):
    world = World(house, num_blocks=4, block_size=4, max_num_batched_tokens=8, max_model_len=14)
    refused(lambda: world.add([0] * 5, max_tokens=11), says="14 positions")
    world.add([0] * 5, max_tokens=10)
    world = World(house, num_blocks=4, block_size=4, max_num_batched_tokens=8)
    refused(lambda: world.add([0] * 5, max_tokens=13), says="4 blocks of 4")
    world.add([0] * 5, max_tokens=12)
    for options in (dict(enable_chunked_prefill=False), dict(policy="prefill_first"), dict(policy="static")):
        world = World(house, num_blocks=4, block_size=4, max_num_batched_tokens=8, **options)
        refused(lambda world=world: world.add([0] * 9, max_tokens=1), says="8 tokens")
        world.add([0] * 8, max_tokens=1)
        world.run().close()


@check
def a_full_queue_takes_nobody(house):
    world = roomy(house, max_num_waiting=2, max_num_seqs=1)
    parent = world.add([0], max_tokens=2)
    world.add([0], max_tokens=2, parent=parent)
    refused(lambda: world.add([0]), says="2 requests may wait")
    world.step()
    late = world.add([0], max_tokens=2)
    refused(lambda: world.add([0]))
    world.finish(late)
    world.add([0], name="again", max_tokens=2)
    world.run().close()


@check
def a_request_is_added_once(house):
    world = roomy(house)
    request = world.add([0], max_tokens=1)
    refused(lambda: world.scheduler.add(request), says="once")
    refused(lambda: world.scheduler.add(house.Request("r0", [1])), says="r0")
    refused(lambda: world.scheduler.add("r1"), InvalidType)
    world.run()
    refused(lambda: world.scheduler.add(request))
    world.add([1], name="r0", max_tokens=1)


@check
def steps_follow_each_other(house):
    world = roomy(house)
    world.add([0], max_tokens=3)
    output = world.scheduler.schedule()
    refused(world.scheduler.schedule, says="update")
    before = world.pool.snapshot()
    for sampled in ({}, {"r0": []}, {"r0": [1, 2]}, {"r0": [1.0]}, {"r0": [True]}, {"r0": [1], "r1": [1]}):
        refused(lambda sampled=sampled: world.scheduler.update(output, sampled))
    same((world.pool.snapshot(), world.requests["r0"].token_ids), (before, [0]))
    world.scheduler.update(output, {"r0": [1]})
    refused(lambda: world.scheduler.update(output, {"r0": [1]}), says="last")
    refused(lambda: world.scheduler.update(None, {}), says="last")
    output = world.scheduler.schedule()
    refused(lambda: world.scheduler.update(output, [1]), InvalidType)
    refused(lambda: world.scheduler.finish(["r0"], "abort"))


@check
def accepted_guesses_are_those_that_were_made(house):
    world = roomy(house)
    world.add([0], max_tokens=9)
    world.step(guess=lambda request, tokens: [1, 2])
    output = world.scheduler.schedule()
    refused(lambda: world.scheduler.update(output, {"r0": [2, 2]}), says="drafts")
    world.scheduler.update(output, {"r0": [1, 2, 0]})
    same(world.requests["r0"].output_token_ids[1:], [1, 2, 0])


# Everything at once.


@check
def random_days(house):
    for seed in range(40):
        live(seed, house)


@check
def random_days_without_room(house):
    for seed in range(40):
        live(seed, house, enable_prefix_caching=True, memory="optimistic", max_num_waiting=None, max_num_seqs=6)


@check
def drawn_days(house):
    """The first wrong day ends it, so plenty may be drawn: what hypothesis draws first hangs on the modules that are loaded."""
    run_machine(house, "budget", examples=60, shrink=False, enable_chunked_prefill=False)
    run_machine(house, examples=1500, shrink=False)
