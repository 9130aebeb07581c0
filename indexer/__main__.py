from indexer.cli import main
from indexer.commands.console.ending import leave

leave(main())
