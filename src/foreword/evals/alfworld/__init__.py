"""How the games of suite `alfworld` are played, and proved.

`world` plays a game on the host, `notebook` runs the agent's code in the sandbox and lets
nothing out but calls of the eleven functions, `agent` is the solver and `proof` what
`foreword check` replays.
"""
