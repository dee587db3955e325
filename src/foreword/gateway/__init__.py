"""An OpenAI-compatible gateway that begins every reply of a server with a guard's prefix.

requests -> upstream -> answers | streams: three pure modules shape JSON and bytes,
`upstream` is the only one that talks to the server, `app` joins them to HTTP.
"""
