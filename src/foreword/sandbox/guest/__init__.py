"""What runs inside the sandbox as its process 1: standard library only, Python 3.8 or later.

JSON lines on stdin and stdout, one answer a request. It runs the actions,
serves the canary and takes snapshots, so a sandbox costs one Python start.
The host copies these files in; nothing here may import the rest of foreword.
"""
