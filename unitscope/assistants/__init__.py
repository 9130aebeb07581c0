"""A server of the Model Context Protocol: assistants ask what a service answers, through tools.

1. `questions` asks an index or a running service, both through the same HTTP interface.
2. `tools` has a function for each tool; `server` offers them, on standard input and output or over HTTP.
"""
