"""What proposers promise, each as a check that takes their module and raises when it is broken.

The oracle of a draft model is the same model without a cache: for texts that grow by whatever the target writes, a proposal
is what the model, asked from the beginning, would write there.
"""

import random
from types import SimpleNamespace

import torch

from minillm.decoding import ngram_proposal, sample_token, uniform_noise
from minillm.decoding.sampling import Choice, choose_tokens
from minillm.errors import InvalidType, InvalidValue, MinillmError
from minillm.model import Decoder, ModelConfig, load_model
from minillm.model.initial import initialise
from minillm.serving.request import Request

V = 17


def small_model(positions=256):
    model = Decoder(ModelConfig(V, 16, 32, 2, 2, 1, 8, max_position_embeddings=positions, eos_token_ids=(0,)))
    initialise(model, seed=3)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data.normal_(std=0.5, generator=torch.Generator().manual_seed(weight.numel()))
    return model.double().requires_grad_(False)


MODEL = small_model()


def greedy(model, token_ids, k):
    """The model's own continuation, from the beginning every time."""
    text = list(token_ids)
    for _ in range(k):
        text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    return text[len(token_ids) :]


def proposer(drafts, num_blocks=64, **options):
    """A DraftModelProposer whose memory shows it when anybody reads what was given back."""
    made = drafts.DraftModelProposer(MODEL, num_blocks, block_size=4, **options)
    made.cache = MODEL.new_paged_cache(num_blocks, 4, check=True)
    return made


def said(made, *asked):
    """What it proposes; that it raises nothing is part of every promise."""
    try:
        return made.propose(*asked)
    except MinillmError as error:
        raise AssertionError(f"a proposer must not raise: {error}") from error


def request(name, rng, length, max_tokens=200):
    return Request(name, [rng.randrange(V) for _ in range(length)], max_tokens=max_tokens)


def write(rng, one, proposal):
    """What a target might do: keep some of the drafts, then say something of its own."""
    kept = rng.randrange(len(proposal) + 1) if rng.random() < 0.7 else len(proposal)
    one.token_ids += [*proposal[:kept], rng.randrange(V)]
    if rng.random() < 0.3:
        one.token_ids += proposal[kept + 1 :]  # what was guessed comes true, behind another token


def proposals_are_the_models_own_whatever_is_kept(drafts):
    rng = random.Random(0)
    made, live = proposer(drafts), [request(f"r{i}", rng, 1 + 5 * i) for i in range(3)]
    for step in range(25):
        if step == 5:
            live.append(request("late", rng, 9))
        if step == 9:
            made.forget(live.pop(0))
        asked = [one for one in live if rng.random() < 0.8]
        for one, proposal in zip(asked, said(made, asked, k := rng.randrange(1, 5)), strict=True):
            assert proposal == greedy(MODEL, one.token_ids, k), (step, one)
            write(rng, one, proposal)
        for one in live:
            if rng.random() < 0.3:  # the engine may go on without asking
                one.token_ids += [rng.randrange(V) for _ in range(rng.randrange(1, 4))]
    for one in live:
        made.forget(one)
    assert made.cache.pool.num_free == made.cache.pool.num_blocks
    made.cache.pool.check([])


def a_text_read_along_is_read_once(drafts):
    """All drafts kept: the next first pass reads the last draft and the token behind it, and nothing again."""
    made, one, sizes = proposer(drafts), request("a", random.Random(1), 11), []
    step = made._loop.step
    made._loop = SimpleNamespace(step=lambda ids, batch: sizes.append(len(ids)) or step(ids, batch))
    for _ in range(3):
        [proposal] = said(made, [one], 3)
        one.token_ids += [*proposal, 5]
    assert sizes == [11, 1, 1, 2, 1, 1, 2, 1, 1]


