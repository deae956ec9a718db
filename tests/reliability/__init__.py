"""What it takes to break noria from outside: processes that are killed, brokers that die, lines that are cut.

`tests/conftest.py` makes this folder importable as `reliability`. Its tests run a short version of what
`make reliability` does for docs/reliability.md.
"""
