"""The one door to the gateway: its sockets, its budget, its payloads, its answers.

`port` says what a gateway is for the rest of the program; `projectx` is that gateway on the
project-x-py SDK (the only importer of it); `translate` and `codes` settle what its payloads and
error codes mean; `session` keeps a connection alive; `actor` supervises and says how it stands.
"""
