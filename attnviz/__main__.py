"""`python -m attnviz`: the same as `attnviz`."""

import sys

from attnviz.cli import main

sys.exit(main())
