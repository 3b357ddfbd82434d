"""`python -m tbgrad` is the `tbgrad` command."""

import sys

from tbgrad.cli import main

sys.exit(main())
