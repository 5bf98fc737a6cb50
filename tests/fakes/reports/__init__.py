"""Providers' reports, made up: one module a provider, all by `registry.FAKES`."""
