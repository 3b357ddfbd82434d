"""`python -m tbgrad` is the `tbgrad` command."""

import sys

from tbgrad.commands.main import main

sys.exit(main())
