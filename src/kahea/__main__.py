"""`python -m kahea`: the command line."""

import sys

from kahea.cli.main import main

sys.exit(main())
