"""Sibling models: the grouping, the numbers in the table, and the verdict that must not see a gap inside the noise."""

from minillm.lab.sibling_curves import NONE_YET, draw_siblings, group_siblings, sibling_table, sibling_verdict


def result(kind, heads, seed, bits, parameters=1000):
    curve = [{"tokens": 10**6 * n, "bits_per_byte": bits + 1 / n} for n in (1, 2, 3)]
    return {
        "kind": kind, "num_kv_heads": heads, "seed": seed, "parameters": parameters, "held_out_bits_per_byte": bits,
        "curve": curve, "num_heads": 8, "num_layers": 4, "head_dim": 16, "command": "train", "versions": {},
    }  # fmt: skip


RESULTS = [
    result("MQA", 1, 0, 1.50, 700), result("MHA", 8, 0, 1.40), result("MHA", 8, 1, 1.42), result("MQA", 1, 1, 1.54, 700),
    result("GQA", 2, 0, 1.41, 800), result("GQA", 2, 1, 1.45, 800),
]  # fmt: skip


def test_kinds_come_with_all_their_seeds_most_heads_first():
    kinds = group_siblings(RESULTS)
    assert [(k.kind, k.num_kv_heads, k.parameters, k.bits) for k in kinds] == [
        ("MHA", 8, 1000, (1.40, 1.42)),
        ("GQA", 2, 800, (1.41, 1.45)),
        ("MQA", 1, 700, (1.50, 1.54)),
    ]


def test_the_table_holds_bytes_and_spread():
    row = sibling_table(group_siblings(RESULTS)).splitlines()[2].split()
    assert row == ["GQA", "8", "2", "2", "800", str(2 * 4 * 2 * 16 * 2), "1.4300", "0.0400"]


def test_a_gap_inside_the_noise_is_no_difference():
    first, gqa, mqa = sibling_verdict(group_siblings(RESULTS)).splitlines()
    assert first.endswith("MHA")
    assert "+0.0200" in gqa and "no difference shown" in gqa
    assert "+0.1100" in mqa and "+7.80%" in mqa and "no seed of one" in mqa


def test_fewer_bits_is_a_gap_too():
    results = [result("MHA", 8, 0, 1.5), result("MQA", 1, 0, 1.4)]
    best, mqa = sibling_verdict(group_siblings(results)).splitlines()
    assert best.endswith("MQA") and "-0.1000" in mqa and "no seed of one" in mqa


def test_the_picture_says_its_numbers():
    picture = draw_siblings(group_siblings(RESULTS))
    assert (
        "MHA, G = 8: from 2.410 to 1.743; 2048 bytes a token; at the end 1.4000, 1.4200" in picture.text
        and picture.png.startswith(b"\x89PNG")
    )


def test_nothing_is_drawn_of_what_was_not_trained():
    assert group_siblings([]) == []
    assert sibling_table([]) == sibling_verdict([]) == NONE_YET
    assert NONE_YET in draw_siblings([]).text
