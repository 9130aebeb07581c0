from indexer.commands.ending import leave
from unitscope.cli import main

leave(main())
