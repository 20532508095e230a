"""A conformance suite for WS-Management endpoints.

Its cases are files (`cases/*.toml`): what is sent, and what must hold of the reply. Its subject is any
endpoint: URL and credentials come from the environment, the classes that cases are about from a small subject file
(`subjects/*.toml`). docs/conformance.md tells how to run it and how to write a case.

It needs nothing but Python's own library, and speaks HTTP over plain sockets, because half of what it asks is
about bytes that no HTTP client would send.
"""
