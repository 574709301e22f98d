"""The wire format: messages, URIs, header bodies. Bytes in, bytes out; no I/O, nothing else of ours."""
