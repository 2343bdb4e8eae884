"""Who asked this already? Real prompts arrive one by one, and what is kept of them is drawn as a hash chain and as a tree.

Each prompt is a strip of blocks: those that were found, those that were computed, and an end that fills no block. Below
stand the two structures that found them, over the same axis of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from minillm.cache.prefix import PrefixCache
from minillm.cache.radix import RadixCache
from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.shared_prompts import PROMPTS
from minillm.lab.widgets.base import Explorer, Slider, State, Steps, Still, show
from minillm.lab.widgets.prefix_picture import draw_prefixes
from minillm.lab.widgets.prefix_story import Frame, Run, play

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel

BLOCK_SIZES = (4, 8, 16, 32, 64)
SLOTS = (256, 320, 1024)


@dataclass(frozen=True)
class PrefixDay:
    """The first `arrived` prompts, in blocks of `block_size`, with `slots` slots of memory: a frame each, in both caches."""

    block_size: int
    slots: int
    arrived: int
    prompts: tuple[tuple[int, ...], ...]
    chain: tuple[Frame, ...]
    tree: tuple[Frame, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Who asked what, of those that have arrived."""
        return tuple(prompt.name for prompt in PROMPTS[: self.arrived])

    @cached_property
    def found(self) -> tuple[int, ...]:
        """Tokens of each arrived prompt that need not be computed."""
        return tuple(len(frame.found) * self.block_size for frame in self.chain[: self.arrived])

    @property
    def read(self) -> tuple[int, ...]:
        """Tokens of each arrived prompt that the model has to be shown."""
        return tuple(len(ids) - found for ids, found in zip(self.prompts, self.found, strict=False))

    @property
    def now(self) -> tuple[Frame, Frame]:
        """What the last prompt met and left: in the chain, and in the tree."""
        return self.chain[self.arrived - 1], self.tree[self.arrived - 1]

    def text(self, run: Run) -> str:
        """The words of a kept run."""
        return _tokenizer().decode(list(run.tokens))


def prefix_explorer(block_size: int = 16, *, slots: int = 1024) -> Panel | Still:
    """Block size and slots of memory -> a widget: prompts as strips of blocks, the hash chain and the radix tree they leave.

    Raises InvalidValue for a block size that is not 4, 8, 16, 32 or 64, and for slots other than 256, 320 and 1024.
    Sources: vLLM's automatic prefix caching, SGLang's RadixAttention.
    """
    return show(explore_prefixes(block_size, slots=slots))


def explore_prefixes(block_size: int = 16, *, slots: int = 1024) -> Explorer[PrefixDay]:
    """The same without the controls: `.data(arrived=3)`, `.text(block_size=64)`, `.still(slots=256)`."""
    for name, value, known in (("block_size", block_size, BLOCK_SIZES), ("slots", slots, SLOTS)):
        if value not in known or isinstance(value, bool):
            rule = f"{name} must be one of {', '.join(map(str, known))}"
            raise InvalidValue(rule_numbers_remedy(rule, repr(value), f"try {known[len(known) // 2]}"))
    controls = (
        Slider("arrived", "Prompts arrived", "", 1, len(PROMPTS), 1, 5),
        Steps("block_size", "Block P", "tokens", BLOCK_SIZES, block_size),
        Steps("slots", "Memory", "slots", SLOTS, slots),
    )
    return Explorer("Prefix explorer", controls, _compute, draw_prefixes, describe_prefixes)


def describe_prefixes(data: PrefixDay) -> str:
    """Each prompt's tokens found and read, the names along the last one's chain, and the tree with its words."""
    chain, tree = data.now
    lines = [
        f"prompt {data.arrived} of {len(PROMPTS)}, {data.names[-1]}; blocks of {data.block_size}, {data.slots} slots"
    ]
    rows = [
        [name, str(len(ids)), str(found), str(len(ids) - found)]
        for name, ids, found in zip(data.names, data.prompts, data.found, strict=False)
    ]
    total, found = sum(map(len, data.prompts[: data.arrived])), sum(data.found)
    rows += [["all so far", str(total), str(found), str(total - found)]]
    lines += figures.text_table(["", "tokens", "found", "read"], rows)
    lines += [f"  found {found / total:.0%} of all tokens so far"]
    if chain.lost:
        lines += [f"  to make room, {_blocks(chain.lost)} {'was' if len(chain.lost) == 1 else 'were'} forgotten"]
    lines += [f"  hash chain: {len(chain.runs)} names; of this prompt {_names(data)}"]
    lines += [f"  radix tree: {len(tree.runs)} runs"]
    depths = list[int]()
    for run in tree.runs:
        depths.append(0 if run.parent is None else depths[run.parent] + 1)
        words = " ".join(data.text(run).split())[:44]
        lines.append(f"    {'  ' * depths[-1]}{_blocks(run.block_ids)}: {words} …")
    return "\n".join(lines)


def _compute(state: State) -> PrefixDay:
    size, slots = state["block_size"], state["slots"]
    prompts = _prompt_ids()
    chain, tree = (play(kind, prompts, slots, size) for kind in (PrefixCache, RadixCache))
    return PrefixDay(size, slots, state["arrived"], prompts, chain, tree)


@lru_cache(maxsize=1)
def _tokenizer():  # type: ignore[no-untyped-def]
    from minillm.model import load_tokenizer

    return load_tokenizer("tiny")


@lru_cache(maxsize=1)
def _prompt_ids() -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(_tokenizer().encode(prompt.text)) for prompt in PROMPTS)


def _blocks(blocks: tuple[int, ...]) -> str:
    """Block ids, neighbours joined: (0, 1, 2, 5) -> "blocks 0-2 5"."""
    runs = list[list[int]]()
    for block in blocks:
        if runs and block == runs[-1][-1] + 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    listed = " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"block{'s' * (len(blocks) > 1)} {listed}"


def _names(data: PrefixDay) -> str:
    """The digests along the last prompt, the first hexadecimal digits of each, at most eight of them."""
    frame = data.now[0]
    name_of = {run.block_ids[0]: run.name for run in frame.runs}
    names = [name_of[block] for block in frame.found + frame.taken if block in name_of]
    shown = names if len(names) <= 8 else [*names[:4], "…", *names[-3:]]
    return " ".join(shown) or "none"
