from indexer.commands.console.ending import leave
from unitscope.cli import main

leave(main())
