"""minillm beside other engines on the same checkpoints, prompts, processor and minutes; their texts are compared, too.

    python benchmarks/peers/peers.py install    an environment for each peer, outside this one
    python benchmarks/peers/peers.py run        the comparison; who is not installed is named and left out

Environments, checkpoints and what is made of them lie under --folder, which git ignores. `make bench` does not run this.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(
        str(Path(__file__).parents[1] / "serving")
    )  # the same checkpoints and requests as our own benchmark

    from command import main

    sys.exit(main(__doc__))
