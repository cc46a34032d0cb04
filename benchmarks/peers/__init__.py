"""How fast the peers are at the same work: one command a peer, `python -m benchmarks.peers.NAME URL`.

Rules that hold here: a peer runs at the best settings that were found for it, all durable, and each says which. Its packages
are in an environment of their own (`constraints.txt`, and @restatedev/restate-server 1.7.12 from npm), which has no `saga`
and is not in CI: nothing here may import the engine, and nothing of the engine may import this.
"""
