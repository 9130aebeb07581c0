"""torchvision, imported without torch's compiler: its RoI Align asks at once whether that would work.

More than half of what ``import torch, torchvision`` takes is the compiler.
"""

import torch  # noqa: F401 - before its compiler is kept out

from indexer.system.compiler import kept_out

with kept_out():
    import torchvision as torchvision
