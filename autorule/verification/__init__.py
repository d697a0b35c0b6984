"""Stage 4: does a completion satisfy a rule? And is the verifier any good?"""
