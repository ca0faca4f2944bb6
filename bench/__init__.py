"""What this server costs, measured on the machine at hand.

    make bench          the loads of a chat, as ratios to a bare aiohttp handler in the same minutes
    make bench-micro    the steps of one request, each by itself
    make bench-growth   the same requests as threads, catalogues and messages grow
    make bench-memory   a million threads touched once in turn
    make soak           the mix, for as long as one likes

`datasets` writes what the servers start from, `servers` runs them, `loads` says what is asked,
`wrk` asks it, `rounds` does so in turns, and `report` words what came of it.
"""
