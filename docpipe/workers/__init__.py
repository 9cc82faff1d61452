"""Worker processes: one document at a time each, killed alone. Imports `convert`, `archive` and below.

    main process (asyncio)          forkserver (single-threaded)        worker, one per place
    pool.Workers ── control ──────▶ forks, reaps, kills ───fork────▶ child.live(): job in, answer out
          └──────────────────────── one socket per worker ───────────────────┘

Why not the standard library's pools: one killed child breaks all of `concurrent.futures`, and the
forkserver of multiprocessing imports `__main__` again and is the parent of the children, so that a
parent-death signal never reports the death of the main process. Here every process has a socket and a session
of its own, and its parent supervises it; a death affects one child.

No process outlives the main process. It holds the only other end of the control socket: when it dies,
however it dies, the forkserver reads the end of file, kills every worker's process group and leaves.
If the forkserver is what dies, workers are killed by the kernel (PR_SET_PDEATHSIG) and their groups by
the main process. Only if both are killed in the same instant may a program started by a worker
finish on its own. Where there is no prctl and no /proc (other systems than Linux) the sockets still
report a death; the memory watch and the fence around stray grandchildren are missing.

Nothing is imported here: a worker loads of docpipe only `docpipe.workers.forkserver` with its helpers
and what the target needs.
"""
