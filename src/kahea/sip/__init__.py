"""The wire format: messages, URIs, header bodies. Bytes in, bytes out; imports nothing of ours, does no I/O."""
