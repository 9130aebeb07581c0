from indexer.cli import main
from indexer.commands.ending import leave

leave(main())
