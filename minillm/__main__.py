"""`python -m minillm` is the same door as the `minillm` command."""

import sys

from minillm.cli import main

sys.exit(main())
