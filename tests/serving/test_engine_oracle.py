"""Whatever happens around it, a text is the one that is written alone and without an engine.

Random days: who comes when, how long, with how many samples, in blocks of which size, under which policy, in pools so small
that texts lose their memory, with what was computed for others found again, prompts cut up, drafts, forks and aborts. Freed
blocks are full of NaN, and every step checks the pool.
"""

from collections import Counter
from types import SimpleNamespace

from engine_days import judge, live, make_day
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minillm.serving.engine import LLMEngine

HOUSE = SimpleNamespace(LLMEngine=LLMEngine)


@st.composite
def days(draw):
    return make_day(lambda options: draw(st.sampled_from(options)))


def test_a_text_is_what_it_would_be_alone():
    seen = Counter()

    @given(days())
    @settings(max_examples=140, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def lived(day):
        seen.update(judge(day, live(HOUSE, day)).count(days=1))

    lived()
    # Were the pools too large or the prompts too short, the days would prove little.
    assert set(seen) == {"days", "preempted", "found", "aborted", "failed", "cut", "forked", "mixed", "accepted"}
    assert {name: count for name, count in seen.items() if count < 10} == {}
