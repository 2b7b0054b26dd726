"""How far a judge's scores agree with people's, and people's with each other."""
