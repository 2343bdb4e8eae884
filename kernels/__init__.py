"""Triton kernels, one idea a file, installed as `minillm.kernels`.

The kernels arrive with the Triton and flash-attention lessons. What is here already is `runtime`, which tells in which
way this machine could run them: compiled on a GPU, interpreted on a CPU, or not at all.
"""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(__name__, {"mode": "minillm.kernels.runtime"})