def without_blocks_nothing_is_proposed_and_nothing_breaks(drafts):
    rng, silent, spoke = random.Random(2), 0, 0
    made = proposer(drafts, num_blocks=9)
    live = [request(f"r{i}", rng, 3 + 4 * i, max_tokens=30) for i in range(4)]
    for _ in range(25):
        for one, proposal in zip(live, said(made, live, 4), strict=True):
            assert proposal in ([], greedy(MODEL, one.token_ids, min(4, drafts.useful_drafts(one))))
            if drafts.useful_drafts(one) > 0:
                silent, spoke = silent + (not proposal), spoke + bool(proposal)
                one.token_ids += [*proposal[:1], rng.randrange(V)][: drafts.useful_drafts(one)]
        made.cache.pool.check([r.table.block_ids for r in made._readers.values()])
    assert silent and spoke
    for one in live:
        made.forget(one)
    assert made.cache.pool.num_free == 9


def long_prompts_are_read_in_pieces(drafts):
    rng = random.Random(3)
    made, sizes = proposer(drafts, max_num_batched_tokens=10), []
    step = made._loop.step
    made._loop = SimpleNamespace(step=lambda ids, batch: sizes.append(len(ids)) or step(ids, batch))
    long, short = request("long", rng, 25), request("short", rng, 4)
    spoken = []
    for _ in range(4):
        proposals = said(made, [long, short], 2)
        spoken.append([bool(p) for p in proposals])
        for one, proposal in zip((long, short), proposals, strict=True):
            assert proposal in ([], greedy(MODEL, one.token_ids, 2))
        short.token_ids.append(rng.randrange(V))
    assert max(sizes) == 10
    assert spoken == [[False, True]] * 3 + [[True, True]] or spoken == [[False, True]] * 2 + [[True, True]] * 2, spoken


def no_more_is_proposed_than_can_be_kept(drafts):
    rng = random.Random(4)
    one = Request("a", [rng.randrange(3) for _ in range(8)], max_tokens=6)
    for made in (proposer(drafts), drafts.NgramProposer(4, 1)):
        assert len(said(made, [one], 4)[0]) == 4
    one.token_ids += [0, 1, 0]
    for made in (proposer(drafts), drafts.NgramProposer(4, 1)):
        assert len(said(made, [one], 4)[0]) == 2  # a third would be the last token, which the target writes itself
        assert said(made, [one], 0) == [[]]
    one.finish_reason = "stop"
    for made in (proposer(drafts), drafts.NgramProposer(4, 1)):
        assert said(made, [one], 4) == [[]]


def a_draft_that_sees_less_far_is_silent_there(drafts):
    rng, made = random.Random(5), drafts.DraftModelProposer(small_model(12), 8, block_size=4)
    one = request("a", rng, 10)
    assert len(said(made, [one], 4)[0]) == 3
    one.token_ids.append(1)
    assert len(said(made, [one], 4)[0]) == 2
    one.token_ids += [1, 2, 3]
    assert said(made, [one], 4) == [[]]


def params(**other):
    plain = dict(temperature=1.0, top_k=None, top_p=1.0, min_p=0.0)
    return SimpleNamespace(**plain | dict(repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0) | other)


def noisy(one, guessed):
    return Choice(params(), uniform_noise(7, 0, one.num_output_tokens + len(guessed)))


def guesses_are_drawn_with_the_noise_of_their_place(drafts):
    rng, made = random.Random(6), proposer(drafts, blur=0)
    live = [request("a", rng, 5), request("b", rng, 9)]
    for _ in range(4):
        for one, proposal in zip(live, said(made, live, 3, noisy), strict=True):
            text, want = list(one.token_ids), []
            for i in range(3):
                noise = uniform_noise(7, 0, one.num_output_tokens + i)
                want.append(sample_token(MODEL(torch.tensor([text + want]))[0, -1], 1.0, None, 1.0, noise))
            assert proposal == want
            write(rng, one, proposal)


