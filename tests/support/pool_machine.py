"""Hypothesis draws the lives of texts over a pool; `pool_account` says what must follow from every step.

What it finds it makes short: a failing life is printed as the few calls that lead to it.
"""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pool_account import Account

TOKENS = st.lists(st.integers(0, 1), min_size=1, max_size=6)
WHICH = st.integers(0, 99)


def with_some(attribute):
    """The rule applies only when the account has texts, kept blocks or pins."""
    return precondition(lambda machine: getattr(machine.account, attribute))


def machine(parts):
    """The classes under test -> a state machine that lives with them."""

    class PoolMachine(RuleBasedStateMachine):
        account = None

        @initialize(num_blocks=st.integers(4, 20), block_size=st.integers(1, 4))
        def start(self, num_blocks, block_size):
            self.account = Account(parts, num_blocks, block_size)

        @rule(tokens=TOKENS, salt=st.sampled_from([None, None, "other"]))
        def arrive(self, tokens, salt):
            self.account.arrive(tokens, salt)

        @with_some("kept")
        @rule(tokens=TOKENS, old=WHICH, share=st.sampled_from([1.0, 1.0, 0.5]), salted=st.booleans())
        def arrive_again(self, tokens, old, share, salted):
            self.account.arrive_again(tokens, old, share, salted)

        @with_some("texts")
        @rule(which=WHICH, tokens=TOKENS)
        def append(self, which, tokens):
            self.account.append(which, tokens)

        @with_some("texts")
        @rule(which=WHICH)
        def fork(self, which):
            self.account.fork(which)

        @with_some("texts")
        @rule(which=WHICH, share=st.floats(0, 1))
        def truncate(self, which, share):
            self.account.truncate(which, share)

        @with_some("texts")
        @rule(which=WHICH, finished=st.booleans())
        def end(self, which, finished):
            self.account.end(which, finished)

        @with_some("texts")
        @rule(which=WHICH)
        def insert(self, which):
            self.account.insert(which)

        @with_some("texts")
        @rule(which=WHICH)
        def pin(self, which):
            self.account.pin(which)

        @with_some("pinned")
        @rule(which=WHICH)
        def unpin(self, which):
            self.account.unpin(which)

        @rule(count=st.integers(0, 21), stays=st.booleans())
        def press(self, count, stays):
            self.account.press(count, stays)

        @rule(which=WHICH, block=st.sampled_from([-1, 99, True, "0", None, 0.0]))
        def wrong_calls(self, which, block):
            self.account.wrong_calls(which, block)

        @invariant()
        def everything_is_in_order(self):
            if self.account:
                self.account.check()

        def teardown(self):
            if self.account:
                self.account.close()

    return PoolMachine


def run_machine(parts, examples=100, steps=30, shrink=True):
    """Let hypothesis draw lives of up to `steps` rules each, the same at every run; the first broken promise is raised."""
    options = settings(
        max_examples=examples,
        derandomize=True,
        stateful_step_count=steps,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no finding
    )
    run_state_machine_as_test(machine(parts), settings=options)
