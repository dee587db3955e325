"""Doubles that ship with the package: small real classes, no mocks."""
