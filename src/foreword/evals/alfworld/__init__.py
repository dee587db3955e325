"""MINT-ALFWorld: household games an agent plays by Python, as in the paper.

`games` reads the authors' folder, `world` plays a game on the host, `notebook`
runs the agent's code in the sandbox and lets nothing out but calls of the
eleven `tools`, `task` is the Inspect task and `proof` what `foreword check`
replays.
"""
