"""How sure agreement is: resamples of systems, characters and scenarios, crossed."""
