"""Outside services behind async libraries; scripts wait for them through `routing.run.wait`."""
