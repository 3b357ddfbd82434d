"""Small real trainings, healthy ones and ones with a planted fault, to try the diagnosis on."""