def each_row_is_guessed_by_its_own_rule(drafts):
    logits = torch.randn(6, V, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    options = [
        params(),
        params(temperature=0),
        params(top_k=2),
        params(presence_penalty=2.0),
        params(top_k=1),
        params(),
    ]
    choices = [Choice(p, 0.1 + 0.15 * row, (1, 2), (3, 4)) for row, p in enumerate(options)]
    logits[2] = torch.tensor([0.0] * 3 + [0.2, 0.0, 0.1] + [0.0] * 11)
    choices[2] = choices[2]._replace(noise=0.5)
    choices[5] = choices[5]._replace(banned=set(range(V)) - {9})
    together = drafts.guesses(logits, choices, 0.15)
    assert together == [drafts.guesses(logits[i : i + 1], choices[i : i + 1], 0.15)[0] for i in range(6)]
    exact = choose_tokens(logits, choices)
    assert [together[row] for row in (1, 3, 4, 5)] == [exact[row] for row in (1, 3, 4, 5)] and together[5] == 9
    assert together[2] in logits[2].topk(2).indices
    assert drafts.guesses(logits, choices, 0.0) == exact
    for row in (0, 2):
        assert drafts.guesses(logits[row : row + 1], choices[row : row + 1], 1e-4)[0] == exact[row]
        assert drafts.guesses(logits[row : row + 1], choices[row : row + 1], 100.0)[0] == int(logits[row].argmax())


def broken_scores_are_no_error(drafts):
    broken = small_model()
    broken.embed_tokens.weight.data.fill_(float("nan"))
    one = request("a", random.Random(7), 5)
    for blur, choice_of in ((0, None), (0, noisy), (0.15, noisy)):
        made = drafts.DraftModelProposer(broken, 8, block_size=4, blur=blur)
        assert all(0 <= token < V for token in said(made, [one], 3, choice_of)[0])


def a_name_used_again_is_another_text(drafts):
    rng = random.Random(8)
    made, looked_up = proposer(drafts), drafts.NgramProposer(3)
    for length in (7, 12, 3):
        one = request("same", rng, length)
        assert said(made, [one], 3) == [greedy(MODEL, one.token_ids, 3)]
        assert said(looked_up, [one], 3) == [ngram_proposal(one.token_ids, 3)]
    made.forget(one)
    assert made.cache.pool.num_free == made.cache.pool.num_blocks


def look_up_follows_every_text(drafts):
    rng, made = random.Random(9), drafts.NgramProposer(4, 2, 1)
    live = [Request(f"r{i}", [rng.randrange(3) for _ in range(4)], max_tokens=90) for i in range(3)]
    for _ in range(20):
        for one, proposal in zip(live, said(made, live, 4), strict=True):
            assert proposal == ngram_proposal(one.token_ids, 4, 2, 1)
            one.token_ids += [rng.randrange(3) for _ in range(rng.randrange(1, 4))]


def who_is_forgotten_leaves_nothing_behind(drafts):
    one, unknown = request("a", random.Random(10), 6), request("b", random.Random(10), 6)
    for made in (proposer(drafts), drafts.NgramProposer()):
        said(made, [one], 2)
        for who in (one, one, unknown):
            made.forget(who)
        assert ", 0 texts" in repr(made)


def engines_get_what_they_name(drafts):
    make = lambda name, model=MODEL: drafts.as_proposer(name, model, num_blocks=8)  # noqa: E731
    assert make(None) is None and isinstance(make("ngram"), drafts.NgramProposer)
    own = drafts.DraftModelProposer(MODEL, 4)
    assert make(own) is own
    refused(InvalidValue, lambda: make("drafts"))
    refused(InvalidValue, lambda: make("draft"))  # another vocabulary
    refused(InvalidType, lambda: make(4))
    for bad in (dict(k=0), dict(num_blocks=0), dict(max_num_batched_tokens=0), dict(blur=-1), dict(blur=None)):
        refused(InvalidValue, lambda bad=bad: drafts.DraftModelProposer(MODEL, **{"num_blocks": 4, **bad}))
    refused(InvalidType, lambda: drafts.DraftModelProposer("tiny-draft", 4))
    refused(InvalidValue, lambda: drafts.NgramProposer(0))
    refused(InvalidValue, lambda: drafts.NgramProposer(4, 1, 2))


def the_bundled_draft_is_of_the_models_kind(drafts):
    made = drafts.as_proposer("draft", load_model("tiny", dtype="float64"), num_blocks=8)
    assert made.cache.dtype == torch.float64 and made.vocab_size == load_model("tiny").config.vocab_size


def refused(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


CHECKS = {
    name: check
    for name, check in list(globals().items())
    if hasattr(check, "__code__") and check.__code__.co_varnames[: check.__code__.co_argcount] == ("drafts",)
}
