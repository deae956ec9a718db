"""Python handlers in worker processes: `pool: {type: process}`.

pool.py is where a call comes in, process.py is one child as its parent sees it, child.py what runs in it, remote.py
what its handlers talk to, serving.py who answers them. wire.py and failures.py say what travels.

Why a pool of our own, of the standard library's `subprocess` and `Connection`. With `ProcessPoolExecutor` and loky
one dead worker fails every call of the pool, and a hanging one cannot be killed alone; they and pebble feed all workers
through one queue, so a handler has no way to ask for something while it runs: `publish`, `ack`, `can`. One child that
belongs to one call at a time, with a pipe of its own, has none of these problems and needs no library. Not
`multiprocessing.Process`: it runs the program's main module again in every child, which a program without
`if __name__ == "__main__"` does not survive, and its daemons may have no children.
"""
