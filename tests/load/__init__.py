"""The service under load while it is disturbed: generations are published and workers killed, and every answer checked.

``python -m tests.load INDEX --seconds 300`` copies an index, serves the copy and prints what happened as JSON.

- `questions`: what is asked, and what the library says to it
- `clients`: connections that ask, and note what they got
- `disturbances`: publishing and killing
- `run`: all of it together
"""
