"""A matrix of group memberships times the weight."""

import torch


def answer(weight, num_kv_heads, head_dim):
    heads = weight.shape[0] // head_dim
    group = torch.arange(heads) // (heads // num_kv_heads)
    member = torch.nn.functional.one_hot(group, num_kv_heads).T.to(weight.dtype)
    share = (member / member.sum(1, keepdim=True)).contiguous()
    return torch.kron(share, torch.eye(head_dim, dtype=weight.dtype)) @ weight
