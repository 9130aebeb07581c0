"""``python -m service.tokens`` makes a token; what it does is in `service.access.tokens`."""

import sys

from service.access.tokens import main

if __name__ == "__main__":
    sys.exit(main())
