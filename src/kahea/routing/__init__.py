"""What a script sees: the run in progress, KSR, pseudo-variables, and the node that ties them to tm and net."""
