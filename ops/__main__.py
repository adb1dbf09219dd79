"""`python -m ops` is `riskd`."""

import sys

from ops.cli import main

sys.exit(main())
