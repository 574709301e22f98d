"""One module per Kamailio module, under its name. A module knows no other but by `node.module(name)`."""
