"""What a script sees: the run in progress, the KSR registry, pseudo-variables, and the node that ties them to tm and net."""
