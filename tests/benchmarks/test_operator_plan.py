"""The plan is data: it covers what a GPU must be asked, names only what can be tried, and a quick run is part of a whole one."""

import pytest
from packed_attention import sequence_lengths
from plan import TOKENS, Case, cpu_plan, gpu_plan
from targets import TARGETS
from trial import OPERATORS

PLANS = [plan(quick) for plan in (gpu_plan, cpu_plan) for quick in (False, True)]


@pytest.mark.parametrize("plan", PLANS)
def test_every_case_can_be_tried_and_none_is_there_twice(plan):
    assert len({str(case) for case in plan}) == len(plan)
    for case in plan:
        assert case.operator in OPERATORS and len(set(case.contestants)) == len(case.contestants)
        assert {"triton", "torch"} <= {name.split()[0] for name in case.contestants}
        assert case.shape.get("H", case.shape.get("G", 1)) % case.shape.get("G", 1) == 0


@pytest.mark.parametrize(
    ("head_dim", "causal", "kv_heads"), [(d, c, g) for d in (64, 128, 256) for c in (True, False) for g in (32, 8)]
)
def test_the_forward_is_asked_at_every_width_length_and_sharing(head_dim, causal, kv_heads):
    cases = [c for c in gpu_plan() if c.operator == "attention" and c.causal == causal]
    found = [c for c in cases if (c.shape["D"], c.shape["H"], c.shape["G"]) == (head_dim, 32, kv_heads)]
    assert sorted(c.shape["L"] for c in found) == [512, 1024, 2048, 4096, 8192, 16384]
    assert all(c.shape["B"] * c.shape["L"] == TOKENS and c.shape["S"] == c.shape["L"] for c in found)
    assert all({"triton", "torch flash", "torch cudnn", "torch efficient"} <= set(c.contestants) for c in found)


def test_every_rung_and_every_rival_is_asked():
    asked = {(case.operator, name) for case in gpu_plan() for name in case.contestants}
    assert {("matmul", f"triton {rung}") for rung in ("naive", "grouped", "persistent")} <= asked
    assert {("attention", "torch flex"), ("softmax", "torch"), ("matmul", "torch")} <= asked
    assert {("attention_varlen", "torch varlen"), ("attention_backward", "torch flash")} <= asked
    assert any(case.shape == {"M": 8192, "N": 8192, "K": 8192} for case in gpu_plan())


def cases_of(operator, **options):
    return [case for case in gpu_plan() if case.operator == operator and case.options == options]


@pytest.mark.parametrize("heads", [32, 8, 1])
def test_decoding_is_asked_with_heads_shared_by_none_by_groups_and_by_all_by_two_kernels(heads):
    (case,) = (c for c in cases_of("flash_decode") if (c.shape["B"], c.shape["G"], c.shape["D"]) == (32, heads, 128))
    assert {"triton", "triton per head", "torch gqa", "torch rows"} <= set(case.contestants)


def test_one_text_is_asked_at_every_length_and_at_every_number_of_runs():
    lengths = {
        c.shape["S"]
        for c in (*cases_of("flash_decode"), *cases_of("flash_decode", sweep="splits"))
        if c.shape["B"] == 1
    }
    assert lengths >= {2**power for power in range(9, 18)}
    (case,) = (c for c in cases_of("flash_decode", sweep="splits") if c.shape["S"] == 32_768)
    assert {f"triton {2**power} splits" for power in range(8)} | {"triton", "torch gqa"} == set(case.contestants)


def test_pages_of_every_size_are_asked_beside_the_slab():
    for operator in ("paged_decode", "paged_prefill"):
        beside = [
            c for c in cases_of(operator) if "triton contiguous" in c.contestants and "torch varlen" in c.contestants
        ]
        assert {c.shape["P"] for c in beside} == {16, 64, 256}
    assert cases_of("paged_decode", cache="int8") and cases_of("paged_decode", lengths="uneven")


@pytest.mark.parametrize("quick", [False, True])
def test_every_target_is_in_the_plan(quick):
    for target in TARGETS:
        fits = [c for c in gpu_plan(quick) if c.operator == target.operator and c.options == target.options]
        fits = [c for c in fits if target.shape.items() <= c.shape.items()]
        assert len(fits) == 1 or (quick and not fits), target
        wanted = {"triton", target.measure} - {"of copy", "bytes/s", "torch"}
        assert all(wanted <= set(c.contestants) for c in fits)


def test_a_quick_run_is_part_of_a_whole_one():
    def parts(plan):
        return {(case.operator, tuple(case.shape.items()), case.dtype, tuple(case.options.items())) for case in plan}

    for plan in (gpu_plan, cpu_plan):
        assert parts(plan(quick=True)) < parts(plan())
    assert {case.operator for case in gpu_plan(quick=True)} == set(OPERATORS)


@pytest.mark.parametrize("lengths", ["equal", "uneven"])
def test_sequences_fill_the_tokens(lengths):
    found = sequence_lengths(Case("attention_varlen", {"B": 7, "T": 100}, "float32", (), {"lengths": lengths}))
    assert len(found) == 7 and sum(found) == 100 and min(found) >= 1
    assert (max(found) - min(found) <= 1) == (lengths == "equal")


def test_a_case_reads_as_a_line():
    case = Case("attention", {"B": 1, "D": 64}, "bfloat16", (), {"causal": True, "lengths": "equal"})
    assert str(case) == "attention B 1 D 64 bfloat16 causal equal"
    assert str(Case("attention", {"B": 1}, "bfloat16", (), {"causal": False})) == "attention B 1 bfloat16"
