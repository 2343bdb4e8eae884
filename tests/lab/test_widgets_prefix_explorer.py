"""The prefix explorer: both structures find what the definition finds, and what it shows is what the caches hold."""

import pytest

from minillm.cache.prefix import PrefixCache
from minillm.cache.radix import RadixCache
from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.shared_prompts import PROMPTS
from minillm.lab.widgets.prefix_sharing import BLOCK_SIZES, SLOTS, explore_prefixes
from minillm.lab.widgets.prefix_story import Run, play, rows_of


def known_tokens(prompts, size):
    """For each prompt, the tokens in whole blocks that some earlier prompt began with, one token at least left over."""
    beginnings, known = set(), []
    for ids in prompts:
        stops = range(size, len(ids) + 1, size)
        known.append(max((n for n in stops if n < len(ids) and tuple(ids[:n]) in beginnings), default=0))
        beginnings |= {tuple(ids[:n]) for n in stops}
    return known


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_with_room_enough_both_find_what_the_definition_finds(block_size):
    data = explore_prefixes(block_size).data(arrived=len(PROMPTS))
    assert list(data.found) == known_tokens(data.prompts, block_size)
    assert [frame.found for frame in data.chain] == [frame.found for frame in data.tree]
    assert not any(frame.lost for frame in data.chain)


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("block_size", [4, 16])
def test_a_small_memory_never_finds_more_and_never_another_text(slots, block_size):
    data = explore_prefixes(block_size, slots=slots).data(arrived=len(PROMPTS))
    assert all(found <= most for found, most in zip(data.found, known_tokens(data.prompts, block_size), strict=True))
    for frames in (data.chain, data.tree):
        holds = {}
        for ids, frame in zip(data.prompts, frames, strict=True):
            for i, block in enumerate(frame.found):
                assert holds[block] == ids[: (i + 1) * block_size]
            assert not set(frame.lost) & set(frame.found)
            for i, block in enumerate(frame.found + frame.taken):
                holds[block] = ids[: (i + 1) * block_size]


def test_runs_spell_the_texts_that_are_kept():
    data = explore_prefixes(8).data(arrived=len(PROMPTS))
    for frame in data.now:
        texts = []
        for run in frame.runs:
            before = () if run.parent is None else texts[run.parent]
            assert len(before) == run.start and len(run.tokens) == 8 * len(run.block_ids)
            texts.append(before + run.tokens)
        kept = {text[:n] for text in texts for n in range(8, len(text) + 1, 8)}
        assert kept == {ids[:n] for ids in data.prompts for n in range(8, len(ids) + 1, 8)}
    chain, tree = data.now
    assert len(chain.runs) == sum(len(run.block_ids) for run in tree.runs) and len(tree.runs) < len(chain.runs)


def test_a_dropped_text_leaves_both_drawings():
    one, other = tuple(range(16)), tuple(range(100, 116))
    for kind in (PrefixCache, RadixCache):
        frames = play(kind, [one, other], 16, 4)
        assert frames[1].lost == (3, 2, 1, 0)
        assert {run.tokens[0] for run in frames[1].runs} <= set(other)


def test_first_children_go_on_in_their_parents_row():
    runs = [Run(parent, 0, (), ()) for parent in (None, 0, 1, 0, 3, None)]
    assert rows_of(runs) == [0, 0, 0, 1, 1, 2]
    assert rows_of([]) == []


def test_the_default_view_in_words():
    text = explore_prefixes().text().splitlines()
    assert text[0] == "prompt 5 of 8, Ann goes on; blocks of 16, 1024 slots"
    assert text[6].split() == ["Ann", "goes", "on", "221", "176", "45"]
    assert text[7].split() == ["all", "so", "far", "842", "464", "378"]
    assert "  found 55% of all tokens so far" in text
    assert text[-6].startswith('    blocks 0-7: """Helpers for records')
    assert [len(line) - len(line.lstrip()) for line in text[-6:]] == [4, 6, 8, 8, 6, 4]


def test_what_was_forgotten_is_said():
    assert "to make room, blocks 15 11 were forgotten" in explore_prefixes(slots=256).text(arrived=8)
    assert "forgotten" not in explore_prefixes().text(arrived=8)


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.prefix_explorer()
    for name, value in {"arrived": 7, "block_size": 64, "slots": 256}.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name
        assert getattr(panel.data, name) == value


@pytest.mark.parametrize("state", [{"arrived": 1}, {"block_size": 4, "arrived": 8}, {"block_size": 64, "arrived": 1}])
def test_the_extremes_draw(state):
    assert explore_prefixes().still(**state).png


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"block_size": 12}, "block_size must be one of 4, 8, 16, 32, 64; got 12"),
        ({"slots": 100}, "slots must be one of 256, 320, 1024; got 100"),
        ({"slots": True}, "slots must be one of"),
    ],
)
def test_bad_arguments_are_refused(asked, message):
    with pytest.raises(InvalidValue, match=message):
        widgets.prefix_explorer(**asked)
