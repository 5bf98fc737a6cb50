"""Other people's servers, as far as our tests need them: real ones, on this machine."""
